package source_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/source"
)

// Feeds, driven from outside: a site that publishes as WordPress does (ten
// items, more with ?paged=, validators that know the newest item only), the
// watcher and the real store between them.

// entry is one item of a feed; empty fields are left out of it.
type entry struct {
	guid, link, title, body, extra string
	at                             time.Time
}

// feedSite serves a feed and the pages of its articles.
type feedSite struct {
	*httptest.Server
	mu      sync.Mutex
	entries []entry // newest first
	window  int
	head    string // more elements of the channel
	// touched makes Last-Modified differ although the bytes are the same.
	touched int
	// noValidators answers without ETag and Last-Modified.
	noValidators bool
	gone         map[string]int // path of a page → its status
	intercept    func(w http.ResponseWriter, r *http.Request) bool
	full         int // answers with a body
	asked        []string
}

func newFeedSite(t *testing.T) *feedSite {
	t.Helper()
	s := &feedSite{window: 10, gone: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *feedSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.RequestURI())
	if s.intercept != nil && s.intercept(w, r) {
		return
	}
	if r.URL.Path != "/feed/" {
		if status := s.gone[r.URL.Path]; status != 0 {
			w.WriteHeader(status)
			return
		}
		fmt.Fprint(w, "<!DOCTYPE html><title>Page</title>")
		return
	}
	page := 1
	if n, err := strconv.Atoi(r.URL.Query().Get("paged")); err == nil {
		page = n
	}
	from, to := min((page-1)*s.window, len(s.entries)), min(page*s.window, len(s.entries))
	if from == to && page > 1 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if !s.noValidators && len(s.entries) > 0 {
		etag := fmt.Sprintf(`"%s-%d"`, s.entries[0].title, s.touched)
		w.Header().Set("ETag", etag)
		w.Header().Set("Last-Modified", s.entries[0].at.Add(time.Duration(s.touched)*time.Second).UTC().Format(http.TimeFormat))
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	s.full++
	w.Header().Set("Content-Type", "application/rss+xml; charset=UTF-8")
	fmt.Fprint(w, s.rss(s.entries[from:to]))
}

func (s *feedSite) rss(entries []entry) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
		xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/"><channel>
		<title>The Site</title><link>` + s.URL + `/</link><generator>https://wordpress.org/?v=6.5</generator>` + s.head)
	for _, e := range entries {
		b.WriteString("<item>")
		if e.title != "" {
			b.WriteString("<title>" + html.EscapeString(e.title) + "</title>")
		}
		if e.link != "" {
			b.WriteString("<link>" + html.EscapeString(e.link) + "</link>")
		}
		if e.guid != "" {
			b.WriteString(`<guid isPermaLink="false">` + html.EscapeString(e.guid) + "</guid>")
		}
		if !e.at.IsZero() {
			b.WriteString("<pubDate>" + e.at.Format(time.RFC1123Z) + "</pubDate>")
		}
		b.WriteString("<content:encoded><![CDATA[" + cmp.Or(e.body, "<p>The text of "+e.title+", which is long enough.</p>") + "]]></content:encoded>" + e.extra + "</item>")
	}
	b.WriteString("</channel></rss>")
	return b.String()
}

// publish puts a post on top, as an editor's: its guid is ?p=ID.
func (s *feedSite) publish(n int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := entry{guid: fmt.Sprintf("%s/?p=%d", s.URL, n), link: fmt.Sprintf("%s/post-%d/", s.URL, n), title: fmt.Sprintf("Post %d", n), at: at}
	s.entries = append([]entry{e}, s.entries...)
}

// change lets a test change the site under its lock.
func (s *feedSite) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// watch adds the site's feed as the source "site" of a watcher without pauses.
func (s *feedSite) watch(t *testing.T, db *dbtest.DB, set func(*news.SourceSettings)) *source.Watcher {
	t.Helper()
	return watchSource(t, db, news.SourceFeed, s.URL+"/feed/", set)
}

