package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"gazetted/internal/news"
)

// termIndex is all terms at one moment, ready to be looked up and listed. It
// is immutable.
type termIndex struct {
	cursor   int64
	all      []news.Term
	tree     *news.TermTree
	children map[int64][]news.Term // categories by parent, by name; 0: the roots
	tags     []news.Term           // with articles, most used first
}

func newTermIndex(terms []news.Term, cursor int64) *termIndex {
	x := &termIndex{cursor: cursor, all: terms, tree: news.NewTermTree(terms), children: map[int64][]news.Term{}}
	byName := slices.Clone(terms)
	slices.SortStableFunc(byName, func(a, b news.Term) int {
		return cmp.Or(strings.Compare(news.FoldName(a.Name), news.FoldName(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	for _, t := range byName {
		switch {
		case t.Kind == news.KindCategory:
			parent := t.ParentID
			if _, ok := x.tree.Term(parent); !ok {
				parent = 0 // a parent that is gone must not hide its children
			}
			x.children[parent] = append(x.children[parent], t)
		case t.Articles > 0 && t.Offered():
			x.tags = append(x.tags, t)
		}
	}
	slices.SortStableFunc(x.tags, func(a, b news.Term) int { return cmp.Compare(b.Articles, a.Articles) })
	return x
}

// within lists id and everything below it: a category's feed has its
// children's articles, too.
func (x *termIndex) within(id int64) []int64 {
	ids := []int64{id}
	seen := map[int64]bool{id: true}
	for i := 0; i < len(ids); i++ {
		for _, child := range x.children[ids[i]] {
			if !seen[child.ID] {
				seen[child.ID] = true
				ids = append(ids, child.ID)
			}
		}
	}
	return ids
}

// roots lists the top categories that are offered and have articles, themselves
// or below.
func (x *termIndex) roots() []news.Term {
	return slices.DeleteFunc(slices.Clone(x.children[0]), func(t news.Term) bool { return !t.Offered() || !x.alive(t.ID) })
}

// maxTree ends a walk even if two categories were made each other's parent.
const maxTree = 16

// walk visits the categories below parent that have articles, themselves or
// below, each before its children; those right below parent have depth 0.
func (x *termIndex) walk(parent int64, visit func(t news.Term, depth int)) {
	x.descend(parent, 0, visit)
}

func (x *termIndex) descend(parent int64, depth int, visit func(t news.Term, depth int)) {
	if depth >= maxTree {
		return
	}
	for _, t := range x.children[parent] {
		switch {
		case !x.alive(t.ID):
		case !t.Offered(): // what is below it is shown in its place
			x.descend(t.ID, depth, visit)
		default:
			visit(t, depth)
			x.descend(t.ID, depth+1, visit)
		}
	}
}

func (x *termIndex) alive(id int64) bool {
	for _, id := range x.within(id) {
		if t, ok := x.tree.Term(id); ok && t.Articles > 0 {
			return true
		}
	}
	return false
}

// moved says that a term is now at another slug.
type moved struct{ term news.Term }

// Error names the new slug.
func (m *moved) Error() string { return "moved to " + string(m.term.Topic()) }

// find looks a term up by slug. Past slugs and aliases give a *moved error, what is
// offered no more 410.
func (x *termIndex) find(ctx context.Context, store feedStore, kind news.TermKind, slug string) (news.Term, error) {
	if !news.ValidSlug(slug) {
		return news.Term{}, news.ErrNotFound
	}
	t, ok := x.tree.ByTopic(news.Term{Kind: kind, Slug: slug}.Topic())
	if !ok {
		var err error
		if t, err = store.TermBySlug(ctx, kind, slug); err != nil {
			return news.Term{}, err
		}
	}
	switch {
	case !t.Offered():
		return news.Term{}, statusError(http.StatusGone)
	case t.Slug != slug:
		return news.Term{}, &moved{term: t}
	}
	return t, nil
}
