package feeds

import (
	"strconv"
	"strings"
	"time"

	gorilla "github.com/gorilla/feeds"

	"gazetted/internal/news"
)

// entry is an article made fit for all formats. The library's Item holds what
// the library can tell: Title, Link, Description (plain text), Id, Content,
// Enclosure, Created (published) and Updated; the rest is what it cannot.
type entry struct {
	gorilla.Item
	link       string // "" if the article has no usable URL
	edited     bool   // Updated is worth being shown
	language   string // "" if it is the channel's
	authors    []person
	categories []term
	tags       []term
	image      *picture
	comments   string
	origin     Origin
	visibility news.Visibility // "" for public
	related    []teaser
}

type person struct{ name, url string }

type term struct{ slug, name, scheme string }

type picture struct {
	url, alt, mediaType string
	width, height       int
	bytes               int64
}

// teaser is an article as another one points to it.
type teaser struct {
	id, link, title, image string
	published              time.Time
	authors                []person
	categories             []term
}

// entries prepares the items and the library's Feed around them.
func (h head) entries(items []news.Article) ([]entry, *gorilla.Feed) {
	feed := &gorilla.Feed{
		Title:       h.Title,
		Link:        &gorilla.Link{Href: h.Link, Rel: "alternate", Type: "text/html"},
		Description: h.Description,
		Id:          h.ID,
		Copyright:   h.Rights,
	}
	out := make([]entry, len(items))
	for i := range items {
		out[i] = h.entry(&items[i])
		feed.Add(&out[i].Item)
		if out[i].Created.After(feed.Created) {
			feed.Created = out[i].Created
		}
		if out[i].Updated.After(feed.Updated) {
			feed.Updated = out[i].Updated
		}
	}
	return out, feed
}

func (h head) entry(a *news.Article) entry {
	published, updated := dates(a)
	e := entry{
		Item: gorilla.Item{
			Title:       title(a.Title),
			Description: line(a.Summary),
			Id:          guid(a),
			Created:     published,
			Updated:     updated,
		},
		link:       webURL(a.URL),
		edited:     !published.IsZero() && a.Edited() && updated.After(published),
		language:   language(a.Language),
		authors:    people(a.Authors),
		categories: h.terms(news.KindCategory, a.Categories),
		tags:       h.terms(news.KindTag, a.Tags),
		comments:   webURL(a.CommentsURL),
	}
	e.Link = &gorilla.Link{Href: e.link, Rel: "alternate", Type: "text/html"}
	e.IsPermaLink = strconv.FormatBool(e.link != "" && e.Id == e.link)
	if strings.EqualFold(e.language, h.Language) {
		e.language = ""
	}
	if h.Origin != nil {
		o := h.Origin(a.SourceID)
		e.origin = Origin{Title: title(o.Title), FeedURL: webURL(o.FeedURL)}
	}
	if a.Visibility == news.VisibilityPublic {
		h.addPublic(&e, a)
	} else if e.visibility = news.Visibility(line(string(a.Visibility))); e.visibility == "" {
		e.visibility = "unknown"
	}
	e.related = h.teasers(a)
	return e
}

// addPublic adds what only everybody's articles carry.
func (h head) addPublic(e *entry, a *news.Article) {
	if h.FullContent {
		e.Content = clean(a.ContentHTML)
	}
	if e.image = newPicture(a.Image); e.image != nil && e.image.bytes > 0 && e.image.mediaType != "" {
		e.Enclosure = &gorilla.Enclosure{Url: e.image.url, Type: e.image.mediaType, Length: strconv.FormatInt(e.image.bytes, 10)}
	}
}

func (h head) teasers(a *news.Article) []teaser {
	if h.RelatedTo == nil {
		return nil
	}
	var out []teaser
	for _, r := range h.RelatedTo(a.ID) {
		t := teaser{id: guid(&r), link: webURL(r.URL), title: title(r.Title), authors: people(r.Authors), categories: h.terms(news.KindCategory, r.Categories)}
		if t.link == "" || r.ID == a.ID {
			continue
		}
		t.published, _ = dates(&r)
		if p := newPicture(r.Image); p != nil && r.Visibility == news.VisibilityPublic {
			t.image = p.url
		}
		out = append(out, t)
	}
	return out
}

// guid is what readers know the article by. The store assigns one to every
// article; for one without, the next best identity that never changes. A guid
// that is a URL passes through the same encoding as links, so that the two can
// be compared.
func guid(a *news.Article) string {
	id := line(a.GUID)
	if id == "" {
		id = webURL(a.URL)
	}
	if id == "" {
		return guidURI(strconv.FormatInt(a.SourceID, 10) + " " + a.NativeID + " " + strconv.FormatInt(a.ID, 10))
	}
	if u := webURL(id); u != "" {
		return u
	}
	return id
}

// dates are when a was published and when it last changed; zero if unknown.
func dates(a *news.Article) (published, updated time.Time) {
	if published = writable(a.PublishedAt); published.IsZero() {
		published = writable(a.FirstSeenAt)
	}
	if updated = writable(a.UpdatedAt); updated.Before(published) {
		updated = published
	}
	return published, updated
}

// writable is t in UTC and whole seconds, or zero if RFC 3339 (§1: years 0000
// to 9999) or RFC 822 with four digits cannot write it.
func writable(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

func people(authors []news.Author) []person {
	var out []person
	for _, a := range authors {
		if name := personName(a.Name); name != "" {
			out = append(out, person{name: name, url: webURL(a.URL)})
		}
	}
	return out
}

func names(people []person) []string {
	var out []string
	for _, p := range people {
		out = append(out, p.name)
	}
	return out
}

// terms cleans terms of one kind and drops repeated and nameless ones.
func (h head) terms(kind news.TermKind, in []news.Term) []term {
	var out []term
	seen := make(map[term]bool, len(in))
	for _, t := range in {
		t.Kind = kind
		x := term{slug: line(t.Slug), name: title(t.Name)}
		if x.name == "" {
			x.name = x.slug
		}
		if x.slug == "" {
			x.slug = x.name
		}
		if h.TermURL != nil {
			x.scheme = identifier(h.TermURL(t))
		}
		if x.scheme == "" {
			x.scheme = "urn:gazetted:" + string(kind)
		}
		if x.name != "" && !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	return out
}

func newPicture(i *news.Image) *picture {
	if i == nil {
		return nil
	}
	p := &picture{url: webURL(i.URL), alt: title(i.Alt), mediaType: mediaType(i.Type), width: max(i.Width, 0), height: max(i.Height, 0), bytes: i.Bytes}
	if p.url == "" {
		return nil
	}
	return p
}