func watchSource(t *testing.T, db *dbtest.DB, kind news.SourceKind, location string, set func(*news.SourceSettings)) *source.Watcher {
	t.Helper()
	client, err := source.NewClient(source.ClientOptions{Now: db.Clock.Now, Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	src := news.Source{Name: "site", Kind: kind, Location: location}
	if set != nil {
		set(&src.Settings)
	}
	if _, err := db.AddSource(context.Background(), src); err != nil {
		t.Fatal(err)
	}
	return source.New(source.Options{Store: db, Client: client, Now: db.Clock.Now, Rand: func() float64 { return 0.5 },
		Pace: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
}

// next moves the clock to the source's next look, and looks.
func next(t *testing.T, db *dbtest.DB, w *source.Watcher) (news.StoreCounts, error) {
	t.Helper()
	if at := theSource(t, db).Look.NextAt; at.After(db.Clock.Now()) {
		db.Clock.Set(at)
	}
	r, err := w.Look(context.Background(), "site")
	return r.Counts, err
}

func theSource(t *testing.T, db *dbtest.DB) news.Source {
	t.Helper()
	src, err := db.SourceByName(context.Background(), "site")
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// mailed counts the released articles that are news.
func mailed(t *testing.T, db *dbtest.DB) int {
	t.Helper()
	db.Clock.Advance(time.Minute)
	n := 0
	for _, a := range released(t, db) {
		if !a.Archive {
			n++
		}
	}
	return n
}

func TestWatch_01_FeedFirstRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		for n := range 35 {
			s.publish(n+1, db.Clock.Now().Add(time.Duration(n-40)*time.Hour))
		}
		w := s.watch(t, db, nil)
		if got := look(t, w); got.New != 35 {
			t.Errorf("first run %+v, want all 35 of four pages", got)
		}
		if n := mailed(t, db); n != 0 || len(released(t, db)) != 35 {
			t.Errorf("%d of %d are news: the first run mails nothing", n, len(released(t, db)))
		}
		if theSource(t, db).ActivatedAt.IsZero() {
			t.Error("the first run has not ended")
		}
		s.publish(99, db.Clock.Now())
		if got, err := next(t, db, w); err != nil || got.New != 1 {
			t.Errorf("after the first run %+v, %v", got, err)
		}
		if n := mailed(t, db); n != 1 {
			t.Errorf("%d are news, want the one published since", n)
		}
	})
}

func TestWatch_03_FeedBackfillResumes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		for n := range 45 {
			s.publish(n+1, db.Clock.Now().Add(time.Duration(n-50)*time.Hour))
		}
		broken := true
		s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if broken && r.URL.Query().Get("paged") == "3" {
				w.WriteHeader(http.StatusBadGateway)
			}
			return broken && r.URL.Query().Get("paged") == "3"
		}
		w := s.watch(t, db, nil)
		if got := look(t, w); got.New != 20 {
			t.Errorf("up to the broken page %+v", got)
		}
		if !theSource(t, db).ActivatedAt.IsZero() {
			t.Fatal("active although the first run was interrupted")
		}
		s.publish(46, db.Clock.Now())
		s.change(func() { broken = false; s.asked = nil })
		if got, err := next(t, db, w); err != nil || got.New != 26 {
			t.Errorf("resumed %+v, %v", got, err)
		}
		if slices.Contains(s.asked, "/feed/?paged=2") {
			t.Error("began anew instead of where it was interrupted")
		}
		if n := mailed(t, db); n != 0 || len(released(t, db)) != 46 {
			t.Errorf("%d of %d are news", n, len(released(t, db)))
		}
	})
}

func TestWatch_04_FeedIdentity(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		now := db.Clock.Now()
		s.entries = []entry{
			{guid: "http://news.example/?p=1", link: "http://news.example/one/", title: "By guid", at: now.Add(-time.Hour)},
			{link: "http://news.example/two", title: "By link", at: now.Add(-2 * time.Hour)},
			{guid: "urn:x:3", link: "https://news.example/three", title: "By urn", at: now.Add(-3 * time.Hour)},
		}
		w := s.watch(t, db, nil)
		if got := look(t, w); got.New != 3 {
			t.Fatalf("first look %+v", got)
		}
		for i, same := range []func(){
			func() { s.entries[0].guid = "https://www.news.example/?p=1" },
			func() { s.entries[1].link = "https://news.example/two/?utm_source=rss&utm_medium=feed" },
			func() { s.entries[1].link = "https://WWW.news.example:443/two/index.html#utm_source=rss" },
			func() { s.entries[0].link = "https://news.example/one-renamed/" },
			func() { s.entries[2].guid = ""; s.entries[2].link = "https://news.example/three/" },
		} {
			s.change(func() { same(); s.touched++ })
			if got, err := next(t, db, w); err != nil || got.New != 0 {
				t.Errorf("variant %d: %+v, %v: a new article was made of an old one", i, got, err)
			}
		}
		all := released(t, db)
		if len(all) != 3 || all["By guid"].URL != "https://news.example/one-renamed/" {
			t.Errorf("%d articles, by guid %+v", len(all), all["By guid"])
		}
		if u := all["By link"].URL; strings.Contains(u, "utm_") {
			t.Errorf("campaign marks are kept: %s", u)
		}
	})
}

