package source_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
)

func gzipped(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.Bytes()
}

// readFeed looks once at a feed with this body.
func readFeed(t *testing.T, contentType, body string, set func(*news.SourceSettings)) map[string]news.Article {
	t.Helper()
	db := dbtest.SQLite(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/dir/feed" || r.URL.RawQuery != "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, strings.ReplaceAll(body, "BASE", "http://"+r.Host))
	}))
	defer srv.Close()
	look(t, watchSource(t, db, news.SourceFeed, srv.URL+"/dir/feed", set))
	all := released(t, db)
	for title, a := range all {
		a.URL = strings.ReplaceAll(a.URL, srv.URL, "BASE")
		a.ContentHTML = strings.ReplaceAll(a.ContentHTML, srv.URL, "BASE")
		if a.Image != nil {
			img := *a.Image
			img.URL = strings.ReplaceAll(img.URL, srv.URL, "BASE")
			a.Image = &img
		}
		all[title] = a
	}
	return all
}

func rssOf(head, items string) string {
	return `<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/" ` +
		`xmlns:media="http://search.yahoo.com/mrss/" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>T</title><link>https://n.example/</link>` + head + items + `</channel></rss>`
}

func TestWatch_40_FeedCharsets(t *testing.T) {
	const russian, french, turkish = "Первая новость дня и ещё несколько слов", "Élève à l’école, où naît l’œuvre", "Işık ve gölge: İstanbul’da bir gün"
	item := func(title string) string {
		return "<item><guid>1</guid><link>https://n.example/1</link><title>" + title + "</title><description>" + title + "</description></item>"
	}
	for name, tc := range map[string]struct {
		enc         interface{ String(string) (string, error) }
		decl, ctype string
		head, title string
	}{
		"koi8-r as UTF-8":         {charmap.KOI8R.NewEncoder(), "UTF-8", "text/xml; charset=utf-8", "", russian},
		"windows-1251 as UTF-8":   {charmap.Windows1251.NewEncoder(), "utf-8", "text/xml", "", russian},
		"koi8-r unlabelled":       {charmap.KOI8R.NewEncoder(), "", "application/rss+xml", "<language>ru</language>", russian},
		"windows-1251 labelled":   {charmap.Windows1251.NewEncoder(), "windows-1251", "text/xml; charset=UTF-8", "", russian},
		"windows-1251 by server":  {charmap.Windows1251.NewEncoder(), "", "text/xml; charset=windows-1251", "", russian},
		"windows-1252 as UTF-8":   {charmap.Windows1252.NewEncoder(), "UTF-8", "text/xml; charset=UTF-8", "", french},
		"windows-1252 as latin-1": {charmap.Windows1252.NewEncoder(), "iso-8859-1", "text/xml", "", french},
		"windows-1254 as UTF-8":   {charmap.Windows1254.NewEncoder(), "UTF-8", "text/xml", "<language>tr-TR</language>", turkish},
		"UTF-8 as latin-1":        {nil, "ISO-8859-1", "text/xml; charset=ISO-8859-1", "", russian},
		"UTF-16 with a mark":      {unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder(), "UTF-16", "text/xml", "", turkish},
		"UTF-16 without":          {unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder(), "UTF-16", "text/xml", "", french},
	} {
		t.Run(name, func(t *testing.T) {
			doc := rssOf(tc.head, item(tc.title))
			if tc.decl != "" {
				doc = `<?xml version="1.0" encoding="` + tc.decl + `"?>` + doc
			}
			if tc.enc != nil {
				var err error
				if doc, err = tc.enc.String(doc); err != nil {
					t.Fatal(err)
				}
			}
			all := readFeed(t, tc.ctype, doc, nil)
			if a, ok := all[tc.title]; !ok || !strings.Contains(a.ContentHTML, tc.title) {
				t.Errorf("read as %v", all)
			}
		})
	}
	t.Run("strays", func(t *testing.T) {
		all := readFeed(t, "text/xml", "\xEF\xBB\xBF\n\n"+rssOf("", item("Größe und Maß \x93so\x94 \x00\x01\x1b\xff ende")), nil)
		for title := range all {
			if title != "Größe und Maß “so” ÿ ende" {
				t.Errorf("%q", title)
			}
		}
	})
}

