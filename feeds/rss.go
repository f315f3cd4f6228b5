package feeds

import (
	"slices"
	"strings"
	"time"

	gorilla "github.com/gorilla/feeds"

	"gazetted/internal/news"
)

// RSS writes an RSS 2.0 document (rssboard.org/rss-specification) with Atom,
// Content, Dublin Core and Media RSS elements. It fails only for a Channel
// without ID, Link or Self, with a *news.FieldError.
func RSS(c Channel, items []news.Article) ([]byte, error) {
	h, err := c.check(news.FormatRSS)
	if err != nil {
		return nil, err
	}
	entries, feed := h.entries(items)
	return writeXML(news.FormatRSS, h.rss(entries, feed))
}

// rssDocument is the library's root with our namespaces and channel.
type rssDocument struct {
	*gorilla.RssFeedXml
	AtomNS  string      `xml:"xmlns:atom,attr"`
	DCNS    string      `xml:"xmlns:dc,attr"`
	MediaNS string      `xml:"xmlns:media,attr"`
	Channel *rssChannel `xml:"channel"` // instead of the library's
}

// FeedXml hands the document to the library's writer.
func (d *rssDocument) FeedXml() any { return d } //nolint:staticcheck // ST1003: the library's interface spells it so

type rssChannel struct {
	*gorilla.RssFeed
	Links     []xmlLink     `xml:"atom:link"`
	SkipHours *rssSkipHours `xml:"skipHours"` // the library's is plain text
	Items     []*rssItem    `xml:"item"`
}

type rssSkipHours struct {
	Hours []int `xml:"hour"`
}

// rssItem stands in for the library's Title, Link and Description because those
// are written even if empty, for Category because there is only one, and for
// Source because it has no url.
type rssItem struct {
	Title       string `xml:"title,omitempty"`
	Link        string `xml:"link,omitempty"`
	Description string `xml:"description,omitempty"`
	*gorilla.RssItem
	Creator    string        `xml:"dc:creator,omitempty"` // all names in one: readers keep only the last of several
	Categories []rssCategory `xml:"category"`
	Language   string        `xml:"dc:language,omitempty"`
	Updated    string        `xml:"atom:updated,omitempty"` // RSS has no element for it
	Source     *rssSource    `xml:"source"`
	Media      *mediaContent `xml:"media:content"`
}

type rssCategory struct {
	Domain string `xml:"domain,attr"`
	Name   string `xml:",chardata"`
}

type rssSource struct {
	URL   string `xml:"url,attr"`
	Title string `xml:",chardata"`
}

func (h head) rss(entries []entry, feed *gorilla.Feed) *rssDocument {
	channel := &rssChannel{RssFeed: (&gorilla.Rss{Feed: feed}).RssFeed(), Links: h.feedLinks(MediaRSS)}
	root := &gorilla.RssFeedXml{Version: "2.0", ContentNamespace: nsContent}
	doc := &rssDocument{RssFeedXml: root, AtomNS: nsAtom, DCNS: nsDC, MediaNS: nsMedia, Channel: channel}
	if channel.Description == "" { // required
		channel.Description = h.Title
	}
	channel.Language = h.Language
	channel.Generator = generator
	channel.Docs = "https://www.rssboard.org/rss-specification"
	channel.Ttl = int((max(h.TTL, 0) + time.Minute - 1) / time.Minute) // 0: left out
	channel.SkipHours = skipHours(h.SkipHours)
	if image := firstOf(h.Logo, h.Icon); image != "" {
		channel.Image = &gorilla.RssImage{Url: image, Title: h.Title, Link: h.Link}
	}
	for i := range entries {
		channel.Items = append(channel.Items, entries[i].rss(channel.RssFeed.Items[i]))
	}
	return doc
}

// rss wraps the item that the library has made.
func (e *entry) rss(item *gorilla.RssItem) *rssItem {
	x := &rssItem{
		RssItem:     item,
		Title:       e.Title,
		Link:        e.link,
		Description: htmlText(e.Description),
		Creator:     strings.Join(names(e.authors), ", "),
		Language:    e.language,
		Media:       e.image.media(),
	}
	item.Comments = e.comments
	if x.Title == "" && x.Description == "" { // one of the two is required
		x.Title = firstOf(e.link, e.Id)
	}
	if e.edited {
		x.Updated = e.Updated.Format(time.RFC3339)
	}
	if e.origin.FeedURL != "" {
		x.Source = &rssSource{URL: e.origin.FeedURL, Title: firstOf(e.origin.Title, e.origin.FeedURL)}
	}
	for _, t := range slices.Concat(e.categories, e.tags) {
		x.Categories = append(x.Categories, rssCategory{Domain: t.scheme, Name: t.name})
	}
	return x
}

// skipHours sorts the hours and drops what is none; no more than 24 remain.
func skipHours(hours []int) *rssSkipHours {
	valid := slices.DeleteFunc(slices.Clone(hours), func(h int) bool { return h < 0 || h > 23 })
	slices.Sort(valid)
	valid = slices.Compact(valid)
	if len(valid) == 0 {
		return nil
	}
	return &rssSkipHours{Hours: valid}
}

// firstOf returns the first text that is not empty.
func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
