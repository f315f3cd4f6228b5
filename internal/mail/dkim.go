package mail

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// DKIM signs messages (RFC 6376), with every key of the sender's domain: an RSA
// and an Ed25519 signature stand side by side where there is a key for each
// (RFC 8463 §3). It is immutable and safe for concurrent use.
//
// Signing is our own, because a signature has to be the same on every attempt:
// the library's stamps it with the present time. The library verifies: in the
// self-test of NewDKIM, and in the tests.
//
// A relay that rewrites Date or Message-ID, as Amazon SES does, breaks the
// signature: there the relay has to sign.
type DKIM struct {
	keys []DKIMKey // RSA first: some verifiers look at the topmost signature only
}

// DKIMKey is one key and the name under which its public half is published.
type DKIMKey struct {
	Domain   string        // d=; best the sender's or a parent of it (DMARC alignment)
	Selector string        // s=; the record stands at SELECTOR._domainkey.DOMAIN
	Key      crypto.Signer // *rsa.PrivateKey of 2048 bits or more, or ed25519.PrivateKey
}

// NewDKIM checks the keys, signs a sample and verifies it. Faults are
// *news.FieldError where a person can mend them.
func NewDKIM(keys []DKIMKey) (*DKIM, error) {
	if len(keys) == 0 {
		return nil, errors.New("make DKIM signer: no key")
	}
	d := &DKIM{}
	for _, k := range keys {
		k.Domain = strings.ToLower(k.Domain)
		if err := k.check(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(d.keys, func(o DKIMKey) bool { return o.Domain == k.Domain && strings.EqualFold(o.Selector, k.Selector) }) {
			return nil, &news.FieldError{Field: "selector", Value: k.Selector, Want: "another one for each key of a domain: there is one record at a name"}
		}
		d.keys = append(d.keys, k)
	}
	slices.SortStableFunc(d.keys, func(a, b DKIMKey) int { return rank(a) - rank(b) })
	return d, d.selfTest()
}

func rank(k DKIMKey) int {
	if k.algorithm() == "rsa" {
		return 0
	}
	return 1
}

// Header fields that are signed. RFC 6376 §5.4.1 names them; RFC 8058 §4 wants
// both fields of one-click unsubscription; Feedback-ID only counts if signed.
// Those in oversigned are listed once more than they occur, so that a second
// one cannot be added on the way (RFC 6376 §8.15).
func signedFields() []string {
	return []string{
		"From", "Reply-To", "Subject", "Date", "To", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
		"List-Id", "List-Help", "List-Archive", "List-Owner", "List-Post", "List-Subscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID",
	}
}

func oversigned(field string) bool {
	return field == "From" || field == "Subject" || field == "To" || field == "Date"
}

// Sign returns the DKIM-Signature fields for msg, to be put before it, one for
// each key of domain, or of the nearest parent that has keys; where there is
// none, those of the first key's domain: a signature that is not aligned is
// better than none. at is the time in the signatures: the message's, so that
// every attempt has the same bytes. The body counts as a whole: there is no l=
// (RFC 6376 §8.2).
func (d *DKIM) Sign(msg []byte, domain string, at time.Time) ([]byte, error) {
	head, body, ok := bytes.Cut(msg, []byte("\r\n\r\n"))
	if !ok {
		return nil, errors.New("sign message: it has no empty line behind its header")
	}
	names, fields := pick(head)
	bodyHash := sha256.Sum256(relaxBody(body))
	bh := base64.StdEncoding.EncodeToString(bodyHash[:])
	var out []byte
	for _, k := range d.keysFor(domain) {
		// The order of the tags is free; h= and b= are folded where white space
		// is allowed in them (RFC 6376 §3.5).
		unsigned := "DKIM-Signature: v=1; a=" + k.algorithm() + "-sha256; c=relaxed/relaxed;\r\n d=" + k.Domain + "; s=" + k.Selector +
			"; t=" + strconv.FormatInt(at.Unix(), 10) + ";\r\n h=" + foldList(names, len(" h=")) + ";\r\n bh=" + bh + ";\r\n b="
		h := sha256.New()
		h.Write(fields)
		h.Write(bytes.TrimSuffix(relaxField([]byte(unsigned)), []byte("\r\n"))) // §3.7: without its line end
		signature, err := k.sign(h.Sum(nil))
		if err != nil {
			return nil, fmt.Errorf("sign message with %s: %w", k.name(), err)
		}
		out = append(out, unsigned...)
		out = appendFolded(out, base64.StdEncoding.EncodeToString(signature), len(" b="))
		out = append(out, "\r\n"...)
	}
	return out, nil
}

// keysFor are the keys of domain or of its nearest parent that has some.
func (d *DKIM) keysFor(domain string) []DKIMKey {
	for name := strings.ToLower(domain); name != ""; _, name, _ = strings.Cut(name, ".") {
		if found := d.keysOf(name); len(found) > 0 {
			return found
		}
	}
	return d.keysOf(d.keys[0].Domain)
}

func (d *DKIM) keysOf(domain string) []DKIMKey {
	var out []DKIMKey
	for _, k := range d.keys {
		if k.Domain == domain {
			out = append(out, k)
		}
	}
	return out
}

// pick returns the names for h= and the fields that they stand for, relaxed.
func pick(head []byte) (names []string, fields []byte) {
	present := map[string][][]byte{}
	for len(head) > 0 {
		end := fieldEnd(head)
		if i := bytes.IndexByte(head[:end], ':'); i > 0 {
			name := strings.ToLower(string(bytes.TrimSpace(head[:i])))
			present[name] = append(present[name], head[:end])
		}
		head = head[end:]
	}
	for _, name := range signedFields() {
		have := present[strings.ToLower(name)]
		for _, field := range slices.Backward(have) { // from the bottom (RFC 6376 §5.4.2)
			names, fields = append(names, name), append(fields, relaxField(field)...)
		}
		if oversigned(name) {
			names = append(names, name)
		}
	}
	return names, fields
}

// fieldEnd is where the first field of head ends: at the first line end that no
// white space follows.
func fieldEnd(head []byte) int {
	for at := 0; ; {
		i := bytes.Index(head[at:], []byte("\r\n"))
		if i < 0 {
			return len(head)
		}
		at += i + 2
		if at == len(head) || head[at] != ' ' && head[at] != '\t' {
			return at
		}
	}
}

// relaxField is the "relaxed" canonical form of a field (RFC 6376 §3.4.2).
func relaxField(field []byte) []byte {
	name, value, _ := bytes.Cut(field, []byte(":"))
	out := append(bytes.ToLower(bytes.TrimSpace(name)), ':')
	for i, word := range bytes.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }) {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, word...)
	}
	return append(out, "\r\n"...)
}

