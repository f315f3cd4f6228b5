package web_test

import (
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/news"
	"gazetted/internal/web"
)

func unzip(t testing.TB, text string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFeedsOfEveryKindAndFormat(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US/Texas", "#U.S. Military")
	for path, want := range map[string]string{
		"/feeds/all.rss":              "application/rss+xml; charset=utf-8",
		"/feeds/all.atom":             "application/atom+xml; charset=utf-8",
		"/feeds/all.json":             "application/feed+json",
		"/feeds/category/texas.rss":   "application/rss+xml; charset=utf-8",
		"/feeds/category/us.atom":     "application/atom+xml; charset=utf-8", // a parent has its children's
		"/feeds/tag/u-s-military.rss": "application/rss+xml; charset=utf-8",
		"/feeds.opml":                 "text/x-opml; charset=utf-8",
	} {
		a := h.want(h.get(path, with("Accept", "text/html")), 200)
		if got := a.Header.Get("Content-Type"); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
		if !strings.Contains(path, "opml") && !strings.Contains(a.body, "Title of a") {
			t.Errorf("%s lacks the article:\n%s", path, a.body)
		}
		if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Vary") != "Accept-Encoding" || !strings.Contains(a.Header.Get("Cache-Control"), "max-age=") {
			t.Errorf("%s: headers %v", path, a.Header)
		}
	}
	for _, path := range []string{"/feeds/all.xml", "/feeds/none.rss", "/feeds/category/none.rss", "/feeds/tag/us.rss", "/feeds/category/%2e%2e.rss", "/feeds/category/us"} {
		a := h.want(h.get(path), 404)
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: not a page for people", path)
		}
	}
}

func TestValidatorsPerEncoding(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US")
	plain := h.want(h.get("/feeds/all.rss"), 200)
	packed := h.want(h.get("/feeds/all.rss", with("Accept-Encoding", "br, gzip")), 200)
	if packed.Header.Get("Content-Encoding") != "gzip" || unzip(t, packed.body) != plain.body {
		t.Fatal("the compressed feed is another one")
	}
	tag, ztag := plain.Header.Get("ETag"), packed.Header.Get("ETag")
	if tag == ztag || strings.HasPrefix(tag, "W/") || tag == "" {
		t.Fatalf("validators %s and %s: want two strong ones", tag, ztag)
	}
	modified := plain.Header.Get("Last-Modified")
	later := h.clock.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for name, tt := range map[string]struct {
		status int
		change []request
	}{
		"same":             {304, []request{with("If-None-Match", tag)}},
		"weak":             {304, []request{with("If-None-Match", "W/"+tag)}},
		"list":             {304, []request{with("If-None-Match", `"x", `+tag)}},
		"star":             {304, []request{with("If-None-Match", "*")}},
		"other":            {200, []request{with("If-None-Match", `"x"`)}},
		"of other":         {200, []request{with("If-None-Match", ztag)}},
		"gzip":             {304, []request{with("If-None-Match", ztag), with("Accept-Encoding", "gzip")}},
		"date":             {304, []request{with("If-Modified-Since", modified)}},
		"later date":       {304, []request{with("If-Modified-Since", later)}},
		"old date":         {200, []request{with("If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT")}},
		"tag before date":  {200, []request{with("If-None-Match", `"x"`), with("If-Modified-Since", later)}},
		"unreadable dates": {200, []request{with("If-Modified-Since", "yesterday")}},
	} {
		a := h.get("/feeds/all.rss", tt.change...)
		if a.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d", name, a.StatusCode, tt.status)
		}
		if a.StatusCode == 304 {
			if a.body != "" || a.Header.Get("ETag") == "" || a.Header.Get("Cache-Control") == "" || a.Header.Get("Vary") == "" || a.Header.Get("Content-Type") != "" {
				t.Errorf("%s: 304 with %v and %d bytes", name, a.Header, len(a.body))
			}
		}
	}
}

