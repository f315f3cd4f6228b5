package digest

import (
	"strings"
	"testing"
	"unicode/utf8"

	"gazetted/internal/news"
)

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		in   string
		n    int
		want string
	}{
		{"short", 10, "short"},
		{"One sentence here. Another one there.", 25, "One sentence here."},
		{"No sentence ends within these many words", 20, "No sentence ends…"},
		{"Version 2.5 of it is out and about", 20, "Version 2.5 of it…"},
		{"Wordwithoutanyspaceatall", 10, "Wordwitho…"},
		{"Сегодня утром в порту стало тихо", 16, "Сегодня утром в…"},
		{"comma at the end, then more of it", 19, "comma at the end…"},
		{"x y", 1, ""},
	} {
		if got := cut(tt.in, tt.n); got != tt.want {
			t.Errorf("cut(%q, %d): got %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	long := "The harbour master counts the ships every morning, and every morning there is one more than in his book, which he keeps in ink and does not like to change."
	for _, tt := range []struct {
		name, summary, content, want string
	}{
		{"the publisher's summary goes first", "Written by hand.", "<p>" + long + "</p>", "Written by hand."},
		{"a summary cut by a machine does not", "The harbour master counts […]", "<p>" + long + "</p>", long},
		{"unless there is nothing else", "The harbour master counts […]", "<p>short</p>", "The harbour master counts…"},
		{"headings, lists, captions and asides are no text", "", "<figure><figcaption>A ship in the morning sun, seen from the pier</figcaption></figure><h2>Contents of this article are as follows</h2><ul><li><p>One entry of the contents, of some length</p></li></ul><aside><p>Follow us on all the networks there are!</p></aside><p>" + long + "</p>", long},
		{"paragraphs that lead elsewhere are left out", "", `<p><a href="/x">Trump Sets Two-Week Deadline for Putin Amid Ukraine War Escalation</a></p><p>` + long + "</p>", long},
		{"and sentences that do", "", "<p>" + long + ` Read another news on <a href="/">example.org</a>.</p>`, long},
		{"a link in running text stays", "", `<p>The <a href="/x">harbour master</a> counts the ships every morning, as he must.</p>`, "The harbour master counts the ships every morning, as he must."},
		{"a dateline is left out", "", "<p>LISBON</p><p>" + long + "</p>", long},
		{"text without paragraphs", "", "Just text,<br>in two lines.", "Just text, in two lines."},
		{"entities and scripts", "", "<script>var a = 'a script of some considerable length';</script><p>Bread &amp; butter &lt;b&gt; are what the harbour master lives on.</p>", "Bread & butter <b> are what the harbour master lives on."},
		{"unclosed elements", "", "<p>" + long + "<p>Second paragraph of this text, which follows.<ul><li>x", long + " Second paragraph of this text, which follows."},
		{"nothing", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := excerpt(&news.Article{Summary: tt.summary, ContentHTML: tt.content, Visibility: news.VisibilityPublic}); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add("sum […]", "<p>text <a href=x>link</a></p><ul><li>x</ul>")
	f.Add("", "<p><p></a></ul><table><p>x")
	f.Fuzz(func(t *testing.T, summary, content string) {
		got := excerpt(&news.Article{Summary: summary, ContentHTML: content})
		if n := utf8.RuneCountInString(got); n > maxExcerpt || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00\u2028") {
			t.Errorf("excerpt of %d characters: %q", n, got)
		}
	})
}

func BenchmarkExcerptOfMegabyte(b *testing.B) {
	a := many(1, 1<<20)[0]
	for b.Loop() {
		excerpt(&a)
	}
}

func TestSubject(t *testing.T) {
	set := testTemplates(t)
	for _, tt := range []struct {
		list, headline string
		n              int
		want           string
	}{
		{"World", "One thing happened", 1, "World: One thing happened"},
		{"World", "One thing happened", 5, "World: One thing happened and 4 more"},
		{"World", strings.Repeat("Long headline ", 10), 12, "World: Long headline Long headline Long headline Long headline Long headline… and 11 more"},
		{"Re: Fwd: World", "Re: your invoice", 1, "World: Re: your invoice"},
		{strings.Repeat("A very long list title ", 5), "Headline", 1, "A very long list title A very long list…: Headline"},
		{"World", "Two\r\nBcc: x@example.org", 1, "World: Two Bcc: x@example.org"},
	} {
		items := make([]item, tt.n)
		items[0].article.Title = tt.headline
		w := &writer{set: set, lang: "en", list: news.List{Title: tt.list}}
		got := w.subject(items)
		if got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
		if n := utf8.RuneCountInString(got); n > maxSubject {
			t.Errorf("%q has %d characters, want at most %d", got, n, maxSubject)
		}
	}
}

func TestImage(t *testing.T) {
	for _, tt := range []struct{ w, h, wantW, wantH int }{
		{1200, 675, 552, 311}, {200, 100, 200, 100}, {800, 1600, 210, 420}, {0, 0, 552, 0}, {1, 9000, 1, 420}, {9000, 1, 552, 1},
	} {
		got := image(&news.Image{URL: "https://example.org/a.jpg", Width: tt.w, Height: tt.h}, "Title", imageWidth, imageHeight)
		if got.Width != tt.wantW || got.Height != tt.wantH || got.Alt != "Title" {
			t.Errorf("%d×%d: got %d×%d, alt %q; want %d×%d and the title", tt.w, tt.h, got.Width, got.Height, got.Alt, tt.wantW, tt.wantH)
		}
	}
	if image(&news.Image{URL: "data:image/png;base64,x"}, "", 1, 1) != nil {
		t.Error("a data: URL became a picture")
	}
}

// A source that knows only the day of an article gives midnight UTC. The mail
// shows that day, whatever the reader's zone, and no hour.
func TestDaysAreShownWithoutAnHour(t *testing.T) {
	for _, zone := range []string{"Europe/Istanbul", "America/New_York"} {
		s := world()
		s.open[0].Zone = zone
		s.articles = s.articles[:1]
		s.articles[0].PublishedAt, s.articles[0].UpdatedAt = at(0, 0), at(0, 0).AddDate(0, 0, 1)
		v := due(t, s).Variants[0]
		for part, text := range map[string]string{"HTML": v.HTML, "text": v.Text} {
			if !strings.Contains(text, "19 November 2025") || !strings.Contains(text, "Updated 20 November 2025") {
				t.Errorf("%s, %s part: lacks the days:\n%s", zone, part, text)
			}
			for _, hour := range []string{"2025, 0", "2025, 1", "2025, 2"} {
				if strings.Contains(text, hour) {
					t.Errorf("%s, %s part: an hour stands after a day", zone, part)
				}
			}
		}
	}
}
