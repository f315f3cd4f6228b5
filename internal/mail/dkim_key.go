package mail

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"gazetted/internal/news"
)

// Bounds of RSA keys. Verifiers ignore a signature by a shorter key than the
// first (RFC 8301 §3.2); signers use the second at least.
const (
	ignoredBits = 1024
	minRSABits  = 2048
)

// maxKeyFile bounds a key file; one of 16384 bits has 13 KB.
const maxKeyFile = 64 << 10

// ReadDKIMKey reads a private key from a PEM file: PKCS #8, or PKCS #1 for RSA.
// Faults are *news.FieldError and hold nothing of the key.
//
// A key that others on this machine can read is refused: whoever has it can
// write mail in the publisher's name. credentials is the folder in which the
// service manager keeps what it hands to this service alone (systemd's
// $CREDENTIALS_DIRECTORY), where it sees to the owner and mode itself; empty:
// none.
func ReadDKIMKey(path, credentials string) (crypto.Signer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read DKIM key: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()            // of what was opened, not of what lies there meanwhile
	if err != nil {
		return nil, fmt.Errorf("read DKIM key: %w", err)
	}
	fault := func(want string) error { return &news.FieldError{Field: "key_file", Value: path, Want: want} }
	switch {
	case !info.Mode().IsRegular():
		return nil, fault("a file")
	case credentials != "" && filepath.Dir(filepath.Clean(path)) == filepath.Clean(credentials):
	case info.Mode().Perm()&0o177 != 0:
		return nil, fault(fmt.Sprintf("a file that its owner alone may read: it has mode %04o; `chmod 600` mends that", info.Mode().Perm()))
	case !ownFile(info):
		return nil, fault("a file that belongs to the user of this process")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read DKIM key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fault("a PEM file: -----BEGIN PRIVATE KEY-----")
	}
	key, err := parseKey(block)
	if err != nil { // what the parser says could repeat the key
		return nil, fault("an RSA or Ed25519 private key, not encrypted; this is " + cleanLine(block.Type, 40))
	}
	return key, checkKey("key_file", path, key)
}

func parseKey(block *pem.Block) (crypto.Signer, error) {
	if block.Type == "RSA PRIVATE KEY" {
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		return key, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	if signer, ok := key.(crypto.Signer); ok {
		return signer, nil
	}
	return nil, errors.New("a key that cannot sign")
}

// checkKey refuses keys whose signatures would be worth nothing.
func checkKey(field, value string, key crypto.Signer) error {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return nil
	case *rsa.PrivateKey:
		switch bits := k.N.BitLen(); {
		case bits < ignoredBits:
			return &news.FieldError{Field: field, Value: value, Want: fmt.Sprintf("an RSA key of 2048 bits or more: this one has %d, and such signatures are ignored (RFC 8301)", bits)}
		case bits < minRSABits:
			return &news.FieldError{Field: field, Value: value, Want: fmt.Sprintf("an RSA key of 2048 bits or more to sign with: this one has %d (RFC 8301)", bits)}
		}
		return nil
	default:
		return &news.FieldError{Field: field, Value: value, Want: "an RSA or Ed25519 key"}
	}
}

