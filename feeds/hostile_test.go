package feeds

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mmcdole/gofeed"

	"gazetted/internal/news"
)

// wellFormed reads doc as strictly as encoding/xml can.
func wellFormed(t *testing.T, doc string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	d.Strict = true
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("not well-formed: %v\n%.4000s", err, doc)
		}
	}
}

// checkFeed holds what every feed must be, whatever is in it.
func checkFeed(t *testing.T, c Channel, items []news.Article) {
	t.Helper()
	for _, f := range news.FeedFormats() {
		doc := must(t, f, c, items...)
		if again := must(t, f, c, items...); again != doc {
			t.Fatalf("%s: two builds differ", f)
		}
		if !utf8.ValidString(doc) {
			t.Fatalf("%s: not UTF-8", f)
		}
		if f == news.FormatJSON {
			if !json.Valid([]byte(doc)) {
				t.Fatalf("not JSON:\n%.4000s", doc)
			}
		} else {
			wellFormed(t, doc)
		}
		parsed, err := parser().ParseString(doc)
		if err != nil {
			t.Fatalf("%s: gofeed: %v\n%.4000s", f, err, doc)
		}
		if len(parsed.Items) != len(items) {
			t.Fatalf("%s: gofeed found %d items of %d\n%.4000s", f, len(parsed.Items), len(items), doc)
		}
		for i, item := range parsed.Items {
			if item.GUID == "" {
				t.Errorf("%s: item %d has no id", f, i)
			}
		}
	}
}

func parser() *gofeed.Parser {
	p := gofeed.NewParser()
	p.RSSTranslator = &gofeed.DefaultRSSTranslator{DisableContentImageScan: true}
	return p
}

// chaos makes random articles out of everything that has ever broken a feed.
type chaos struct{ *rand.Rand }

func (c chaos) text(longest int) string {
	scraps := []string{
		"]]>", "<![CDATA[", "<b>", "</b>", "<script>", "&", "&amp;", "&#0;", "&nbsp;", "<", ">", "\"", "'", "\x00", "\x0b", "\x1f", "\x7f", "\u0085",
		"\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\ufffe", "\uffff", "\ufffd", "\ufeff", "\u2028", "\u202e", "🦞", "👨‍👩‍👧", "é", "عربى", "中文", "\r\n", "\n", "\t", " ",
		"word", "-->", "<!--", "<?xml", "%", "%zz", "%41", "http://", "javascript:", "\\", "{{.}}", "a@b.example",
	}
	var b strings.Builder
	for range c.IntN(longest + 1) {
		if c.IntN(4) == 0 {
			b.WriteByte(byte(c.IntN(256)))
			continue
		}
		b.WriteString(scraps[c.IntN(len(scraps))])
	}
	return b.String()
}

func (c chaos) url() string {
	switch c.IntN(4) {
	case 0:
		return c.text(6)
	case 1:
		return "https://" + c.text(3) + "/" + c.text(6)
	case 2:
		return "/relative/" + c.text(3)
	default:
		return "https://harbour.example/" + c.text(8)
	}
}

func (c chaos) time() time.Time {
	switch c.IntN(6) {
	case 0:
		return time.Time{}
	case 1:
		return time.Unix(c.Int64(), 0)
	case 2:
		return time.Unix(-c.Int64N(1<<40), 0)
	default:
		return time.Unix(c.Int64N(1<<33), c.Int64N(1e9)).In(time.FixedZone("", c.IntN(48*1800)-24*1800))
	}
}

func (c chaos) terms() []news.Term {
	out := make([]news.Term, c.IntN(4))
	for i := range out {
		out[i] = news.Term{ID: c.Int64N(3), Slug: c.text(2), Name: c.text(3)}
	}
	return out
}

func (c chaos) article() news.Article {
	if c.IntN(10) == 0 {
		return news.Article{}
	}
	visibilities := []news.Visibility{news.VisibilityPublic, news.VisibilityPublic, news.VisibilityMembers, news.VisibilityPassword, "", news.Visibility(c.text(2))}
	a := news.Article{
		ID: c.Int64N(1000), SourceID: c.Int64N(5), NativeID: c.text(3), URL: c.url(), GUID: c.url(), Title: c.text(10), Summary: c.text(20),
		ContentHTML: c.text(200), Language: c.text(2), CommentsURL: c.url(), Visibility: visibilities[c.IntN(len(visibilities))],
		PublishedAt: c.time(), UpdatedAt: c.time(), FirstSeenAt: c.time(), Categories: c.terms(), Tags: c.terms(),
	}
	for range c.IntN(3) {
		a.Authors = append(a.Authors, news.Author{Name: c.text(4), URL: c.url()})
	}
	if c.IntN(2) == 0 {
		a.Image = &news.Image{URL: c.url(), Alt: c.text(5), Type: []string{"image/png", "", c.text(3)}[c.IntN(3)], Width: c.IntN(9) - 2, Height: c.IntN(9), Bytes: c.Int64N(9) - 2}
	}
	return a
}

