package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/mail"
	"gazetted/internal/news"
	real "gazetted/internal/store"
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

	ana, ben, dan int64 // subscriptions, see people
	delivery      int64 // of an edition to ana
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
	r := httptest.NewRequestWithContext(h.t.Context(), method, strings.TrimPrefix(target, publicURL), body)
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

// capture puts a message into a real captured mailbox and returns its name.
func capture(t testing.TB, message string) (*mail.Mailbox, string) {
	t.Helper()
	c, err := mail.NewCapture(t.TempDir(), 0, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	session, err := c.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Begin(t.Context(), mail.Envelope{}, []byte(message)); err != nil {
		t.Fatal(err)
	}
	if err := session.Dot(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := c.Mailbox().List(t.Context(), 1)
	if err != nil || len(all) != 1 {
		t.Fatalf("captured %v, %v", all, err)
	}
	return c.Mailbox(), all[0].Name
}

func mustTemplates(t testing.TB) *templates.Set {
	t.Helper()
	set, err := templates.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// store is the real one, counting what feeds read of it.
type store struct {
	*real.Store
	reads atomic.Int64 // calls of Articles
}

func (s *store) Articles(ctx context.Context, q news.ArticleQuery) ([]news.Article, error) {
	s.reads.Add(1)
	return s.Store.Articles(ctx, q)
}

// KeyByHash gives the key "reader" a scope that the store does not hand out yet.
func (s *store) KeyByHash(ctx context.Context, hash string) (news.APIKey, error) {
	k, err := s.Store.KeyByHash(ctx, hash)
	if k.Name == "reader" {
		k.Scope = "read"
	}
	return k, err
}

func address(t testing.TB, s string) news.Address {
	t.Helper()
	a, err := news.ParseAddress("address", s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// people makes a public and a private list, with ana (active) and ben
// (pending) on the public one, dan on the private one, gus who complained, and
// three editions, the last of which carries the latest article.
func (h *house) people() {
	h.t.Helper()
	ctx := h.t.Context()
	for _, l := range []news.List{
		{Name: "world", Title: "World news", Zone: news.ZoneSubscriber, Language: "en", Public: true, Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}, {Name: "instant"}}},
		{Name: "staff", Title: "Staff only", Zone: "UTC", Language: "en", Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}}},
	} {
		_, err := h.db.AddList(ctx, l)
		h.ok(err)
	}
	subscribe := func(name, list string, confirmed bool) int64 {
		res, err := h.db.Subscribe(ctx, news.SubscribeRequest{Address: address(h.t, name+"@example.org"), List: list, Zone: "Europe/Istanbul", Confirmed: confirmed}, nil)
		h.ok(err)
		return res.Subscription.ID
	}
	h.ana, h.ben, h.dan = subscribe("ana", "world", true), subscribe("ben", "world", false), subscribe("dan", "staff", true)
	h.ok(h.db.Suppress(ctx, address(h.t, "gus@example.org"), news.SuppressedComplaint, ""))
	for _, id := range []string{"first", "second", "third"} {
		h.publish(id, "US", "#Mexico")
		h.edition("Edition " + id)
		h.clock.Advance(time.Hour)
	}
	deliveries, err := h.db.Deliveries(ctx, news.DeliveryQuery{Limit: 100})
	h.ok(err)
	for _, d := range deliveries {
		if d.SubscriptionID == h.ana {
			h.delivery = d.ID
		}
	}
}

// edition mails everything new to all daily readers of the public list.
func (h *house) edition(subject string) {
	h.t.Helper()
	ctx := h.t.Context()
	editions, _, err := h.db.TakeManual(ctx, "world", "daily", time.Minute)
	h.ok(err)
	for _, e := range editions {
		groups, err := h.db.Audience(ctx, e)
		h.ok(err)
		articles, err := h.db.ArticlesBetween(ctx, groups[0].ServedThrough, e.CutoffSeq, 100)
		h.ok(err)
		c := news.Closing{Edition: e, Articles: articles, Subject: "World news: " + subject, Slug: strings.ToLower(strings.ReplaceAll(subject, " ", "-")), Now: h.clock.Now()}
		for i, g := range groups {
			v := news.Variant{Language: "en", Nonce: fmt.Sprintf("n0nce%d", i), Subject: subject, Text: "-", Group: g}
			v.HTML = `<html><body><style>p{color:red}</style>`
			for _, p := range []news.Place{news.PlaceUnsubscribe, news.PlacePreferences, news.PlaceWebView} {
				v.HTML += `<a href="` + news.Mark(v.Nonce, p) + `">link</a> `
			}
			v.HTML += news.Mark(v.Nonce, news.PlaceAddress) + `</body></html>`
			for _, a := range articles {
				v.ArticleIDs = append(v.ArticleIDs, a.ID)
			}
			c.Variants = append(c.Variants, v)
		}
		_, err = h.db.CloseEdition(ctx, c)
		h.ok(err)
	}
}

// state is everything about people that a request could change.
func (h *house) state() string {
	h.t.Helper()
	rows, err := h.db.Subscribers(h.t.Context(), news.SubscriberQuery{Limit: 1000})
	h.ok(err)
	deliveries, err := h.db.Deliveries(h.t.Context(), news.DeliveryQuery{Limit: 1000})
	h.ok(err)
	return fmt.Sprintf("%+v\n%+v", rows, deliveries)
}

func (h *house) subscription(id int64) (news.Subscription, news.Subscriber) {
	h.t.Helper()
	sub, who, _, err := h.db.Subscription(h.t.Context(), id)
	h.ok(err)
	return sub, who
}

// confirmations lists the confirmation mails that wait in the outbox.
func (h *house) confirmations() []news.Delivery {
	h.t.Helper()
	all, err := h.db.Deliveries(h.t.Context(), news.DeliveryQuery{Limit: 1000})
	h.ok(err)
	return slices.DeleteFunc(all, func(d news.Delivery) bool { return d.Kind != news.VariantConfirm })
}

// person reads somebody by address; ok is false if nobody is known by it.
func (h *house) person(spec string) (news.SubscriberRow, bool) {
	h.t.Helper()
	row, err := h.db.SubscriberByAddress(h.t.Context(), address(h.t, spec))
	if errors.Is(err, news.ErrNotFound) {
		return row, false
	}
	h.ok(err)
	return row, true
}

// pages are addresses of every kind of page, those of subscribers included.
func (h *house) pages() []string {
	h.t.Helper()
	articles, err := h.db.Articles(h.t.Context(), news.ArticleQuery{Limit: 1})
	h.ok(err)
	return []string{
		"/", "/feeds", "/subscribe", "/subscribe/world", "/lists/world/", "/lists/world/edition-second", "/topics/category/us", "/topics/tag/mexico",
		h.links.Share(articles[0].ID), h.links.Confirm(h.ben, h.clock.Now().Add(time.Hour)), h.links.Preferences(h.ana), h.links.Unsubscribe(h.ana), h.links.WebView(h.delivery),
	}
}
