package source

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// A 304 is believed this often and this long: WordPress answers it although
// an older item has been removed, because its validators are of the newest.
const (
	trustLooks = 10
	trustTime  = time.Hour
)

// freshness is what a server said of the last answer that was read, and how
// often and since when its word has been taken for it.
type freshness struct {
	ETag     string    `json:"etag,omitempty"`
	Modified string    `json:"modified,omitempty"`
	Hash     string    `json:"hash,omitempty"` // of the body and of how it was read
	Trusted  int       `json:"trusted,omitempty"`
	ReadAt   time.Time `json:"read_at,omitzero"`
}

// ask makes a request conditional, unless the server has been believed for
// long enough.
func (f *freshness) ask(j *job, r *request) {
	if f.Hash != "" && f.Trusted < trustLooks && !j.past(f.ReadAt, trustTime) {
		r.etag, r.modified = f.ETag, f.Modified
	}
}

// take remembers an answer and tells whether it is the last one again. how is
// what decides, beside the bytes, how they are read.
func (f *freshness) take(j *job, ans *Answer, how string) (unchanged bool) {
	if ans.NotModified {
		f.Trusted++
		return true
	}
	f.ETag, f.Modified = clipHeader(ans.Header.Get("ETag")), clipHeader(ans.Header.Get("Last-Modified"))
	f.Trusted, f.ReadAt = 0, j.started.UTC()
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", how, ans.Header.Get("Content-Type"))
	h.Write(ans.Body)
	hash := hexOf(h.Sum(nil), 12)
	unchanged = hash == f.Hash
	f.Hash = hash
	return unchanged
}

// clipHeader keeps a validator only if it is of sane length.
func clipHeader(s string) string {
	if len(s) > 300 {
		return ""
	}
	return s
}
