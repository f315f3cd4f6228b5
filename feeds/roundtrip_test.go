package feeds

import (
	"html"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mmcdole/gofeed"

	"gazetted/internal/news"
)

// seen is what a reader makes of an item.
type seen struct {
	Title, Link, Summary, Content, Published, Updated, Author string
	Categories                                                []string
	Enclosures                                                []gofeed.Enclosure
}

func TestRoundTrip(t *testing.T) {
	edgy := plainArticle()
	edgy.Title, edgy.Summary = `"Quotes", 3 < 4 & R&amp;D: C++ 🦞`, "AT&amp;T <3 you & \"me\""
	edgy.Authors = []news.Author{{Name: "Zoë \"Z\" O'Hara"}}
	items := []news.Article{fullArticle(), plainArticle(), membersArticle(), edgy}
	for _, f := range news.FeedFormats() {
		t.Run(string(f), func(t *testing.T) {
			feed, err := parser().ParseString(must(t, f, testChannel(), items...))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := feed.Title, "The Harbour Gazette"; got != want {
				t.Errorf("title %q, want %q", got, want)
			}
			if got, want := feed.Link, "https://harbour.example/"; got != want {
				t.Errorf("link %q, want %q", got, want)
			}
			if got, want := feed.FeedLink, "https://news.harbour.example/feeds/all."+string(f); got != want {
				t.Errorf("self %q, want %q", got, want)
			}
			if got, want := feed.Language, "en"; got != want {
				t.Errorf("language %q, want %q", got, want)
			}
			for i, item := range feed.Items {
				if diff := cmp.Diff(expected(f, &items[i]), read(f, item)); diff != "" {
					t.Errorf("item %d (-want +got):\n%s", i, diff)
				}
			}
			if len(feed.Items) != len(items) {
				t.Errorf("%d items, want %d", len(feed.Items), len(items))
			}
		})
	}
}

// read takes from an item what all formats tell alike.
func read(f news.FeedFormat, i *gofeed.Item) seen {
	s := seen{Title: i.Title, Link: i.Link, Summary: i.Description, Content: i.Content, Categories: i.Categories}
	if f == news.FormatRSS { // its description is HTML
		s.Summary = html.UnescapeString(s.Summary)
	}
	if i.PublishedParsed != nil {
		s.Published = i.PublishedParsed.UTC().Format(time.RFC3339)
	}
	if i.UpdatedParsed != nil {
		s.Updated = i.UpdatedParsed.UTC().Format(time.RFC3339)
	}
	var names []string
	for _, a := range i.Authors {
		names = append(names, a.Name)
	}
	s.Author = strings.Join(names, ", ")
	for _, e := range i.Enclosures {
		s.Enclosures = append(s.Enclosures, *e)
	}
	return s
}

// expected is what a reader should find of a.
func expected(f news.FeedFormat, a *news.Article) seen {
	s := seen{Title: a.Title, Link: a.URL, Summary: a.Summary, Published: a.PublishedAt.Format(time.RFC3339)}
	switch {
	case a.Edited():
		s.Updated = a.UpdatedAt.Format(time.RFC3339)
	case f == news.FormatAtom: // requires it
		s.Updated = s.Published
	}
	var names []string
	for _, p := range a.Authors {
		names = append(names, p.Name)
	}
	s.Author = strings.Join(names, ", ")
	for _, t := range slices.Concat(a.Categories, a.Tags) {
		if f != news.FormatJSON || !slices.Contains(s.Categories, t.Name) { // flat: each name once
			s.Categories = append(s.Categories, t.Name)
		}
	}
	public := a.Visibility == news.VisibilityPublic
	switch {
	case public:
		s.Content = a.ContentHTML
	case f == news.FormatJSON: // requires a content
		s.Content = a.Summary
	}
	if public && a.Image != nil {
		s.Enclosures = []gofeed.Enclosure{{URL: a.Image.URL, Type: a.Image.Type, Length: "84512"}}
	}
	return s
}
