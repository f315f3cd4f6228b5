package source

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	ext "github.com/mmcdole/gofeed/extensions"

	"gazetted/internal/news"
)

// feedDoc is a feed of any format as it was read: URLs absolute where they
// could be made so, texts as the publisher wrote them.
type feedDoc struct {
	format   string // for people: "RSS 2.0"
	title    string
	home     string // the site's page
	language string
	next     string // the following page or the older archive (RFC 5005 §3, §4)
	self     string // the feed's own address, as it says
	hubs     []string
	// wordpress: pages of older posts are to be had with ?paged=
	wordpress bool
	items     []feedItem
	deleted   []string // ids of at:deleted-entry (RFC 6721)
}

// feedItem is one item of a feed.
type feedItem struct {
	guid      string // "": it has none
	permalink bool   // guid is the item's address
	link      string
	title     string // HTML
	content   string // HTML
	summary   string // HTML
	published time.Time
	updated   time.Time
	authors   []news.Author
	terms     []feedTerm
	image     *news.Image
	comments  string
	language  string
	wpID      string // the post's id, where WordPress tells it
}

// feedTerm is a term with the feed's own word for what kind it is, if any.
type feedTerm struct {
	name string
	tag  bool
}

// feedReader reads feeds. It is safe for concurrent use.
type feedReader struct {
	decl *declaration
	root *regexp.Regexp
	zone *regexp.Regexp
	// footer is what WordPress adds to the end of every item.
	footer *regexp.Regexp
}

func newFeedReader() *feedReader {
	return &feedReader{
		decl: newDeclaration(),
		root: regexp.MustCompile(`<(?:[A-Za-z0-9_.-]+:)?(rss|RSS|feed|RDF|rdf|html|HTML|urlset|sitemapindex)[\s>/]`),
		// What tells that a date says where it is.
		zone:   regexp.MustCompile(`(?:[+-]\d{1,2}:?\d{2}|[Zz]|\s[A-Z]{1,5})\s*(?:\([^)]*\))?$`),
		footer: newFooter(),
	}
}

// read reads a feed that was fetched from base. zone is how dates without an
// offset are meant. An answer that is no feed is an *OddAnswerError, one beyond
// all measure a *FeedLimitError.
func (r *feedReader) read(ans *Answer, zone *time.Location) (*feedDoc, error) {
	body, err := unpacked(ans.Body)
	if err != nil {
		return nil, err
	}
	text := r.decl.text(body, ans.Header.Get("Content-Type"))
	odd := func(what string) error { return &OddAnswerError{URL: shownRawURL(ans.URL), Text: what} }
	if text == "" {
		return nil, odd("nothing")
	}
	base, err := url.Parse(ans.URL)
	if err != nil {
		return nil, fmt.Errorf("read feed address: %w", err)
	}
	p := &feedParse{reader: r, base: base, dates: newDateReader(zone)}
	var doc *feedDoc
	if text[0] == '{' || text[0] == '[' {
		if err := checkJSON(text); err != nil {
			return nil, err
		}
		doc, err = p.json(text)
	} else {
		doc, err = p.xml(text)
	}
	if err != nil {
		if as[*FeedLimitError](err) != nil {
			return nil, err
		}
		return nil, odd(err.Error())
	}
	for _, header := range ans.Header.Values("Link") {
		p.headerLinks(doc, header)
	}
	return doc, nil
}

// feedParse is the reading of one feed.
type feedParse struct {
	reader *feedReader
	base   *url.URL
	dates  *dateReader
}

// errNoFeed is an answer of another kind.
type noFeedError struct{ what string }

func (e *noFeedError) Error() string { return e.what }

// xml tells what kind of XML it is. What stands before the root element (a
// warning of PHP's, for instance) is passed over.
func (p *feedParse) xml(text string) (*feedDoc, error) {
	m := p.reader.root.FindStringSubmatchIndex(text[:min(len(text), 64<<10)])
	if m == nil {
		return nil, &noFeedError{"something that is no feed"}
	}
	kind := strings.ToLower(text[m[2]:m[3]])
	switch kind {
	case "html":
		return nil, &noFeedError{"a page for people instead of a feed"}
	case "urlset", "sitemapindex":
		return nil, &noFeedError{"a sitemap instead of a feed"}
	}
	text = text[m[0]:]
	if err := checkXML(text); err != nil {
		return nil, err
	}
	if kind == "feed" {
		return p.atom(text)
	}
	return p.rss(text)
}

