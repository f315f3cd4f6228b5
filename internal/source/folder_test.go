package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gazetted/internal/news"
)

// tree is a folder source under test.
type tree struct {
	t    *testing.T
	dir  string
	now  time.Time
	mem  *memStore
	w    *Watcher
	tick int
}

func newTree(t *testing.T) *tree {
	t.Helper()
	f := &tree{t: t, dir: t.TempDir(), now: testNow()}
	f.mem = newMemStore(news.Source{Name: "site", Kind: news.SourceFolder, Location: f.dir, Settings: news.SourceSettings{BaseURL: "https://news.example.org/blog"}})
	f.restart()
	return f
}

// restart forgets what the process remembers.
func (f *tree) restart() {
	f.w = New(Options{Store: f.mem, Client: testClient(f.t), Now: func() time.Time { return f.now }})
}

// write writes a file that has rested for an hour, each with another time of change.
func (f *tree) write(name, text string) {
	f.t.Helper()
	p := filepath.Join(f.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
	f.tick++
	f.touch(name, f.now.Add(-time.Hour+time.Duration(f.tick)*time.Second))
}

func (f *tree) touch(name string, at time.Time) {
	f.t.Helper()
	if err := os.Chtimes(filepath.Join(f.dir, filepath.FromSlash(name)), at, at); err != nil {
		f.t.Fatal(err)
	}
}

func (f *tree) remove(name string) {
	f.t.Helper()
	if err := os.RemoveAll(filepath.Join(f.dir, filepath.FromSlash(name))); err != nil {
		f.t.Fatal(err)
	}
}

func (f *tree) look() Report { f.t.Helper(); return mustLook(f.t, f.w, "site") }

// once looks one time only, where look would wait for a file to come to rest.
func (f *tree) once() Report {
	f.t.Helper()
	src, err := f.mem.SourceByName(context.Background(), "site")
	if err != nil {
		f.t.Fatal(err)
	}
	res, err := f.w.lookAt(context.Background(), src, false)
	if err != nil {
		f.t.Fatal(err)
	}
	return res.report
}

func (f *tree) want(r Report, want news.StoreCounts) {
	f.t.Helper()
	if r.Counts != want {
		f.t.Errorf("counts %+v, want %+v (notes %q)", r.Counts, want, r.Notes)
	}
}

func post(title, date string, more ...string) string {
	return "---\ntitle: " + title + "\ndate: " + date + "\n" + strings.Join(more, "") + "---\nText of " + title + ".\n"
}

func TestFolderArticle(t *testing.T) {
	f := newTree(t)
	f.write("posts/2026-02-01-quay.md", "\xEF\xBB\xBF---\ntitle: The “quay” & more\ndate: 2026-02-01 10:00:00 -5\nlastmod: 2026-02-02\nauthors:\n- name: Ines\n  url: https://ines.example/\n- Tom\n"+
		"categories: [Harbour]\ntags: quay, R&amp;D\nsummary: In *short*.\nimage: /img/quay.jpg\nimage_alt: The quay\nlang: en_GB\nexpirydate: 2027-01-01\n---\n# Heading\n\nA [link](../x/) and ![pic](pic.png).\n\n<script>x</script>\n")
	f.write("posts/pic.png", "not really")
	f.look()
	got := f.mem.found["posts/2026-02-01-quay.md"]
	if got.URL != "https://news.example.org/blog/2026/02/01/quay/" || got.Title != "The “quay” & more" || got.Summary != "In *short*." || got.Language != "en-GB" {
		t.Errorf("article %+v", got)
	}
	if !got.PublishedAt.Equal(time.Date(2026, 2, 1, 15, 0, 0, 0, time.UTC)) || !got.UpdatedAt.Equal(time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)) || got.ExpiresAt.Year() != 2027 {
		t.Errorf("times %v %v %v", got.PublishedAt, got.UpdatedAt, got.ExpiresAt)
	}
	if len(got.Authors) != 2 || got.Authors[0] != (news.Author{Name: "Ines", URL: "https://ines.example/"}) {
		t.Errorf("authors %+v", got.Authors)
	}
	if got.Image == nil || got.Image.URL != "https://news.example.org/img/quay.jpg" || got.Image.Alt != "The quay" {
		t.Errorf("image %+v", got.Image)
	}
	if !slices.Equal(termNames(got, news.KindTag), []string{"R&D", "quay"}) || !slices.Equal(termNames(got, news.KindCategory), []string{"Harbour"}) {
		t.Errorf("terms %+v", got.Terms)
	}
	for _, part := range []string{`<h1 id="heading">Heading</h1>`, `href="https://news.example.org/blog/2026/02/01/x/"`, `src="https://news.example.org/blog/posts/pic.png"`} {
		if !strings.Contains(got.ContentHTML, part) {
			t.Errorf("content %q lacks %q", got.ContentHTML, part)
		}
	}
	if strings.Contains(got.ContentHTML, "script") {
		t.Errorf("content %q", got.ContentHTML)
	}
}

