package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gazetted/internal/news"
	"gazetted/templates"
)

// bare is a server without a store, for what concerns every route alike.
func bare(t *testing.T, change func(*Options)) *Server {
	t.Helper()
	signer, err := news.NewSigner([]news.Secret{{ID: 1, Key: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	links, err := news.NewLinks("https://news.example.org", signer)
	if err != nil {
		t.Fatal(err)
	}
	set, err := templates.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Store: struct{ Store }{}, Templates: set, Links: links, Site: Site{Title: "Test"}}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// each requests every route of the table, its handler replaced by probe.
func each(t *testing.T, s *Server, probe handler, body func() io.Reader, check func(t *testing.T, rt *route, w *httptest.ResponseRecorder)) {
	t.Helper()
	table := s.routes()
	for i := range table {
		table[i].serve = probe
	}
	h := s.mount(table)
	wildcard := regexp.MustCompile(`\{[a-z]+\}`)
	for i := range table {
		rt := &table[i]
		t.Run(rt.pattern, func(t *testing.T) {
			method, path, _ := strings.Cut(rt.pattern, " ")
			path = wildcard.ReplaceAllString(strings.ReplaceAll(path, "{$}", ""), "x")
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), method, path, body())
			h.ServeHTTP(w, r)
			if got := r.Pattern; got != rt.pattern {
				t.Fatalf("%s %s went to %q", method, path, got)
			}
			check(t, rt, w)
		})
	}
}

func TestEveryRouteLimitsItsBody(t *testing.T) {
	s := bare(t, nil)
	probe := func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	}
	big := func() io.Reader { return io.LimitReader(endless{}, 65<<20) }
	each(t, s, probe, big, func(t *testing.T, rt *route, w *httptest.ResponseRecorder) {
		if rt.maxBody <= 0 || rt.maxBody > 64<<20 {
			t.Errorf("limit is %d bytes", rt.maxBody)
		}
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d for a body of 65 MB, want 413", w.Code)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestEveryHTMLAnswerCarriesTheSecurityHeaders(t *testing.T) {
	s := bare(t, nil)
	outcomes := map[string]handler{
		"page": func(w http.ResponseWriter, _ *http.Request) error {
			return s.page(w, http.StatusOK, "notice", s.notice("Title", "Text"))
		},
		"not found": func(http.ResponseWriter, *http.Request) error { return news.ErrNotFound },
		"fault":     func(http.ResponseWriter, *http.Request) error { return errors.New("database gone") },
		"panic":     func(http.ResponseWriter, *http.Request) error { panic("boom") },
	}
	for name, probe := range outcomes {
		t.Run(name, func(t *testing.T) {
			each(t, s, probe, func() io.Reader { return nil }, func(t *testing.T, rt *route, w *httptest.ResponseRecorder) {
				if name == "page" && (rt.kind == kindFeed || rt.kind == kindFile || rt.kind == kindPlain || rt.kind == kindAPI) {
					return
				}
				checkHeaders(t, rt, w.Header())
				if strings.Contains(w.Body.String(), "boom") || strings.Contains(w.Body.String(), "database gone") {
					t.Errorf("the fault is shown:\n%s", w.Body)
				}
			})
		})
	}
}

func checkHeaders(t *testing.T, rt *route, h http.Header) {
	t.Helper()
	if h.Get("X-Content-Type-Options") != "nosniff" {
		t.Error("no nosniff")
	}
	csp := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("policy %q lacks %s", csp, want)
		}
	}
	if strings.Contains(csp, "script-src") && rt.kind != kindShare || strings.Contains(csp, "unsafe-inline") && rt.kind != kindView {
		t.Errorf("policy %q allows too much", csp)
	}
	if rt.kind == kindAPI {
		return
	}
	if h.Get("Cross-Origin-Opener-Policy") != "same-origin" || h.Get("Referrer-Policy") == "" {
		t.Errorf("headers are missing: %v", h)
	}
	if rt.kind == kindToken || rt.kind == kindView || rt.kind == kindMailbox {
		if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("a token page may be kept or told on: %v", h)
		}
	}
}

// Only feeds may be read by other origins (S26).
func TestOnlyFeedsAreOpenToOtherOrigins(t *testing.T) {
	s := bare(t, nil)
	probe := func(w http.ResponseWriter, _ *http.Request) error { return say(w, http.StatusOK, "ok") }
	each(t, s, probe, func() io.Reader { return nil }, func(t *testing.T, rt *route, w *httptest.ResponseRecorder) {
		got := w.Header().Get("Access-Control-Allow-Origin")
		if want := map[bool]string{true: "*"}[rt.kind == kindFeed]; got != want {
			t.Errorf("Access-Control-Allow-Origin %q, want %q", got, want)
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" || w.Header().Get("Set-Cookie") != "" {
			t.Error("credentials are in play")
		}
	})
}

