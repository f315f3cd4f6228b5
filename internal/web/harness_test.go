package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/web"
	"gazetted/templates"
)

const publicURL = "https://news.example.org"

// house is a server over a real database, seen from outside.
type house struct {
	t      testing.TB
	db     *store
	clock  *dbtest.Clock
	links  *news.Links
	web    *web.Server
	log    *logBuffer
	source news.Source
}

func newHouse(t testing.TB, change ...func(*web.Options)) *house {
	t.Helper()
	db := dbtest.SQLite(t)
	h := &house{t: t, db: &store{Store: db.Store}, clock: db.Clock, log: &logBuffer{}}
	secrets, err := db.Secrets(t.Context())
	h.ok(err)
	signer, err := news.NewSigner(secrets)
	h.ok(err)
	h.links, err = news.NewLinks(publicURL, signer)
	h.ok(err)
	set, err := templates.Load(nil)
	h.ok(err)
	o := web.Options{
		Store: h.db, Templates: set, Links: h.links, Now: db.Clock.Now, SignUpTime: -1,
		Log:  slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Site: web.Site{Title: "The Test Gazette", Description: "News of tests", Rights: "© Test"},
	}
	for _, f := range change {
		f(&o)
	}
	h.web, err = web.New(o)
	h.ok(err)
	h.source, err = db.AddSource(t.Context(), news.Source{
		Name: "wire", Kind: news.SourcePush, Settings: news.SourceSettings{Poll: news.Duration(time.Minute)},
	})
	h.ok(err)
	h.ok(db.FinishLook(t.Context(), h.source.ID, news.Look{}, true))
	return h
}

func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// publish stores and releases articles. A term is "US", "US/Texas" (a
// category below another) or "#Tag".
func (h *house) publish(id string, terms ...string) {
	h.t.Helper()
	f := news.Found{
		NativeID: id, URL: "https://example.org/" + id, Title: "Title of " + id, Summary: "Summary of " + id,
		ContentHTML: "<p>" + strings.Repeat("Body of "+id+". ", 40) + "</p>", PublishedAt: h.clock.Now(),
		Authors: []news.Author{{Name: "Ana Ruiz"}}, Visibility: news.VisibilityPublic,
	}
	var known []news.TermRef
	for _, term := range terms {
		ref := news.TermRef{Kind: news.KindCategory, NativeID: term, Name: term}
		if name, ok := strings.CutPrefix(term, "#"); ok {
			ref.Kind, ref.Name = news.KindTag, name
		}
		if up, name, ok := strings.Cut(term, "/"); ok {
			known = append(known, news.TermRef{Kind: news.KindCategory, NativeID: up, Name: up})
			ref.ParentNativeID, ref.Name = up, name
		}
		known = append(known, ref)
		f.Terms = append(f.Terms, ref)
	}
	h.ok(h.db.StoreTerms(h.t.Context(), h.source.ID, known))
	_, err := h.db.StoreArticles(h.t.Context(), h.source.ID, []news.Found{f})
	h.ok(err)
	h.clock.Advance(2 * time.Second)
	_, _, err = h.db.ReleaseDue(h.t.Context())
	h.ok(err)
}

// answer is what came back, whole.
type answer struct {
	*http.Response
	body string
}

type request func(*http.Request)

