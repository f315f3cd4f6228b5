package source

import (
	"net/url"
	"strings"

	ext "github.com/mmcdole/gofeed/extensions"
	"github.com/mmcdole/gofeed/rss"

	"gazetted/internal/news"
)

// rss reads RSS 0.9x, 1.0 (RDF) and 2.0.
func (p *feedParse) rss(text string) (*feedDoc, error) {
	f, err := (&rss.Parser{}).Parse(strings.NewReader(text))
	if err != nil {
		return nil, &noFeedError{"RSS that cannot be read: " + oneLine(err.Error(), 200)}
	}
	d := &feedDoc{format: "RSS " + orElse(f.Version, "1.0"), title: plainTitle(f.Title), home: abs(f.Link, p.base.String()), language: languageTag(f.Language)}
	d.wordpress = strings.Contains(f.Generator, "wordpress.org")
	if f.DublinCoreExt != nil && d.language == "" {
		d.language = languageTag(firstOf(f.DublinCoreExt.Language))
	}
	for _, l := range atomExt(f.Extensions, "link") {
		d.link(strings.ToLower(l.Attrs["rel"]), abs(l.Attrs["href"], p.base.String()))
	}
	for _, i := range f.Items {
		if i != nil {
			d.items = append(d.items, p.rssItem(i, d))
		}
	}
	return d, nil
}

func (p *feedParse) rssItem(i *rss.Item, d *feedDoc) feedItem {
	out := feedItem{title: i.Title, content: i.Content, summary: i.Description, comments: abs(i.Comments, d.home, p.base.String())}
	if i.GUID != nil {
		out.guid = strings.TrimSpace(i.GUID.Value)
		out.permalink = !strings.EqualFold(strings.TrimSpace(i.GUID.IsPermalink), "false") // RSS 2.0: true by default
	}
	if orig := i.Extensions["feedburner"]["origLink"]; len(orig) > 0 { // what a counter of clicks hides
		out.link = abs(orig[0].Value, d.home, p.base.String())
	}
	out.link = orElse(out.link, abs(i.Link, d.home, p.base.String()))
	if links := atomExt(i.Extensions, "link"); out.link == "" {
		for _, l := range links {
			if rel := l.Attrs["rel"]; out.link == "" && (rel == "" || rel == "alternate") {
				out.link = abs(l.Attrs["href"], d.home, p.base.String())
			}
		}
	}
	out.published = p.date(i.PubDate, i.PubDateParsed)
	out.terms = rssTerms(i)
	if dc := i.DublinCoreExt; dc != nil {
		out.title = orElse(out.title, firstOf(dc.Title))
		out.summary = orElse(out.summary, firstOf(dc.Description))
		out.language = languageTag(firstOf(dc.Language))
		if out.published.IsZero() {
			out.published = p.date(firstOf(dc.Date), nil)
		}
		for _, name := range append(dc.Creator, dc.Author...) {
			out.authors = append(out.authors, news.Author{Name: personName(name)})
		}
	}
	if modified := i.Extensions["dcterms"]["modified"]; len(modified) > 0 {
		out.updated = p.date(modified[0].Value, nil)
	}
	if updated := atomExt(i.Extensions, "updated"); len(updated) > 0 {
		out.updated = p.date(updated[0].Value, nil)
	}
	if len(out.authors) == 0 && i.Author != "" {
		out.authors = []news.Author{{Name: personName(i.Author)}}
	}
	for _, e := range atomExt(i.Extensions, "content") {
		out.content = orElse(out.content, e.Value)
	}
	for _, e := range atomExt(i.Extensions, "summary") {
		out.summary = orElse(out.summary, e.Value)
	}
	if out.content == "" {
		out.content, out.summary = orElse(out.summary, mediaText(i.Extensions["media"])), ""
	}
	out.image = mediaImage(i.Extensions["media"])
	for _, e := range i.Enclosures {
		if out.image == nil && e != nil && strings.HasPrefix(e.Type, "image/") {
			out.image = &news.Image{URL: e.URL, Type: e.Type}
		}
		if out.link == "" && e != nil { // an episode without a page of its own
			out.link = abs(e.URL, d.home, p.base.String())
		}
	}
	if i.ITunesExt != nil && out.image == nil && i.ITunesExt.Image != "" {
		out.image = &news.Image{URL: i.ITunesExt.Image}
	}
	out.wpID = wordPressID(out.guid, i.Extensions)
	return out
}

// rssTerms reads categories and what Dublin Core calls subjects, which are
// keywords. A domain that says "tag" is believed.
func rssTerms(i *rss.Item) []feedTerm {
	var out []feedTerm
	for _, c := range i.Categories {
		if c != nil {
			out = append(out, feedTerm{name: c.Value, tag: tagScheme(c.Domain)})
		}
	}
	if i.DublinCoreExt != nil {
		for _, s := range i.DublinCoreExt.Subject {
			out = append(out, feedTerm{name: s, tag: true})
		}
	}
	return out
}

// tagScheme tells whether the domain or scheme of a category means tags.
func tagScheme(s string) bool {
	s = strings.ToLower(strings.TrimRight(s, "/#"))
	last := s[strings.LastIndexAny(s, "/#:")+1:]
	switch last {
	case "tag", "tags", "post_tag", "keyword", "keywords", "topic", "topics":
		return true
	}
	return false
}

// wordPressID is the id of a post: of its guid, as an editor's posts have it,
// or of an extension of wordpress.com's.
func wordPressID(guid string, extensions ext.Extensions) string {
	for _, names := range extensions {
		if ids := names["post-id"]; len(ids) > 0 {
			if id := strings.TrimSpace(ids[0].Value); id != "" && strings.Trim(id, "0123456789") == "" {
				return id
			}
		}
	}
	u, err := url.Parse(guid)
	if err != nil {
		return ""
	}
	id := u.Query().Get("p")
	if id == "" || len(id) > 18 || strings.Trim(id, "0123456789") != "" {
		return ""
	}
	return id
}

// atomExt are the elements of an Atom namespace in RSS.
func atomExt(extensions ext.Extensions, name string) []ext.Extension {
	var out []ext.Extension
	for _, prefix := range []string{"atom", "atom10", "atom03"} {
		out = append(out, extensions[prefix][name]...)
	}
	return out
}

// personName takes the name out of "ana@example.org (Ana Reis)" and the like.
func personName(s string) string {
	s = strings.TrimSpace(s)
	if open := strings.IndexByte(s, '('); open >= 0 && strings.HasSuffix(s, ")") {
		before, inside := strings.TrimSpace(s[:open]), strings.TrimSpace(s[open+1:len(s)-1])
		if strings.Contains(before, "@") && inside != "" {
			return inside
		}
		if strings.Contains(inside, "@") {
			return before
		}
	}
	if name, address, ok := strings.Cut(s, "<"); ok && strings.Contains(address, "@") {
		return strings.Trim(strings.TrimSpace(name), `"`)
	}
	return s
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
