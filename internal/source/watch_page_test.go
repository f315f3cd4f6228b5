package source_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/source"
)

// pageSite is a site without API and feed: pages, sitemaps, robots.txt.
type pageSite struct {
	*httptest.Server
	mu    sync.Mutex
	pages map[string]string // path → body; $SITE is the site's address
	codes map[string]int    // path → status
	asked []string
}

func newPageSite(t *testing.T) *pageSite {
	t.Helper()
	s := &pageSite{pages: map[string]string{}, codes: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.URL.RequestURI())
		body, ok := s.pages[r.URL.Path]
		switch code := s.codes[r.URL.Path]; {
		case code != 0:
			w.WriteHeader(code)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case strings.HasSuffix(r.URL.Path, ".gz"):
			w.Header().Set("Content-Type", "application/x-gzip")
			_, _ = w.Write(gzipped(strings.ReplaceAll(body, "$SITE", s.URL)))
		default:
			w.Header().Set("Content-Type", map[bool]string{true: "application/xml", false: "text/html; charset=utf-8"}[strings.HasSuffix(r.URL.Path, ".xml")])
			fmt.Fprint(w, strings.ReplaceAll(body, "$SITE", s.URL))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *pageSite) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// read lists the pages below prefix that were asked for since the last call.
func (s *pageSite) read(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, p := range s.asked {
		if strings.HasPrefix(p, prefix) {
			out = append(out, p)
		}
	}
	s.asked = nil
	slices.Sort(out)
	return out
}

// article is a page as news sites make them.
func article(title string, at time.Time, text string) string {
	filler := strings.Repeat("<p>"+text+" And some more words about it, so that there is a text to be found on this page, with commas, as in life.</p>", 5)
	return `<!DOCTYPE html><html lang="en"><head><title>` + title + ` | The Daily</title><meta property="og:site_name" content="The Daily">
		<script type="application/ld+json">{"@context":"https://schema.org","@type":"NewsArticle","headline":"` + title + `","datePublished":"` + at.Format(time.RFC3339) + `",
		"author":[{"@type":"Person","name":"Ines Okoro"}],"articleSection":"Towns","keywords":"ports, ferries","image":["$SITE/a.jpg"]}</script></head>
		<body><nav><a href="/">Home</a> <a href="/about">About</a></nav><main><article><h1>` + title + `</h1>` + filler + `</article></main><aside>Subscribe to our newsletter!</aside><footer>Imprint</footer></body></html>`
}

func sitemapOf(entries ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><?xml-stylesheet type="text/xsl" href="x.xsl"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1" xmlns:news="http://www.google.com/schemas/sitemap-news/0.9">` +
		strings.Join(entries, "") + `</urlset>`
}

func mapped(path string, lastmod time.Time) string {
	return "<url><loc>$SITE" + path + "</loc><lastmod>" + lastmod.Format(time.RFC3339) + "</lastmod><image:image><image:loc>$SITE/i.jpg</image:loc></image:image></url>"
}

func (s *pageSite) watch(t *testing.T, db *dbtest.DB, path string) *source.Watcher {
	t.Helper()
	return watchSource(t, db, news.SourcePage, s.URL+path, nil)
}

func TestWatch_Page_Sitemap(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newPageSite(t)
		now := db.Clock.Now()
		old := now.Add(-48 * time.Hour)
		s.pages["/robots.txt"] = "User-agent: *\nDisallow: /private/\n"
		s.pages["/news/one"] = article("One at the pier", old, "The first text.")
		s.pages["/news/two"] = article("Two at the pier", old, "The second text.")
		s.pages["/private/three"] = article("Three", old, "Not to be read.")
		s.pages["/about"] = "<title>About us</title><p>Who we are</p>"
		entries := []string{mapped("/news/one", old), mapped("/news/two", old), mapped("/private/three", old), mapped("/about", old), "<url><loc>https://other.example/x</loc></url>"}
		s.pages["/sitemap.xml"] = sitemapOf(entries...)
		w := s.watch(t, db, "/sitemap.xml")
		if got := look(t, w); got.New != 2 {
			t.Fatalf("first look %+v", got)
		}
		if mailed(t, db) != 0 {
			t.Error("the first run is news")
		}
		if p := s.read("/private"); len(p) != 0 {
			t.Errorf("read although robots.txt forbids it: %v", p)
		}
		a := released(t, db)["One at the pier"]
		if a.URL != s.URL+"/news/one" || !a.PublishedAt.Equal(old) || len(a.Authors) != 1 || len(a.Categories) != 1 || len(a.Tags) != 2 || a.Image == nil || a.Language != "en" ||
			!strings.Contains(a.ContentHTML, "The first text.") || strings.Contains(a.ContentHTML, "newsletter") || strings.Contains(a.ContentHTML, "<h1>") {
			t.Errorf("article %+v", a)
		}
		// Nothing changed: the list alone is asked for.
		if got, err := next(t, db, w); err != nil || got != (news.StoreCounts{}) || len(s.read("/news")) != 0 {
			t.Errorf("nothing changed: %+v, %v", got, err)
		}
		// A new page and a changed one are read, the others not.
		s.change(func() {
			now = db.Clock.Now()
			s.pages["/news/four"] = article("Four at the pier", now, "News.")
			s.pages["/news/two"] = article("Two at the pier", old, "The corrected text.")
			s.pages["/sitemap.xml"] = sitemapOf(append(entries[:0:0], entries[0], mapped("/news/two", now), entries[2], entries[3], mapped("/news/four", now))...)
		})
		if got, err := next(t, db, w); err != nil || got != (news.StoreCounts{New: 1, Changed: 1}) {
			t.Errorf("news: %+v, %v", got, err)
		}
		if p := s.read("/"); fmt.Sprint(p) != "[/news/four /news/two /sitemap.xml]" {
			t.Errorf("read %v", p)
		}
		if n := mailed(t, db); n != 1 || !strings.Contains(released(t, db)["Two at the pier"].ContentHTML, "corrected") {
			t.Errorf("%d are news", n)
		}
		// Off the list, but there: stays. Off the list and gone: leaves.
		s.change(func() {
			delete(s.pages, "/news/one")
			s.pages["/sitemap.xml"] = sitemapOf(mapped("/news/four", now), mapped("/about", old))
		})
		if got, err := next(t, db, w); err != nil || got.Withdrawn != 1 {
			t.Errorf("removal: %+v, %v", got, err)
		}
		if all := released(t, db); len(all) != 2 {
			t.Errorf("%d articles are left", len(all))
		}
		// An empty list, or a page for people, removes nothing.
		for _, body := range []string{sitemapOf(), "<html><p>Just a moment…</p></html>"} {
			s.change(func() { s.pages["/sitemap.xml"] = body })
			if got, err := next(t, db, w); err == nil || got.Withdrawn != 0 {
				t.Errorf("an odd answer: %+v, %v", got, err)
			}
		}
		// robots.txt out of order: nothing is read.
		db.Clock.Advance(25 * time.Hour)
		s.change(func() { s.codes["/robots.txt"] = 503; s.asked = nil })
		if _, err := next(t, db, w); err == nil || len(s.read("/sitemap")) != 0 {
			t.Errorf("read without knowing robots.txt: %v", err)
		}
	})
}

