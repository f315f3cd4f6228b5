package digest

import (
	"cmp"
	"slices"
	"strings"

	"gazetted/internal/news"
)

// item is an article on its way into an edition: without its body, which may
// be large, but with what is said of it.
type item struct {
	article news.Article
	excerpt string
	section section
}

// section is the category under which an article stands in an edition.
type section struct {
	rank int // of the list's filter; equal ranks are ordered by name
	id   int64
	name string
}

// lastRank is for articles without a category.
const lastRank = 1 << 30

// newItem takes from a what an edition needs. The frozen article keeps no body:
// where there is no summary, the excerpt stands for it.
func newItem(a news.Article, list *news.List, tree *news.TermTree) item {
	it := item{excerpt: excerpt(&a), section: sectionOf(&a, list, tree)}
	a.ContentHTML = ""
	a.Summary = it.excerpt
	it.article = a
	return it
}

// sectionOf puts an article under the first category of the list's filter that
// holds it, if the filter names several; else under its own first category. It
// has one section, however many categories it has.
func sectionOf(a *news.Article, list *news.List, tree *news.TermTree) section {
	var choices []news.Term
	for _, topic := range list.Filter {
		if kind, _ := topic.Split(); kind == news.KindCategory {
			if term, ok := tree.ByTopic(topic); ok {
				choices = append(choices, term)
			}
		}
	}
	if len(choices) > 1 {
		for rank, term := range choices {
			if slices.ContainsFunc(a.Categories, func(c news.Term) bool { return tree.Within(c.ID, term.ID) }) {
				return section{rank: rank, id: term.ID, name: cutWord(oneLine(term.Name), maxKicker)}
			}
		}
	}
	if len(a.Categories) == 0 {
		return section{rank: lastRank}
	}
	first := a.Categories[0]
	return section{rank: len(choices), id: first.ID, name: cutWord(oneLine(first.Name), maxKicker)}
}

// order sorts items as an edition shows them: by section, inside a section
// the newest first. Published counts, not updated: a correction of an old
// article does not make it news.
func order(items []item) {
	slices.SortStableFunc(items, func(a, b item) int {
		return cmp.Or(
			cmp.Compare(a.section.rank, b.section.rank),
			strings.Compare(news.FoldName(a.section.name), news.FoldName(b.section.name)),
			cmp.Compare(a.section.id, b.section.id),
			b.article.PublishedAt.Compare(a.article.PublishedAt),
			cmp.Compare(b.article.Seq, a.article.Seq),
			cmp.Compare(a.article.ID, b.article.ID),
		)
	})
}

// sections counts the sections of ordered items.
func sections(items []item) int {
	n := 0
	for i := range items {
		if i == 0 || items[i].section != items[i-1].section {
			n++
		}
	}
	return n
}

// prominence lists the indexes of ordered items by their claim to room: the
// first of each section, then the second of each, and so on. Trimming a long
// edition from the end of this list leaves something of every section.
func prominence(items []item) []int {
	place := make([]int, len(items))
	for i := range items {
		if i > 0 && items[i].section == items[i-1].section {
			place[i] = place[i-1] + 1
		}
	}
	out := make([]int, len(items))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(place[a], place[b]) })
	return out
}