func TestWatch_05_FeedIdentityChangeIsHeld(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		for n := range 8 {
			s.publish(n+1, db.Clock.Now().Add(time.Duration(n-9)*time.Minute))
		}
		w := s.watch(t, db, nil)
		look(t, w)
		mailed(t, db)
		// The site moves: every guid and address is another, the articles are the same.
		s.change(func() {
			for i := range s.entries {
				s.entries[i].guid = fmt.Sprintf("https://moved.example/?p=%d", 500+i)
				s.entries[i].link = fmt.Sprintf("https://moved.example/%d/%s", 500+i, strings.ReplaceAll(s.entries[i].title, " ", "-"))
			}
			s.touched++
		})
		got, err := next(t, db, w)
		var renamed *source.IdentityError
		if !errors.As(err, &renamed) || renamed.Renamed != 8 || got != (news.StoreCounts{}) {
			t.Fatalf("moved site: %+v, %v; want it held", got, err)
		}
		if src := theSource(t, db); src.Look.Failures == 0 || !strings.Contains(src.Look.Err, "identity") {
			t.Errorf("the operator is not told: %+v", src.Look)
		}
		if r, err := w.Accept(context.Background(), "site"); err != nil || r.Counts.New != 0 || r.Counts.Changed != 8 {
			t.Errorf("accepted: %+v, %v; want the eight under their new addresses", r.Counts, err)
		}
		if n := mailed(t, db); n != 0 || len(released(t, db)) != 8 {
			t.Errorf("%d of %d would be mailed again", n, len(released(t, db)))
		}
		// One changed guid is daily life.
		s.change(func() { s.entries[3].guid = "tag:other"; s.touched++ })
		if got, err := next(t, db, w); err != nil || got.New != 0 {
			t.Errorf("one new guid: %+v, %v", got, err)
		}
		s.publish(77, db.Clock.Now())
		if got, err := next(t, db, w); err != nil || got.New != 1 {
			t.Errorf("news after the move: %+v, %v", got, err)
		}
	})
}

// A feed whose names and titles are all others, dated before the last look, is
// another feed, or an import.
func TestWatch_05_FeedReplacedIsHeld(t *testing.T) {
	db := dbtest.SQLite(t)
	s := newFeedSite(t)
	for n := range 8 {
		s.publish(n+1, db.Clock.Now().Add(time.Duration(n-9)*24*time.Hour))
	}
	w := s.watch(t, db, nil)
	look(t, w)
	db.Clock.Advance(time.Hour)
	s.change(func() {
		for i := range s.entries {
			s.entries[i] = entry{guid: fmt.Sprint("other-", i), link: fmt.Sprint("https://other.example/", i), title: fmt.Sprint("Other ", i), at: s.entries[i].at.Add(time.Hour)}
		}
	})
	if _, err := next(t, db, w); as[*source.IdentityError](err) == nil {
		t.Errorf("%v, want it held", err)
	}
}

func as[E error](err error) error {
	var e E
	if errors.As(err, &e) {
		return e
	}
	return nil
}

