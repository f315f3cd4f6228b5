package digest

import (
	"cmp"
	"math"
	"slices"
	"time"

	"gazetted/internal/news"
)

// Numbers of "You might also like". An edition has one such block: four for a
// digest, three under a single article.
const (
	relatedToMany = 4
	relatedToOne  = 3
	// maxRelatedTerms and candidatesPerTerm bound the query: the rarest terms
	// tell most.
	maxRelatedTerms   = 100
	candidatesPerTerm = 30
)

// categoryWeight is what sharing a category counts beside sharing a tag of
// equal rarity: a category says where an article is filed, a tag what it is
// about. relatedHalfLife is the age at which an article counts half. Neither
// number is well founded; they gave sensible neighbours on 330 articles.
const (
	categoryWeight  = 0.5
	relatedHalfLife = 180 * 24 * time.Hour
)

// rarity weighs terms: the fewer articles carry one, the more it says that two
// share it (inverse document frequency).
type rarity struct {
	weight map[int64]float64
}

func newRarity(terms []news.Term) rarity {
	most := 1
	for _, t := range terms {
		most = max(most, t.Articles)
	}
	r := rarity{weight: make(map[int64]float64, len(terms))}
	for _, t := range terms {
		w := math.Log(1 + float64(most)/float64(1+t.Articles))
		if t.Kind == news.KindCategory {
			w *= categoryWeight
		}
		r.weight[t.ID] = w
	}
	return r
}

// terms lists the terms of items, the most telling first.
func (r rarity) terms(items []item) []int64 {
	var ids []int64
	for i := range items {
		ids = append(ids, items[i].article.TermIDs()...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	slices.SortStableFunc(ids, func(a, b int64) int { return cmp.Compare(r.weight[b], r.weight[a]) })
	return ids[:min(len(ids), maxRelatedTerms)]
}

// related chooses what readers of items may also like among candidates: most
// and rarest terms in common, the recent before the old, of equals the one with
// a picture. unfit refuses a candidate: it is in the edition, or the reader had
// or will have it by mail. at is the edition's date, so that the choice does
// not depend on when it is made.
func (r rarity) related(items []item, candidates []news.Article, at time.Time, unfit func(*news.Article) bool) []news.Article {
	carried := map[int64]float64{}
	for i := range items {
		for _, id := range items[i].article.TermIDs() {
			carried[id]++
		}
	}
	type scored struct {
		article news.Article
		score   float64
	}
	var found []scored
	for _, c := range candidates {
		if unfit(&c) || c.Visibility != news.VisibilityPublic && c.Visibility != "" || !webURL(c.URL) {
			continue
		}
		if s := r.score(&c, carried, at); s > 0 {
			found = append(found, scored{c, s})
		}
	}
	slices.SortFunc(found, func(a, b scored) int {
		return cmp.Or(
			cmp.Compare(b.score, a.score),
			cmp.Compare(pictured(&b.article), pictured(&a.article)),
			b.article.PublishedAt.Compare(a.article.PublishedAt),
			cmp.Compare(b.article.ID, a.article.ID),
		)
	})
	n := relatedToMany
	if len(items) == 1 {
		n = relatedToOne
	}
	var out []news.Article
	for _, f := range found {
		repeated := slices.ContainsFunc(out, func(a news.Article) bool { return a.ID == f.article.ID || a.URL == f.article.URL })
		if len(out) < n && !repeated {
			out = append(out, f.article)
		}
	}
	return out
}

// score is rounded, so that articles of one day with the same terms are equals
// and the picture decides.
func (r rarity) score(a *news.Article, carried map[int64]float64, at time.Time) float64 {
	sum := 0.0
	for _, id := range a.TermIDs() {
		if n := carried[id]; n > 0 {
			sum += r.weight[id] * math.Sqrt(n)
		}
	}
	days := math.Floor(max(0, at.Sub(a.PublishedAt).Hours()/24))
	sum *= math.Exp2(-days * 24 * float64(time.Hour) / float64(relatedHalfLife))
	return math.Round(sum*1e6) / 1e6
}

func pictured(a *news.Article) int {
	if a.Image != nil && webURL(a.Image.URL) {
		return 1
	}
	return 0
}