func TestWatch_41_46_FeedPassword(t *testing.T) {
	all := readFeed(t, "text/xml", rssOf("<generator>https://wordpress.org/?v=6</generator>", `
		<item><guid>1</guid><link>https://n.example/1</link><title>Geschützt: Geheim</title><content:encoded><![CDATA[<form action="/wp-login.php?action=postpass" class="post-password-form" method="post"><p>Enter it: <input name="post_password" type="password"></p></form>]]></content:encoded></item>
		<item><guid>2</guid><link>https://n.example/2</link><title>Protected: Secret</title><description>There is no excerpt because this is a protected post.</description></item>
		<item><guid>3</guid><link>https://n.example/3</link><title>Open</title><content:encoded><![CDATA[<p onclick="x()">Text <script>alert(1)</script><a href="javascript:x">y</a></p><p>The post <a href="https://n.example/3">Open</a> appeared first on <a href="https://n.example">T</a>.</p>]]></content:encoded></item>`), nil)
	for _, title := range []string{"Geheim", "Secret"} {
		if a, ok := all[title]; !ok || a.Visibility != news.VisibilityPassword || a.ContentHTML != "" || a.Summary != "" {
			t.Errorf("%s: %+v of %v", title, a, all)
		}
	}
	if a := all["Open"]; a.ContentHTML != "<p>Text <a>y</a></p>" && a.ContentHTML != "<p>Text y</p>" {
		t.Errorf("cleaned to %q", a.ContentHTML)
	}
}

func TestWatch_42_FeedRelativeLinks(t *testing.T) {
	all := readFeed(t, "application/atom+xml", `<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://n.example/blog/">
		<title>T</title><link rel="self" href="feed.atom"/><link href="/"/>
		<entry><id>urn:1</id><title>Based</title><link href="one/"/><updated>2026-01-01T00:00:00Z</updated>
		<content type="html">&lt;p&gt;See &lt;a href="two/"&gt;two&lt;/a&gt;, &lt;img src="//img.example/a.jpg" srcset="/b.jpg 2x"&gt;&lt;/p&gt;</content></entry></feed>`, nil)
	a := all["Based"]
	if a.URL != "https://n.example/blog/one/" || !strings.Contains(a.ContentHTML, `href="https://n.example/blog/two/"`) || !strings.Contains(a.ContentHTML, `src="https://img.example/a.jpg"`) {
		t.Errorf("%s\n%s", a.URL, a.ContentHTML)
	}
	all = readFeed(t, "text/xml", `<rss version="2.0"><channel><title>T</title><link>/site/</link>
		<item><title>Rel</title><link>posts/1</link><description>&lt;a href="../img"&gt;x&lt;/a&gt; and some more</description></item></channel></rss>`, nil)
	if a := all["Rel"]; a.URL != "BASE/site/posts/1" || !strings.Contains(a.ContentHTML, `href="BASE/site/img"`) {
		t.Errorf("%s\n%s", a.URL, a.ContentHTML)
	}
}

func TestWatch_43_FeedTitles(t *testing.T) {
	want := map[string]string{
		"<title>Fish &amp;#038; Chips</title>":                              "Fish & Chips",
		"<title>AT&amp;T</title>":                                           "AT&T",
		"<title><![CDATA[R&D and <b>bold</b> words]]></title>":              "R&D and bold words",
		"<title><![CDATA[R&amp;D]]></title>":                                "R&D",
		"<title>&amp;amp;amp; explained</title>":                            "&amp; explained",
		"<title>Is 3 &lt; 5?</title>":                                       "Is 3 < 5?",
		"<title>The &amp;lt;b&amp;gt; element</title>":                      "The <b> element",
		"<title>&lt;script&gt;alert(1)&lt;/script&gt;Safe</title>":          "Safe",
		"<title></title><description>No title but words.</description>":     "No title but words",
		"<title>Line\n\tbreaks   and\u00a0spaces</title>":                   "Line breaks and spaces",
		"<dc:title>Of Dublin Core</dc:title><description>x</description>":   "Of Dublin Core",
		"<title>&nbsp;Entity &eacute; of HTML &mdash; unescaped & </title>": "Entity é of HTML — unescaped &",
	}
	var items strings.Builder
	n := 0
	for xml := range want {
		n++
		fmt.Fprintf(&items, "<item><guid>%d</guid><link>https://n.example/%d</link>%s</item>", n, n, xml)
	}
	all := readFeed(t, "text/xml", rssOf("", items.String()), nil)
	for xml, title := range want {
		if _, ok := all[title]; !ok {
			t.Errorf("%s: not read as %q", xml, title)
		}
	}
	if len(all) != len(want) {
		for title := range all {
			t.Logf("%q", title)
		}
	}
}

