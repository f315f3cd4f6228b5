package web

import (
	"net/http"

	"gazetted/internal/news"
	"gazetted/templates"
)

// share is the page that helps to pass an article on. Nothing is loaded from
// the networks it links to, so they learn nothing until a reader goes there.
func (s *Server) share(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	a, err := s.o.Store.Article(r.Context(), id)
	if err != nil {
		return err
	}
	switch a.State {
	case news.ArticleReleased:
	case news.ArticleWithdrawn:
		return statusError(http.StatusGone)
	default: // not news yet: nobody may know of it
		return news.ErrNotFound
	}
	f := s.frame(s.o.Links.Share(a.ID))
	f.NoIndex = true // the article's own page is the one to be found
	s.cachePage(w)
	return s.page(w, http.StatusOK, "share", templates.SharePage{
		Frame: f, Article: s.pageArticle(&a), Networks: networks(&a), Script: s.staticURL("share.js"),
	})
}

func networks(a *news.Article) []templates.PageLink {
	var out []templates.PageLink
	for _, n := range news.ShareLinks(a.Title, a.URL) {
		out = append(out, templates.PageLink{Text: n.Network, URL: n.URL})
	}
	return out
}
