package daemon_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gazetted/daemon"
)

// A daemon does not start with a key that others can read, or that is no key.
func TestDKIMKeysAreCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	good := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for name, c := range map[string]struct {
		content  []byte
		mode     os.FileMode
		selector string
		want     string
	}{
		"good":           {good, 0o600, "news", ""},
		"readable":       {good, 0o644, "news", "mail.dkim.2.key_file"},
		"no key":         {bytes.Repeat([]byte("canary"), 9), 0o600, "news", "mail.dkim.2.key_file"},
		"bad selector":   {good, 0o600, "a b", `mail.dkim.2.selector "a b"`},
		"taken selector": {good, 0o600, "first", `selector "first"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, content := range map[string][]byte{"first.pem": good, "key.pem": c.content} {
				if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(dir, "key.pem"), c.mode); err != nil {
				t.Fatal(err)
			}
			cfg := daemon.DefaultConfig()
			cfg.Dir = dir
			cfg.Mail.DKIM = []daemon.DKIMConfig{{Domain: "example.org", Selector: "first", KeyFile: "first.pem"}, {Domain: "example.org", Selector: c.selector, KeyFile: "key.pem"}}
			d, err := daemon.New(t.Context(), cfg, daemon.Options{Log: slog.New(slog.DiscardHandler), Serve: true, Create: true})
			if err == nil {
				err = d.Close()
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary")) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
