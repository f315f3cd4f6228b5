package digest

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/html/atom"

	"gazetted/internal/news"
	"gazetted/templates"
)

// many makes n articles over the sections of the world, each with a body of
// size bytes.
func many(n, size int) []news.Article {
	categories := []int64{termWorld, termUS, termBusiness, termCulture, termTravel}
	tags := []int64{termCartels, termMexico, termShipping, termWheat, termMuseums}
	sentence := "The harbour master counts the ships every morning, and every morning there is one more than in his book. "
	body := "<p>" + strings.Repeat(sentence, 1+size/len(sentence)) + "</p>"
	out := make([]news.Article, 0, n)
	for i := range n {
		id := int64(i + 1)
		out = append(out, news.Article{
			ID: id, Seq: 100 + id, URL: fmt.Sprintf("https://www.example.org/2025/11/%d/", id), Title: fmt.Sprintf("Headline number %d of a long day with many events", id),
			ContentHTML: body, Visibility: news.VisibilityPublic, State: news.ArticleReleased, Authors: []news.Author{{Name: "Nina Kapoor"}},
			PublishedAt: at(0, 0).Add(time.Duration(i) * time.Minute), ReleasedAt: at(0, 0).Add(time.Duration(i+1) * time.Minute),
			Categories: pick(categories[i%5]), Tags: pick(tags[i%5]),
			Image: &news.Image{URL: "https://www.example.org/p.jpg", Alt: "Ships in a harbour", Width: 1200, Height: 800},
		})
	}
	return out
}

func crowded(n, size int) *fakeStore {
	s := world()
	s.articles = many(n, size)
	s.open[0].CutoffSeq = 100 + int64(n)
	return s
}

func TestEditionsFitMailboxes(t *testing.T) {
	for _, tt := range []struct {
		n, size int
		all     bool // every article has an entry
	}{{1, 1 << 20, true}, {5, 1 << 20, true}, {20, 3000, true}, {30, 3000, false}, {200, 3000, false}, {1000, 1000, false}} {
		t.Run(fmt.Sprintf("%d articles of %d bytes", tt.n, tt.size), func(t *testing.T) {
			c := due(t, crowded(tt.n, tt.size))
			v := c.Variants[0]
			entries := len(parsePage(t, v.HTML).all(atom.H2))
			checkMail(t, v, entries)
			if (entries == tt.n) != tt.all {
				t.Errorf("got %d entries of %d articles, want all: %v", entries, tt.n, tt.all)
			}
			if len(v.ArticleIDs) != tt.n || len(c.Articles) != tt.n {
				t.Errorf("got %d ids, %d frozen; want all %d, whether there was room or not", len(v.ArticleIDs), len(c.Articles), tt.n)
			}
			if !tt.all && len(v.HTML) < maxHTML*8/10 {
				t.Errorf("got %d bytes: more would have fitted into %d", len(v.HTML), maxHTML)
			}
			for _, a := range c.Articles {
				if a.ContentHTML != "" {
					t.Fatal("a frozen article kept its body")
				}
			}
		})
	}
}

// A long edition keeps something of every section, and says how much is left out.
func TestTrimmingIsFair(t *testing.T) {
	v := due(t, crowded(1000, 1000)).Variants[0]
	for _, name := range []string{"BUSINESS", "CULTURE", "TRAVEL", "US", "WORLD"} {
		if !strings.Contains(v.HTML, ">"+name+"<") {
			t.Errorf("section %s is gone", name)
		}
	}
	if !strings.Contains(v.Text, "more articles on The Harbour Gazette") {
		t.Error("the mail does not say how many articles are not in it")
	}
}

func TestTemplateThatNeverFits(t *testing.T) {
	set, err := templates.Load(fstest.MapFS{
		"mail/huge.html": {Data: []byte(strings.Repeat("<p>too much</p>", 10_000))},
		"mail/huge.txt":  {Data: []byte("short")},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := world()
	s.list.Template = "huge"
	e := testEditor(t, s)
	e.o.Templates = set
	if n, err := e.Due(t.Context()); n != 1 || err == nil || !strings.Contains(s.failed[41], "longer than") {
		t.Errorf("got n=%d, err=%v, note %q; want the edition failed for its length", n, err, s.failed[41])
	}
}

func TestProminence(t *testing.T) {
	a, b := section{id: 1, name: "A"}, section{id: 2, name: "B"}
	got := fmt.Sprint(prominence([]item{{section: a}, {section: a}, {section: a}, {section: b}, {section: b}}))
	if want := "[0 3 1 4 2]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkVariant(b *testing.B) {
	for _, n := range []int{1, 5, 20, 1000} {
		b.Run(fmt.Sprintf("articles=%d", n), func(b *testing.B) {
			e := testEditor(b, crowded(n, 3000))
			list, edition := worldList(), worldEdition()
			edition.CutoffSeq = 100 + int64(n)
			d, err := e.draft(b.Context(), edition, list, 100)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := newPress(e, d).variant(b.Context(), d.items, news.AudienceGroup{ServedThrough: 100}, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
