package digest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gazetted/internal/news"
)

func titles(articles []news.Article) string {
	var out []string
	for _, a := range articles {
		out = append(out, a.Title)
	}
	return strings.Join(out, " | ")
}

func items(articles ...news.Article) []item {
	var out []item
	for _, a := range articles {
		out = append(out, item{article: a})
	}
	return out
}

func nobody(*news.Article) bool { return false }

func TestRelatedPrefers(t *testing.T) {
	r := newRarity(worldTerms())
	base := news.Article{ID: 1, Categories: pick(termUS), Tags: pick(termMexico, termMilitary), PublishedAt: at(9, 0)}
	candidate := func(title string, days int, image bool, terms ...int64) news.Article {
		a := news.Article{ID: int64(len(title) + days + 100*len(terms)), Title: title, URL: "https://example.org/" + title, PublishedAt: at(9, 0).AddDate(0, 0, -days)}
		for _, term := range pick(terms...) {
			if term.Kind == news.KindTag {
				a.Tags = append(a.Tags, term)
			} else {
				a.Categories = append(a.Categories, term)
			}
		}
		if image {
			a.Image = &news.Image{URL: "https://example.org/a.jpg"}
		}
		return a
	}
	for _, tt := range []struct {
		name       string
		candidates []news.Article
		want       string
	}{
		{"rare over common", []news.Article{candidate("military", 1, true, termMilitary), candidate("mexico", 1, true, termMexico)}, "mexico | military"},
		{"a tag over a category", []news.Article{candidate("us", 1, true, termUS), candidate("military", 1, true, termMilitary)}, "military | us"},
		{"two over one", []news.Article{candidate("one", 1, true, termMexico), candidate("two", 1, true, termMexico, termMilitary)}, "two | one"},
		{"recent over old", []news.Article{candidate("old", 300, true, termMexico), candidate("new", 3, true, termMexico)}, "new | old"},
		{"a picture among equals", []news.Article{candidate("plain", 1, false, termMexico), candidate("pictured", 1, true, termMexico)}, "pictured | plain"},
		{"nothing in common", []news.Article{candidate("wheat", 1, true, termWheat)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				if got := titles(r.related(items(base), tt.candidates, at(12, 0), nobody)); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				slices.Reverse(tt.candidates)
			}
		})
	}
}

// Whatever the articles: never one of the edition or one that is refused, never
// one twice, not more than asked for, and the same for every order of candidates.
func TestRelatedProperties(t *testing.T) {
	terms := worldTerms()
	r := newRarity(terms)
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		random := func(id int64) news.Article {
			a := news.Article{ID: id, URL: fmt.Sprintf("https://example.org/%d", id%40), PublishedAt: at(0, 0).AddDate(0, 0, -rng.IntN(400)), Archive: rng.IntN(2) == 0}
			for range 1 + rng.IntN(4) {
				a.Tags = append(a.Tags, terms[rng.IntN(len(terms))])
			}
			if rng.IntN(2) == 0 {
				a.Image = &news.Image{URL: "https://example.org/a.jpg"}
			}
			return a
		}
		var edition []item
		for id := range int64(1 + rng.IntN(5)) {
			edition = append(edition, item{article: random(id)})
		}
		var candidates []news.Article
		for range 60 {
			candidates = append(candidates, random(int64(rng.IntN(50))))
		}
		unfit := func(a *news.Article) bool { return a.ID < int64(len(edition)) || !a.Archive }
		got := r.related(edition, candidates, at(12, 0), unfit)
		want := relatedToMany
		if len(edition) == 1 {
			want = relatedToOne
		}
		if len(got) > want {
			t.Fatalf("seed %d: got %d, want at most %d", seed, len(got), want)
		}
		seen := map[string]bool{}
		for _, a := range got {
			if unfit(&a) || seen[a.URL] {
				t.Fatalf("seed %d: article %d is in the edition, refused, or there twice", seed, a.ID)
			}
			seen[a.URL] = true
		}
	}
}

// Readers are not offered what this list has mailed them, mails them now or
// will mail them; of other topics and of the archive they are.
func TestRelatedIsNotMailed(t *testing.T) {
	s := world()
	s.groups[41] = []news.AudienceGroup{{ServedThrough: 100}, {ServedThrough: 100, Topics: []news.Topic{"category:us"}}}
	before := worldArticles()[0]
	before.ID, before.Seq, before.URL, before.Title = 50, 60, "https://www.example.org/before/", "Mailed last week"
	other := worldArticles()[1]
	other.ID, other.Seq, other.URL, other.Title, other.Tags = 51, 61, "https://www.example.org/other/", "Of another topic", pick(termMexico)
	older := before
	older.ID, older.URL, older.Title = 52, "https://www.example.org/older/", "Older than the list"
	older.ReleasedAt = s.list.CreatedAt.AddDate(0, -1, 0)
	s.candidates = append(s.candidates, before, other, older, worldArticles()[1])
	for _, v := range due(t, s).Variants {
		_, related, _ := strings.Cut(v.Text, "YOU MIGHT ALSO LIKE")
		if strings.Contains(related, "Mailed last week") || strings.Contains(related, "Three ports") {
			t.Errorf("topics %v: a related article is mailed anyway:\n%s", v.Group.Topics, related)
		}
		if !strings.Contains(related, "Older than the list") {
			t.Errorf("topics %v: want the article that was never mailed:\n%s", v.Group.Topics, related)
		}
		if got, want := strings.Contains(related, "Of another topic"), len(v.Group.Topics) > 0; got != want {
			t.Errorf("topics %v: article of another topic: got %v, want %v", v.Group.Topics, got, want)
		}
	}
}

// What this edition carries is not offered in it either, also to readers whose topics
// leave it out: to forward such a mail would show one article as news and as an old one.
func TestRelatedIsNotInTheEdition(t *testing.T) {
	s := world()
	s.groups[41] = []news.AudienceGroup{{ServedThrough: 100}, {ServedThrough: 100, Topics: []news.Topic{"tag:wheat"}}}
	ports := worldArticles()[1] // shares a rare tag with the one about wheat
	s.candidates = append(s.candidates, ports)
	variants := due(t, s).Variants
	if len(variants) != 2 || len(variants[1].ArticleIDs) != 1 {
		t.Fatalf("%+v", variants)
	}
	_, related, ok := strings.Cut(variants[1].Text, "YOU MIGHT ALSO LIKE")
	if !ok || strings.Contains(related, "Three ports") {
		t.Errorf("want related articles, and none of this edition:\n%s", related)
	}
}
