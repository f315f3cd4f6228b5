package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// body is one encoding of a document with its header values, made once and
// shared by all answers: the slices must not be changed.
type body struct {
	bytes    []byte
	etag     string
	etagHdr  []string
	lenHdr   []string
	encoding []string // Content-Encoding; nil: identity
}

func newBody(b []byte, encoding string) body {
	sum := sha256.Sum256(b)
	out := body{bytes: b, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`}
	out.etagHdr = []string{out.etag}
	out.lenHdr = []string{strconv.Itoa(len(b))}
	if encoding != "" {
		out.encoding = []string{encoding}
	}
	return out
}

// document is something that is served from memory in two encodings, each
// with a strong validator of its own (RFC 9110 §8.8.3).
type document struct {
	plain, packed body // packed is empty where compression gains nothing
	contentType   []string
	cacheControl  []string
	lastModified  []string // nil: none
	modified      time.Time
	link          []string // Link header values; nil: none
}

// varyEncoding is the Vary of every document; shared, never changed.
func varyEncoding() []string { return []string{"Accept-Encoding"} }

func newDocument(b []byte, contentType, cacheControl string, modified time.Time) (*document, error) {
	d := &document{plain: newBody(b, ""), contentType: []string{contentType}, cacheControl: []string{cacheControl}}
	d.setModified(modified)
	packed, err := pack(b)
	if err != nil {
		return nil, err
	}
	if len(packed) < len(b) {
		d.packed = newBody(packed, "gzip")
	}
	return d, nil
}

func (d *document) setModified(t time.Time) {
	if t.IsZero() {
		return
	}
	d.modified = t.UTC().Truncate(time.Second)
	d.lastModified = []string{d.modified.Format(http.TimeFormat)}
}

func (d *document) size() int64 { return int64(len(d.plain.bytes) + len(d.packed.bytes)) }

// pack compresses at the best level. The header carries no time, so that the
// same bytes give the same validator on every replica.
func pack(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if _, err := z.Write(b); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return out.Bytes(), nil
}

// serve answers from memory: 304 by validator, else the whole in the encoding
// that the client takes. notModified tells which. HEAD gets the same header.
func (d *document) serve(w http.ResponseWriter, r *http.Request) (notModified bool) {
	b := &d.plain
	if d.packed.bytes != nil && acceptsGzip(r.Header) {
		b = &d.packed
	}
	h := w.Header()
	h["Etag"] = b.etagHdr
	h["Vary"] = varyEncoding()
	h["Cache-Control"] = d.cacheControl
	if d.link != nil {
		h["Link"] = d.link
	}
	if d.lastModified != nil {
		h["Last-Modified"] = d.lastModified
	}
	if d.unchanged(r.Header, b.etag) {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	h["Content-Type"] = d.contentType
	h["Content-Length"] = b.lenHdr
	if b.encoding != nil {
		h["Content-Encoding"] = b.encoding
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.bytes) // a reader that has gone is not our fault
	}
	return false
}

// unchanged evaluates If-None-Match and, only where it is absent,
// If-Modified-Since (RFC 9110 §13.2.2).
func (d *document) unchanged(h http.Header, etag string) bool {
	if match := h["If-None-Match"]; len(match) > 0 {
		for _, line := range match {
			if etagListed(line, etag) {
				return true
			}
		}
		return false
	}
	since := h.Get("If-Modified-Since")
	if since == "" || d.lastModified == nil {
		return false
	}
	t, err := http.ParseTime(since)
	return err == nil && !d.modified.After(t)
}

// etagListed looks for etag in a list by weak comparison (RFC 9110 §8.8.3.2).
// Opaque tags may hold commas; a member without quotes, which some readers
// send, is compared as if it had them.
func etagListed(list, etag string) bool {
	for {
		list = strings.TrimLeft(list, " \t,")
		if list == "" {
			return false
		}
		if list[0] == '*' {
			return true
		}
		list = strings.TrimPrefix(list, "W/")
		if strings.HasPrefix(list, `"`) {
			end := strings.IndexByte(list[1:], '"')
			if end < 0 {
				return false
			}
			if list[:end+2] == etag {
				return true
			}
			list = list[end+2:]
			continue
		}
		bare, rest, _ := strings.Cut(list, ",")
		if strings.TrimSpace(bare) == strings.Trim(etag, `"`) {
			return true
		}
		list = rest
	}
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3): gzip or * with a
// weight above 0, gzip's own entry deciding.
func acceptsGzip(h http.Header) bool {
	star := false
	for _, line := range h["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			name = strings.TrimSpace(name)
			switch {
			case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
				return weight(params) > 0
			case name == "*":
				star = weight(params) > 0
			}
		}
	}
	return star
}

func weight(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		k, v, ok := strings.Cut(strings.TrimSpace(p), "=")
		if ok && strings.EqualFold(strings.TrimSpace(k), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				return 0
			}
			return q
		}
	}
	return 1
}
