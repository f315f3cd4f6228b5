package feeds

import (
	"slices"
	"time"

	gorilla "github.com/gorilla/feeds"

	"gazetted/internal/news"
)

// Atom writes an Atom 1.0 document (RFC 4287) with Media RSS elements. It fails
// only for a Channel without ID, Link or Self, with a *news.FieldError.
func Atom(c Channel, items []news.Article) ([]byte, error) {
	h, err := c.check(news.FormatAtom)
	if err != nil {
		return nil, err
	}
	entries, feed := h.entries(items)
	return writeXML(news.FormatAtom, h.atom(entries, feed))
}

// undated stands where Atom requires an instant and none is known.
func undated() string { return time.Unix(0, 0).UTC().Format(time.RFC3339) }

// atomDocument shadows the library's single link and its entries.
type atomDocument struct {
	*gorilla.AtomFeed
	MediaNS   string       `xml:"xmlns:media,attr"`
	Lang      string       `xml:"xml:lang,attr,omitempty"`
	Generator string       `xml:"generator"`
	Links     []xmlLink    `xml:"link"`
	Entries   []*atomEntry `xml:"entry"`
}

// FeedXml hands the document to the library's writer.
func (d *atomDocument) FeedXml() any { return d } //nolint:staticcheck // ST1003: the library's interface spells it so

// atomEntry shadows Author and Category because the library has one of each,
// Category also because it is text, and Content to write it as CDATA. Links
// replace the library's, which have no title; encoding/xml knows those by the
// name of the field, "Links", so that they are not shadowed but emptied.
type atomEntry struct {
	*gorilla.AtomEntry
	Lang       string               `xml:"xml:lang,attr,omitempty"`
	Links      []xmlLink            `xml:"link"`
	Authors    []gorilla.AtomAuthor `xml:"author"`
	Categories []atomCategory       `xml:"category"`
	Content    *atomContent         `xml:"content"`
	Media      *mediaContent        `xml:"media:content"`
}

type atomCategory struct {
	Term   string `xml:"term,attr"`
	Scheme string `xml:"scheme,attr"`
	Label  string `xml:"label,attr"`
}

// atomContent writes HTML as CDATA: escaped, it would be a third larger.
type atomContent struct {
	Type string `xml:"type,attr"`
	Body string `xml:",cdata"`
}

func (h head) atom(entries []entry, feed *gorilla.Feed) *atomDocument {
	// Every entry without authors takes the feed's (RFC 4287 §4.1.1).
	feed.Author = &gorilla.Author{Name: h.Title}
	doc := &atomDocument{AtomFeed: (&gorilla.Atom{Feed: feed}).AtomFeed(), MediaNS: nsMedia, Lang: h.Language, Generator: generator}
	doc.Id = h.ID // the library takes the link
	doc.Updated = firstOf(doc.Updated, undated())
	doc.Icon, doc.Logo = h.Icon, h.Logo
	doc.Links = append(h.feedLinks(MediaAtom), xmlLink{Rel: "alternate", Type: "text/html", Href: h.Link})
	for i := range entries {
		doc.Entries = append(doc.Entries, entries[i].atom(doc.AtomFeed.Entries[i]))
	}
	return doc
}

// atom wraps the entry that the library has made.
func (e *entry) atom(item *gorilla.AtomEntry) *atomEntry {
	item.Id = guidURI(e.Id)
	item.Links = nil
	item.Updated = firstOf(item.Updated, undated())
	if !e.Created.IsZero() {
		item.Published = e.Created.Format(time.RFC3339)
	}
	if item.Summary != nil {
		item.Summary.Type = "text" // the library says html
	}
	x := &atomEntry{AtomEntry: item, Lang: e.language, Links: e.atomLinks(), Media: e.image.media()}
	for _, p := range e.authors {
		x.Authors = append(x.Authors, gorilla.AtomAuthor{AtomPerson: gorilla.AtomPerson{Name: p.name, Uri: p.url}})
	}
	for _, t := range slices.Concat(e.categories, e.tags) {
		x.Categories = append(x.Categories, atomCategory{Term: t.slug, Scheme: t.scheme, Label: t.name})
	}
	switch {
	case e.Content != "":
		x.Content = &atomContent{Type: "html", Body: e.Content}
	case e.link == "": // an entry needs an alternate link or a content (RFC 4287 §4.1.2)
		x.Content = &atomContent{Type: "text", Body: firstOf(e.Description, e.Title)}
	}
	return x
}

func (e *entry) atomLinks() []xmlLink {
	var links []xmlLink
	if e.link != "" {
		links = append(links, xmlLink{Rel: "alternate", Type: "text/html", Href: e.link})
	}
	if e.Enclosure != nil {
		links = append(links, xmlLink{Rel: "enclosure", Type: e.Enclosure.Type, Href: e.Enclosure.Url, Length: e.Enclosure.Length})
	}
	if e.comments != "" { // RFC 4685 §4; how many replies there are is not known
		links = append(links, xmlLink{Rel: "replies", Type: "text/html", Href: e.comments})
	}
	if e.origin.FeedURL != "" {
		links = append(links, xmlLink{Rel: "via", Href: e.origin.FeedURL, Title: e.origin.Title})
	}
	for _, t := range e.related {
		links = append(links, xmlLink{Rel: "related", Type: "text/html", Href: t.link, Title: t.title})
	}
	return links
}
