package feeds

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
)

// rule is one rule about the formats: how an article or a channel is changed,
// and what then stands in each format, or with a leading ! does not.
type rule struct {
	name            string
	article         func(*news.Article)
	channel         func(*Channel)
	rss, atom, json []string
}

func TestChannelRules(t *testing.T) {
	for _, r := range []rule{
		{name: "self once, hub each, alternate",
			rss:  []string{`<atom:link rel="self" type="application/rss+xml" href="https://news.harbour.example/feeds/all.rss">`, `rel="hub" href="https://hub.example/"`, `<rss version="2.0"`},
			atom: []string{`<link rel="self" type="application/atom+xml" href="https://news.harbour.example/feeds/all.atom">`, `rel="hub" href="https://hub.example/"`, `rel="alternate" type="text/html" href="https://harbour.example/"`},
			json: []string{`"version": "https://jsonfeed.org/version/1.1"`, `"feed_url": "https://news.harbour.example/feeds/all.json"`, `"home_page_url": "https://harbour.example/"`, `"type": "WebSub",`, `"url": "https://hub.example/"`}},
		{name: "id is the channel's, not the link", channel: func(c *Channel) { c.ID = "urn:x:1" }, atom: []string{"<id>urn:x:1</id>"}},
		{name: "channel times are the newest of the items",
			rss:  []string{"<lastBuildDate>Thu, 20 Nov 2025 08:05:00 +0000</lastBuildDate>", "<pubDate>Wed, 19 Nov 2025 13:28:00 +0000</pubDate>"},
			atom: []string{"<updated>2025-11-20T08:05:00Z</updated>\n  <icon>"}},
		{name: "language", channel: func(c *Channel) { c.Language = "tr-TR" }, rss: []string{"<language>tr-TR</language>"}, atom: []string{`xml:lang="tr-TR"`}, json: []string{`"language": "tr-TR"`}},
		{name: "no language rather than a bad one", channel: func(c *Channel) { c.Language = "en_US" }, rss: []string{"!<language>"}, atom: []string{"!en_US"}, json: []string{"!en_US"}},
		{name: "ttl in whole minutes, upwards", channel: func(c *Channel) { c.TTL = 61 * time.Second }, rss: []string{"<ttl>2</ttl>"}},
		{name: "no ttl", channel: func(c *Channel) { c.TTL = -time.Hour }, rss: []string{"!<ttl>"}},
		{name: "skipHours holds hour elements", rss: []string{"<skipHours>\n      <hour>1</hour>\n      <hour>2</hour>\n      <hour>3</hour>\n    </skipHours>"}},
		{name: "no skipHours", channel: func(c *Channel) { c.SkipHours = nil }, rss: []string{"!skipHours"}},
		{name: "icon, logo, generator, rights, subtitle",
			rss:  []string{"<url>https://harbour.example/logo.png</url>", "<generator>gazetted</generator>", "<copyright>© The Harbour Gazette</copyright>", "<description>World news, seen from the quay</description>"},
			atom: []string{"<icon>https://harbour.example/icon.png</icon>", "<logo>https://harbour.example/logo.png</logo>", "<generator>gazetted</generator>", "<rights>© The Harbour Gazette</rights>", "<subtitle>World news, seen from the quay</subtitle>"},
			json: []string{`"icon": "https://harbour.example/icon.png"`, `"rights": "© The Harbour Gazette"`, `"description": "World news, seen from the quay"`}},
		{name: "RSS falls back on the icon", channel: func(c *Channel) { c.Logo = "" }, rss: []string{"<url>https://harbour.example/icon.png</url>"}, atom: []string{"!<logo>"}},
		{name: "RSS requires a description", channel: func(c *Channel) { c.Description = "" }, rss: []string{"    <description>The Harbour Gazette</description>"}, atom: []string{"!<subtitle>"}},
		{name: "no HTML in a channel's title", channel: func(c *Channel) { c.Title = "<b>Sea</b> & Sky" }, rss: []string{"<title>Sea &amp; Sky</title>"}, atom: []string{"<title>Sea &amp; Sky</title>"}, json: []string{`"title": "Sea & Sky"`}},
		{name: "a hub that is given twice stands once", channel: func(c *Channel) { c.Hubs = []string{"https://h.example", " https://h.example"} },
			rss: []string{"all.rss\"></atom:link>\n    <atom:link rel=\"hub\" href=\"https://h.example\"></atom:link>\n    <skipHours>"}},
		{name: "hubs that are no URL are left out", channel: func(c *Channel) { c.Hubs = []string{"javascript:x"} }, rss: []string{`!rel="hub"`}, atom: []string{`!rel="hub"`}, json: []string{`!"hubs"`}},
		{name: "a feed has an author for entries without", article: func(a *news.Article) { a.Authors = nil }, atom: []string{"  <author>\n    <name>The Harbour Gazette</name>"}, rss: []string{"!dc:creator>"}},
	} {
		t.Run(r.name, r.check)
	}
}