func TestWatch_Page_SitemapIndex(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newPageSite(t)
		now := db.Clock.Now()
		index := func(second time.Time) string {
			return `<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><sitemap><loc>$SITE/posts-1.xml.gz</loc><lastmod>` + now.Add(-72*time.Hour).Format(time.RFC3339) +
				`</lastmod></sitemap><sitemap><loc>$SITE/posts-2.xml</loc><lastmod>` + second.Format(time.RFC3339) + `</lastmod></sitemap></sitemapindex>`
		}
		s.pages["/sitemap.xml"] = index(now)
		var first []string
		for n := range 45 {
			p := fmt.Sprintf("/a/%d", n)
			s.pages[p] = article(fmt.Sprintf("Article %d", n), now.Add(-time.Duration(n+100)*time.Hour), "Text.")
			first = append(first, mapped(p, now.Add(-time.Duration(n+100)*time.Hour)))
		}
		s.pages["/posts-1.xml.gz"] = sitemapOf(first...)
		s.pages["/posts-2.xml"] = sitemapOf()
		w := s.watch(t, db, "/sitemap.xml")
		if got := look(t, w); got.New != 45 {
			t.Errorf("first run in several looks: %+v", got)
		}
		if mailed(t, db) != 0 || theSource(t, db).ActivatedAt.IsZero() {
			t.Error("the first run is news, or has not ended")
		}
		s.read("/")
		later := db.Clock.Now()
		s.change(func() {
			s.pages["/a/new"] = article("New one", later, "Text.")
			s.pages["/posts-2.xml"] = sitemapOf(mapped("/a/new", later))
			s.pages["/sitemap.xml"] = index(later)
		})
		if got, err := next(t, db, w); err != nil || got.New != 1 {
			t.Errorf("news: %+v, %v", got, err)
		}
		if p := s.read("/"); fmt.Sprint(p) != "[/a/new /posts-2.xml /sitemap.xml]" {
			t.Errorf("read %v, want what has changed only", p)
		}
	})
}

