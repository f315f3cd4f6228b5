package source

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"time"

	"codeberg.org/readeck/go-readability"
	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"

	"gazetted/internal/news"
)

// maxPageElements bounds the page whose text is looked for: that takes several
// passes over all elements.
const maxPageElements = 50_000

// pageReader makes articles of pages: JSON-LD and OpenGraph tell what the page
// is, a readability extraction which part of it is the text.
type pageReader struct {
	cleaner *Cleaner
}

// read makes a Found of a page. ok is false for a page that is no article: it
// does not say so, and has no date. requested is the address that was asked for.
func (r *pageReader) read(ans *Answer, zone *time.Location) (f news.Found, ok bool, err error) {
	kind := ans.Header.Get("Content-Type")
	if kind != "" && !strings.Contains(kind, "html") && !strings.Contains(kind, "xml") {
		return f, false, nil
	}
	utf8, err := charset.NewReader(bytes.NewReader(clipPage(ans.Body)), kind)
	if err != nil {
		return f, false, fmt.Errorf("read page: %w", err)
	}
	doc, err := html.Parse(utf8)
	if err != nil {
		return f, false, fmt.Errorf("read page: %w", err)
	}
	meta := readMeta(doc)
	dates := newDateReader(zone)
	at := func(s string) time.Time {
		t, _, err := dates.parse(s)
		if err != nil {
			return time.Time{}
		}
		return t
	}
	f = news.Found{
		URL: r.canonical(ans.URL, &meta), Title: withoutSite(&meta), Summary: meta.summary, Language: languageTag(meta.language),
		PublishedAt: at(meta.published), UpdatedAt: at(meta.modified), Authors: meta.authors, Image: tidyImage(meta.image, ans.URL),
	}
	if meta.hidden || !meta.article && f.PublishedAt.IsZero() || f.Title == "" {
		return f, false, nil
	}
	for _, s := range meta.sections {
		f.Terms = append(f.Terms, news.TermRef{Kind: news.KindCategory, Name: s})
	}
	for _, s := range meta.tags {
		f.Terms = append(f.Terms, news.TermRef{Kind: news.KindTag, Name: s})
	}
	if meta.paywalled {
		f.Visibility = news.VisibilityMembers // and not a word of its body
		return f, true, nil
	}
	clean := r.cleaner.Clean(r.text(doc, ans.URL), CleanOptions{Base: orElse(abs(meta.base, ans.URL), ans.URL), Title: f.Title})
	f.ContentHTML = clean.HTML
	f.Summary = orElse(f.Summary, clean.Excerpt)
	if f.Image == nil {
		f.Image = clean.Image
	}
	return f, true, nil
}

func clipPage(body []byte) []byte { return body[:min(len(body), maxContent)] }

// text is the HTML of the part that is the article.
func (r *pageReader) text(doc *html.Node, address string) string {
	whole := articleNode(doc)
	fallback := innerHTML(whole) // the extraction takes the page to pieces
	base, err := url.Parse(address)
	if err != nil {
		return fallback
	}
	p := readability.NewParser()
	p.MaxElemsToParse = maxPageElements
	p.DisableJSONLD = true // read already
	found, err := p.ParseAndMutate(doc, base)
	if err != nil || found.Node == nil || strings.TrimSpace(found.TextContent) == "" {
		return fallback
	}
	return found.Content
}

func innerHTML(n *html.Node) string {
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if err := html.Render(&b, c); err != nil {
			return "" // a tree that cannot be written has no text for us
		}
	}
	return b.String()
}

// canonical is the address that the page gives itself, if it is of the same
// site; a wrong one must not make another site's article of it.
func (r *pageReader) canonical(fetched string, meta *pageMeta) string {
	own := cleanLink(abs(meta.canonical, fetched))
	u, err := url.Parse(own)
	if err != nil || own == "" || siteHost(own) != siteHost(fetched) || strings.Trim(u.Path, "/") == "" && u.RawQuery == "" {
		return cleanLink(fetched)
	}
	return own
}

// withoutSite drops the site's name that many pages put behind their title.
func withoutSite(meta *pageMeta) string {
	title := meta.title
	for _, sep := range []string{" | ", " - ", " – ", " — ", " · ", " :: ", " » "} {
		i := strings.LastIndex(title, sep)
		if i > 0 && meta.site != "" && strings.EqualFold(strings.TrimSpace(title[i+len(sep):]), meta.site) {
			return strings.TrimSpace(title[:i])
		}
	}
	return title
}