func TestWatch_45_FeedImages(t *testing.T) {
	all := readFeed(t, "text/xml", rssOf("", `
		<item><guid>1</guid><link>https://n.example/1</link><title>Media</title><media:content url="https://n.example/3000.jpg" medium="image" width="3000"/>
			<media:content url="https://n.example/1100.jpg" medium="image" width="1100" height="700"><media:description>A pier</media:description></media:content>
			<media:thumbnail url="https://n.example/t.jpg" width="90"/><media:content url="https://n.example/f.mp4" medium="video"/></item>
		<item><guid>2</guid><link>https://n.example/2</link><title>Enclosure</title><enclosure url="/e.png" type="image/png" length="9"/></item>
		<item><guid>3</guid><link>https://n.example/3/</link><title>Content</title><description>&lt;img src="1x1.gif" width="1" height="1"&gt;&lt;img data-src="real.jpg" src="data:image/gif;base64,x" alt="Real"&gt; text</description></item>
		<item><guid>4</guid><title>Episode</title><enclosure url="https://n.example/4.mp3" type="audio/mpeg"/><description>Words</description></item>`), nil)
	for title, want := range map[string]string{"Media": "https://n.example/1100.jpg", "Enclosure": "https://n.example/e.png", "Content": "https://n.example/3/real.jpg", "Episode": ""} {
		a, got := all[title], ""
		if a.Image != nil {
			got = a.Image.URL
		}
		if got != want || a.Title == "" {
			t.Errorf("%s: image %q, want %q", title, got, want)
		}
	}
	if a := all["Media"]; a.Image == nil || a.Image.Alt != "A pier" {
		t.Errorf("alt %+v", a.Image)
	}
	if a := all["Episode"]; a.URL != "https://n.example/4.mp3" {
		t.Errorf("an episode without a page: %q", a.URL)
	}
}

// What feeds call categories, who wrote, what is a summary.
func TestFeedFields(t *testing.T) {
	doc := rssOf("<language>tr-TR</language>", `
		<item><guid>1</guid><link>https://n.example/1</link><title>One</title><category>World &amp;amp; Life</category><category domain="https://n.example/tag">ports</category>
			<dc:subject>keyword</dc:subject><dc:creator>Ana Reis</dc:creator><comments>https://n.example/1#c</comments>
			<description>Somebody wrote this summary.</description><content:encoded>&lt;p&gt;The content is another text.&lt;/p&gt;</content:encoded></item>
		<item><guid>2</guid><link>https://n.example/2?utm_source=x&amp;id=4</link><title>Two</title><author>ben@n.example (Ben Oz)</author></item>`)
	kinds := func(a news.Article) (c, tags []string) {
		for _, x := range a.Categories {
			c = append(c, x.Name)
		}
		for _, x := range a.Tags {
			tags = append(tags, x.Name)
		}
		return c, tags
	}
	for as, want := range map[string]string{
		"":                "[World & Life] [ports keyword]",
		news.AsCategories: "[World & Life ports keyword] []",
		news.AsTags:       "[] [World & Life ports keyword]",
	} {
		all := readFeed(t, "text/xml", doc, func(s *news.SourceSettings) { s.CategoriesAs = as })
		a := all["One"]
		c, tags := kinds(a)
		if got := fmt.Sprint(c, " ", tags); got != want {
			t.Errorf("categories as %q: %s, want %s", as, got, want)
		}
		if a.Summary != "Somebody wrote this summary." || a.Language != "tr-TR" || a.CommentsURL != "https://n.example/1#c" || len(a.Authors) != 1 || a.Authors[0].Name != "Ana Reis" || a.GUID != "1" {
			t.Errorf("%+v", a)
		}
		if b := all["Two"]; b.URL != "https://n.example/2?id=4" || len(b.Authors) != 1 || b.Authors[0].Name != "Ben Oz" {
			t.Errorf("%+v", b)
		}
	}
	all := readFeed(t, "application/feed+json", `{"version":"https://jsonfeed.org/version/1.1","title":"T","language":"en","authors":[{"name":"Ana"}],"items":[
		{"id":5,"url":"/5","title":"Uses <b> & R&amp;D","content_text":"Line one\nline two\n\nNext","tags":["a",7,null],"date_published":"2026-01-01T00:00:00Z","image":"/i.jpg"},
		{"id":"6","external_url":"https://n.example/6","content_html":"<p>Untitled words here.</p>","attachments":"odd"}, 7, null]}`, nil)
	a := all["Uses <b> & R&D"]
	if a.URL != "BASE/5" || !strings.Contains(a.ContentHTML, "Line one<br") || len(a.Authors) != 1 || a.Image == nil {
		t.Errorf("%+v of %v", a, all)
	}
	if _, tags := kinds(a); fmt.Sprint(tags) != "[a 7]" {
		t.Errorf("tags %v", tags)
	}
	if b := all["Untitled words here"]; b.URL != "https://n.example/6" {
		t.Errorf("%v", all)
	}
}

