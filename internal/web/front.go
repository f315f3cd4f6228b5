package web

import (
	"errors"
	"net/http"
	"strconv"

	"gazetted/internal/news"
	"gazetted/templates"
)

// How much the pages show, and how often a demonstration's page loads itself.
const (
	frontArticles = 24
	termArticles  = 40
	demoRefresh   = 15 // seconds
)

func (s *Server) front(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	idx, err := s.index(ctx)
	if err != nil {
		return err
	}
	articles, err := s.o.Store.Articles(ctx, news.ArticleQuery{Limit: frontArticles, WithoutContent: true})
	if err != nil {
		return err
	}
	side, err := s.side(r, idx)
	if err != nil {
		return err
	}
	f := s.frame(s.o.Links.Home())
	f.Here = "latest"
	if s.o.Demo {
		f.Refresh = demoRefresh
	}
	s.cachePage(w)
	return s.page(w, http.StatusOK, "front", templates.FrontPage{Frame: f, Side: side, Demo: s.o.Demo, Articles: s.pageArticles(articles)})
}

// side is the column of the ways to follow.
func (s *Server) side(r *http.Request, idx *termIndex) (templates.Side, error) {
	lists, err := s.publicLists(r)
	if err != nil {
		return templates.Side{}, err
	}
	side := templates.Side{Lists: lists, Feeds: s.pageFeeds(news.Term{})}
	for _, t := range idx.roots() {
		side.Sections = append(side.Sections, s.pageTerm(t))
	}
	return side, nil
}

// term is the page of a category or tag.
func (s *Server) term(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	idx, err := s.index(ctx)
	if err != nil {
		return err
	}
	kind := news.TermKind(r.PathValue("kind"))
	if kind != news.KindCategory && kind != news.KindTag {
		return news.ErrNotFound
	}
	term, err := idx.find(ctx, s.o.Store, kind, r.PathValue("slug"))
	var m *moved
	if errors.As(err, &m) {
		http.Redirect(w, r, s.topicURL(m.term), http.StatusMovedPermanently)
		return nil
	}
	if err != nil {
		return err
	}
	articles, err := s.o.Store.Articles(ctx, news.ArticleQuery{TermIDs: idx.within(term.ID), Limit: termArticles, WithoutContent: true})
	if err != nil {
		return err
	}
	side, err := s.side(r, idx)
	if err != nil {
		return err
	}
	f := s.frame(s.topicURL(term))
	f.Alternates = append(s.pageFeeds(term), f.Alternates...)
	view := templates.TermPage{Frame: f, Side: side, Term: s.pageTerm(term), Articles: s.pageArticles(articles)}
	for i := range view.Articles {
		if k := view.Articles[i].Kicker; k != nil && k.URL == view.Term.URL {
			view.Articles[i].Kicker = nil // the page's title says it
		}
	}
	for _, child := range idx.children[term.ID] {
		if term.Kind == news.KindCategory && child.Offered() && idx.alive(child.ID) {
			view.Term.Children = append(view.Term.Children, s.pageTerm(child))
		}
	}
	for _, id := range idx.tree.Ancestors(term.ID) {
		if up, ok := idx.tree.Term(id); ok {
			view.Parents = append([]templates.PageLink{s.link(up.Name, s.local(s.topicURL(up)))}, view.Parents...)
		}
	}
	s.cachePage(w)
	return s.page(w, http.StatusOK, "term", view)
}

// pathID reads a row id from the path.
func pathID(r *http.Request, name string) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue(name), 10, 64)
	if err != nil || id <= 0 {
		return 0, news.ErrNotFound
	}
	return id, nil
}