func TestWatch_06_FeedRepeatedGUIDs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		now := db.Clock.Now()
		s.entries = []entry{
			{guid: "same", link: "https://news.example/a", title: "A", at: now.Add(-time.Hour)},
			{guid: "same", link: "https://news.example/b", title: "B", at: now.Add(-time.Hour)},
			{guid: "twice", link: "https://news.example/c", title: "C", at: now.Add(-time.Hour)},
			{guid: "twice", link: "https://news.example/c", title: "C", at: now.Add(-time.Hour)},
		}
		w := s.watch(t, db, nil)
		if got := look(t, w); got.New != 3 {
			t.Errorf("first look %+v, want A, B and one C", got)
		}
		// One of them leaves the window, another with the same guid comes.
		s.change(func() {
			s.entries = append([]entry{{guid: "same", link: "https://news.example/d", title: "D", at: now}}, s.entries[1:]...)
		})
		if got, err := next(t, db, w); err != nil || got.New != 1 || got.Changed != 0 {
			t.Errorf("second look %+v, %v", got, err)
		}
		if all := released(t, db); len(all) != 4 {
			t.Errorf("%d articles", len(all))
		}
	})
}

func TestWatch_10_FeedFutureAndMissingDates(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		s.publish(1, db.Clock.Now().Add(-time.Hour))
		w := s.watch(t, db, nil)
		look(t, w)
		s.publish(2, db.Clock.Now().Add(300*24*time.Hour))
		s.publish(3, time.Time{})
		if got, err := next(t, db, w); err != nil || got.New != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		seen := db.Clock.Now()
		s.publish(4, db.Clock.Now())
		if got, err := next(t, db, w); err != nil || got.New != 1 {
			t.Errorf("behind a date in the future: %+v, %v", got, err)
		}
		mailed(t, db)
		for _, title := range []string{"Post 2", "Post 3"} {
			if a := released(t, db)[title]; !a.PublishedAt.Equal(seen) {
				t.Errorf("%s is shown with %v, want the first sight %v", title, a.PublishedAt, seen)
			}
		}
	})
}

func TestWatch_12_FeedBurst(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		for n := range 10 {
			s.publish(n+1, db.Clock.Now().Add(time.Duration(n-20)*time.Hour))
		}
		w := s.watch(t, db, nil)
		look(t, w)
		mailed(t, db)
		for n := range 250 {
			s.publish(100+n, db.Clock.Now().Add(time.Duration(n/25)*time.Second))
		}
		// Pages shift under the walk: one more is published with every request.
		late := 1000
		s.intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("paged") == "4" {
				late++
				s.entries = append([]entry{{guid: fmt.Sprint(s.URL, "/?p=", late), link: fmt.Sprint(s.URL, "/post-", late), title: fmt.Sprint("Late ", late), at: db.Clock.Now()}}, s.entries...)
			}
			return false
		}
		if _, err := next(t, db, w); err != nil {
			t.Fatal(err)
		}
		if _, err := next(t, db, w); err != nil {
			t.Fatal(err)
		}
		db.Clock.Advance(time.Minute)
		total := 0
		for n := 1; n > 0; total += n {
			var err error
			if n, _, err = db.ReleaseDue(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if total != 251 {
			t.Errorf("%d released, want the 250 of the burst and the late one, each once", total)
		}
	})
}

func TestWatch_15_16_FeedEdits(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		s.publish(1, db.Clock.Now().Add(-time.Hour))
		w := s.watch(t, db, nil)
		look(t, w)
		s.publish(2, db.Clock.Now())
		if _, err := next(t, db, w); err != nil {
			t.Fatal(err)
		}
		mailed(t, db)
		was := released(t, db)["Post 2"]
		s.change(func() { s.entries[0].body = "<p>The   text of\nPost 2, which is long enough.</p>\n\n"; s.touched++ })
		if got, err := next(t, db, w); err != nil || got.Changed != 0 {
			t.Errorf("white space counted as an edit: %+v, %v", got, err)
		}
		s.change(func() { s.entries[0].body = "<p>The corrected text of Post 2.</p>"; s.touched++ })
		if got, err := next(t, db, w); err != nil || got.Changed != 1 || got.New != 0 {
			t.Errorf("edit: %+v, %v", got, err)
		}
		is := released(t, db)["Post 2"]
		if is.Seq != was.Seq || is.GUID != was.GUID || !is.UpdatedAt.After(was.UpdatedAt) || !strings.Contains(is.ContentHTML, "corrected") {
			t.Errorf("was %+v\nis  %+v", was, is)
		}
	})
}

