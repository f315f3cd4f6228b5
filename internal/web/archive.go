package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
	"gazetted/templates"
)

// archiveStore is what the archive reads.
type archiveStore interface {
	ArchiveEditions(ctx context.Context, listID, beforeID int64, limit int) ([]news.Edition, error)
	ArchiveEdition(ctx context.Context, listID int64, slug string) (news.Edition, error)
	EditionArticles(ctx context.Context, id int64) ([]news.Article, error)
}

const archivePage = 50

// publicList reads a list that anybody may know of. A private one answers like
// one that does not exist.
func (s *Server) publicList(r *http.Request) (news.List, error) {
	name := r.PathValue("list")
	if news.ValidateName("list", name) != nil {
		return news.List{}, news.ErrNotFound
	}
	l, err := s.o.Store.ListByName(r.Context(), name)
	if err == nil && !l.Public {
		err = news.ErrNotFound
	}
	return l, err
}

func (s *Server) publicLists(r *http.Request) ([]templates.PageList, error) {
	all, err := s.o.Store.Lists(r.Context())
	if err != nil {
		return nil, err
	}
	var out []templates.PageList
	for i := range all {
		if all[i].Public {
			out = append(out, s.pageList(&all[i]))
		}
	}
	return out, nil
}

func (s *Server) pageList(l *news.List) templates.PageList {
	p := templates.PageList{
		Title: l.Title, Description: l.Description,
		SignUp: s.local(s.o.Links.SignUp(l.Name)), Archive: s.local(s.o.Links.Archive(l.Name)),
	}
	for _, f := range l.Frequencies {
		p.Rhythms = append(p.Rhythms, capital(rhythm(f)))
	}
	return p
}

func (s *Server) lists(w http.ResponseWriter, r *http.Request) error {
	lists, err := s.publicLists(r)
	if err != nil {
		return err
	}
	f := s.frame(s.o.Links.Path("subscribe"))
	f.Here = "newsletters"
	s.cachePage(w)
	return s.page(w, http.StatusOK, "lists", templates.ListsPage{Frame: f, Lists: lists})
}

// listHome leads from a list's name without a slash to its archive.
func (s *Server) listHome(w http.ResponseWriter, r *http.Request) error {
	l, err := s.publicList(r)
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.o.Links.Archive(l.Name), http.StatusMovedPermanently)
	return nil
}

func (s *Server) archive(w http.ResponseWriter, r *http.Request) error {
	l, err := s.publicList(r)
	if err != nil {
		return err
	}
	before, err := beforeID(r)
	if err != nil {
		return err
	}
	editions, err := s.o.Store.ArchiveEditions(r.Context(), l.ID, before, archivePage)
	if err != nil {
		return err
	}
	f := s.frame(s.o.Links.Archive(l.Name))
	f.NoIndex = before != 0
	view := templates.ArchivePage{Frame: f, List: s.pageList(&l)}
	for i := range editions {
		view.Editions = append(view.Editions, s.pageEdition(&l, &editions[i]))
	}
	if len(editions) == archivePage {
		view.Older = view.List.Archive + "?before=" + strconv.FormatInt(editions[len(editions)-1].ID, 10)
	}
	s.cachePage(w)
	return s.page(w, http.StatusOK, "archive", view)
}

func beforeID(r *http.Request) (int64, error) {
	text := r.URL.Query().Get("before")
	if text == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, news.ErrNotFound
	}
	return id, nil
}

// pageEdition shows an edition on pages that name its list already: its subject
// goes without.
func (s *Server) pageEdition(l *news.List, e *news.Edition) templates.PageEdition {
	p := templates.PageEdition{
		Subject: strings.TrimPrefix(e.Subject, l.Title+": "), Articles: e.Articles, URL: s.local(s.o.Links.ArchiveEdition(l.Name, e.Slug)),
		Datetime: stamp(e.DueAt), Date: e.DueAt.In(s.zoneOf(l)).Format("Monday, 2 January 2006"),
	}
	if p.Subject == "" {
		p.Subject = "Edition of " + p.Date
	}
	return p
}

// zoneOf is the zone in which a list's dates are shown to everybody.
func (s *Server) zoneOf(l *news.List) *time.Location {
	if l.Zone != news.ZoneSubscriber {
		if loc, err := news.LoadZone("zone", l.Zone); err == nil {
			return loc
		}
	}
	return s.o.Site.Zone
}

func (s *Server) archiveEdition(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	l, err := s.publicList(r)
	if err != nil {
		return err
	}
	slug := r.PathValue("slug")
	if !news.ValidSlug(slug) {
		return news.ErrNotFound
	}
	e, err := s.o.Store.ArchiveEdition(ctx, l.ID, slug)
	if err != nil {
		return err
	}
	articles, err := s.o.Store.EditionArticles(ctx, e.ID)
	if err != nil {
		return err
	}
	view := templates.EditionPage{
		Frame: s.frame(s.o.Links.ArchiveEdition(l.Name, e.Slug)), List: s.pageList(&l), Edition: s.pageEdition(&l, &e),
	}
	var left []news.Article
	for i := range articles {
		gone, err := s.gone(ctx, articles[i].ID)
		if err != nil {
			return err
		}
		if !gone {
			left = append(left, articles[i])
		}
	}
	view.Articles = s.pageArticles(left)
	if view.Older, view.Newer, err = s.neighbours(ctx, &l, &e); err != nil {
		return err
	}
	s.cachePage(w)
	return s.page(w, http.StatusOK, "edition", view)
}

// gone tells whether an article was withdrawn since it was mailed: what was
// sent cannot be called back, but the archive need not go on publishing it.
func (s *Server) gone(ctx context.Context, id int64) (bool, error) {
	a, err := s.o.Store.Article(ctx, id)
	if errors.Is(err, news.ErrNotFound) {
		return true, nil
	}
	return a.State == news.ArticleWithdrawn, err
}

// maxWalk bounds the search for the next newer edition: the store pages only
// backwards, and a daily list has 1,000 editions after three years.
const maxWalk = 1000

func (s *Server) neighbours(ctx context.Context, l *news.List, e *news.Edition) (older, newer *templates.PageLink, err error) {
	as := func(e *news.Edition) *templates.PageLink {
		p := s.pageEdition(l, e)
		return &templates.PageLink{Text: p.Subject, URL: p.URL}
	}
	before, err := s.o.Store.ArchiveEditions(ctx, l.ID, e.ID, 1)
	if err != nil {
		return nil, nil, err
	}
	if len(before) > 0 {
		older = as(&before[0])
	}
	from := int64(0)
	for range maxWalk / archivePage {
		page, err := s.o.Store.ArchiveEditions(ctx, l.ID, from, archivePage)
		if err != nil {
			return nil, nil, err
		}
		for i := range page {
			if page[i].ID <= e.ID {
				return older, newer, nil
			}
			newer = as(&page[i])
		}
		if len(page) < archivePage {
			break
		}
		from = page[len(page)-1].ID
	}
	return older, nil, nil
}
