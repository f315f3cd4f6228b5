package feeds

import (
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
)

// at is an instant in November 2025.
func at(day, hour, minute int) time.Time {
	return time.Date(2025, time.November, day, hour, minute, 0, 0, time.UTC)
}

func testChannel() Channel {
	return Channel{
		ID:          "tag:harbour.example,2025:feeds/all",
		Title:       "The Harbour Gazette",
		Description: "World news, seen from the quay",
		Language:    "en",
		Rights:      "© The Harbour Gazette",
		Icon:        "https://harbour.example/icon.png",
		Logo:        "https://harbour.example/logo.png",
		Link:        "https://harbour.example/",
		Self:        func(f news.FeedFormat) string { return "https://news.harbour.example/feeds/all." + string(f) },
		Hubs:        []string{"https://news.harbour.example/hub", "https://hub.example/"},
		TTL:         15 * time.Minute,
		SkipHours:   []int{3, 1, 2, 3, 24, -1},
		TermURL:     func(t news.Term) string { return "https://harbour.example/" + string(t.Kind) },
		RelatedTo:   testRelated,
		Origin: func(sourceID int64) Origin {
			if sourceID != 2 {
				return Origin{}
			}
			return Origin{Title: "Pier & Partners", FeedURL: "https://partner.example/feed.xml"}
		},
		FullContent: true,
	}
}

func testRelated(id int64) []news.Article {
	if id != 1 {
		return nil
	}
	return []news.Article{
		{ID: 2, URL: "https://harbour.example/tides", GUID: "https://harbour.example/?p=2", Title: "Tides & <em>times</em>", PublishedAt: at(18, 7, 0),
			Visibility: news.VisibilityPublic, Image: &news.Image{URL: "https://harbour.example/tides.jpg"}, Authors: []news.Author{{Name: "Ana Berg"}},
			Categories: []news.Term{{Slug: "sea", Name: "Sea"}}},
		{ID: 1, URL: "https://harbour.example/cranes", Title: "Itself"},
		{ID: 3, URL: "", Title: "Has no page"},
		{ID: 4, URL: "https://harbour.example/members", Title: "For members", Visibility: news.VisibilityMembers, Image: &news.Image{URL: "https://harbour.example/hidden.jpg"}},
	}
}

// fullArticle has everything that an article can have.
func fullArticle() news.Article {
	return news.Article{
		ID: 1, SourceID: 2, NativeID: "51",
		URL: "https://harbour.example/cranes", GUID: "https://harbour.example/?p=51",
		Title:       "Cranes & ropes: the port's new rules",
		Summary:     "Two cranes, one rope & no plan.",
		ContentHTML: "<p>Two cranes.</p>\n<p>One rope: <code>a[b[0]]>1</code> &amp; no plan.</p>",
		Language:    "en-GB",
		Authors:     []news.Author{{Name: "Nina Kapoor", URL: "https://harbour.example/author/nina"}, {Name: "Ana Berg"}},
		Image:       &news.Image{URL: "https://harbour.example/cranes.jpg", Alt: "Two cranes at dawn", Type: "image/jpeg", Width: 1200, Height: 800, Bytes: 84512},
		CommentsURL: "https://harbour.example/cranes#comments",
		Visibility:  news.VisibilityPublic,
		PublishedAt: at(19, 13, 28), UpdatedAt: at(20, 8, 5), FirstSeenAt: at(19, 13, 29),
		Categories: []news.Term{{ID: 1, Kind: news.KindCategory, Slug: "us", Name: "US"}, {ID: 2, Kind: news.KindCategory, Slug: "sea", Name: "Sea & Sky"}},
		Tags:       []news.Term{{ID: 3, Kind: news.KindTag, Slug: "u-s-military", Name: "U.S. Military"}, {ID: 4, Kind: news.KindTag, Slug: "us", Name: "US"}},
	}
}

func plainArticle() news.Article {
	return news.Article{
		ID: 2, SourceID: 1, URL: "https://harbour.example/tides", GUID: "https://harbour.example/tides", Title: "Tides",
		Summary: "High at six.", ContentHTML: "<p>High at six, low at noon.</p>", Language: "en",
		Visibility: news.VisibilityPublic, PublishedAt: at(18, 7, 0), FirstSeenAt: at(18, 7, 1),
		Categories: []news.Term{{ID: 2, Slug: "sea", Name: "Sea"}},
	}
}

func membersArticle() news.Article {
	a := fullArticle()
	a.ID, a.SourceID, a.GUID, a.URL, a.Title = 5, 1, "members-5", "https://harbour.example/members", "For members"
	a.ContentHTML, a.Visibility = "<p>SECRET BODY</p>", news.VisibilityMembers
	a.Image = &news.Image{URL: "https://harbour.example/secret.jpg", Type: "image/jpeg", Bytes: 1}
	return a
}

// hostileArticle puts something bad into every field.
func hostileArticle() news.Article {
	return news.Article{
		ID: 66, SourceID: 2,
		URL:         "https://harbour.example/ä b\"<c>?q=ü&r=[1]#x#y",
		GUID:        " odd\x00 \xff guid\uffff ",
		Title:       "\x01A <b>bold</b> <<i>i>title</i>\r\nwith 3 < 4 \xff\xfe & 🦞\u2028 ]]> <script>alert(1)</script>\x0b",
		Summary:     "]]>\x00 <p> & \U0001F468\u200d\U0001F469\u200d\U0001F467 \ufffe\tend",
		ContentHTML: "<p>]]>]]]]>\x00\x08\x1b&#0; \xed\xa0\x80 \uffff ok 🦞</p>\r\n<![CDATA[x]]>",
		Language:    "en\" onload=\"x",
		Authors:     []news.Author{{Name: "mallory@evil.example (Mallory <b>X</b>)", URL: "javascript:alert(1)"}, {Name: "\x07"}, {Name: "bob@evil.example"}},
		Image:       &news.Image{URL: "https://harbour.example/a b.jpg", Alt: "\"<\x01>", Type: "image/jpeg; x=\"y\"", Width: -1, Bytes: 10},
		CommentsURL: "data:text/html,x",
		Visibility:  news.VisibilityPublic,
		PublishedAt: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), FirstSeenAt: at(1, 0, 0),
		Categories: []news.Term{{Slug: "a\x00", Name: "A\"]]>\x00"}, {}, {Slug: "a\x00", Name: "A\"]]>\x00"}},
		Tags:       []news.Term{{Name: "C++ & <i>C#</i>"}},
	}
}

// must builds a feed and fails the test if that fails.
func must(t testing.TB, f news.FeedFormat, c Channel, items ...news.Article) string {
	t.Helper()
	body, _, err := Build(f, c, items)
	if err != nil {
		t.Fatalf("build %s: %v", f, err)
	}
	return string(body)
}

// wants fails for each text that is not in doc, or for one with a leading ! that is.
func wants(t *testing.T, doc string, texts ...string) {
	t.Helper()
	for _, want := range texts {
		text, absent := strings.CutPrefix(want, "!")
		if strings.Contains(doc, text) == absent {
			t.Errorf("want %q, got:\n%s", want, doc)
		}
	}
}