func TestItemRules(t *testing.T) {
	for _, r := range []rule{
		{name: "guid that is not the link", rss: []string{`<guid isPermaLink="false">https://harbour.example/?p=51</guid>`}, atom: []string{"<id>https://harbour.example/?p=51</id>"}, json: []string{`"id": "https://harbour.example/?p=51"`}},
		{name: "guid that is the link, encoded alike", article: func(a *news.Article) { a.URL, a.GUID = "https://harbour.example/ä", "https://harbour.example/ä" },
			rss: []string{`<guid isPermaLink="true">https://harbour.example/%C3%A4</guid>`, "<link>https://harbour.example/%C3%A4</link>"}, atom: []string{"<id>https://harbour.example/%C3%A4</id>"}},
		{name: "guid that is any text", article: func(a *news.Article) { a.GUID = "51" },
			rss: []string{`<guid isPermaLink="false">51</guid>`}, atom: []string{"<id>urn:uuid:031b4af5-197e-830a-926f-48cf40e11a7d</id>"}, json: []string{`"id": "51"`}},
		{name: "no guid: the link", article: func(a *news.Article) { a.GUID = " \x00" }, rss: []string{`<guid isPermaLink="true">https://harbour.example/cranes</guid>`}},
		{name: "published and updated",
			rss:  []string{"<pubDate>Wed, 19 Nov 2025 13:28:00 +0000</pubDate>", "<atom:updated>2025-11-20T08:05:00Z</atom:updated>"},
			atom: []string{"<published>2025-11-19T13:28:00Z</published>", "    <updated>2025-11-20T08:05:00Z</updated>"},
			json: []string{`"date_published": "2025-11-19T13:28:00Z"`, `"date_modified": "2025-11-20T08:05:00Z"`}},
		{name: "never edited", article: func(a *news.Article) { a.UpdatedAt = time.Time{} },
			rss: []string{"!atom:updated"}, atom: []string{"    <updated>2025-11-19T13:28:00Z</updated>"}, json: []string{"!date_modified"}},
		{name: "local times become UTC, seconds whole", article: func(a *news.Article) {
			a.PublishedAt = time.Date(2025, 11, 19, 16, 28, 0, 999e6, time.FixedZone("", 3*3600))
		}, rss: []string{"Wed, 19 Nov 2025 13:28:00 +0000"}, atom: []string{"<published>2025-11-19T13:28:00Z</published>"}, json: []string{`"2025-11-19T13:28:00Z"`}},
		{name: "years that cannot be written are no dates", channel: func(c *Channel) { c.RelatedTo = nil }, article: func(a *news.Article) {
			a.PublishedAt, a.FirstSeenAt, a.UpdatedAt = time.Unix(1<<40, 0), time.Time{}, time.Unix(1<<50, 0)
		},
			rss: []string{"!<pubDate>", "!lastBuildDate"}, atom: []string{"!<published>", "    <updated>1970-01-01T00:00:00Z</updated>"}, json: []string{"!date_"}},
		{name: "several categories, told from tags",
			rss:  []string{`<category domain="https://harbour.example/category">US</category>`, `<category domain="https://harbour.example/tag">US</category>`, `<category domain="https://harbour.example/category">Sea &amp; Sky</category>`},
			atom: []string{`<category term="us" scheme="https://harbour.example/category" label="US"></category>`, `<category term="u-s-military" scheme="https://harbour.example/tag" label="U.S. Military"></category>`},
			json: []string{"\"tags\": [\n        \"US\",\n        \"Sea & Sky\",\n        \"U.S. Military\"\n      ]", `"slug": "u-s-military"`}},
		{name: "taxonomies without URLs", channel: func(c *Channel) { c.TermURL = nil },
			rss: []string{`domain="urn:gazetted:category">US<`, `domain="urn:gazetted:tag">US<`}, atom: []string{`scheme="urn:gazetted:category"`, `scheme="urn:gazetted:tag"`}},
		{name: "the same term once, blank ones never", article: func(a *news.Article) { a.Tags, a.Categories = append(a.Tags, a.Tags[0], news.Term{Name: "\x01"}), nil },
			rss: []string{`<category domain="https://harbour.example/tag">U.S. Military</category>` + "\n" + `      <category domain="https://harbour.example/tag">US</category>` + "\n      <dc:"}},
		{name: "all authors in one dc:creator, none in author",
			rss:  []string{"<dc:creator>Nina Kapoor, Ana Berg</dc:creator>", "!<author>"},
			atom: []string{"<name>Nina Kapoor</name>\n      <uri>https://harbour.example/author/nina</uri>", "<name>Ana Berg</name>"},
			json: []string{`"authors": [`, `"name": "Ana Berg"`, `!"author":`}},
		{name: "addresses are never published", article: func(a *news.Article) { a.Authors = []news.Author{{Name: "nina@harbour.example (Nina)"}} },
			rss: []string{"<dc:creator>Nina</dc:creator>", "!nina@"}, atom: []string{"<name>Nina</name>", "!nina@"}, json: []string{`"name": "Nina"`, "!nina@"}},
		{name: "enclosure with url, length and type",
			rss:  []string{`<enclosure url="https://harbour.example/cranes.jpg" length="84512" type="image/jpeg">`},
			atom: []string{`<link rel="enclosure" type="image/jpeg" href="https://harbour.example/cranes.jpg" length="84512">`},
			json: []string{`"mime_type": "image/jpeg"`, `"size_in_bytes": 84512`}},
		{name: "no enclosure without length", article: func(a *news.Article) { a.Image.Bytes = -1 }, rss: []string{"!<enclosure", "!fileSize", "<media:content"}, atom: []string{"!enclosure"}, json: []string{"!attachments", `"image": "https://harbour.example/cranes.jpg"`}},
		{name: "no enclosure without type", article: func(a *news.Article) { a.Image.Type = "" }, rss: []string{"!<enclosure"}, atom: []string{"!enclosure"}, json: []string{"!attachments", "!mime_type"}},
		{name: "picture with its description, not in a group",
			rss:  []string{`type="image/jpeg" medium="image" width="1200" height="800">`, `<media:title type="plain">Two cranes at dawn</media:title>`, `<media:description type="plain">Two cranes at dawn</media:description>`, "!media:group"},
			atom: []string{`type="image/jpeg" medium="image" width="1200" height="800">`, "!media:group"},
			json: []string{`"alt": "Two cranes at dawn"`, `"width": 1200`, "!banner_\""}},
		{name: "picture of which only the URL is known", article: func(a *news.Article) { a.Image = &news.Image{URL: a.Image.URL} }, rss: []string{`<media:content url="https://harbour.example/cranes.jpg" medium="image">`, "!media:title"}},
		{name: "picture without URL", channel: func(c *Channel) { c.RelatedTo = nil }, article: func(a *news.Article) { a.Image.URL = "data:image/png;base64,AA" }, rss: []string{"!media:content url", "!<enclosure"}, atom: []string{"!<media:content"}, json: []string{`!"image"`}},
		{name: "comments", rss: []string{"<comments>https://harbour.example/cranes#comments</comments>"}, atom: []string{`<link rel="replies" type="text/html" href="https://harbour.example/cranes#comments">`}, json: []string{`"comments_url": "https://harbour.example/cranes#comments"`}},
		{name: "no comments", article: func(a *news.Article) { a.CommentsURL = "" }, rss: []string{"!comments"}, atom: []string{"!replies"}, json: []string{"!comments_url"}},
		{name: "source has a url", rss: []string{`<source url="https://partner.example/feed.xml">Pier &amp; Partners</source>`}, atom: []string{`<link rel="via" href="https://partner.example/feed.xml" title="Pier &amp; Partners">`}},
		{name: "own articles have no source", article: func(a *news.Article) { a.SourceID = 1 }, rss: []string{"!<source"}, atom: []string{`!"via"`}, json: []string{`!"source"`}},
		{name: "related articles", atom: []string{`<link rel="related" type="text/html" href="https://harbour.example/tides" title="Tides &amp; times">`, "!Itself", "!Has no page"},
			json: []string{`"related": [`, `"title": "Tides & times"`, `"image": "https://harbour.example/tides.jpg"`, "!Itself", "!Has no page", "!hidden.jpg"}},
		{name: "related articles are optional", channel: func(c *Channel) { c.RelatedTo = nil }, atom: []string{"!related"}, json: []string{"!related"}},
		{name: "another language than the feed's", rss: []string{"<dc:language>en-GB</dc:language>"}, atom: []string{`<entry xml:lang="en-GB">`}, json: []string{`"language": "en-GB"`}},
		{name: "the feed's language", article: func(a *news.Article) { a.Language = "EN" }, rss: []string{"!dc:language"}, atom: []string{"<entry>"}},
		{name: "short description plus the whole body",
			rss:  []string{"<description>Two cranes, one rope &amp;amp; no plan.</description>", "<content:encoded><![CDATA[<p>Two cranes.</p>\n<p>One rope: <code>a[b[0]]]]><![CDATA[>1</code> &amp; no plan.</p>]]></content:encoded>"},
			atom: []string{`<summary type="text">Two cranes, one rope &amp; no plan.</summary>`, `<content type="html"><![CDATA[<p>Two cranes.</p>`},
			json: []string{`"summary": "Two cranes, one rope & no plan."`, `"content_html": "<p>Two cranes.</p>\n`, `!"content_text"`}},
		{name: "summaries only", channel: func(c *Channel) { c.FullContent = false },
			rss: []string{"!content:encoded>", "<description>Two cranes"}, atom: []string{"!<content", "<summary"}, json: []string{"!content_html", `"content_text": "Two cranes, one rope & no plan."`}},
		{name: "no HTML in titles", article: func(a *news.Article) { a.Title = "The <em>new</em> rules\n& <script>x</script>" },
			rss: []string{"<title>The new rules &amp; x</title>"}, atom: []string{"<title>The new rules &amp; x</title>"}, json: []string{`"title": "The new rules & x"`}},
		{name: "no title", article: func(a *news.Article) { a.Title = "" }, rss: []string{"<item>\n      <link>"}, atom: []string{"    <title></title>"}, json: []string{"!\"title\": \"\""}},
		{name: "neither title nor summary", article: func(a *news.Article) { a.Title, a.Summary, a.ContentHTML = "", "", "" },
			rss: []string{"<title>https://harbour.example/cranes</title>"}, atom: []string{"!<summary"}, json: []string{`"content_text": "https://harbour.example/cranes"`}},
		{name: "no usable URL", article: func(a *news.Article) { a.URL, a.ContentHTML = "javascript:alert(1)", "" },
			rss: []string{"!javascript", "!<link></link>"}, atom: []string{"!javascript", `!href=""`, `<content type="text"><![CDATA[Two cranes, one rope & no plan.]]></content>`}, json: []string{"!javascript"}},
	} {
		t.Run(r.name, r.check)
	}
}

