package mail

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"gazetted/internal/news"
	"gazetted/internal/smtptest"
)

// testKeys makes an RSA and an Ed25519 key once: an RSA key takes a second.
func testKeys(t testing.TB) (r *rsa.PrivateKey, e ed25519.PrivateKey) {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, e, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return r, e
}

func newDKIM(t testing.TB, domain string) *DKIM {
	t.Helper()
	r, e := testKeys(t)
	d, err := NewDKIM([]DKIMKey{{Domain: domain, Selector: "ed2026", Key: e}, {Domain: domain, Selector: "rsa2026", Key: r}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// published answers for a DNS server that has the records of d.
func published(t testing.TB, d *DKIM) func(string) ([]string, error) {
	t.Helper()
	records, err := d.Records()
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) ([]string, error) {
		for _, r := range records {
			if r.Name == name {
				return []string{r.Value}, nil
			}
		}
		return nil, fmt.Errorf("no such host: %s", name)
	}
}

// valid returns the signatures of a message that the library accepts.
func valid(t testing.TB, d *DKIM, msg []byte) (good []*dkim.Verification) {
	t.Helper()
	all, err := dkim.VerifyWithOptions(bytes.NewReader(msg), &dkim.VerifyOptions{LookupTXT: published(t, d)})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(v *dkim.Verification) bool { return v.Err != nil })
}

func signedMessage(t testing.TB, d *DKIM, msg []byte) []byte {
	t.Helper()
	s, err := d.Sign(msg, "example.org", testRecipient().Date)
	if err != nil {
		t.Fatal(err)
	}
	return append(s, msg...)
}

func TestBothSignaturesVerify(t *testing.T) {
	d := newDKIM(t, "example.org")
	feedback := testSpec()
	feedback.FeedbackID = "3:world:edition:gazette"
	for name, msg := range map[string][]byte{
		"edition":          mustBytes(t, feedback, testRecipient()),
		"short":            []byte("From: <news@example.org>\r\n" + shortMessage),
		"empty body":       []byte("From: <news@example.org>\r\nSubject: x\r\n\r\n"),
		"empty lines":      []byte("From: <news@example.org>\r\n\r\n\r\n\r\na\r\n\r\n  \t\r\nb \t c\t\r\n \td\r\n\r\n \r\n\r\n"),
		"odd white space":  []byte("FROM :\t <news@example.org>  \r\nSubject:a\r\n\tb  c\r\n \td \r\nTo:x@example.net\r\n\r\nx\r\n"),
		"two of one field": []byte("From: <news@example.org>\r\nReply-To: <a@example.org>\r\nReply-To: <b@example.org>\r\n\r\nx\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			signed := signedMessage(t, d, msg)
			good := valid(t, d, signed)
			if len(good) != 2 {
				all, err := dkim.VerifyWithOptions(bytes.NewReader(signed), &dkim.VerifyOptions{LookupTXT: published(t, d)})
				for _, v := range all {
					t.Error(v.Err, err)
				}
				t.Fatalf("%d of 2 signatures are valid:\n%.1500s", len(good), signed)
			}
			if !bytes.Equal(signed, signedMessage(t, d, msg)) {
				t.Error("signing again gave other bytes: a retry would differ")
			}
			if !good[0].Time.Equal(testRecipient().Date) {
				t.Errorf("t= is %s", good[0].Time)
			}
			head, _, _ := bytes.Cut(signed, []byte("\r\n\r\n"))
			for line := range bytes.SplitSeq(head[:len(signed)-len(msg)], []byte("\r\n")) {
				if len(line) > 78 {
					t.Errorf("a line of %d: %s", len(line), line)
				}
			}
			if strings.Contains(string(head), " l=") || !bytes.HasPrefix(signed, []byte("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=example.org; s=rsa2026;")) ||
				!bytes.Contains(head, []byte("a=ed25519-sha256")) {
				t.Errorf("%s", head)
			}
		})
	}
}