func TestFolderAddresses(t *testing.T) {
	f := newTree(t)
	for name, more := range map[string]string{
		"a.md": "url: https://other.example/a\n", "b.md": "permalink: /deep/b/\n", "c.md": "slug: see\n", "d/index.md": "", "e/e.md": "", "f/index.md": "slug: eff\n",
		"g.html": "", "h/index.html": "", "2026-01-05-i.md": "slug: eye\n", "j.md": "permalink: /:year/:title/\n", "K ü.md": "",
	} {
		f.write(name, post(name, "2026-01-01", more))
	}
	f.write("l.md", "+++\ntitle = \"l.md\"\npath = \"2026/01/09/ell\"\n+++\n")
	f.look()
	for title, want := range map[string]string{
		"a.md": "https://other.example/a", "b.md": "https://news.example.org/blog/deep/b/", "c.md": "https://news.example.org/blog/see/",
		"d/index.md": "https://news.example.org/blog/d/", "e/e.md": "https://news.example.org/blog/e/e/", "f/index.md": "https://news.example.org/blog/eff/",
		"g.html": "https://news.example.org/blog/g.html", "h/index.html": "https://news.example.org/blog/h/", "2026-01-05-i.md": "https://news.example.org/blog/2026/01/05/eye/",
		"j.md": "https://news.example.org/blog/j/", "K ü.md": "https://news.example.org/blog/K%20%C3%BC/", "l.md": "https://news.example.org/blog/2026/01/09/ell/",
	} {
		if got := f.mem.byTitle(t, title).URL; got != want {
			t.Errorf("%s: %s, want %s", title, got, want)
		}
	}
	if got := f.mem.byTitle(t, "l.md").PublishedAt.Format(time.DateOnly); got != "2026-01-09" {
		t.Errorf("date from the path key: %s", got)
	}
}

