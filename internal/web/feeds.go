package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gazetted/feeds"
	"gazetted/internal/news"
)

// Bounds of how long a reader or cache may keep a feed without asking: long
// enough to spare a busy site most requests, short enough for news.
const (
	minAge = time.Minute
	maxAge = 5 * time.Minute
	// demoAge is for demonstrations, where an article comes every few seconds.
	demoAge = 5 * time.Second
)

func (s *Server) feedAll(w http.ResponseWriter, r *http.Request) error {
	name, format, err := splitFeed(r.PathValue("file"))
	if err != nil || name != "all" {
		return news.ErrNotFound
	}
	return s.serveFeed(w, r, feedKey{format: format})
}

func (s *Server) feedCategory(w http.ResponseWriter, r *http.Request) error {
	return s.feedOf(w, r, news.KindCategory)
}

func (s *Server) feedTag(w http.ResponseWriter, r *http.Request) error {
	return s.feedOf(w, r, news.KindTag)
}

func (s *Server) feedOf(w http.ResponseWriter, r *http.Request, kind news.TermKind) error {
	slug, format, err := splitFeed(r.PathValue("file"))
	if err != nil {
		return err
	}
	return s.serveFeed(w, r, feedKey{kind: kind, slug: slug, format: format})
}

// splitFeed reads "us.rss"; the slug itself may hold dots.
func splitFeed(file string) (string, news.FeedFormat, error) {
	i := strings.LastIndexByte(file, '.')
	if i <= 0 || !slices.Contains(news.FeedFormats(), news.FeedFormat(file[i+1:])) {
		return "", "", news.ErrNotFound
	}
	return file[:i], news.FeedFormat(file[i+1:]), nil
}

func (s *Server) serveFeed(w http.ResponseWriter, r *http.Request, key feedKey) error {
	b, err := s.feeds.get(r.Context(), key)
	var m *moved
	if errors.As(err, &m) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		http.Redirect(w, r, s.o.Links.FeedTerm(key.kind, m.term.Slug, key.format), http.StatusMovedPermanently)
		return nil
	}
	if err != nil {
		return err
	}
	s.metrics.feedRead(b.serve(w, r))
	return nil
}

// buildFeed makes one document of the cache.
func (s *Server) buildFeed(ctx context.Context, key feedKey, idx *termIndex) (*built, error) {
	if key.kind == kindOPML {
		return s.buildOPML(idx)
	}
	q := news.ArticleQuery{Limit: s.o.FeedItems, WithoutContent: s.o.FeedSummaries}
	var term news.Term
	if key.kind != "" {
		var err error
		if term, err = idx.find(ctx, s.o.Store, key.kind, key.slug); err != nil {
			return nil, err
		}
		q.TermIDs = idx.within(term.ID)
	}
	articles, err := s.o.Store.Articles(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read articles of feed: %w", err)
	}
	age := cadence(articles)
	if s.o.Demo {
		age = demoAge
	}
	out, contentType, err := feeds.Build(key.format, s.channel(term, age), articles)
	if err != nil {
		return nil, fmt.Errorf("build feed: %w", err)
	}
	doc, err := newDocument(out, contentType, cacheFor(age), lastChange(articles))
	if err != nil {
		return nil, err
	}
	doc.link = s.feedLinks(term, key.format)
	return &built{document: doc, term: term.ID, labels: labelsOf(articles)}, nil
}

// channel describes the feed of a term, or of everything for the zero term.
// Related articles are left out: they would make a feed change whenever some
// other one does, and every reader would load it again for nothing.
func (s *Server) channel(term news.Term, age time.Duration) feeds.Channel {
	site := s.o.Site
	c := feeds.Channel{
		ID: s.feedID(term), Title: site.Title, Description: site.Description, Language: site.Language, Rights: site.Rights,
		Icon: site.Icon, Link: s.o.Links.Home(), Hubs: s.o.Hubs, TTL: age, FullContent: !s.o.FeedSummaries,
		Self:    func(f news.FeedFormat) string { return s.selfURL(term, f) },
		TermURL: func(t news.Term) string { return s.o.Links.Path("topics", string(t.Kind)) },
	}
	if term.ID != 0 {
		c.Title = site.Title + ": " + term.Name
		c.Link = s.topicURL(term)
	}
	if c.Description == "" {
		c.Description = c.Title
	}
	return c
}

// feedID is a tag URI (RFC 4151) that stays when a term is renamed.
func (s *Server) feedID(term news.Term) string {
	host, _, _ := strings.Cut(s.host, ":")
	id := "tag:" + host + ",2026:gazetted" + strings.ReplaceAll(s.prefix, "/", ":")
	if term.ID == 0 {
		return id + ":all"
	}
	return id + ":" + string(term.Kind) + ":" + strconv.FormatInt(term.ID, 10)
}

func (s *Server) selfURL(term news.Term, f news.FeedFormat) string {
	if term.ID == 0 {
		return s.o.Links.FeedAll(f)
	}
	return s.o.Links.FeedTerm(term.Kind, term.Slug, f)
}

// topicURL is the page of a term.
func (s *Server) topicURL(term news.Term) string {
	return s.o.Links.Path("topics", string(term.Kind), term.Slug)
}

// feedLinks are the Link headers of WebSub discovery (W3C WebSub §4).
func (s *Server) feedLinks(term news.Term, f news.FeedFormat) []string {
	if len(s.o.Hubs) == 0 {
		return nil
	}
	links := make([]string, 0, len(s.o.Hubs)+1)
	for _, hub := range s.o.Hubs {
		links = append(links, "<"+hub+`>; rel="hub"`)
	}
	return append(links, "<"+s.selfURL(term, f)+`>; rel="self"`)
}

// lastChange is the newest instant at which the feed became what it is.
func lastChange(articles []news.Article) time.Time {
	var t time.Time
	for i := range articles {
		a := &articles[i]
		for _, at := range []time.Time{a.LastChanged(), a.ReleasedAt} {
			if at.After(t) {
				t = at
			}
		}
	}
	return t
}

// cadence says how long a feed may be kept: a tenth of the usual time between
// its latest articles, within bounds. It depends on the articles alone, so
// that replicas agree.
func cadence(articles []news.Article) time.Duration {
	n := min(len(articles), 10)
	if n < 2 {
		return minAge
	}
	span := articles[0].PublishedAt.Sub(articles[n-1].PublishedAt).Abs()
	age := span / time.Duration(n-1) / 10
	return min(max(age.Truncate(time.Minute), minAge), maxAge)
}

func cacheFor(age time.Duration) string {
	return "public, max-age=" + strconv.Itoa(int(age.Seconds()))
}
