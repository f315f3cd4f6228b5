package main

import (
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// siteCommand serves the files of a folder, with $SITE in them filled in, as a
// publisher's site would: anything that is not there is 404. It gives no
// validators, because files that a scenario changes within a second would have
// the same.
func siteCommand(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) != 1 {
			ts.Fatalf("usage: site DIR")
		}
		dir := ts.MkAbs(args[0])
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := path.Clean("/" + r.URL.Path)
			if strings.HasSuffix(r.URL.Path, "/") {
				name = path.Join(name, "index.html")
			}
			b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
			if err != nil || r.URL.RawQuery != "" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
			_, _ = w.Write([]byte(strings.ReplaceAll(string(b), "$SITE", "http://"+r.Host))) // the client may have hung up
		}))
		t.Cleanup(s.Close)
		ts.Setenv("SITE", s.URL)
	}
}