// What is on the message is in h=, and From, Subject, To and Date once more.
func TestSignatureCoversTheHeader(t *testing.T) {
	d := newDKIM(t, "example.org")
	spec := testSpec()
	spec.FeedbackID, spec.HelpURL = "3:world:edition:gazette", "https://news.example.org/help"
	msg := signedMessage(t, d, mustBytes(t, spec, testRecipient()))
	h := valid(t, d, msg)[0].HeaderKeys
	want := []string{
		"From", "From", "Reply-To", "Subject", "Subject", "Date", "Date", "To", "To", "Message-ID", "MIME-Version", "Content-Type",
		"List-Id", "List-Help", "List-Archive", "List-Owner", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID",
	}
	if !slices.Equal(h, want) {
		t.Errorf("h= is %v, want %v", h, want)
	}
	for _, change := range [][2]string{
		{"Subject: ", "Subject: x"},                            // changed
		{"DKIM-Signature: ", "Subject: y\r\nDKIM-Signature: "}, // added above
		{"DKIM-Signature: ", "From: <evil@example.com>\r\nDKIM-Signature: "},
		{"DKIM-Signature: ", "To: <evil@example.com>\r\nDKIM-Signature: "},
		{"DKIM-Signature: ", "Date: Thu, 12 Mar 2027 07:00:00 +0000\r\nDKIM-Signature: "},
		{"List-Unsubscribe: <https:", "List-Unsubscribe: <http:"},
		{"List-Unsubscribe=One-Click", "List-Unsubscribe=Two-Click"},
		{"Reply-To: <redacao@", "Reply-To: <evil@"},
		{"chuva", "chuvb"},
		{"--gazetted-" + testNonce + "--", "--gazetted-" + testNonce + "--\r\nmore"}, // no l=: nothing can be appended
	} {
		tampered := strings.Replace(string(msg), change[0], change[1], 1)
		if tampered == string(msg) {
			t.Fatalf("nothing to change: %q", change[0])
		}
		if n := len(valid(t, d, []byte(tampered))); n != 0 {
			t.Errorf("%q: %d signatures are still valid", change[1], n)
		}
	}
	// What relays do to a message on its way does no harm.
	for _, change := range [][2]string{{"Subject: ", "SUBJECT:  "}, {"chuva\r\n", "chuva \r\n"}, {"\r\nTo: ", "\r\nX-Relay: a\r\nTo: "}} {
		if n := len(valid(t, d, []byte(strings.Replace(string(msg), change[0], change[1], 1)))); n != 2 {
			t.Errorf("%q: %d signatures are valid", change[1], n)
		}
	}
}

func TestKeysOfTheSendersDomain(t *testing.T) {
	_, e := testKeys(t)
	d, err := NewDKIM([]DKIMKey{{Domain: "example.org", Selector: "a", Key: e}, {Domain: "Press.Example.net", Selector: "b", Key: e}, {Domain: "example.net", Selector: "c", Key: e}})
	if err != nil {
		t.Fatal(err)
	}
	for sender, want := range map[string]string{
		"example.org": "d=example.org; s=a;", "news.example.org": "d=example.org; s=a;", "press.example.net": "d=press.example.net; s=b;",
		"a.b.press.example.net": "d=press.example.net; s=b;", "news.example.net": "d=example.net; s=c;",
		"other.test": "d=example.org; s=a;", "notexample.net": "d=example.org; s=a;",
	} {
		s, err := d.Sign([]byte(shortMessage), sender, time.Unix(0, 0))
		if err != nil || !strings.Contains(string(s), want) || strings.Count(string(s), "DKIM-Signature:") != 1 {
			t.Errorf("%s: %s, %v", sender, s, err)
		}
	}
}

