package source_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/source"
	"gazetted/internal/wptest"
)

const wxrHead = `<?xml version="1.0" encoding="UTF-8" ?>
<!-- generator="WordPress/6.7" -->
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/" xmlns:content="http://purl.org/rss/1.0/modules/content/"
	xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:wp="http://wordpress.org/export/1.2/">
<channel><title>The Gazette</title><link>SITE</link><wp:wxr_version>1.2</wp:wxr_version><wp:base_blog_url>SITE</wp:base_blog_url>
<wp:author><wp:author_id>3</wp:author_id><wp:author_login><![CDATA[ines]]></wp:author_login><wp:author_email><![CDATA[ines@example.org]]></wp:author_email><wp:author_display_name><![CDATA[Ines O'Dell]]></wp:author_display_name></wp:author>
<wp:category><wp:term_id>2</wp:term_id><wp:category_nicename><![CDATA[r-d]]></wp:category_nicename><wp:category_parent></wp:category_parent><wp:cat_name><![CDATA[R&amp;D]]></wp:cat_name></wp:category>
<wp:tag><wp:term_id>7</wp:term_id><wp:tag_slug><![CDATA[c]]></wp:tag_slug><wp:tag_name><![CDATA[C++]]></wp:tag_name></wp:tag>
`

const wxrTail = "</channel></rss>\n"

// wxrPost is an item as WordPress exports it; set replaces parts of it.
func wxrPost(id int, set ...string) string {
	s := fmt.Sprintf(`<item><title><![CDATA[Post %[1]d &amp; more]]></title><link>SITE/post-%[1]d/</link><pubDate>Fri, 02 Jan 2026 08:04:05 +0000</pubDate>
<dc:creator><![CDATA[ines]]></dc:creator><guid isPermaLink="false">SITE/?p=%[1]d</guid><description></description>
<content:encoded><![CDATA[Body of post %[1]d, first line
second line

[caption id="x" width="300"]<img src="/a.jpg"> A caption[/caption]

Last.<script>x</script>]]></content:encoded><excerpt:encoded><![CDATA[]]></excerpt:encoded>
<wp:post_id>%[1]d</wp:post_id><wp:post_date><![CDATA[2026-01-02 03:04:05]]></wp:post_date><wp:post_date_gmt><![CDATA[2026-01-02 08:04:05]]></wp:post_date_gmt>
<wp:post_modified_gmt><![CDATA[2026-01-03 08:04:05]]></wp:post_modified_gmt><wp:comment_status><![CDATA[open]]></wp:comment_status><wp:post_name><![CDATA[post-%[1]d]]></wp:post_name>
<wp:status><![CDATA[publish]]></wp:status><wp:post_type><![CDATA[post]]></wp:post_type><wp:post_password><![CDATA[]]></wp:post_password><wp:is_sticky>0</wp:is_sticky>
<category domain="category" nicename="r-d"><![CDATA[R&amp;D]]></category><category domain="post_tag" nicename="c"><![CDATA[C++]]></category><category domain="post_format" nicename="post-format-aside"><![CDATA[Aside]]></category>
<wp:postmeta><wp:meta_key><![CDATA[_thumbnail_id]]></wp:meta_key><wp:meta_value><![CDATA[900]]></wp:meta_value></wp:postmeta>
<wp:comment><wp:comment_id>1</wp:comment_id><wp:comment_author><![CDATA[x]]></wp:comment_author><wp:comment_content><![CDATA[status]]></wp:comment_content></wp:comment></item>
`, id)
	for i := 0; i+1 < len(set); i += 2 {
		s = strings.ReplaceAll(s, set[i], set[i+1])
	}
	return s
}

const wxrPicture = `<item><title>pier</title><link>SITE/pier/</link><wp:post_id>900</wp:post_id><wp:status>inherit</wp:status><wp:post_type>attachment</wp:post_type><wp:attachment_url>SITE/up/pier.jpg</wp:attachment_url></item>
`

