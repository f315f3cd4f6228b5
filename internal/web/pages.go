package web

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
	"gazetted/templates"
)

// pageStore is what the public pages are made of.
type pageStore interface {
	feedStore
	Article(ctx context.Context, id int64) (news.Article, error)
	Lists(ctx context.Context) ([]news.List, error)
	ListByName(ctx context.Context, name string) (news.List, error)
}

// page renders first and writes after, so that a fault gives a whole error
// page, and HEAD and GET have the same header.
func (s *Server) page(w http.ResponseWriter, status int, name string, view any) error {
	var b bytes.Buffer
	if err := s.o.Templates.Page(&b, name, view); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a reader that has gone is not our fault
	return nil
}

// cachePage lets caches keep a public page for a moment.
func (s *Server) cachePage(w http.ResponseWriter) {
	age := "public, max-age=30"
	if s.o.Demo {
		age = "no-cache"
	}
	w.Header().Set("Cache-Control", age)
}

// frame is the surrounding of a page; canonical is empty for pages that
// belong to one person.
func (s *Server) frame(canonical string) templates.Frame {
	site := s.o.Site
	f := templates.Frame{
		Site: site.Title, Tagline: site.Description, Language: site.Language, Rights: site.Rights,
		Today: s.now().In(site.Zone).Format("Monday, 2 January 2006"),
		Home:  s.local(s.o.Links.Home()), FeedIndex: s.local(s.o.Links.FeedIndex()), Newsletters: s.local(s.o.Links.Path("subscribe")),
		Stylesheet: s.staticURL("site.css"), Icon: s.staticURL("icon.svg"),
		Canonical: canonical, NoIndex: canonical == "", Alternates: s.pageFeeds(news.Term{}),
	}
	for _, l := range site.Links {
		f.Footer = append(f.Footer, s.link(l.Text, l.URL))
	}
	if s.o.Demo && s.o.Mailbox != nil {
		f.Mailbox = s.local(s.o.Links.Path("mailbox"))
	}
	return f
}

// local shortens a link of ours to its path. Pages then also work at another
// name of the same machine, such as 127.0.0.1 for localhost, where the
// content security policy would refuse a style sheet from "elsewhere". The
// path comes from the configured public URL, not from the request.
func (s *Server) local(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return link
	}
	if u.Path == "" {
		return "/"
	}
	out := u.EscapedPath()
	if u.RawQuery != "" {
		out += "?" + u.RawQuery
	}
	return out
}

func (s *Server) link(text, target string) templates.PageLink {
	return templates.PageLink{Text: text, URL: target}
}

func (s *Server) notice(title, text string, links ...templates.PageLink) templates.NoticePage {
	return templates.NoticePage{Frame: s.frame(""), Title: title, Text: []string{text}, Links: links}
}

// index returns the terms as they are now.
func (s *Server) index(ctx context.Context) (*termIndex, error) {
	if err := s.feeds.check(ctx); err != nil {
		return nil, err
	}
	return s.feeds.index(ctx)
}

// minute is how an instant is shown to people.
func (s *Server) minute(t time.Time) string {
	return t.In(s.o.Site.Zone).Format("2 January 2006, 15:04")
}

// moment is how a date of an article is shown.
func (s *Server) moment(t time.Time) string {
	if news.DateOnly(t) {
		return t.UTC().Format("2 January 2006")
	}
	return s.minute(t)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// pageArticle makes an article ready to be shown. Of an article that is not
// for everybody only the title and link are shown.
func (s *Server) pageArticle(a *news.Article) templates.PageArticle {
	p := templates.PageArticle{
		Title: a.Title, URL: a.URL, Byline: byline(a.Authors),
		Published: s.moment(a.PublishedAt), Datetime: stamp(a.PublishedAt),
		Members: a.Visibility != news.VisibilityPublic,
		Share:   s.local(s.o.Links.Share(a.ID)), Mail: news.MailLink(a.Title, a.Title+"\r\n\r\n"+a.URL), Discuss: a.CommentsURL,
	}
	if p.Title == "" {
		p.Title = a.URL
	}
	if a.Edited() {
		p.Updated = s.moment(a.UpdatedAt)
	}
	if news.DateOnly(a.PublishedAt) {
		p.Datetime = a.PublishedAt.UTC().Format(time.DateOnly)
	}
	if !p.Members {
		p.Summary = a.Summary
		if a.Image != nil && a.Image.URL != "" {
			p.Image = &templates.PageImage{URL: a.Image.URL, Alt: a.Image.Alt, Width: a.Image.Width, Height: a.Image.Height}
		}
	}
	if len(a.Categories) > 0 {
		k := s.link(a.Categories[0].Name, s.local(s.topicURL(a.Categories[0])))
		p.Kicker = &k
	}
	for _, t := range a.Tags {
		p.Tags = append(p.Tags, s.link(t.Name, s.local(s.topicURL(t))))
	}
	return p
}

// firstSeen is how many articles of a list fit into a large window.
const firstSeen = 3

func (s *Server) pageArticles(in []news.Article) []templates.PageArticle {
	out := make([]templates.PageArticle, 0, len(in))
	for i := range in {
		p := s.pageArticle(&in[i])
		if p.Image != nil {
			p.Image.Later = i >= firstSeen
		}
		out = append(out, p)
	}
	return out
}

// byline joins names as a newspaper does: "A", "A and B", "A, B and C".
func byline(authors []news.Author) string {
	names := make([]string, 0, len(authors))
	for _, a := range authors {
		if a.Name != "" {
			names = append(names, a.Name)
		}
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