// A POST from another site's page is refused, except where that is the point.
func TestCrossOriginPostsAreRefused(t *testing.T) {
	s := bare(t, nil)
	table := s.routes()
	for i := range table {
		table[i].serve = func(w http.ResponseWriter, _ *http.Request) error { return say(w, http.StatusOK, "ok") }
	}
	h := s.mount(table)
	for path, want := range map[string]int{
		"/subscribe/x": 403, "/confirm/x": 403, "/preferences/x": 403, "/unsubscribe/x": 200, "/api/v1/articles": 200,
	} {
		for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil)
			r.Header.Set(name, value)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s with %s: %s: status %d, want %d", path, name, value, w.Code, want)
			}
		}
	}
	// Behind a proxy the Host is another one, but the Origin is the public URL's.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/subscribe/x", nil)
	r.Host = "127.0.0.1:8080"
	r.Header.Set("Origin", "https://news.example.org")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("our own form behind a proxy: status %d", w.Code)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	s := bare(t, nil)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/nothing", 404, ""},
		{"GET", "/unsubscribe/", 404, ""},
		{"POST", "/feeds/all.rss", 405, "GET, HEAD"},
		{"DELETE", "/", 405, "GET, HEAD"},
		{"GET", "/api/v1/articles", 405, "POST"},
		{"GET", "/../../etc/passwd", 307, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
		r.Header.Set("Sec-Fetch-Site", "none")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tt.status || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: status %d, Allow %q; want %d, %q", tt.method, tt.path, w.Code, w.Header().Get("Allow"), tt.status, tt.allow)
		}
	}
}

// The description of the API names its routes, and no others; its references lead somewhere.
func TestOpenAPIHasTheRoutes(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal([]byte(openAPIDocument), &doc); err != nil {
		t.Fatal(err)
	}
	var said, routes []string
	paths, _ := doc["paths"].(map[string]any)
	for path, methods := range paths {
		methods, _ := methods.(map[string]any)
		for method := range methods {
			if method != "parameters" {
				said = append(said, strings.ToUpper(method)+" /api/v1"+path)
			}
		}
	}
	for _, rt := range bare(t, nil).routes() {
		if strings.Contains(rt.pattern, " /api/v1/") {
			routes = append(routes, rt.pattern)
		}
	}
	slices.Sort(said)
	slices.Sort(routes)
	if !slices.Equal(said, routes) {
		t.Errorf("described %v\nserved    %v", said, routes)
	}
	for _, m := range regexp.MustCompile(`"\$ref": "#/([^"]+)"`).FindAllStringSubmatch(openAPIDocument, -1) {
		at := any(doc)
		for part := range strings.SplitSeq(m[1], "/") {
			next, _ := at.(map[string]any)
			at = next[part]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", m[1])
		}
	}
}

func TestEtagLists(t *testing.T) {
	const etag = `"abc"`
	for list, want := range map[string]bool{
		`"abc"`: true, `W/"abc"`: true, `*`: true, `"x", "abc"`: true, `"x,y", W/"abc"`: true, `abc`: true, `x, abc`: true,
		`"x"`: false, ``: false, `"abcd"`: false, `"abc`: false, `"x" ,, "y"`: false, `W/`: false,
	} {
		if got := etagListed(list, etag); got != want {
			t.Errorf("etagListed(%q) = %v", list, got)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for accept, want := range map[string]bool{
		"gzip": true, "GZIP": true, "br, gzip;q=0.5": true, "*": true, "deflate, *;q=0.1": true, "x-gzip": true,
		"": false, "br": false, "gzip;q=0": false, "gzip;q=0, *": false, "*;q=0": false, "identity": false, "gzip;q=x": false,
	} {
		if got := acceptsGzip(http.Header{"Accept-Encoding": {accept}}); got != want {
			t.Errorf("acceptsGzip(%q) = %v", accept, got)
		}
	}
}

func TestRhythm(t *testing.T) {
	for cron, want := range map[string]string{
		"": "as soon as there is news", "0 7 * * *": "every day at 07:00", "30 8 * * mon-fri": "Monday to Friday at 08:30",
		"0 8 * * sat": "every Saturday at 08:00", "0 6 * * 1,4": "every Monday, every Thursday at 06:00", "0 * * * *": "every hour",
		"*/15 * * * *": "every 15 minutes", "* * * * *": "every minute", "0 9 1 * *": "on day 1 of each month at 09:00",
		"0 9 1 1 *": "own", "0 9 1 * mon": "own", "1,2 3 * * *": "own", "@daily": "daily",
	} {
		if got := rhythm(news.Frequency{Name: "own", Cron: cron}); got != want {
			t.Errorf("rhythm(%q) = %q, want %q", cron, got, want)
		}
	}
}

func TestPerson(t *testing.T) {
	for field, want := range map[string]string{
		`"World briefing" <world@example.org>`: "World briefing <world@example.org>", "<ana@example.org>": "ana@example.org", "ana@example.org": "ana@example.org",
		"Wörld <w@example.org>": "Wörld <w@example.org>", `"Ruiz, \"Ana\"" <ana@example.org>`: `Ruiz, "Ana" <ana@example.org>`, "nobody": "nobody", "": "",
	} {
		if got := person(field); got != want {
			t.Errorf("person(%q) = %q, want %q", field, got, want)
		}
	}
}