// relaxBody is the "relaxed" canonical form of a body (RFC 6376 §3.4.4): white
// space collapses, that at the end of lines and empty lines at the end go. An
// empty body stays empty.
func relaxBody(body []byte) []byte {
	out := make([]byte, 0, len(body)+2)
	end := 0 // of the last line that is not empty
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, []byte("\r\n"))
		body = rest
		if line = bytes.TrimRight(line, " \t"); len(line) == 0 {
			out = append(out, "\r\n"...)
			continue
		}
		out = append(relaxLine(out, line), "\r\n"...)
		end = len(out)
	}
	return out[:end]
}

// relaxLine appends line with each run of white space as one space.
func relaxLine(dst, line []byte) []byte {
	if !bytes.Contains(line, []byte("  ")) && bytes.IndexByte(line, '\t') < 0 { // most lines
		return append(dst, line...)
	}
	for i, c := range line {
		white := c == ' ' || c == '\t'
		switch {
		case !white:
			dst = append(dst, c)
		case i == 0 || line[i-1] != ' ' && line[i-1] != '\t':
			dst = append(dst, ' ')
		}
	}
	return dst
}

// foldList joins names with colons, on lines of their own where one is full;
// used is what stands on the first.
func foldList(names []string, used int) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte(':')
			used++
		}
		if used+len(name)+1 > foldAt {
			b.WriteString("\r\n ")
			used = 1
		}
		b.WriteString(name)
		used += len(name)
	}
	return b.String()
}

// appendFolded appends base64 text in lines; used is what stands on the first.
func appendFolded(dst []byte, text string, used int) []byte {
	for len(text) > foldAt-used {
		dst = append(append(dst, text[:foldAt-used]...), "\r\n "...)
		text, used = text[foldAt-used:], 1
	}
	return append(dst, text...)
}

// sign signs a SHA-256 hash. Both algorithms are deterministic: RSA PKCS #1
// v1.5 (RFC 8017 §8.2) and Ed25519 (RFC 8032), which here signs the hash as its
// message (RFC 8463 §3).
func (k DKIMKey) sign(sum []byte) ([]byte, error) {
	if k.algorithm() == "ed25519" {
		return k.Key.Sign(nil, sum, crypto.Hash(0))
	}
	return k.Key.Sign(nil, sum, crypto.SHA256)
}

// algorithm is the first half of a=; empty: a key that DKIM does not know.
func (k DKIMKey) algorithm() string {
	switch k.Key.(type) {
	case *rsa.PrivateKey:
		return "rsa"
	case ed25519.PrivateKey:
		return "ed25519"
	default:
		return ""
	}
}

func (k DKIMKey) name() string { return k.Selector + "._domainkey." + k.Domain }