func (r rule) check(t *testing.T) {
	c, a := testChannel(), fullArticle()
	if r.channel != nil {
		r.channel(&c)
	}
	if r.article != nil {
		r.article(&a)
	}
	for f, texts := range map[news.FeedFormat][]string{news.FormatRSS: r.rss, news.FormatAtom: r.atom, news.FormatJSON: r.json} {
		wants(t, must(t, f, c, a), texts...)
	}
	checkFeed(t, c, []news.Article{a})
}

// TestHidden: of what is not public, nothing but title, link, summary, dates,
// authors and terms leaves, however much the channel gives.
func TestHidden(t *testing.T) {
	for _, v := range []news.Visibility{news.VisibilityMembers, news.VisibilityPassword, "", "PUBLIC", "later"} {
		a := membersArticle()
		a.Visibility = v
		for _, f := range news.FeedFormats() {
			wants(t, must(t, f, testChannel(), a), "For members", "https://harbour.example/members", "Two cranes, one rope", "!SECRET", "!secret.jpg")
		}
	}
}

// TestAtomCounts: RFC 4287 §4.1 says how often an element may stand.
func TestAtomCounts(t *testing.T) {
	var feed struct {
		ID      []string `xml:"id"`
		Title   []string `xml:"title"`
		Updated []string `xml:"updated"`
		Authors []string `xml:"author>name"`
		Links   []struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		} `xml:"link"`
		Entries []struct {
			ID        []string `xml:"id"`
			Title     []string `xml:"http://www.w3.org/2005/Atom title"`
			Updated   []string `xml:"updated"`
			Published []string `xml:"published"`
			Summary   []string `xml:"summary"`
			Content   []string `xml:"http://www.w3.org/2005/Atom content"`
			Links     []struct {
				Rel string `xml:"rel,attr"`
			} `xml:"link"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal([]byte(must(t, news.FormatAtom, testChannel(), fullArticle())), &feed); err != nil {
		t.Fatal(err)
	}
	e := feed.Entries[0]
	for name, values := range map[string][]string{"feed id": feed.ID, "feed title": feed.Title, "feed updated": feed.Updated, "feed author": feed.Authors,
		"id": e.ID, "title": e.Title, "updated": e.Updated, "published": e.Published, "summary": e.Summary, "content": e.Content} {
		if len(values) != 1 {
			t.Errorf("%s stands %d times: %q", name, len(values), values)
		}
	}
	rels := map[string]int{}
	for _, l := range feed.Links {
		rels["feed "+l.Rel]++
	}
	for _, l := range e.Links {
		rels[l.Rel]++
	}
	for rel, want := range map[string]int{"feed self": 1, "feed alternate": 1, "feed hub": 2, "alternate": 1, "enclosure": 1, "replies": 1, "related": 2} {
		if rels[rel] != want {
			t.Errorf("link %s stands %d times, want %d", rel, rels[rel], want)
		}
	}
}

func TestEmptyFeed(t *testing.T) {
	wants(t, must(t, news.FormatRSS, testChannel()), "!lastBuildDate", "!pubDate", "!<item>")
	wants(t, must(t, news.FormatAtom, testChannel()), "<updated>1970-01-01T00:00:00Z</updated>", "<author>")
	wants(t, must(t, news.FormatJSON, testChannel()), `"items": []`)
}

func TestBuild(t *testing.T) {
	for f, want := range map[news.FeedFormat]string{
		news.FormatRSS: "application/rss+xml; charset=utf-8", news.FormatAtom: "application/atom+xml; charset=utf-8", news.FormatJSON: "application/feed+json",
	} {
		_, got, err := Build(f, testChannel(), nil)
		if err != nil || got != want || !strings.HasPrefix(got, MediaType(f)) {
			t.Errorf("%s is served as %q (%v), want %q", f, got, err, want)
		}
	}
	if _, _, err := Build("gopher", testChannel(), nil); !errors.Is(err, news.ErrNotFound) || MediaType("gopher") != "" {
		t.Errorf("unknown format: %v", err)
	}
	for field, spoil := range map[string]func(*Channel){
		"id":   func(c *Channel) { c.ID = "all" },
		"link": func(c *Channel) { c.Link = "/" },
		"self": func(c *Channel) { c.Self = nil },
	} {
		for _, f := range news.FeedFormats() {
			c := testChannel()
			spoil(&c)
			var fault *news.FieldError
			if body, _, err := Build(f, c, nil); !errors.As(err, &fault) || fault.Field != field || body != nil {
				t.Errorf("%s with a bad %s: %v", f, field, err)
			}
		}
	}
}

// TestInputIsKept: what is passed in belongs to the caller, who builds other
// feeds of it at the same time.
func TestInputIsKept(t *testing.T) {
	c, items := testChannel(), []news.Article{fullArticle(), hostileArticle()}
	var before []string
	for _, f := range news.FeedFormats() {
		before = append(before, must(t, f, c, items...))
	}
	for i, f := range news.FeedFormats() {
		if must(t, f, c, items...) != before[i] {
			t.Errorf("%s differs after other formats were built", f)
		}
	}
	if c.SkipHours[0] != 3 || items[0].Categories[0].Name != "US" || items[1].Title != hostileArticle().Title {
		t.Error("the input was changed")
	}
}
