package web

import (
	"net/http"
	"net/url"

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

// networks are plain links to the share forms of social networks.
func networks(a *news.Article) []templates.PageLink {
	with := func(base string, pairs ...string) string {
		q := url.Values{}
		for i := 0; i+1 < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		return base + "?" + q.Encode()
	}
	return []templates.PageLink{
		{Text: "Facebook", URL: with("https://www.facebook.com/sharer/sharer.php", "u", a.URL)},
		{Text: "X", URL: with("https://x.com/intent/post", "url", a.URL, "text", a.Title)},
		{Text: "Bluesky", URL: with("https://bsky.app/intent/compose", "text", a.Title+" "+a.URL)},
		{Text: "WhatsApp", URL: with("https://wa.me/", "text", a.Title+" "+a.URL)},
		{Text: "Telegram", URL: with("https://t.me/share/url", "url", a.URL, "text", a.Title)},
		{Text: "LinkedIn", URL: with("https://www.linkedin.com/sharing/share-offsite/", "url", a.URL)},
		{Text: "Reddit", URL: with("https://www.reddit.com/submit", "url", a.URL, "title", a.Title)},
	}
}