// check refuses what could not stand in a signature or a name.
func (k DKIMKey) check() error {
	if a, err := news.ParseAddress("domain", "a@"+k.Domain); err != nil || a.Domain() != k.Domain {
		return &news.FieldError{Field: "domain", Value: k.Domain, Want: "a domain name in ASCII such as example.org"}
	}
	if k.Selector == "" || len(k.Selector) > 63 || strings.Trim(k.Selector, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != "" ||
		strings.Trim(k.Selector, "-.") != k.Selector || strings.Contains(k.Selector, "..") {
		return &news.FieldError{Field: "selector", Value: k.Selector, Want: "letters, digits and hyphens, such as news2026"}
	}
	return checkKey("key_file", k.name(), k.Key)
}

// DKIMRecord is what has to be published for a key.
type DKIMRecord struct {
	Name  string // of the TXT record
	Value string
}

// Records are the DNS records of all keys.
func (d *DKIM) Records() ([]DKIMRecord, error) {
	out := make([]DKIMRecord, 0, len(d.keys))
	for _, k := range d.keys {
		public, err := k.public()
		if err != nil {
			return nil, err
		}
		out = append(out, DKIMRecord{Name: k.name(), Value: "v=DKIM1; k=" + k.algorithm() + "; p=" + base64.StdEncoding.EncodeToString(public)})
	}
	return out, nil
}

// public is what stands in p=: the whole SubjectPublicKeyInfo for RSA (RFC 6376
// §3.6.1 and erratum 3017), the bare key for Ed25519 (RFC 8463 §4).
func (k DKIMKey) public() ([]byte, error) {
	if public, ok := k.Key.Public().(ed25519.PublicKey); ok {
		return public, nil
	}
	public, err := x509.MarshalPKIXPublicKey(k.Key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode public key of %s: %w", k.name(), err)
	}
	return public, nil
}

// selfTest signs a sample with every key and lets the library verify it
// against the records, as a receiver would: digest rule 7.
func (d *DKIM) selfTest() error {
	records, err := d.Records()
	if err != nil {
		return err
	}
	lookup := func(name string) ([]string, error) {
		i := slices.IndexFunc(records, func(r DKIMRecord) bool { return r.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no record at %s", name)
		}
		return []string{records[i].Value}, nil
	}
	verified := 0
	for _, domain := range d.domains() {
		sample := []byte("From: <news@" + domain + ">\r\nTo: <reader@example.net>\r\nSubject: a  sample\r\nDate: Thu, 12 Mar 2026 07:00:00 +0000\r\n" +
			"List-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nbody \t of lines\r\n\r\n\r\n")
		signatures, err := d.Sign(sample, domain, time.Date(2026, 3, 12, 7, 0, 0, 0, time.UTC))
		if err != nil {
			return fmt.Errorf("test DKIM of %s: %w", domain, err)
		}
		found, err := dkim.VerifyWithOptions(bytes.NewReader(append(signatures, sample...)), &dkim.VerifyOptions{LookupTXT: lookup})
		if err != nil {
			return fmt.Errorf("test DKIM of %s: %w", domain, err)
		}
		for _, v := range found {
			if v.Err != nil {
				return fmt.Errorf("test DKIM of %s: %w", domain, v.Err)
			}
			if !slices.Contains(v.HeaderKeys, "List-Unsubscribe") || !slices.Contains(v.HeaderKeys, "List-Unsubscribe-Post") {
				return fmt.Errorf("test DKIM of %s: the fields of one-click unsubscription are not signed", domain)
			}
			verified++
		}
	}
	if verified != len(d.keys) {
		return fmt.Errorf("test DKIM: %d signatures by %d keys", verified, len(d.keys))
	}
	return nil
}

func (d *DKIM) domains() []string {
	var out []string
	for _, k := range d.keys {
		if !slices.Contains(out, k.Domain) {
			out = append(out, k.Domain)
		}
	}
	return out
}

// CheckDNS compares what is published with the keys and returns what differs,
// each a *news.FieldError with the record that would be right, or the lookup's
// error. lookup returns one text per TXT record, as net.Resolver.LookupTXT does.
func (d *DKIM) CheckDNS(ctx context.Context, lookup func(ctx context.Context, name string) ([]string, error)) []error {
	records, err := d.Records()
	if err != nil {
		return []error{err}
	}
	var faults []error
	for _, want := range records {
		found, err := lookup(ctx, want.Name)
		if err != nil {
			faults = append(faults, fmt.Errorf("look up DKIM record: %w", err))
			continue
		}
		if len(found) != 1 { // RFC 6376 §3.6.2.2: of several, nobody knows which counts
			faults = append(faults, &news.FieldError{Field: want.Name, Value: fmt.Sprintf("%d TXT records", len(found)), Want: "one: " + want.Value})
			continue
		}
		if !sameRecord(found[0], want.Value) {
			faults = append(faults, &news.FieldError{Field: want.Name, Value: found[0], Want: want.Value})
		}
	}
	return faults
}

// sameRecord tells whether a published record has the key of ours: other tags
// and white space do not count (RFC 6376 §3.6.1).
func sameRecord(found, want string) bool {
	a, b := tags(found), tags(want)
	return a["p"] == b["p"] && (a["k"] == b["k"] || a["k"] == "" && b["k"] == "rsa") && (a["v"] == "" || a["v"] == "DKIM1")
}

func tags(record string) map[string]string {
	out := map[string]string{}
	for tag := range strings.SplitSeq(record, ";") {
		name, value, _ := strings.Cut(tag, "=")
		out[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
	}
	return out
}