func (c chaos) channel() Channel {
	ch := testChannel()
	ch.Title, ch.Description, ch.Language, ch.Rights = c.text(5), c.text(9), c.text(2), c.text(5)
	ch.Icon, ch.Logo, ch.Hubs = c.url(), c.url(), []string{c.url(), c.url()}
	ch.TTL = time.Duration(c.Int64N(1e12) - 1e11)
	ch.FullContent = c.IntN(4) > 0
	ch.TermURL = func(t news.Term) string { return "https://harbour.example/" + t.Name }
	seed := c.Uint64()
	ch.RelatedTo = func(id int64) []news.Article {
		again := chaos{rand.New(rand.NewPCG(seed, uint64(id)))}
		return []news.Article{again.article(), again.article()}
	}
	ch.Origin = func(id int64) Origin {
		again := chaos{rand.New(rand.NewPCG(seed, uint64(id)))}
		return Origin{Title: again.text(4), FeedURL: again.url()}
	}
	return ch
}

// TestAnyArticles holds that no article whatever makes a feed that cannot be read.
func TestAnyArticles(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := chaos{rand.New(rand.NewPCG(seed, 1))}
			items := make([]news.Article, c.IntN(6))
			for i := range items {
				items[i] = c.article()
			}
			checkFeed(t, c.channel(), items)
		})
	}
}

func TestLargeBodies(t *testing.T) {
	c := chaos{rand.New(rand.NewPCG(1, 2))}
	var items []news.Article
	for _, unit := range []string{c.text(500), "]]>", "\x00\xff", "<p>plain text</p>\n"} {
		a := fullArticle()
		a.ContentHTML = strings.Repeat(unit, 1<<20/max(len(unit), 1)+1)
		items = append(items, a)
	}
	a := fullArticle()
	a.Title, a.Summary, a.GUID = strings.Repeat("<b>", 1<<16), strings.Repeat(">", 1<<16), strings.Repeat("<", 1<<16)
	checkFeed(t, testChannel(), append(items, a))
}

// TestBodySurvives: what may be in a body comes out of each format as it went in.
func TestBodySurvives(t *testing.T) {
	for in, want := range map[string]string{
		"a]]>b":                 "a]]>b",
		"]]>]]>":                "]]>]]>",
		"]]]]>>":                "]]]]>>",
		"x\x00y\x1bz":           "xyz",
		"x\xffy\xc3":            "xy",
		"\xed\xa0\x80.":         ".",
		"a\ufffeb\uffffc\ufffd": "abc\ufffd",
		"<p>🦞 &amp; &lt;</p>":   "<p>🦞 &amp; &lt;</p>",
		"tab\tline\nend":        "tab\tline\nend",
	} {
		a := fullArticle()
		a.ContentHTML = in
		for _, f := range news.FeedFormats() {
			feed, err := parser().ParseString(must(t, f, testChannel(), a))
			if err != nil {
				t.Fatalf("%s of %q: %v", f, in, err)
			}
			if got := feed.Items[0].Content; got != want {
				t.Errorf("%s of %q: got %q, want %q", f, in, got, want)
			}
		}
	}
}

func FuzzBuild(f *testing.F) {
	h := hostileArticle()
	f.Add(h.Title, h.ContentHTML, h.URL, h.GUID, "tag", int64(0))
	f.Add("", "", "", "", "", int64(1)<<60)
	f.Add("a", "]]>", "https://ü.example/[x]", "urn:a:%", "<i>", int64(-1)<<40)
	f.Fuzz(func(t *testing.T, text, body, link, id, tag string, unix int64) {
		a := fullArticle()
		a.Title, a.Summary, a.ContentHTML, a.URL, a.GUID = text, text, body, link, id
		a.Image.URL, a.Image.Alt, a.Image.Type = link, text, tag
		a.Authors = []news.Author{{Name: text, URL: link}}
		a.Tags = []news.Term{{Slug: tag, Name: tag}}
		a.PublishedAt, a.UpdatedAt = time.Unix(unix, 0), time.Unix(unix, 0).Add(time.Hour)
		checkFeed(t, testChannel(), []news.Article{a, {URL: link, Visibility: news.VisibilityPublic}})
	})
}