func TestFolderHTML(t *testing.T) {
	f := newTree(t)
	f.write("ld.html", `<!doctype html><html lang=en><head><title>Site | Quay</title><link rel=canonical href="/n/quay">
		<script type="application/ld+json">{"@context":"https://schema.org","@graph":[{"@type":"WebSite"},{"@type":["NewsArticle"],"headline":"Quay opens &amp; closes",
		"datePublished":"2026-02-01T08:00:00+01:00","dateModified":"2026-02-03T08:00:00Z","author":[{"@type":"Person","name":"Ines","url":"https://i.example/"}],
		"image":[{"url":"/q.jpg","width":1200}],"articleSection":"Harbour","keywords":"quay, mussels","description":"Lead."}]}</script></head>
		<body><nav>Menu</nav><article><h1>Quay opens &amp; closes</h1><p>Text <img src="../p.png"></p></article></body></html>`)
	f.write("og.html", `<head><title>T</title><meta property="og:title" content="Mussels"><meta property="og:type" content="article"><meta property="article:published_time" content="2026-02-02">
		<meta property="article:tag" content="a"><meta property="article:tag" content="b"><meta property="og:image" content="https://c.example/m.jpg"><meta name="author" content="Tom"></head><main><p>Mussel text</p></main>`)
	f.write("about.html", `<title>About us</title><p>We are a port.</p>`)
	f.write("hidden.html", `<meta name=robots content="noindex"><article><p>x</p></article>`)
	f.write("2026/02/04/plain.html", `<title>Plain page</title><p>Plain text</p>`)
	f.look()
	ld := f.mem.byTitle(t, "Quay opens & closes")
	if ld.URL != "https://news.example.org/blog/n/quay" || ld.ContentHTML != `<p>Text <img src="https://news.example.org/blog/p.png" alt=""/></p>` || ld.Image.URL != "https://news.example.org/q.jpg" ||
		ld.Authors[0].URL != "https://i.example/" || ld.UpdatedAt.IsZero() || len(ld.Terms) != 3 || ld.Summary != "Lead." || ld.Language != "en" {
		t.Errorf("JSON-LD page %+v", ld)
	}
	og := f.mem.byTitle(t, "Mussels")
	if og.Image == nil || og.Authors[0].Name != "Tom" || len(og.Terms) != 2 || og.PublishedAt.Format(time.DateOnly) != "2026-02-02" || og.Summary != "Mussel text" {
		t.Errorf("OpenGraph page %+v", og)
	}
	if p := f.mem.byTitle(t, "Plain page"); p.PublishedAt.Format(time.DateOnly) != "2026-02-04" {
		t.Errorf("plain page %+v", p)
	}
	if len(f.mem.found) != 3 {
		t.Errorf("%d articles, want 3", len(f.mem.found))
	}
}

func TestFolderLeavesOut(t *testing.T) {
	f := newTree(t)
	f.write("a.md", post("A", "2026-01-01"))
	for _, name := range []string{"README.md", "_index.md", ".hidden.md", ".git/b.md", "b.md.tmp", "c.md~", "_drafts/d.md", "node_modules/e.md", "f.txt", ".g.md.swp", "#h.md", "LICENSE.md"} {
		f.write(name, post(name, "2026-01-01"))
	}
	f.write("person.md", "---\nfirst_name: Ines\n---\n")
	f.write("redirect.md", "---\nredirect: /x\n---\n")
	f.write("section/index.md", "---\ntitle: All posts\n---\n")
	f.write("expired.md", post("Old", "2020-01-01", "expirydate: 2021-01-01\n"))
	f.write("empty.md", "")
	f.write("_posts/2026-01-02-b.md", post("B", "2026-01-02"))
	r := f.look()
	if live := f.mem.live(); !slices.Equal(live, []string{"_posts/2026-01-02-b.md", "a.md"}) || len(r.Notes) != 0 {
		t.Errorf("live %v, notes %q", live, r.Notes)
	}
}

func TestFolderWithoutFrontMatter(t *testing.T) {
	f := newTree(t)
	f.write("2026-01-03-note.md", "# A note\n\nIts text.\n")
	f.write("words.md", "Only a few words, and no heading at all in this file, none.\n")
	f.look()
	if got := f.mem.found["2026-01-03-note.md"]; got.Title != "A note" || got.ContentHTML != "<p>Its text.</p>" {
		t.Errorf("note %+v", got)
	}
	if got := f.mem.found["words.md"]; got.Title != "Only a few words, and no heading at all in…" || !got.PublishedAt.IsZero() {
		t.Errorf("words %+v", got)
	}
}