func with(name, value string) request {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func from(addr string) request { return func(r *http.Request) { r.RemoteAddr = addr } }

func host(name string) request { return func(r *http.Request) { r.Host = name } }

func (h *house) do(method, target string, body io.Reader, change ...request) answer {
	h.t.Helper()
	r := httptest.NewRequest(method, strings.TrimPrefix(target, publicURL), body)
	r.Host = "news.example.org"
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.web.Handler().ServeHTTP(w, r)
	return answer{Response: w.Result(), body: w.Body.String()}
}

func (h *house) get(target string, change ...request) answer {
	h.t.Helper()
	return h.do(http.MethodGet, target, nil, change...)
}

// form posts as a browser on our own page does.
func (h *house) form(target, body string, change ...request) answer {
	h.t.Helper()
	change = append([]request{with("Content-Type", "application/x-www-form-urlencoded"), with("Sec-Fetch-Site", "same-origin")}, change...)
	return h.do(http.MethodPost, target, strings.NewReader(body), change...)
}

func (h *house) want(a answer, status int) answer {
	h.t.Helper()
	if a.StatusCode != status {
		h.t.Fatalf("status %d, want %d\n%s", a.StatusCode, status, a.body)
	}
	return a
}

// logBuffer collects what is logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// mailbox is a captured mailbox in memory.
type mailbox map[string]string

func (m mailbox) List(context.Context, int) ([]news.CapturedMail, error) {
	var out []news.CapturedMail
	for name, raw := range m {
		out = append(out, news.CapturedMail{Name: name, From: "news@example.org", To: "ana@example.org", Subject: "Hello", At: time.Unix(1_770_000_000, 0), Bytes: int64(len(raw))})
	}
	return out, nil
}

func (m mailbox) Open(name string) (io.ReadCloser, error) {
	raw, ok := m[name]
	if !ok {
		return nil, fmt.Errorf("open %q: %w", name, news.ErrNotFound)
	}
	return io.NopCloser(strings.NewReader(raw)), nil
}

func mustTemplates(t testing.TB) *templates.Set {
	t.Helper()
	set, err := templates.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// people makes a public and a private list, a subscriber of each, and an edition.
func (h *house) people() {
	h.t.Helper()
	h.db.lists = []news.List{
		{ID: 1, Name: "world", Title: "World news", Zone: news.ZoneSubscriber, Language: "en", Public: true, Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}, {Name: "instant"}}},
		{ID: 2, Name: "staff", Title: "Staff only", Zone: "UTC", Language: "en", Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}}},
	}
	h.db.subs = map[int64]*place{
		1: {sub: news.Subscription{ID: 1, ListID: 1, ListName: "world", State: news.SubscriptionActive, Frequency: "daily"}, who: news.Subscriber{ID: 1, Address: "ana@example.org", Zone: "Europe/Istanbul"}},
		2: {sub: news.Subscription{ID: 2, ListID: 1, ListName: "world", State: news.SubscriptionPending, Frequency: "daily"}, who: news.Subscriber{ID: 2, Address: "ben@example.org"}},
	}
	h.db.suppressed = map[string]bool{"gone@example.org": true}
	h.db.editions = []news.Edition{{ID: 1, ListID: 1, Slug: "2026-03-01", Subject: "First", Articles: 1}, {ID: 2, ListID: 1, Slug: "2026-03-02", Subject: "Second", Articles: 1}, {ID: 3, ListID: 1, Slug: "2026-03-03", Subject: "Third", Articles: 1}}
	articles, err := h.db.Articles(h.t.Context(), news.ArticleQuery{Limit: 1})
	h.ok(err)
	h.db.contents = map[int64][]int64{2: {articles[0].ID}}
	h.db.variant = news.Variant{ID: 1, Kind: news.VariantEdition, Nonce: "n0nce", HTML: `<html><body><style>p{color:red}</style><a href="` + news.Mark("n0nce", news.PlaceUnsubscribe) + `">out</a> <a href="` +
		news.Mark("n0nce", news.PlacePreferences) + `">prefs</a> <a href="` + news.Mark("n0nce", news.PlaceWebView) + `">view</a> ` + news.Mark("n0nce", news.PlaceAddress) + `</body></html>`}
}

// pages are addresses of every kind of page, those of subscribers included.
func (h *house) pages() []string {
	h.t.Helper()
	articles, err := h.db.Articles(h.t.Context(), news.ArticleQuery{Limit: 1})
	h.ok(err)
	return []string{
		"/", "/feeds", "/subscribe", "/subscribe/world", "/lists/world/", "/lists/world/2026-03-02", "/topics/category/us", "/topics/tag/mexico",
		h.links.Share(articles[0].ID), h.links.Confirm(2, h.clock.Now().Add(time.Hour)), h.links.Preferences(1), h.links.Unsubscribe(1), h.links.WebView(7),
	}
}