func TestHeadEqualsGet(t *testing.T) {
	h := newTown(t)
	srv := httptest.NewServer(h.web.Handler())
	defer srv.Close()
	ask := func(method, path string) (status int, header http.Header, size int) {
		r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
		h.ok(err)
		r.Header.Set("Accept-Encoding", "gzip")
		resp, err := srv.Client().Do(r)
		h.ok(err)
		b, err := io.ReadAll(resp.Body)
		h.ok(err)
		h.ok(resp.Body.Close())
		resp.Header.Del("Date")
		return resp.StatusCode, resp.Header, len(b)
	}
	for _, path := range append(h.pages(), "/feeds/all.rss", "/feeds/category/us.json", "/feeds.opml", "/static/site.css", "/robots.txt", "/healthz", "/readyz", "/nothing") {
		path = strings.TrimPrefix(path, publicURL)
		status, get, n := ask(http.MethodGet, path)
		headStatus, head, m := ask(http.MethodHead, path)
		if m != 0 || n == 0 || status != headStatus {
			t.Errorf("%s: GET %d with %d bytes, HEAD %d with %d", path, status, n, headStatus, m)
		}
		if !maps.EqualFunc(get, head, func(a, b []string) bool { return strings.Join(a, "|") == strings.Join(b, "|") }) {
			t.Errorf("%s: HEAD differs\nGET  %v\nHEAD %v", path, get, head)
		}
	}
}

// Publishing in Sports must not make the readers of US load it again, nor make
// us build it again.
func TestAFeedIsBuiltOnlyWhenItsOwnArticlesChange(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US")
	h.publish("b", "Sports/Football")
	paths := []string{"/feeds/category/us.rss", "/feeds/category/sports.rss", "/feeds/category/football.rss", "/feeds/all.rss"}
	tags := map[string]string{}
	for _, p := range paths {
		tags[p] = h.want(h.get(p), 200).Header.Get("ETag")
	}
	before := h.db.reads.Load()
	h.publish("c", "Sports/Football")
	changed := map[string]bool{}
	for _, p := range paths {
		changed[p] = h.want(h.get(p), 200).Header.Get("ETag") != tags[p]
	}
	if want := map[string]bool{paths[0]: false, paths[1]: true, paths[2]: true, paths[3]: true}; !maps.Equal(changed, want) {
		t.Errorf("changed: %v, want %v", changed, want)
	}
	if n := h.db.reads.Load() - before; n != 3 {
		t.Errorf("%d feeds built, want 3", n)
	}
}

func TestFeedsAreServedWithoutTheDatabase(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US")
	want := h.want(h.get("/feeds/all.rss"), 200)
	before := h.db.reads.Load()
	for range 5 {
		h.clock.Advance(200 * time.Millisecond)
		h.want(h.get("/feeds/all.rss"), 200)
	}
	if h.db.reads.Load() != before {
		t.Error("a feed that has not changed was built again")
	}
	h.ok(h.db.Close())
	h.clock.Advance(time.Minute)
	if got := h.want(h.get("/feeds/all.rss"), 200); got.body != want.body {
		t.Error("another body")
	}
	h.want(h.get("/feeds/category/us.rss"), 500)
	h.want(h.get("/readyz"), 503)
	h.want(h.get("/healthz"), 200)
}