func TestFolderChanges(t *testing.T) {
	f := newTree(t)
	f.write("a.md", post("A", "2026-01-01"))
	f.write("b.md", post("B", "2026-01-01", "id: bee\n"))
	f.want(f.look(), news.StoreCounts{New: 2})
	if f.mem.sources["site"].ActivatedAt.IsZero() {
		t.Error("not activated")
	}
	batches := f.mem.batches
	f.want(f.look(), news.StoreCounts{})
	f.restart()
	f.want(f.look(), news.StoreCounts{})
	if f.mem.batches != batches {
		t.Error("unchanged files were stored again")
	}
	t.Run("a touch is no edit", func(t *testing.T) {
		f.t = t
		f.touch("a.md", f.now.Add(-time.Minute))
		f.want(f.look(), news.StoreCounts{Unchanged: 1})
		f.want(f.look(), news.StoreCounts{})
	})
	t.Run("white space is no edit", func(t *testing.T) {
		f.t = t
		f.write("a.md", strings.ReplaceAll(post("A", "2026-01-01"), "Text of", "Text\nof"))
		f.want(f.look(), news.StoreCounts{Unchanged: 1})
	})
	t.Run("an edit", func(t *testing.T) {
		f.t = t
		f.write("a.md", post("A, corrected", "2026-01-01"))
		f.want(f.look(), news.StoreCounts{Changed: 1})
	})
	t.Run("a move with an id", func(t *testing.T) {
		f.t = t
		f.remove("b.md")
		f.write("deep/c.md", post("B", "2026-01-01", "id: bee\n"))
		f.want(f.look(), news.StoreCounts{Changed: 1})
		if got := f.mem.found["id:bee"].URL; got != "https://news.example.org/blog/deep/c/" {
			t.Errorf("URL %s", got)
		}
	})
	t.Run("a move without an id", func(t *testing.T) {
		f.t = t
		f.write("z.md", post("A, corrected", "2026-01-01"))
		f.remove("a.md")
		f.want(f.look(), news.StoreCounts{Changed: 1})
		f.write("z.md", post("A, corrected twice", "2026-01-01"))
		f.want(f.look(), news.StoreCounts{Changed: 1})
		f.write("a.md", post("Another in its place", "2026-01-01"))
		f.restart()
		f.want(f.look(), news.StoreCounts{New: 1})
		f.want(f.look(), news.StoreCounts{})
		if f.mem.found["a.md"].Title != "A, corrected twice" || len(f.mem.live()) != 3 {
			t.Errorf("live %v", f.mem.live())
		}
	})
}

func TestFolderSettingsAreReadAnew(t *testing.T) {
	f := newTree(t)
	f.write("a.md", post("A", "2026-01-01 10:00"))
	f.look()
	s := f.mem.sources["site"]
	s.Settings.BaseURL, s.Settings.Zone = "https://new.example.org/", "Europe/Istanbul"
	f.want(f.look(), news.StoreCounts{Changed: 1})
	if got := f.mem.found["a.md"]; got.URL != "https://new.example.org/a/" || got.PublishedAt.Hour() != 7 {
		t.Errorf("%s %v", got.URL, got.PublishedAt)
	}
}

func TestFolderUnpublishing(t *testing.T) {
	f := newTree(t)
	for i := range 3 {
		f.write(fmt.Sprintf("%d.md", i), post(fmt.Sprint(i), "2026-01-01"))
	}
	f.look()
	f.write("0.md", post("0", "2026-01-01", "draft: true\n"))
	f.remove("1.md")
	f.want(f.look(), news.StoreCounts{Withdrawn: 2})
	f.want(f.look(), news.StoreCounts{})
	f.restart()
	f.want(f.look(), news.StoreCounts{})
	f.write("0.md", post("0", "2026-01-01"))
	f.want(f.look(), news.StoreCounts{Changed: 1})
	if live := f.mem.live(); !slices.Equal(live, []string{"0.md", "2.md"}) {
		t.Errorf("live %v", live)
	}
}