// A first run reads the newest only; older pages that it left out are no news
// when they are listed later.
func TestWatch_Page_LargeArchive(t *testing.T) {
	db := dbtest.SQLite(t)
	s := newPageSite(t)
	now := db.Clock.Now()
	var entries []string
	for n := range 300 {
		p := fmt.Sprintf("/a/%d", n)
		at := now.Add(-time.Duration(n+1) * time.Hour)
		s.pages[p] = article(fmt.Sprintf("Article %d", n), at, "Text.")
		entries = append(entries, mapped(p, at))
	}
	s.pages["/sitemap.xml"] = sitemapOf(entries...)
	w := s.watch(t, db, "/sitemap.xml")
	if got := look(t, w); got.New != 200 {
		t.Errorf("first run %+v", got)
	}
	s.read("/")
	s.change(func() { s.pages["/sitemap.xml"] = sitemapOf(append(entries, mapped("/about", now))...) })
	if got, err := next(t, db, w); err != nil || got.New != 0 || len(s.read("/a/")) != 0 {
		t.Errorf("afterwards %+v, %v", got, err)
	}
	// All dates new at once are those of a build.
	s.change(func() {
		for i := range entries {
			entries[i] = mapped(fmt.Sprintf("/a/%d", i), now)
		}
		s.pages["/sitemap.xml"] = sitemapOf(entries[:200]...)
	})
	if got, err := next(t, db, w); err != nil || got != (news.StoreCounts{}) || len(s.read("/a/")) != 0 {
		t.Errorf("a rebuilt site: %+v, %v", got, err)
	}
}

