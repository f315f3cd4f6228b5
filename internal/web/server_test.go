package web_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
	"gazetted/internal/web"
)

func TestRunServesUntilItsContextEnds(t *testing.T) {
	h := newHouse(t)
	l, err := web.Listen(t.Context(), "127.0.0.1:0")
	h.ok(err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.web.Run(ctx, l) }()
	if status, body := h.fetch("http://" + l.Addr().String() + "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("status %d, %q", status, body)
	}
	cancel()
	select {
	case err := <-ended:
		h.ok(err)
	case <-time.After(15 * time.Second):
		t.Fatal("still running")
	}
	if _, err := web.Listen(t.Context(), "256.0.0.1:x"); err == nil {
		t.Error("listened nowhere")
	}
}

// Half-open connections leave feeds served (S18).
func TestHalfOpenConnectionsLeaveFeedsServed(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US")
	l, err := web.Listen(t.Context(), "127.0.0.1:0")
	h.ok(err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.web.Run(ctx, l) }()
	conns := make([]net.Conn, 0, 200)
	for range 200 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		h.ok(err)
		_, err = c.Write([]byte("GET /feeds/all.rss HTTP/1.1\r\nHost: x\r\nX-Slow: "))
		h.ok(err)
		conns = append(conns, c)
	}
	if status, _ := h.fetch("http://" + l.Addr().String() + "/feeds/all.rss"); status != 200 {
		t.Errorf("status %d", status)
	}
	for _, c := range conns {
		h.ok(c.Close())
	}
	cancel()
	h.ok(<-ended)
}

func TestAPublicURLWithAPath(t *testing.T) {
	h := newTown(t)
	links, err := news.NewLinks("https://example.org/news", h.links.Signer())
	h.ok(err)
	s, err := web.New(web.Options{Store: h.db, Templates: mustTemplates(t), Links: links, Site: web.Site{Title: "Test"}})
	h.ok(err)
	for path, want := range map[string]int{
		"/news/": 200, "/": 200, "/news/feeds/all.rss": 200, "/feeds/all.rss": 200, "/news": 301, "/newsletter": 404, "/news/static/site.css": 200,
		strings.TrimPrefix(links.Unsubscribe(h.ana), "https://example.org"): 200,
	} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") && want == 200 && !strings.Contains(w.Body.String(), `href="/news/static/site.css?v=`) {
			t.Errorf("%s: links without the path", path)
		}
	}
}

func TestStaticFilesAreKeptByVersion(t *testing.T) {
	h := newHouse(t)
	page := h.get("/").body
	_, rest, _ := strings.Cut(page, `<link rel="stylesheet" href="`)
	link, _, _ := strings.Cut(rest, `"`)
	a := h.want(h.get(link), 200)
	if !strings.Contains(a.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/css") {
		t.Errorf("%s: %v", link, a.Header)
	}
	if a := h.get("/static/site.css?v=old"); strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
		t.Error("an old version would be kept for ever")
	}
	for _, p := range []string{"/static/none.css", "/static/..%2fpages%2ffront.html", "/static/"} {
		h.want(h.get(p), 404)
	}
}

func TestReadinessAsksTheDaemonToo(t *testing.T) {
	fault := error(nil)
	h := newHouse(t, func(o *web.Options) { o.Ready = func(context.Context) error { return fault } })
	h.want(h.get("/readyz"), 200)
	fault = fmt.Errorf("SECRET reason")
	if a := h.want(h.get("/readyz"), 503); strings.Contains(a.body, "SECRET") {
		t.Error("the reason is shown to the world")
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	if _, err := web.New(web.Options{}); err == nil {
		t.Error("no fault")
	}
}

// fetch asks a running server.
func (h *house) fetch(target string) (status int, body string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, target, nil)
	h.ok(err)
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(r)
	h.ok(err)
	b, err := io.ReadAll(resp.Body)
	h.ok(err)
	h.ok(resp.Body.Close())
	client.CloseIdleConnections()
	return resp.StatusCode, string(b)
}
