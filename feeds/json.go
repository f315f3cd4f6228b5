package feeds

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	gorilla "github.com/gorilla/feeds"

	"gazetted/internal/news"
)

// JSON writes a JSON Feed 1.1 document (jsonfeed.org/version/1.1) with the
// _gazetted extension that the package comment describes. It fails only for a
// Channel without ID, Link or Self, with a *news.FieldError.
func JSON(c Channel, items []news.Article) ([]byte, error) {
	h, err := c.check(news.FormatJSON)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the document is never part of a page
	e.SetIndent("", "  ")
	if err := e.Encode(h.json(h.entries(items))); err != nil {
		return nil, fmt.Errorf("write json document: %w", err)
	}
	return b.Bytes(), nil
}

// jsonDocument shadows the library's items, which vanish when there are none.
type jsonDocument struct {
	*gorilla.JSONFeed
	Extension *jsonFeedExtension `json:"_gazetted,omitempty"`
	Items     []*jsonItem        `json:"items"`
}

type jsonFeedExtension struct {
	Rights string `json:"rights"`
}

// jsonItem shadows the library's content_text, which vanishes when empty, and
// its attachments, whose size has a wrong name.
type jsonItem struct {
	*gorilla.JSONItem
	ContentText *string            `json:"content_text,omitempty"`
	Language    string             `json:"language,omitempty"`
	Attachments []jsonAttachment   `json:"attachments,omitempty"`
	Extension   *jsonItemExtension `json:"_gazetted,omitempty"`
}

type jsonAttachment struct {
	URL      string `json:"url"`
	MIMEType string `json:"mime_type"`
	Size     int64  `json:"size_in_bytes"`
}

type jsonItemExtension struct {
	Visibility  news.Visibility `json:"visibility,omitempty"`
	Categories  []jsonTerm      `json:"categories,omitempty"`
	Tags        []jsonTerm      `json:"tags,omitempty"`
	Image       *jsonImage      `json:"image,omitempty"`
	CommentsURL string          `json:"comments_url,omitempty"`
	Source      *jsonSource     `json:"source,omitempty"`
	Related     []jsonTeaser    `json:"related,omitempty"`
}

type jsonTerm struct {
	Slug   string `json:"slug"`
	Name   string `json:"name"`
	Scheme string `json:"scheme"`
}

type jsonImage struct {
	URL      string `json:"url"`
	Alt      string `json:"alt,omitempty"`
	MIMEType string `json:"mime_type,omitempty"`
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
}

type jsonSource struct {
	Title string `json:"title,omitempty"`
	URL   string `json:"url"`
}

type jsonTeaser struct {
	ID         string   `json:"id"`
	URL        string   `json:"url"`
	Title      string   `json:"title,omitempty"`
	Published  string   `json:"date_published,omitempty"`
	Image      string   `json:"image,omitempty"`
	Authors    []string `json:"authors,omitempty"`
	Categories []string `json:"categories,omitempty"`
}

func (h head) json(entries []entry, feed *gorilla.Feed) *jsonDocument {
	doc := &jsonDocument{JSONFeed: (&gorilla.JSON{Feed: feed}).JSONFeed(), Items: make([]*jsonItem, 0, len(entries))}
	doc.FeedUrl = h.self
	doc.Language = h.Language
	doc.Icon = h.Icon
	for _, hub := range h.Hubs {
		doc.Hubs = append(doc.Hubs, &gorilla.JSONHub{Type: "WebSub", Url: hub})
	}
	if h.Rights != "" {
		doc.Extension = &jsonFeedExtension{Rights: h.Rights}
	}
	for i := range entries {
		doc.Items = append(doc.Items, entries[i].json(doc.JSONFeed.Items[i]))
	}
	return doc
}

// json wraps the item that the library has made.
func (e *entry) json(item *gorilla.JSONItem) *jsonItem {
	x := &jsonItem{JSONItem: item, Language: e.language, Extension: e.extension()}
	if e.Content == "" { // one of the two contents is required
		text := firstOf(e.Description, e.Title, e.link)
		x.ContentText = &text
	}
	if !e.edited {
		item.ModifiedDate = nil
	}
	if e.image != nil {
		item.Image = e.image.url
	}
	for _, p := range e.authors {
		item.Authors = append(item.Authors, &gorilla.JSONAuthor{Name: p.name, Url: p.url})
	}
	for _, t := range slices.Concat(e.categories, e.tags) {
		if !slices.Contains(item.Tags, t.name) {
			item.Tags = append(item.Tags, t.name)
		}
	}
	if e.Enclosure != nil {
		x.Attachments = []jsonAttachment{{URL: e.Enclosure.Url, MIMEType: e.Enclosure.Type, Size: e.image.bytes}}
	}
	return x
}

// extension returns nil if it would be empty.
func (e *entry) extension() *jsonItemExtension {
	x := &jsonItemExtension{Visibility: e.visibility, Categories: jsonTerms(e.categories), Tags: jsonTerms(e.tags), CommentsURL: e.comments}
	if p := e.image; p != nil {
		x.Image = &jsonImage{URL: p.url, Alt: p.alt, MIMEType: p.mediaType, Width: p.width, Height: p.height}
	}
	if e.origin.FeedURL != "" {
		x.Source = &jsonSource{Title: e.origin.Title, URL: e.origin.FeedURL}
	}
	for _, t := range e.related {
		teaser := jsonTeaser{ID: t.id, URL: t.link, Title: t.title, Image: t.image, Authors: names(t.authors)}
		if !t.published.IsZero() {
			teaser.Published = t.published.Format(time.RFC3339)
		}
		for _, c := range t.categories {
			teaser.Categories = append(teaser.Categories, c.name)
		}
		x.Related = append(x.Related, teaser)
	}
	if x.Visibility == "" && x.CommentsURL == "" && x.Image == nil && x.Source == nil && len(x.Categories)+len(x.Tags)+len(x.Related) == 0 {
		return nil
	}
	return x
}

func jsonTerms(terms []term) []jsonTerm {
	var out []jsonTerm
	for _, t := range terms {
		out = append(out, jsonTerm{Slug: t.slug, Name: t.name, Scheme: t.scheme})
	}
	return out
}
