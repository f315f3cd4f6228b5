package web

import (
	"net/http"
	"time"

	"gazetted/feeds"
	"gazetted/internal/news"
	"gazetted/templates"
)

// maxIndexTags bounds the tags on the page of feeds; the OPML has them all.
const maxIndexTags = 200

func (s *Server) feedIndex(w http.ResponseWriter, r *http.Request) error {
	idx, err := s.index(r.Context())
	if err != nil {
		return err
	}
	f := s.frame(s.o.Links.FeedIndex())
	f.Here = "feeds"
	view := templates.FeedsPage{
		Frame: f, All: s.pageFeeds(news.Term{}), OPML: s.local(s.o.Links.OPML()),
		Categories: s.pageTree(idx),
		MoreTags:   max(len(idx.tags)-maxIndexTags, 0),
	}
	for _, t := range idx.tags[:min(len(idx.tags), maxIndexTags)] {
		view.Tags = append(view.Tags, s.pageTerm(t))
	}
	s.cachePage(w)
	return s.page(w, http.StatusOK, "feeds", view)
}

// pageTree lists the categories that have articles, each after its parent.
func (s *Server) pageTree(idx *termIndex) []templates.PageTerm {
	var out []templates.PageTerm
	idx.walk(0, func(t news.Term, depth int) {
		p := s.pageTerm(t)
		p.Depth = depth
		out = append(out, p)
	})
	return out
}

func (s *Server) pageTerm(t news.Term) templates.PageTerm {
	return templates.PageTerm{
		Name: t.Name, Kind: string(t.Kind), URL: s.local(s.topicURL(t)), Articles: t.Articles, Feeds: s.pageFeeds(t),
	}
}

// pageFeeds are the feeds of a term, or of everything for the zero term.
func (s *Server) pageFeeds(t news.Term) []templates.PageFeed {
	title := s.o.Site.Title
	if t.ID != 0 {
		title += ": " + t.Name
	}
	out := make([]templates.PageFeed, 0, 3)
	for _, f := range news.FeedFormats() {
		name := map[news.FeedFormat]string{news.FormatRSS: "RSS", news.FormatAtom: "Atom", news.FormatJSON: "JSON"}[f]
		out = append(out, templates.PageFeed{Format: name, Title: title + " (" + name + ")", Type: feeds.MediaType(f), URL: s.selfURL(t, f)})
	}
	return out
}

func (s *Server) opml(w http.ResponseWriter, r *http.Request) error {
	return s.serveFeed(w, r, feedKey{kind: kindOPML})
}

// buildOPML lists every feed: all articles, the categories as a tree, the tags.
// It offers Atom, which every reader knows and which says the most.
func (s *Server) buildOPML(idx *termIndex) (*built, error) {
	outlines := []feeds.Outline{{Title: s.o.Site.Title, XMLURL: s.o.Links.FeedAll(news.FormatAtom), HTMLURL: s.o.Links.Home()}}
	outlines = append(outlines, feeds.Outline{Title: "Sections", Children: s.outlines(idx, 0, 0)})
	tags := feeds.Outline{Title: "Tags"}
	for _, t := range idx.tags {
		tags.Children = append(tags.Children, s.outline(t))
	}
	b, err := feeds.OPML(s.o.Site.Title, append(outlines, tags))
	if err != nil {
		return nil, err
	}
	doc, err := newDocument(b, feeds.MediaOPML+"; charset=utf-8", cacheFor(maxAge), time.Time{})
	if err != nil {
		return nil, err
	}
	return &built{document: doc, term: wholeSite}, nil
}

func (s *Server) outlines(idx *termIndex, parent int64, depth int) []feeds.Outline {
	if depth >= maxTree {
		return nil
	}
	var out []feeds.Outline
	for _, t := range idx.children[parent] {
		switch {
		case !idx.alive(t.ID):
		case !t.Offered(): // what is below it is shown in its place
			out = append(out, s.outlines(idx, t.ID, depth+1)...)
		default:
			o := s.outline(t)
			o.Children = s.outlines(idx, t.ID, depth+1)
			out = append(out, o)
		}
	}
	return out
}

func (s *Server) outline(t news.Term) feeds.Outline {
	return feeds.Outline{Title: t.Name, XMLURL: s.selfURL(t, news.FormatAtom), HTMLURL: s.topicURL(t)}
}