func TestWatch_Page_Index(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		s := newPageSite(t)
		now := db.Clock.Now()
		front := func(links ...string) string {
			var b strings.Builder
			for _, l := range links {
				b.WriteString(`<article><h2><a href="` + l + `?utm_source=front">x</a></h2></article>`)
			}
			return `<html><head><base href="/"></head><nav><a href="/category/us">US</a><a href="/login">Login</a><a href="https://other.example/a-b-c-d">Else</a><a href="mailto:x@y.example">Mail</a></nav>` + b.String()
		}
		for n := range 6 {
			s.pages[fmt.Sprintf("/2026/03/story-%d", n)] = article(fmt.Sprintf("Story %d", n), now.Add(-time.Duration(10-n)*time.Hour), fmt.Sprintf("Text %d.", n))
		}
		s.pages["/live-ticker-of-today"] = "<title>No article</title>"
		s.pages["/members"] = strings.Replace(article("For members", now, "Secret words."), `"articleSection"`, `"isAccessibleForFree":false,"articleSection"`, 1)
		s.pages["/news/"] = front("2026/03/story-2", "2026/03/story-1", "2026/03/story-0", "live-ticker-of-today")
		w := s.watch(t, db, "/news/")
		if got := look(t, w); got.New != 3 {
			t.Fatalf("first look %+v", got)
		}
		s.read("/")
		s.change(func() {
			s.pages["/news/"] = front("members", "2026/03/story-3", "2026/03/story-2", "2026/03/story-1", "live-ticker-of-today")
		})
		if got, err := next(t, db, w); err != nil || got != (news.StoreCounts{New: 2}) {
			t.Errorf("news: %+v, %v", got, err)
		}
		if p := s.read("/"); fmt.Sprint(p) != "[/2026/03/story-3 /members /news/]" {
			t.Errorf("read %v", p)
		}
		if n := mailed(t, db); n != 2 {
			t.Errorf("%d are news", n)
		}
		all := released(t, db)
		if a := all["For members"]; a.Visibility != news.VisibilityMembers || a.ContentHTML != "" {
			t.Errorf("members only: %+v", a)
		}
		if _, ok := all["Story 0"]; !ok {
			t.Error("what left the page at its end was taken for removed")
		}
		s.change(func() {
			s.pages["/news/"] = front("members", "2026/03/story-3", "2026/03/story-1")
			s.codes["/2026/03/story-2"] = http.StatusGone
		})
		if got, err := next(t, db, w); err != nil || got.Withdrawn != 1 {
			t.Errorf("removed: %+v, %v", got, err)
		}
		// An article that cannot be had for now is tried again, and does not keep others away.
		s.change(func() {
			s.pages["/news/"] = front("2026/03/story-5", "2026/03/story-4", "members", "2026/03/story-3")
			s.codes["/2026/03/story-5"] = http.StatusInternalServerError
		})
		if got, err := next(t, db, w); err != nil || got.New != 1 {
			t.Errorf("one of two is broken: %+v, %v", got, err)
		}
		s.change(func() { delete(s.codes, "/2026/03/story-5") })
		db.Clock.Advance(2 * time.Hour)
		if got, err := next(t, db, w); err != nil || got.New != 1 {
			t.Errorf("mended: %+v, %v", got, err)
		}
	})
}

func TestWatch_Page_NewsSitemapAndRobots(t *testing.T) {
	db := dbtest.SQLite(t)
	s := newPageSite(t)
	now := db.Clock.Now()
	entry := func(n int) string {
		return fmt.Sprintf(`<url><loc>$SITE/n/%d</loc><news:news><news:publication><news:name>Daily</news:name></news:publication><news:publication_date>%s</news:publication_date><news:title>N</news:title></news:news></url>`,
			n, now.Add(time.Duration(n-10)*time.Hour).Format(time.RFC3339))
	}
	for n := range 4 {
		s.pages[fmt.Sprintf("/n/%d", n)] = strings.Replace(article(fmt.Sprintf("N %d", n), now, "x"), `"datePublished"`, `"x"`, 1)
	}
	s.pages["/news.xml"] = sitemapOf(entry(1), entry(0))
	w := s.watch(t, db, "/news.xml")
	if got := look(t, w); got.New != 2 {
		t.Fatalf("first look %+v", got)
	}
	if a := released(t, db)["N 1"]; !a.PublishedAt.Equal(now.Add(-9 * time.Hour)) {
		t.Errorf("date %v, want the sitemap's", a.PublishedAt)
	}
	s.change(func() { s.pages["/news.xml"] = sitemapOf(entry(3), entry(2)); delete(s.pages, "/n/0") })
	if got, err := next(t, db, w); err != nil || got.New != 2 || got.Withdrawn != 0 {
		t.Errorf("two days later: %+v, %v", got, err)
	}
	s.change(func() { s.pages["/robots.txt"] = "User-agent: gazetted\nDisallow: /\n" })
	db.Clock.Advance(25 * time.Hour)
	if _, err := next(t, db, w); as[*source.RobotsError](err) == nil {
		t.Errorf("%v, want a refusal to read", err)
	}
}