// abs makes a reference absolute against the first base that is one; "" for
// what is no address on the web.
func abs(ref string, bases ...string) string {
	t := &tidier{}
	for _, b := range bases {
		if u, err := url.Parse(b); err == nil && u.IsAbs() && u.Host != "" {
			t.base = u
			break
		}
	}
	out := t.resolve(ref)
	if !webURL(out) {
		return ""
	}
	return out
}

// date reads a date. gofeed has read it already, as UTC where it names no
// zone; then it is read again in the source's.
func (p *feedParse) date(text string, parsed *time.Time) time.Time {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}
	}
	if parsed != nil && p.reader.zone.MatchString(text) {
		return *parsed
	}
	if at, _, err := p.dates.parse(text); err == nil {
		return at
	}
	if parsed != nil {
		return *parsed
	}
	return time.Time{}
}

// headerLinks reads hub and self from a Link header (RFC 8288, WebSub §4).
func (p *feedParse) headerLinks(doc *feedDoc, header string) {
	for link := range strings.SplitSeq(header, ",") {
		target, params, ok := strings.Cut(strings.TrimSpace(link), ">")
		if !ok || !strings.HasPrefix(target, "<") {
			continue
		}
		for param := range strings.SplitSeq(params, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			if !strings.EqualFold(strings.TrimSpace(key), "rel") {
				continue
			}
			for rel := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
				doc.link(strings.ToLower(rel), abs(target[1:], p.base.String()))
			}
		}
	}
}

// link takes a link of the feed itself.
func (d *feedDoc) link(rel, href string) {
	switch {
	case href == "":
	case rel == "hub" && len(d.hubs) < 5 && !slices.Contains(d.hubs, href):
		d.hubs = append(d.hubs, href)
	case rel == "self":
		d.self = orElse(d.self, href)
	case rel == "next" || rel == "prev-archive":
		d.next = orElse(d.next, href)
	}
}

// mediaImage picks a picture of Media RSS (https://www.rssboard.org/media-rss):
// the widest of at most 1200 pixels, a thumbnail only if there is nothing else.
func mediaImage(media map[string][]ext.Extension) *news.Image {
	var best *news.Image
	rank := func(i *news.Image) int {
		if i.Width > maxImageWidth {
			return 1
		}
		return 2 + i.Width
	}
	var take func(e ext.Extension, depth int)
	take = func(e ext.Extension, depth int) {
		kind := e.Attrs["type"]
		if e.Name == "content" && (e.Attrs["medium"] == "image" || strings.HasPrefix(kind, "image/") ||
			e.Attrs["medium"] == "" && kind == "" && strings.HasPrefix(imageType(e.Attrs["url"]), "image/")) {
			img := &news.Image{URL: e.Attrs["url"], Type: kind, Width: max(pixels(e.Attrs["width"]), 0), Height: max(pixels(e.Attrs["height"]), 0)}
			for _, d := range slices.Concat(e.Children["description"], e.Children["title"]) {
				img.Alt = orElse(img.Alt, plainHTML(d.Value, maxAlt))
			}
			if img.URL != "" && (best == nil || rank(img) > rank(best)) {
				best = img
			}
		}
		if depth < 2 {
			for _, c := range slices.Concat(e.Children["content"], e.Children["group"]) {
				take(c, depth+1)
			}
		}
	}
	for _, e := range slices.Concat(media["content"], media["group"]) {
		take(e, 0)
	}
	if best != nil {
		return best
	}
	thumbs := media["thumbnail"]
	for _, e := range slices.Concat(media["content"], media["group"]) {
		thumbs = append(thumbs, e.Children["thumbnail"]...)
	}
	for _, e := range thumbs {
		img := &news.Image{URL: e.Attrs["url"], Width: max(pixels(e.Attrs["width"]), 0), Height: max(pixels(e.Attrs["height"]), 0)}
		if img.URL != "" && (img.Width == 0 || img.Width >= minImageSide) && (best == nil || rank(img) > rank(best)) {
			best = img
		}
	}
	return best
}

// mediaText is the description that Media RSS gives, as paragraphs: all the
// text that an episode or a film has.
func mediaText(media map[string][]ext.Extension) string {
	all := media["description"]
	for _, e := range slices.Concat(media["content"], media["group"]) {
		all = append(all, e.Children["description"]...)
	}
	for _, e := range all {
		if e.Attrs["type"] == "html" {
			return e.Value
		}
		if e.Value != "" {
			return textHTML(e.Value)
		}
	}
	return ""
}