func TestCourierSigns(t *testing.T) {
	relay := smtptest.Start(t)
	d := newDKIM(t, "example.org")
	relay.On(smtptest.Rule{Stage: smtptest.Dot, Match: "reader1@example.net", Reply: "451 4.3.0 later", Take: true, Times: 1})
	s := newMemStore(t, 20)
	var mu sync.Mutex
	clock := time.Date(2026, 3, 12, 8, 0, 0, 0, time.UTC)
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	s.now = now
	c, _ := newCourier(t, s, newSMTP(t, relay, nil), func(o *Options) { o.DKIM, o.Now = d, now })
	for range 2 {
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		clock = clock.Add(time.Hour)
		mu.Unlock()
	}
	copies := map[string][]string{}
	for _, m := range relay.Messages() {
		copies[m.To[0]] = append(copies[m.To[0]], string(m.Data))
		if n := len(valid(t, d, m.Data)); n != 2 {
			t.Errorf("%s: %d valid signatures", m.To[0], n)
		}
		for _, f := range wireFaults(m.Data) {
			if f != "2 fields Dkim-Signature" {
				t.Error(f)
			}
		}
	}
	if again := copies["reader1@example.net"]; len(copies) != 20 || len(again) != 2 || again[0] != again[1] {
		t.Errorf("%d readers; the second attempt has other bytes than the first: %.300q", len(copies), again)
	}
}