func TestManyReadersBuildOnce(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US")
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			w := httptest.NewRecorder()
			h.web.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/feeds/all.rss", nil))
			if w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	wg.Wait()
	if n := h.db.reads.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestWakeShowsNewsAtOnce(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US")
	h.want(h.get("/feeds/all.rss"), 200)
	h.publish("b", "US")
	h.clock.Advance(-2 * time.Second) // as if it had all happened within the second
	h.web.Wake()
	if a := h.get("/feeds/all.rss"); !strings.Contains(a.body, "Title of b") {
		t.Error("the new article is missing")
	}
}

func TestARenamedTermMovesItsFeedAndLabels(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US", "World")
	h.want(h.get("/feeds/category/us.rss"), 200)
	h.want(h.get("/feeds/category/world.rss"), 200)
	h.ok(h.db.StoreTerms(t.Context(), h.source.ID, []news.TermRef{{Kind: news.KindCategory, NativeID: "US", Name: "America", Slug: "america"}}))
	h.clock.Advance(2 * time.Second)
	a := h.want(h.get("/feeds/category/us.rss"), 301)
	if got := a.Header.Get("Location"); got != publicURL+"/feeds/category/america.rss" {
		t.Errorf("moved to %q", got)
	}
	if got := h.want(h.get("/topics/category/us"), 301).Header.Get("Location"); got != publicURL+"/topics/category/america" {
		t.Errorf("page moved to %q", got)
	}
	h.want(h.get("/feeds/category/america.rss"), 200)
	if a := h.want(h.get("/feeds/category/world.rss"), 200); !strings.Contains(a.body, "America") {
		t.Error("another feed still carries the old name")
	}
}

func TestAWithdrawalReachesReadersThatKnowOnlyDates(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US")
	h.publish("b", "US")
	date := h.want(h.get("/feeds/all.rss"), 200).Header.Get("Last-Modified")
	h.clock.Advance(time.Minute)
	_, err := h.db.WithdrawArticles(t.Context(), h.source.ID, []string{"b"})
	h.ok(err)
	if a := h.want(h.get("/feeds/all.rss", with("If-Modified-Since", date)), 200); strings.Contains(a.body, "Title of b") {
		t.Error("still there")
	}
}

func TestReplicasAgreeOnValidators(t *testing.T) {
	h := newHouse(t)
	h.publish("a", "US", "#Mexico")
	other, err := web.New(web.Options{Store: h.db, Templates: mustTemplates(t), Links: h.links, Site: web.Site{Title: "The Test Gazette", Description: "News of tests", Rights: "© Test"}})
	h.ok(err)
	for _, f := range []string{"/feeds/all.rss", "/feeds/all.atom", "/feeds/all.json", "/feeds.opml"} {
		for _, enc := range []string{"gzip", "identity"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, f, nil)
			r.Header.Set("Accept-Encoding", enc)
			other.Handler().ServeHTTP(w, r)
			if a, b := h.get(f, with("Accept-Encoding", enc)).Header.Get("ETag"), w.Header().Get("ETag"); a != b || a == "" {
				t.Errorf("%s %s: %s and %s", f, enc, a, b)
			}
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	h := newHouse(t, func(o *web.Options) { o.FeedCacheBytes = 5 << 10 })
	h.publish("a", "US", "UK", "Asia", "Africa")
	for range 2 {
		for _, slug := range []string{"us", "uk", "asia", "africa"} {
			h.want(h.get("/feeds/category/"+slug+".rss"), 200)
		}
	}
	if n := h.db.reads.Load(); n < 6 {
		t.Errorf("only %d builds: everything was kept", n)
	}
}

func benchmarkFeed(b *testing.B, status int) {
	h := newHouse(b)
	for i := range 50 {
		h.publish("a"+strings.Repeat("x", i), "US", "#Mexico")
	}
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/feeds/all.rss", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	if status == 304 {
		r.Header.Set("If-None-Match", h.get("/feeds/all.rss", with("Accept-Encoding", "gzip")).Header.Get("ETag"))
	}
	handler := h.web.Handler()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w := &sink{}
		for pb.Next() {
			w.header, w.status = http.Header{}, 0
			handler.ServeHTTP(w, r.Clone(b.Context()))
			if w.status != status {
				b.Errorf("status %d", w.status)
				return
			}
		}
	})
}

func BenchmarkFeedGzip(b *testing.B) { benchmarkFeed(b, 200) }

func BenchmarkFeedNotModified(b *testing.B) { benchmarkFeed(b, 304) }

// sink takes an answer and keeps nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
