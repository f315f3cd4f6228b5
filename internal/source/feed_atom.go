package source

import (
	"strings"

	"github.com/mmcdole/gofeed/atom"

	"gazetted/internal/news"
)

// atom reads Atom 0.3 and 1.0 (RFC 4287).
func (p *feedParse) atom(text string) (*feedDoc, error) {
	f, err := (&atom.Parser{}).Parse(strings.NewReader(text))
	if err != nil {
		return nil, &noFeedError{"Atom that cannot be read: " + oneLine(err.Error(), 200)}
	}
	d := &feedDoc{format: "Atom " + orElse(f.Version, "1.0"), title: plainTitle(f.Title), language: languageTag(f.Language)}
	if f.Generator != nil {
		d.wordpress = strings.Contains(strings.ToLower(f.Generator.URI+f.Generator.Value), "wordpress")
	}
	for _, l := range f.Links {
		href := abs(l.Href, p.base.String())
		if l.Rel == "" || l.Rel == "alternate" {
			d.home = orElse(d.home, href)
		}
		d.link(strings.ToLower(l.Rel), href)
	}
	for _, gone := range f.Extensions["at"]["deleted-entry"] {
		d.deleted = append(d.deleted, strings.TrimSpace(gone.Attrs["ref"]))
	}
	for _, gone := range f.Extensions["http://purl.org/atompub/tombstones/1.0"]["deleted-entry"] {
		d.deleted = append(d.deleted, strings.TrimSpace(gone.Attrs["ref"]))
	}
	for _, e := range f.Entries {
		if e != nil {
			d.items = append(d.items, p.atomEntry(e, f))
		}
	}
	return d, nil
}

func (p *feedParse) atomEntry(e *atom.Entry, f *atom.Feed) feedItem {
	out := feedItem{guid: strings.TrimSpace(e.ID), permalink: true, title: e.Title, summary: e.Summary}
	out.published = p.date(e.Published, e.PublishedParsed)
	out.updated = p.date(e.Updated, e.UpdatedParsed)
	if out.published.IsZero() {
		out.published = out.updated // Atom asks for "updated" only
	}
	isPage := false
	for _, l := range e.Links {
		href := abs(l.Href, p.base.String())
		switch rel := strings.ToLower(l.Rel); {
		case rel == "" || rel == "alternate":
			if page := strings.Contains(l.Type, "html"); href != "" && (out.link == "" || page && !isPage) {
				out.link, isPage = href, page
			}
		case rel == "enclosure" && strings.HasPrefix(l.Type, "image/") && out.image == nil:
			out.image = &news.Image{URL: href, Type: l.Type}
		case rel == "replies" && strings.Contains(l.Type, "html"):
			out.comments = href
		}
	}
	if orig := e.Extensions["feedburner"]["origLink"]; len(orig) > 0 {
		out.link = orElse(abs(orig[0].Value, p.base.String()), out.link)
	}
	if c := e.Content; c != nil {
		out.content = atomContent(c)
		out.link = orElse(out.link, abs(c.Src, p.base.String())) // RFC 4287 §4.1.3.2
	}
	if out.content == "" {
		out.content, out.summary = orElse(out.summary, mediaText(e.Extensions["media"])), ""
	}
	people := e.Authors
	if len(people) == 0 && e.Source != nil {
		people = e.Source.Authors
	}
	if len(people) == 0 {
		people = f.Authors
	}
	for _, a := range people {
		if a != nil {
			out.authors = append(out.authors, news.Author{Name: orElse(a.Name, a.Email), URL: a.URI})
		}
	}
	for _, c := range e.Categories {
		// Google's services mark what an entry is with such schemes.
		if c != nil && !strings.HasPrefix(c.Scheme, "http://schemas.google.com/g/") {
			out.terms = append(out.terms, feedTerm{name: orElse(c.Label, c.Term), tag: tagScheme(c.Scheme)})
		}
	}
	if img := mediaImage(e.Extensions["media"]); img != nil {
		out.image = img
	}
	out.wpID = wordPressID(out.guid, e.Extensions)
	return out
}

// atomContent is an entry's content as HTML; "" for pictures and the like.
func atomContent(c *atom.Content) string {
	kind := strings.ToLower(c.Type)
	switch {
	case kind == "" || kind == "html" || strings.Contains(kind, "xhtml") || kind == "text/html":
		return c.Value // untyped content is text by the letter, HTML in practice
	case kind == "text" || kind == "text/plain":
		return textHTML(c.Value)
	}
	return ""
}