func TestDKIMKeyFiles(t *testing.T) {
	r, e := testKeys(t)
	t.Setenv("GODEBUG", "rsa1024min=0") // to make the keys that have to be refused
	short := func(bits int) *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(k any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(r)})
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content []byte
		mode    os.FileMode
		want    string // of the fault; empty: taken
	}{
		"pkcs8 rsa":       {pkcs8(r), 0o600, ""},
		"pkcs1 rsa":       {pkcs1, 0o600, ""},
		"ed25519":         {pkcs8(e), 0o600, ""},
		"read only":       {pkcs8(e), 0o400, ""},
		"group may read":  {pkcs8(e), 0o640, "mode 0640"},
		"all may read":    {pkcs8(r), 0o644, "mode 0644"},
		"others write":    {pkcs8(r), 0o602, "mode 0602"},
		"1024 bits":       {pkcs8(short(1024)), 0o600, "2048 bits or more to sign with: this one has 1024"},
		"2047 bits":       {pkcs8(short(2047)), 0o600, "this one has 2047"},
		"512 bits":        {pkcs8(short(512)), 0o600, "this one has 512, and such signatures are ignored"},
		"elliptic curve":  {pkcs8(curve), 0o600, "an RSA or Ed25519 key"},
		"certificate":     {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("canary")}), 0o600, "this is CERTIFICATE"},
		"encrypted":       {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("canary")}), 0o600, "not encrypted"},
		"no PEM":          {[]byte("canary"), 0o600, "BEGIN PRIVATE KEY"},
		"empty":           {nil, 0o600, "BEGIN PRIVATE KEY"},
		"far too large":   {bytes.Repeat([]byte("canary\n"), 1<<20), 0o600, "BEGIN PRIVATE KEY"},
		"a damaged key":   {bytes.Replace(pkcs8(e), []byte("M"), []byte("N"), 3), 0o600, "RSA or Ed25519 private key"},
		"key, then chain": {append(pkcs8(e), pkcs1...), 0o600, ""},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		key, err := ReadDKIMKey(path, "")
		if c.want == "" {
			if err != nil || key == nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if _, ok := errors.AsType[*news.FieldError](err); !ok || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadDKIMKey(filepath.Join(dir, "group may read"), dir); err != nil {
		t.Errorf("from the service manager's folder: %v", err)
	}
	if _, err := ReadDKIMKey(dir, ""); err == nil {
		t.Error("a folder was taken")
	}
	if _, err := ReadDKIMKey(filepath.Join(dir, "none"), ""); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if os.Geteuid() == 0 {
		path := filepath.Join(dir, "ed25519")
		if err := os.Chown(path, 12345, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadDKIMKey(path, ""); err == nil || !strings.Contains(err.Error(), "belongs to the user") {
			t.Errorf("another's file: %v", err)
		}
	}
}

func TestSelfTestFindsAKeyThatDoesNotFit(t *testing.T) {
	r, _ := testKeys(t)
	other, _ := testKeys(t)
	broken := *r
	broken.PublicKey = other.PublicKey
	broken.Precomputed = rsa.PrecomputedValues{}
	if _, err := NewDKIM([]DKIMKey{{Domain: "example.org", Selector: "a", Key: &broken}}); err == nil {
		t.Error("a private key with another's public half was taken")
	}
	_, a := testKeys(t)
	_, b := testKeys(t)
	mixed := ed25519.PrivateKey(append(slices.Clone(a[:32]), b[32:]...))
	if _, err := NewDKIM([]DKIMKey{{Domain: "example.org", Selector: "a", Key: mixed}}); err == nil {
		t.Error("an Ed25519 key with another's public half was taken")
	}
}

func TestNewDKIMRefuses(t *testing.T) {
	_, e := testKeys(t)
	var none crypto.Signer
	for name, keys := range map[string][]DKIMKey{
		"no keys":       nil,
		"no domain":     {{Selector: "a", Key: e}},
		"injection":     {{Domain: "example.org; x=y", Selector: "a", Key: e}},
		"line break":    {{Domain: "example.org", Selector: "a\r\nX: y", Key: e}},
		"no selector":   {{Domain: "example.org", Key: e}},
		"dots":          {{Domain: "example.org", Selector: "a..b", Key: e}},
		"no key":        {{Domain: "example.org", Selector: "a", Key: none}},
		"same selector": {{Domain: "example.org", Selector: "a", Key: e}, {Domain: "EXAMPLE.org", Selector: "A", Key: e}},
	} {
		if _, err := NewDKIM(keys); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestCheckDNS(t *testing.T) {
	d := newDKIM(t, "example.org")
	records, err := d.Records()
	if err != nil {
		t.Fatal(err)
	}
	rsaRecord, edRecord := records[0], records[1]
	for name, c := range map[string]struct {
		found  map[string][]string
		faults int
	}{
		"as published":  {map[string][]string{rsaRecord.Name: {rsaRecord.Value}, edRecord.Name: {edRecord.Value}}, 0},
		"other spacing": {map[string][]string{rsaRecord.Name: {strings.Replace(strings.Replace(rsaRecord.Value, "v=DKIM1; k=rsa; ", "t=s ;", 1), "MIIB", "MI IB", 1)}, edRecord.Name: {edRecord.Value + ";"}}, 0},
		"none":          {nil, 2},
		"another key":   {map[string][]string{rsaRecord.Name: {edRecord.Value}, edRecord.Name: {edRecord.Value}}, 1},
		"two records":   {map[string][]string{rsaRecord.Name: {rsaRecord.Value, rsaRecord.Value}, edRecord.Name: {edRecord.Value}}, 1},
		"revoked":       {map[string][]string{rsaRecord.Name: {"v=DKIM1; p="}, edRecord.Name: {edRecord.Value}}, 1},
	} {
		faults := d.CheckDNS(t.Context(), func(_ context.Context, name string) ([]string, error) {
			if found := c.found[name]; found != nil {
				return found, nil
			}
			return nil, io.EOF
		})
		if len(faults) != c.faults {
			t.Errorf("%s: %v", name, faults)
		}
	}
}

// FuzzSign compares our canonical forms with the library's.
func FuzzSign(f *testing.F) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	d, err := NewDKIM([]DKIMKey{{Domain: "example.org", Selector: "a", Key: key}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("  a \t b", "x \t y \r\n\r\n\r\n")
	f.Add("\t", " \r\n")
	f.Fuzz(func(t *testing.T, subject, body string) {
		if _, err := checkWire([]byte(body)); err != nil || strings.ContainsAny(subject, "\r\n\x00") {
			return
		}
		msg := []byte("From: <news@example.org>\r\nSubject: " + subject + "\r\n\r\n" + body)
		signatures, err := d.Sign(msg, "example.org", time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		if len(valid(t, d, append(signatures, msg...))) != 1 {
			t.Errorf("%q, %q", subject, body)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	r, e := testKeys(b)
	msg := mustBytes(b, benchSpec(), testRecipient())
	for name, keys := range map[string][]DKIMKey{
		"rsa2048": {{Domain: "example.org", Selector: "a", Key: r}}, "ed25519": {{Domain: "example.org", Selector: "b", Key: e}},
		"both": {{Domain: "example.org", Selector: "a", Key: r}, {Domain: "example.org", Selector: "b", Key: e}},
	} {
		d, err := NewDKIM(keys)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Sign(msg, "example.org", time.Unix(1, 0)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