func TestWatch_20_FeedRemoval(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		for n := range 20 {
			s.publish(n+1, db.Clock.Now().Add(time.Duration(n-40)*time.Hour))
		}
		w := s.watch(t, db, nil)
		look(t, w)
		// The fifth newest goes into the trash; WordPress still answers 304.
		s.change(func() { s.entries = slices.Delete(s.entries, 4, 5); s.gone["/post-16/"] = http.StatusNotFound })
		for range 70 { // an hour
			if _, err := next(t, db, w); err != nil {
				t.Fatal(err)
			}
		}
		all := released(t, db)
		if _, ok := all["Post 16"]; ok || len(all) != 19 {
			t.Errorf("%d articles, the removed one among them: %v", len(all), ok)
		}
		// It left the window, but its page is there: it was not removed.
		s.change(func() { s.entries = slices.Delete(s.entries, 2, 3); s.touched++ })
		if got, err := next(t, db, w); err != nil || got.Withdrawn != 0 {
			t.Errorf("a page that is there: %+v, %v", got, err)
		}
		// The whole site answers 403: nothing is concluded.
		s.change(func() {
			s.entries = slices.Delete(s.entries, 1, 2)
			s.touched++
			s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/post") {
					w.WriteHeader(http.StatusForbidden)
				}
				return strings.HasPrefix(r.URL.Path, "/post")
			}
		})
		if got, err := next(t, db, w); err != nil || got.Withdrawn != 0 {
			t.Errorf("a site that keeps us out: %+v, %v", got, err)
		}
	})
}

// An Atom feed tells of removed entries by itself (RFC 6721); what comes back
// mails nobody again.
func TestWatch_20_FeedTombstone(t *testing.T) {
	db := dbtest.SQLite(t)
	feed := `<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0"><id>x</id><title>T</title>%s</feed>`
	one := `<entry><id>urn:x:1</id><title>One</title><link href="https://news.example/1"/><updated>2026-03-01T00:00:00Z</updated><content>a</content></entry>`
	two := strings.NewReplacer("1", "2", "One", "Two", "2026-03-02", "2026-03-01", "2026-03-01", "2026-02-02").Replace(one)
	body := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, feed, body) }))
	defer srv.Close()
	body = one + two
	w := watchSource(t, db, news.SourceFeed, srv.URL, nil)
	look(t, w)
	body = `<at:deleted-entry ref="urn:x:1" when="2026-03-02T00:00:00Z"/>` + two
	if got, err := next(t, db, w); err != nil || got.Withdrawn != 1 {
		t.Errorf("tombstone: %+v, %v", got, err)
	}
	body = one + two
	if got, err := next(t, db, w); err != nil || got.New != 0 || got.Changed != 1 {
		t.Errorf("back again: %+v, %v", got, err)
	}
	if n := mailed(t, db); n != 0 || len(released(t, db)) != 2 {
		t.Errorf("%d of %d are news", n, len(released(t, db)))
	}
}