// Formats and shapes found in real feeds.
func TestFeedShapes(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want string // title, url
	}{
		"RDF": {`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel rdf:about="https://n.example/"><title>T</title><link>https://n.example/</link></channel>
			<item rdf:about="https://n.example/1"><title>One</title><link>https://n.example/1</link><description>d</description></item></rdf:RDF>`, "One https://n.example/1"},
		"RSS 0.91 with a DTD": {`<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://n.example/rss.dtd"><rss version="0.91"><channel><title>T</title><item><title>One</title><link>https://n.example/1</link></item></channel></rss>`, "One https://n.example/1"},
		"Atom 0.3":            {`<feed version="0.3" xmlns="http://purl.org/atom/ns#"><title>T</title><entry><title mode="escaped">One</title><link rel="alternate" type="text/html" href="https://n.example/1"/><id>x</id><issued>2003-12-13T08:29:29-04:00</issued></entry></feed>`, "One https://n.example/1"},
		"a warning before it": {"<br />\n<b>Warning</b>: something in /x.php on line 3<br />\n" + rssOf("", "<item><title>One</title><link>https://n.example/1</link></item>"), "One https://n.example/1"},
		"XHTML content":       {`<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><entry><id>x</id><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">One</div></title><link href="https://n.example/1"/><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Hi</p></div></content></entry></feed>`, "One https://n.example/1"},
		"hidden address":      {`<rss version="2.0" xmlns:feedburner="http://rssnamespace.org/feedburner/ext/1.0"><channel><item><title>One</title><link>https://feeds.example/~r/1</link><feedburner:origLink>https://n.example/1</feedburner:origLink></item></channel></rss>`, "One https://n.example/1"},
		"guid as address":     {`<rss version="2.0"><channel><item><title>One</title><guid>https://n.example/1</guid></item></channel></rss>`, "One https://n.example/1"},
		"several links":       {`<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>x</id><title>One</title><link rel="alternate" type="text/x-markdown" href="https://n.example/1.md"/><link rel="edit" href="https://n.example/edit"/><link rel="alternate" type="text/html" href="https://n.example/1"/></entry></feed>`, "One https://n.example/1"},
		"capital elements":    {`<RSS version="2.0"><CHANNEL><ITEM><TITLE>One</TITLE><LINK>https://n.example/1</LINK></ITEM></CHANNEL></RSS>`, "One https://n.example/1"},
		"unpacked twice":      {string(gzipped(rssOf("", "<item><title>One</title><link>https://n.example/1</link></item>"))), "One https://n.example/1"},
	} {
		t.Run(name, func(t *testing.T) {
			all := readFeed(t, "application/xml", tc.body, nil)
			title, link, _ := strings.Cut(tc.want, " ")
			if a, ok := all[title]; !ok || a.URL != link {
				t.Errorf("read as %+v", all)
			}
		})
	}
}