// importer imports text into a source.
func importer(t *testing.T, db *dbtest.DB, name string, change ...func(*source.ImportOptions)) *source.Importer {
	t.Helper()
	o := source.ImportOptions{Store: db, Source: name, Now: db.Clock.Now}
	for _, f := range change {
		f(&o)
	}
	im, err := source.NewImporter(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func opener(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func export(site string, items ...string) string {
	return strings.ReplaceAll(wxrHead+strings.Join(items, "")+wxrTail, "SITE", site)
}

// What is imported is archive; the WordPress source that comes later knows it
// again, by guid or address, and mails none of it.
func TestWatch_02_ImportThenSource(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		ctx := context.Background()
		pushSource(t, db)
		site := wptest.Start(t)
		for id := range int64(5) {
			site.Publish(id+1, nil)
		}
		site.Publish(2, map[string]any{"link": site.URL + "/moved/post-2/"})                          // known by its guid
		site.Publish(3, map[string]any{"guid": map[string]any{"rendered": site.URL + "/other-guid"}}) // known by its address
		text := export(site.URL, wxrPost(1), wxrPost(2), wxrPost(3, "SITE/post-3/", "http://www.SITE/post-3/?utm_source=x"), wxrPost(4), wxrPost(6), wxrPicture)
		text = strings.ReplaceAll(text, "http://www.http://", "http://")
		report, err := importer(t, db, "cms").WXR(ctx, opener(text))
		if err != nil || report.New != 5 || report.Faults != 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		before := released(t, db)
		if a := before["Post 1 & more"]; len(before) != 5 || !a.Archive || a.Seq == 0 || a.GUID != site.URL+"/?p=1" || a.Authors[0].Name != "Ines O'Dell" || a.Image == nil || a.Image.URL != site.URL+"/up/pier.jpg" ||
			a.ContentHTML != `<p>Body of post 1, first line<br/>`+"\n"+`second line</p>`+"\n"+`<p><img src="`+site.URL+`/a.jpg" alt=""/> A caption</p>`+"\n"+`<p>Last.</p>` ||
			!a.PublishedAt.Equal(time.Date(2026, 1, 2, 8, 4, 5, 0, time.UTC)) || len(a.Categories) != 1 || a.Categories[0].Name != "R&D" || len(a.Tags) != 1 || a.CommentsURL != site.URL+"/post-1/#comments" {
			t.Errorf("%d, article %+v %q", len(before), a, a.ContentHTML)
		}
		client, err := source.NewClient(source.ClientOptions{Now: db.Clock.Now, Allow: []string{"127.0.0.1/32"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		if _, err := db.AddSource(ctx, news.Source{Name: "site", Kind: news.SourceWordPress, Location: site.URL}); err != nil {
			t.Fatal(err)
		}
		w := source.New(source.Options{Store: db, Client: client, Now: db.Clock.Now})
		if got := look(t, w); got.New != 1 { // the fifth
			t.Errorf("first look %+v", got)
		}
		db.Clock.Advance(time.Minute)
		if got := look(t, w); got.New != 0 {
			t.Errorf("second look %+v", got)
		}
		after := released(t, db)
		if len(after) != 6 {
			t.Errorf("%d articles, want the 5 of the site and the one that is only in the file", len(after))
		}
		wp, err := db.SourceByName(ctx, "site")
		if err != nil {
			t.Fatal(err)
		}
		for title, a := range after {
			if !a.Archive || before[title].Seq != 0 && (a.Seq != before[title].Seq || a.GUID != before[title].GUID) {
				t.Errorf("%s: %+v, was %+v", title, a, before[title])
			}
			if own := a.SourceID == wp.ID; own == (title == "Post 6 & more") {
				t.Errorf("%s belongs to source %d", title, a.SourceID)
			}
		}
		if a := after["Post 2 & more"]; a.URL != site.URL+"/moved/post-2/" {
			t.Errorf("not the site's own address: %s", a.URL)
		}
		// The same file again changes nothing, wherever its articles are now.
		report, err = importer(t, db, "site").WXR(ctx, opener(text))
		if err != nil || report.New != 1 || report.Known != 4 {
			t.Errorf("again, into the site's own source: %+v, %v", report, err)
		}
	})
}

// Into the site's own source an import brings what the API does not show any
// more, under the ids that it has there.
func TestWatch_04_ImportIntoItsOwnSource(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		ctx := context.Background()
		site := wptest.Start(t)
		site.Publish(1, map[string]any{"title": map[string]any{"rendered": "Now"}})
		if _, err := db.AddSource(ctx, news.Source{Name: "site", Kind: news.SourceWordPress, Location: site.URL}); err != nil {
			t.Fatal(err)
		}
		text := export(site.URL, wxrPost(1), wxrPost(2))
		dry, err := importer(t, db, "site", func(o *source.ImportOptions) { o.DryRun = true }).WXR(ctx, opener(text))
		if err != nil || dry.New != 2 || len(released(t, db)) != 0 {
			t.Errorf("dry run %+v, %v", dry, err)
		}
		if r, err := importer(t, db, "site").WXR(ctx, opener(text)); err != nil || r.New != 2 {
			t.Fatalf("%+v, %v", r, err)
		}
		client, err := source.NewClient(source.ClientOptions{Now: db.Clock.Now, Allow: []string{"127.0.0.1/32"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		got := look(t, source.New(source.Options{Store: db, Client: client, Now: db.Clock.Now}))
		if all := released(t, db); got.New != 0 || got.Changed != 1 || got.Withdrawn != 1 || len(all) != 1 || !all["Now"].Archive {
			t.Errorf("%+v, %d left", got, len(all))
		}
		if r, err := importer(t, db, "site").WXR(ctx, opener(text)); err != nil || r.New != 0 || r.Known != 2 || len(released(t, db)) != 1 {
			t.Errorf("again: %+v, %v", r, err)
		}
	})
}

func TestImportLeavesOut(t *testing.T) {
	db := dbtest.SQLite(t)
	pushSource(t, db)
	var left []string
	im := importer(t, db, "cms", func(o *source.ImportOptions) {
		o.Left = func(l source.LeftOut) { left = append(left, fmt.Sprint(l.Where, ": ", l.Reason, " ", l.Fault)) }
	})
	report, err := im.WXR(t.Context(), opener(export("https://news.example.org",
		wxrPost(1, "[publish]", "[draft]"), wxrPost(2, "[publish]", "[private]"), wxrPost(3, "[post]", "[page]"), wxrPost(4, "[post]", "[nav_menu_item]"),
		wxrPost(5, "SITE/post-5/", "javascript:x"), wxrPost(6, "<wp:post_id>6</wp:post_id>", ""), wxrPost(7, "2026-01-02 08:04:05", "0000-00-00 00:00:00", "Fri, 02 Jan 2026", "Mon, 30 Nov -0001", "2026-01-02 03:04:05", "0000-00-00 00:00:00"),
		wxrPost(8, "2026-01-02 08:04:05", "0000-00-00 00:00:00"), wxrPost(9, "<wp:post_password><![CDATA[", "<wp:post_password><![CDATA[canary", "Post 9", "Secret"),
		wxrPost(10, "Post 10", "Odd \x0b \xff "), wxrPicture)))
	if err != nil || report.New != 3 || report.Faults != 3 || report.LeftOut["status draft"] != 1 || report.LeftOut["status private"] != 1 || report.LeftOut["post type page"] != 1 || len(report.LeftOut) != 4 {
		t.Errorf("%+v, %v", report, err)
	}
	want := []string{"post 1: status draft false", "post 2: status private false", "post 3: post type page false", "post 5: cannot be used true", "post https://news.example.org/?p=6: cannot be used true", "post 7: cannot be used true"}
	if !slices.Equal(left, want) {
		t.Errorf("left out %q", left)
	}
	all := released(t, db)
	if a := all["Secret & more"]; a.Visibility != news.VisibilityPassword || a.ContentHTML+a.Summary != "" {
		t.Errorf("a protected post: %+v", a)
	}
	if _, ok := all["Odd � & more"]; !ok {
		t.Errorf("odd characters: %v", all)
	}
	for name, text := range map[string]string{
		"cut short": strings.TrimSuffix(export("https://n.example", wxrPost(1)), wxrTail), "feed": `<feed xmlns="http://www.w3.org/2005/Atom"></feed>`, "empty": "", "text": "<",
		"other encoding": strings.Replace(export("https://n.example"), "UTF-8", "windows-1251", 1), "bomb": `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss>&b;</rss>`,
	} {
		if _, err := importer(t, db, "cms").WXR(t.Context(), opener(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A large export is read as a stream, and one item may not fill the memory.
func TestImportIsBounded(t *testing.T) {
	db := dbtest.SQLite(t)
	pushSource(t, db)
	post := strings.ReplaceAll(wxrPost(77, "[publish]", "[draft]", "Last.<script>", strings.Repeat("Text. ", 20_000)), "SITE", "https://n.example")
	const items = 400 // 48 MB
	big := func() (io.ReadCloser, error) {
		parts := []io.Reader{strings.NewReader(wxrHead)}
		for range items {
			parts = append(parts, strings.NewReader(post))
		}
		return io.NopCloser(io.MultiReader(append(parts, strings.NewReader(wxrTail))...)), nil
	}
	runtime.GC()
	var before, peak runtime.MemStats
	runtime.ReadMemStats(&before)
	report, err := importer(t, db, "cms", func(o *source.ImportOptions) {
		o.Left = func(source.LeftOut) {
			var now runtime.MemStats
			if runtime.ReadMemStats(&now); now.HeapAlloc > peak.HeapAlloc {
				peak = now
			}
		}
	}).WXR(t.Context(), big)
	if err != nil || report.LeftOut["status draft"] != items {
		t.Fatalf("%+v, %v", report, err)
	}
	if grown := int64(peak.HeapAlloc) - int64(before.HeapAlloc); grown > 24<<20 {
		t.Errorf("the heap grew by %d MB over a file of %d MB", grown>>20, items*len(post)>>20)
	}
	endless := func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(wxrHead+"<item><title>"), forever("title "))), nil
	}
	if _, err := importer(t, db, "cms").WXR(t.Context(), endless); err == nil || !strings.Contains(err.Error(), "an item of more than") {
		t.Errorf("an item without end: %v", err)
	}
}

// forever repeats itself.
type forever string

func (f forever) Read(p []byte) (int, error) {
	n := 0
	for n+len(f) <= len(p) {
		n += copy(p[n:], f)
	}
	return n, nil
}

func TestImportLinesAndFolder(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		ctx := context.Background()
		pushSource(t, db)
		lines := `{"id":"1","url":"https://n.example/1","title":"One","published_at":"2026-03-02T08:59:00Z"}` + "\n\nnonsense\n" + `{"id":"2","url":"https://n.example/2","title":"Two","embargo_at":"2026-03-05T00:00:00Z"}`
		r, err := importer(t, db, "cms").Lines(ctx, strings.NewReader(lines))
		if err != nil || r.New != 2 || r.Faults != 1 {
			t.Errorf("lines: %+v, %v", r, err)
		}
		dir := t.TempDir()
		for name, text := range map[string]string{
			"a.md": "---\ntitle: A\ndate: 2020-01-01\n---\nText.\n", "sub/b.md": "---\ntitle: B\ndate: 2020-01-01\ndraft: true\n---\nText.\n",
			"bad.md": "---\ntitle: [\n---\n", "data.md": "---\nlayout: x\n---\n", "_drafts/c.md": "---\ntitle: C\n---\n",
		} {
			p := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		r, err = importer(t, db, "cms", func(o *source.ImportOptions) { o.BaseURL = "https://blog.example.org/" }).Folder(ctx, dir)
		if err != nil || r.New != 1 || r.Faults != 1 || r.LeftOut["draft or expired"] != 1 || len(r.LeftOut) != 3 {
			t.Errorf("folder: %+v, %v", r, err)
		}
		// A folder source of the same folder finds its article again.
		if _, err := db.AddSource(ctx, news.Source{Name: "site", Kind: news.SourceFolder, Location: dir, Settings: news.SourceSettings{BaseURL: "https://blog.example.org/"}}); err != nil {
			t.Fatal(err)
		}
		client, err := source.NewClient(source.ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		look(t, source.New(source.Options{Store: db, Client: client, Now: func() time.Time { return time.Now().Add(time.Hour) }}))
		all := released(t, db)
		if len(all) != 2 || !all["One"].Archive || !all["A"].Archive {
			t.Errorf("articles %v", all)
		}
		db.Clock.Advance(100 * time.Hour)
		if two := released(t, db)["Two"]; !two.Archive {
			t.Errorf("the embargoed one, later: %+v", two)
		}
		if _, err := source.NewImporter(ctx, source.ImportOptions{Store: db, Source: "nobody"}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown source: %v", err)
		}
	})
}