func TestWatch_21_34_FeedOddAnswers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		for n := range 12 {
			s.publish(n+1, db.Clock.Now().Add(time.Duration(n-20)*time.Hour))
		}
		w := s.watch(t, db, nil)
		look(t, w)
		cursor := theSource(t, db).Look.Cursor
		good := s.rss(s.entries[:10])
		for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
			"401":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
			"403 page": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403); fmt.Fprint(w, "<html>no</html>") },
			"404":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
			"500":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
			"challenge": func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "<!doctype html><html><body>Just a moment…</body></html>")
			},
			"no items": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.rss(nil)) },
			"nothing":  func(http.ResponseWriter, *http.Request) {},
			"truncated": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "99999")
				fmt.Fprint(w, good[:2000])
			},
			"cut XML": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, good[:len(good)/2]) },
			"picture": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "image/png")
				fmt.Fprint(w, "\x89PNG\r\n\x1a\n....")
			},
			"other JSON":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"error":"no"}`) },
			"redirect loop": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/feed/?again", http.StatusFound) },
			"inner redirect": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
			},
			"gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(gzipped(strings.Repeat("<item/>", 4<<20)))
			},
			"many items": func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "<rss><channel>"+strings.Repeat("<item/>", 200_000)+"</channel></rss>")
			},
			"deep": func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "<rss><channel><item>"+strings.Repeat("<a>", 100_000))
			},
			"many marks": func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, `{"version":"https://jsonfeed.org/version/1.1","items":[`+strings.Repeat("{},", 2<<20)+"{}]}")
			},
		} {
			s.change(func() { s.intercept = func(w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true } })
			got, err := next(t, db, w)
			if err == nil || got != (news.StoreCounts{}) {
				t.Errorf("%s: %+v, %v; want a failed look that changes nothing", name, got, err)
			}
			src := theSource(t, db)
			if src.Look.Cursor != cursor || src.Look.Failures == 0 || src.Look.Err == "" {
				t.Errorf("%s: look %+v: state was touched, or nobody is told", name, src.Look)
			}
		}
		s.change(func() { s.intercept = nil })
		if _, err := next(t, db, w); err != nil {
			t.Fatal(err)
		}
		if src := theSource(t, db); src.Look.Failures != 0 {
			t.Errorf("well again: %+v", src.Look)
		}
		if n := len(released(t, db)); n != 12 {
			t.Errorf("%d of 12 articles are left", n)
		}
	})
}

func TestWatch_23_FeedWindow(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		w := s.watch(t, db, nil)
		look(t, w) // a feed without items, so far
		for n := range 30 {
			s.publish(n+1, db.Clock.Now())
			if got, err := next(t, db, w); err != nil || got.Withdrawn != 0 {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		mailed(t, db)
		if n := len(released(t, db)); n != 30 {
			t.Errorf("%d of 30 articles: what left the window of ten was taken for removed", n)
		}
	})
}

func TestWatch_29_FeedZone(t *testing.T) {
	db := dbtest.SQLite(t)
	s := newFeedSite(t)
	s.entries = []entry{
		{guid: "a", link: "https://n.example/a", title: "Bare", extra: "<dc:date>2026-02-28T13:28:00</dc:date>"},
		{guid: "b", link: "https://n.example/b", title: "Offset", extra: "<dc:date>2026-02-28T13:28:00+01:00</dc:date>"},
		{guid: "c", link: "https://n.example/c", title: "Named", extra: "<pubDate>Sat, 28 Feb 2026 13:28:00 EST</pubDate>"},
	}
	look(t, s.watch(t, db, func(o *news.SourceSettings) { o.Zone = "Europe/Istanbul" }))
	all := released(t, db)
	for title, want := range map[string]string{"Bare": "2026-02-28T10:28:00Z", "Offset": "2026-02-28T12:28:00Z", "Named": "2026-02-28T18:28:00Z"} {
		if got := all[title].PublishedAt.UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s: %s, want %s", title, got, want)
		}
	}
}

func TestWatch_32_FeedTrust(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newFeedSite(t)
		for n := range 10 {
			s.publish(n+1, db.Clock.Now().Add(time.Duration(n-20)*time.Hour))
		}
		w := s.watch(t, db, func(o *news.SourceSettings) { o.Poll = news.Duration(time.Minute) })
		look(t, w)
		s.change(func() { s.full = 0 })
		for range 22 {
			if got, err := next(t, db, w); err != nil || got != (news.StoreCounts{}) {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		if s.full != 2 {
			t.Errorf("%d of 22 looks were unconditional, want one after each ten 304s", s.full)
		}
		// New validators over the same bytes.
		before := db.Wakes.Take(news.WakeReleased)
		for range 5 {
			s.change(func() { s.touched++ })
			if got, err := next(t, db, w); err != nil || got != (news.StoreCounts{}) {
				t.Errorf("unchanged bytes: %+v, %v", got, err)
			}
		}
		if n := db.Wakes.Take(news.WakeReleased); n != 0 {
			t.Errorf("unchanged bytes woke readers %d times (%d before)", n, before)
		}
	})
}

func TestWatch_33_FeedRetryAfter(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s, other := newFeedSite(t), newFeedSite(t)
		s.publish(1, db.Clock.Now().Add(-time.Hour))
		other.publish(1, db.Clock.Now().Add(-time.Hour))
		w := s.watch(t, db, nil)
		look(t, w)
		if _, err := db.AddSource(context.Background(), news.Source{Name: "other", Kind: news.SourceFeed, Location: other.URL + "/feed/"}); err != nil {
			t.Fatal(err)
		}
		ask := ""
		s.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
			if ask != "" {
				w.Header().Set("Retry-After", ask)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		for _, want := range []time.Duration{2 * time.Hour, 3 * time.Hour, source.MaxRetryAfter} {
			from := db.Clock.Now()
			value := map[time.Duration]string{2 * time.Hour: "7200", 3 * time.Hour: from.Add(3 * time.Hour).Format(http.TimeFormat)}[want]
			s.change(func() { ask = cmp.Or(value, "99999999") })
			if _, err := w.Look(context.Background(), "site"); err == nil {
				t.Fatal("503 is no success")
			}
			if got := theSource(t, db).Look.NextAt.Sub(from); got != want {
				t.Errorf("Retry-After %s: next look after %v, want %v", ask, got, want)
			}
			n := len(s.asked)
			if _, err := w.Look(context.Background(), "site"); err == nil || len(s.asked) != n {
				t.Errorf("asked again although told to wait: %v", err)
			}
			if _, err := w.Look(context.Background(), "other"); err != nil {
				t.Errorf("another source waits, too: %v", err)
			}
			db.Clock.Advance(source.MaxRetryAfter)
		}
		s.change(func() { ask = "" })
		var waits []time.Duration
		for range 4 {
			if _, err := w.Look(context.Background(), "site"); err == nil {
				t.Fatal("503 is no success")
			}
			waits = append(waits, theSource(t, db).Look.NextAt.Sub(db.Clock.Now()))
		}
		if !slices.IsSorted(waits) || waits[3] > source.MaxBackoff {
			t.Errorf("back-off %v", waits)
		}
	})
}

func TestWatch_35_FeedMoves(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		old, now := newFeedSite(t), newFeedSite(t)
		for n := range 3 {
			now.publish(n+1, db.Clock.Now().Add(time.Duration(n-9)*time.Hour))
		}
		old.entries = now.entries
		w := old.watch(t, db, func(o *news.SourceSettings) { o.Poll = news.Duration(time.Hour) })
		look(t, w)
		status := http.StatusFound
		old.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, now.URL+r.URL.RequestURI(), status)
			return true
		}
		for range 30 {
			if _, err := next(t, db, w); err != nil {
				t.Fatal(err)
			}
		}
		if src := theSource(t, db); src.Location != old.URL+"/feed/" || len(src.Look.Notes) > 0 {
			t.Fatalf("a temporary redirect moved it: %+v", src)
		}
		old.change(func() { status = http.StatusMovedPermanently })
		for range 20 {
			if _, err := next(t, db, w); err != nil {
				t.Fatal(err)
			}
		}
		if src := theSource(t, db); src.Location != old.URL+"/feed/" || !strings.Contains(strings.Join(src.Look.Notes, ""), "redirects for good to "+now.URL) {
			t.Fatalf("within a day: %+v", src)
		}
		for range 10 {
			if _, err := next(t, db, w); err != nil {
				t.Fatal(err)
			}
			if theSource(t, db).Location != old.URL+"/feed/" {
				break
			}
		}
		if src := theSource(t, db); src.Location != now.URL+"/feed/" || !strings.Contains(strings.Join(src.Look.Notes, ""), "moved from") {
			t.Errorf("not moved: %+v", src)
		}
		now.publish(9, db.Clock.Now())
		if got, err := next(t, db, w); err != nil || got.New != 1 {
			t.Errorf("at the new place %+v, %v", got, err)
		}
		now.change(func() {
			now.intercept = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusGone); return true }
		})
		if _, err := next(t, db, w); err == nil {
			t.Error("410 is no success")
		}
		src := theSource(t, db)
		if !src.Look.Stopped() || !strings.Contains(src.Look.Err, "410") {
			t.Errorf("410 did not stop it: %+v", src.Look)
		}
		db.Clock.Advance(365 * 24 * time.Hour)
		if _, ok, err := db.ClaimSource(context.Background(), time.Minute); ok || err != nil {
			t.Errorf("a stopped source is still looked at: %v", err)
		}
		now.change(func() { now.intercept = nil })
		if err := db.PollNow(context.Background(), "site"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Look(context.Background(), "site"); err != nil {
			t.Error(err)
		}
		if src := theSource(t, db); src.Look.Stopped() {
			t.Errorf("still stopped after it was well again: %+v", src.Look)
		}
	})
}
