package feeds

import (
	"fmt"
	"slices"
	"time"

	"gazetted/internal/news"
)

// Channel is everything about a feed except its items. Link and Self are
// required; the rest may be empty.
type Channel struct {
	// ID is Atom's feed id: an absolute URI (tag:, urn:, http:) that stays when
	// every link of the feed changes (RFC 4287 §4.2.6). Required.
	ID string
	// Title and Description are plain text. An empty Title is replaced by Link.
	Title, Description string
	Language           string // BCP 47; anything else is left out
	Rights             string // plain text, e.g. a copyright line
	Icon               string // URL of a square picture
	Logo               string // URL of a wide picture; RSS falls back on Icon
	Link               string // the HTML page that the feed is about
	// Self gives the URL of this feed in a format.
	Self func(news.FeedFormat) string
	Hubs []string // WebSub hubs
	// TTL is how long a reader may wait between two looks; RSS only, in whole minutes.
	TTL time.Duration
	// SkipHours are hours of the day in GMT, 0 to 23, in which nothing is ever
	// published; RSS only.
	SkipHours []int
	// TermURL names the taxonomy that a term belongs to, by which readers tell
	// categories from tags: RSS category@domain, Atom category@scheme. It should
	// depend on the term's Kind alone. Nil, or no absolute URI: a urn per kind.
	TermURL func(news.Term) string
	// RelatedTo lists what to read after an article, best first. Nil: nothing.
	RelatedTo func(articleID int64) []news.Article
	// Origin names the feed from which a source's articles were taken: RSS
	// source@url, Atom rel=via. Nil, or no URL: none.
	Origin func(sourceID int64) Origin
	// FullContent puts the bodies of public articles into the feed; otherwise it
	// carries summaries.
	FullContent bool
}

// Origin is another publisher's feed from which articles were taken.
type Origin struct {
	Title   string
	FeedURL string
}

// The media types of feeds and of OPML, without parameters: for link elements
// that announce a feed.
const (
	MediaRSS  = "application/rss+xml"
	MediaAtom = "application/atom+xml"
	MediaJSON = "application/feed+json"
	MediaOPML = "text/x-opml"
)

// MediaType is the media type of a format without parameters; empty for an
// unknown one.
func MediaType(f news.FeedFormat) string {
	switch f {
	case news.FormatRSS:
		return MediaRSS
	case news.FormatAtom:
		return MediaAtom
	case news.FormatJSON:
		return MediaJSON
	default:
		return ""
	}
}

// Build writes the feed in format f and says what to serve it as (Content-Type
// with its charset where the type has one). An unknown format is
// news.ErrNotFound; a Channel that makes no feed is a *news.FieldError.
func Build(f news.FeedFormat, c Channel, items []news.Article) (body []byte, contentType string, err error) {
	switch f {
	case news.FormatRSS:
		body, err = RSS(c, items)
		return body, MediaRSS + "; charset=utf-8", err
	case news.FormatAtom:
		body, err = Atom(c, items)
		return body, MediaAtom + "; charset=utf-8", err
	case news.FormatJSON: // RFC 8259 §11: JSON has no charset parameter
		body, err = JSON(c, items)
		return body, MediaJSON, err
	default:
		return nil, "", fmt.Errorf("build feed in format %q: %w", f, news.ErrNotFound)
	}
}

// head is a Channel made fit for all formats.
type head struct {
	Channel
	self string
}

// check refuses what no format could carry and cleans the rest.
func (c Channel) check(f news.FeedFormat) (head, error) {
	h := head{Channel: c}
	if c.Self != nil {
		h.self = webURL(c.Self(f))
	}
	h.ID, h.Link = identifier(c.ID), webURL(c.Link)
	for _, required := range []struct{ field, value, given, want string }{
		{"id", h.ID, c.ID, "an absolute URI that never changes, such as tag:news.example.org,2026:all"},
		{"link", h.Link, c.Link, "the absolute URL of the page that the feed is about"},
		{"self", h.self, h.self, "the absolute URL of the feed"},
	} {
		if required.value == "" {
			return head{}, fmt.Errorf("build %s feed: %w", f, &news.FieldError{Field: required.field, Value: required.given, Want: required.want})
		}
	}
	if h.Title = title(c.Title); h.Title == "" {
		h.Title = h.Link
	}
	h.Description, h.Rights, h.Language = line(c.Description), line(c.Rights), language(c.Language)
	h.Icon, h.Logo = webURL(c.Icon), webURL(c.Logo)
	h.Hubs = nil
	for _, hub := range c.Hubs {
		if hub = webURL(hub); hub != "" && !slices.Contains(h.Hubs, hub) {
			h.Hubs = append(h.Hubs, hub)
		}
	}
	return h, nil
}