func TestFolderFaults(t *testing.T) {
	f := newTree(t)
	f.write("good.md", post("Good", "2026-01-01"))
	f.write("later-bad.md", post("Later bad", "2026-01-01"))
	f.look()
	f.write("later-bad.md", "---\ntitle: x\ntitle: y\n---\n")
	f.write("date.md", "---\ntitle: Date\n\ndate: the 5th\n---\n")
	f.write("offset.md", post("Offset", "2026-01-01T15:10:00+15:10"))
	f.write("twin.md", post("Twin", "2026-01-01", "id: one\n"))
	f.write("twin2.md", post("Twin two", "2026-01-01", "id: one\n"))
	f.write("url.md", post("URL", "2026-01-01", "url: \"mailto:x@y.z\"\n"))
	for range 2 { // the second look reports the same, from memory
		r := f.look()
		want := []string{
			`date.md:4: date: "the 5th" is no date: want one such as 2025-11-19 or 2025-11-19T13:28:00+03:00`,
			`later-bad.md:3: YAML: mapping key "title" already defined`,
			`offset.md:3: date: offset +15:10 is impossible, read in UTC`,
			`twin2.md:1: has the id of twin.md`,
			`url.md:4: url: "mailto:x@y.z" is no address`,
		}
		slices.Sort(r.Notes)
		if !slices.Equal(r.Notes, want) {
			t.Fatalf("notes\n%s\nwant\n%s", strings.Join(r.Notes, "\n"), strings.Join(want, "\n"))
		}
	}
	if live := f.mem.live(); !slices.Equal(live, []string{"good.md", "id:one", "later-bad.md", "offset.md"}) {
		t.Errorf("live %v: a fault must withdraw nothing", live)
	}
}

func TestFolderManyFaults(t *testing.T) {
	f := newTree(t)
	for i := range 30 {
		f.write(fmt.Sprintf("%02d.md", i), "---\ntitle: [\n---\n")
	}
	r := f.look()
	if len(r.Notes) != maxNotes || r.Notes[maxNotes-1] != "and 11 more" {
		t.Errorf("%d notes, last %q", len(r.Notes), r.Notes[len(r.Notes)-1])
	}
}

func TestFolderHalfWritten(t *testing.T) {
	f := newTree(t)
	f.write("old.md", post("Old", "2026-01-01"))
	f.write("new.md", post("New", "2026-01-01"))
	f.touch("new.md", f.now.Add(-200*time.Millisecond))
	f.want(f.once(), news.StoreCounts{New: 1})
	src := f.mem.sources["site"]
	if !src.ActivatedAt.IsZero() || src.Look.NextAt.Sub(f.now) != settleFile+settleFile/10 {
		t.Errorf("activated %v, next look after %v: a first run must see every file", src.ActivatedAt, src.Look.NextAt.Sub(f.now))
	}
	f.now = f.now.Add(2 * time.Second)
	f.want(f.once(), news.StoreCounts{New: 1})
	if src.ActivatedAt.IsZero() {
		t.Error("not activated")
	}
	f.write("new.md", "---\nti")
	f.touch("new.md", f.now)
	f.want(f.once(), news.StoreCounts{}) // being written anew: neither a fault nor gone
}

func TestLookWaitsForAFileJustWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTree(t)
		f.now = time.Now()
		f.w = New(Options{Store: f.mem, Client: testClient(t)})
		f.write("a.md", post("A", "1999-01-01"))
		f.touch("a.md", time.Now())
		f.want(f.look(), news.StoreCounts{New: 1})
		if waited := time.Since(f.now); waited < settleFile || waited > 2*settleFile {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestFolderEmbargo(t *testing.T) {
	f := newTree(t)
	f.write("future.md", post("Future", "2026-03-05"))
	f.write("hold.md", post("Hold", "2026-01-01", "embargo: 2026-03-04T12:00:00Z\n"))
	f.write("planned.md", post("Planned", "2026-01-01", "publishDate: 2026-03-06\n"))
	f.look()
	for name, want := range map[string]string{"future.md": "2026-03-05", "hold.md": "2026-03-04", "planned.md": "2026-03-06"} {
		if got := f.mem.found[name].EmbargoAt.Format(time.DateOnly); got != want {
			t.Errorf("%s: embargo %s, want %s", name, got, want)
		}
	}
	f.now = f.now.Add(7 * 24 * time.Hour)
	for _, name := range []string{"future.md", "hold.md", "planned.md"} {
		f.touch(name, f.now.Add(-time.Hour))
	}
	f.want(f.look(), news.StoreCounts{Unchanged: 3}) // the end of an embargo is no edit
}

func TestFolderLoss(t *testing.T) {
	fill := func(t *testing.T, n int) *tree {
		f := newTree(t)
		for i := range n {
			f.write(fmt.Sprintf("d%d/%d.md", i%2, i), post(fmt.Sprint(i), "2026-01-01"))
		}
		f.look()
		return f
	}
	t.Run("root gone", func(t *testing.T) {
		f := fill(t, 4)
		if err := os.RemoveAll(f.dir); err != nil {
			t.Fatal(err)
		}
		if _, err := f.w.Look(context.Background(), "site"); err == nil || len(f.mem.live()) != 4 {
			t.Errorf("%v, %d live", err, len(f.mem.live()))
		}
	})
	t.Run("root empty", func(t *testing.T) {
		f := fill(t, 4)
		f.remove("d0")
		f.remove("d1")
		if _, err := f.w.Look(context.Background(), "site"); err == nil || len(f.mem.live()) != 4 {
			t.Errorf("%v, %d live", err, len(f.mem.live()))
		}
		if r, err := f.w.Accept(context.Background(), "site"); err != nil || r.Counts.Withdrawn != 4 {
			t.Errorf("accepting: %+v %v", r.Counts, err)
		}
	})
	t.Run("most gone", func(t *testing.T) {
		f := fill(t, 30)
		f.remove("d0")
		f.remove("d1/1.md")
		var held *HeldError
		if _, err := f.w.Look(context.Background(), "site"); !errors.As(err, &held) || held.Gone != 16 || len(f.mem.live()) != 30 {
			t.Errorf("%v, %d live", err, len(f.mem.live()))
		}
	})
	t.Run("half gone", func(t *testing.T) {
		f := fill(t, 30)
		f.remove("d0")
		f.want(f.look(), news.StoreCounts{Withdrawn: 15})
	})
	t.Run("unreadable folder", func(t *testing.T) {
		if os.Geteuid() == 0 {
			// root reads everything; a link that leaves the root is refused to all.
			f := fill(t, 4)
			outside := filepath.Join(t.TempDir(), "o.md")
			if err := os.WriteFile(outside, []byte(post("Outside", "2026-01-01")), 0o644); err != nil {
				t.Fatal(err)
			}
			f.remove("d0/0.md")
			if err := os.Symlink(outside, filepath.Join(f.dir, "d0", "0.md")); err != nil {
				t.Fatal(err)
			}
			r := f.look()
			if len(f.mem.live()) != 4 || len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "d0/0.md: ") {
				t.Errorf("%d live, notes %q", len(f.mem.live()), r.Notes)
			}
			return
		}
		f := fill(t, 4)
		if err := os.Chmod(filepath.Join(f.dir, "d0"), 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(f.dir, "d0"), 0o755) })
		if r := f.look(); len(f.mem.live()) != 4 || len(r.Notes) != 1 {
			t.Errorf("%d live, notes %q", len(f.mem.live()), r.Notes)
		}
	})
}

func TestFolderLinks(t *testing.T) {
	f := newTree(t)
	f.write("real/a.md", post("A", "2026-01-01"))
	secret := filepath.Join(t.TempDir(), "secret.md")
	if err := os.WriteFile(secret, []byte(post("Secret", "2026-01-01")), 0o644); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"out.md": secret, "outdir": filepath.Dir(secret), "in.md": "real/a.md"} {
		if err := os.Symlink(to, filepath.Join(f.dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	r := f.look()
	for _, found := range f.mem.found {
		if found.Title == "Secret" {
			t.Error("a link out of the root was followed")
		}
	}
	if len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "out.md: ") {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestFolderNeedsAnAddress(t *testing.T) {
	f := newTree(t)
	f.mem.sources["site"].Settings.BaseURL = ""
	f.write("a.md", post("A", "2026-01-01"))
	f.write("b.md", post("B", "2026-01-01", "url: https://x.example/b\n"))
	r := f.look()
	if len(f.mem.found) != 1 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "base URL") {
		t.Errorf("%d found, notes %q", len(f.mem.found), r.Notes)
	}
}
