package source

import (
	"bytes"
	"encoding/json"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"gazetted/internal/news"
)

// pageMeta is what a page says of itself in <head>: JSON-LD first, then
// OpenGraph, then plain meta elements.
type pageMeta struct {
	title, canonical, summary, language string
	published, modified                 string
	image                               *news.Image
	authors                             []news.Author
	sections, tags                      []string
	article                             bool // it says that it is one
	hidden                              bool // noindex or draft
	paywalled                           bool // not to be read by everybody
	base, site                          string
}

// htmlFile reads a finished page.
func (r *fileReader) htmlFile(f folderFile) (news.Found, verdict, []string, error) {
	doc, err := html.Parse(bytes.NewReader([]byte(validText(clipBytes(string(f.Data), maxContent)))))
	if err != nil {
		return news.Found{}, isOther, nil, &lineError{Line: 1, Text: "HTML: " + oneLine(err.Error(), 200)}
	}
	meta := readMeta(doc)
	found := news.Found{NativeID: f.Path, Title: meta.title, Authors: meta.authors, Language: languageTag(meta.language), Summary: meta.summary}
	if meta.hidden {
		return found, isDraft, nil, nil
	}
	fm := &frontMatter{keys: map[string]any{"date": meta.published, "lastmod": meta.modified, "url": meta.canonical}}
	if err := r.times(&found, f, fm); err != nil {
		return found, isOther, r.notes, err
	}
	body := articleNode(doc)
	if !meta.article && found.PublishedAt.IsZero() && body.DataAtom != atom.Article {
		return found, isOther, nil, nil
	}
	if err := r.address(&found, f, fm); err != nil {
		return found, isOther, r.notes, err
	}
	for _, s := range meta.sections {
		found.Terms = append(found.Terms, news.TermRef{Kind: news.KindCategory, Name: s})
	}
	for _, s := range meta.tags {
		found.Terms = append(found.Terms, news.TermRef{Kind: news.KindTag, Name: s})
	}
	found.Image = tidyImage(meta.image, found.URL)
	var b strings.Builder
	if meta.base != "" {
		b.WriteString(`<base href="` + html.EscapeString(meta.base) + `">`)
	}
	for c := body.FirstChild; c != nil; c = c.NextSibling {
		if err := html.Render(&b, c); err != nil {
			return found, isOther, r.notes, &lineError{Line: 1, Text: "HTML: " + oneLine(err.Error(), 200)}
		}
	}
	r.finish(&found, f, b.String())
	return found, isArticle, r.notes, nil
}

// articleNode is the smallest element that holds the whole text: the only
// <article>, else <main>, else <body>.
func articleNode(doc *html.Node) *html.Node {
	var article, main, body *html.Node
	articles := 0
	for n := range doc.Descendants() {
		switch n.DataAtom {
		case atom.Article:
			article = n
			articles++
		case atom.Main:
			main = n
		case atom.Body:
			body = n
		}
	}
	switch {
	case articles == 1:
		return article
	case main != nil:
		return main
	case body != nil:
		return body
	}
	return doc
}

func readMeta(doc *html.Node) pageMeta {
	m := pageMeta{}
	tags := make(map[string][]string)
	title := ""
	for n := range doc.Descendants() {
		switch n.DataAtom {
		case atom.Html:
			m.language = attr(n, "lang")
		case atom.Title:
			if title == "" && n.Namespace == "" {
				title = oneLine(nodeText(n), maxTitle)
			}
		case atom.Base:
			m.base = attr(n, "href")
		case atom.Link:
			if strings.EqualFold(attr(n, "rel"), "canonical") {
				m.canonical = attr(n, "href")
			}
		case atom.Meta:
			if key := strings.ToLower(firstAttr(n, "property", "name")); key != "" && len(tags[key]) < maxTerms {
				tags[key] = append(tags[key], attr(n, "content"))
			}
		case atom.Script:
			if strings.EqualFold(attr(n, "type"), "application/ld+json") && n.FirstChild != nil {
				m.linkedData(n.FirstChild.Data)
			}
		}
	}
	m.openGraph(tags)
	m.title = orElse(m.title, title)
	return m
}

func (m *pageMeta) openGraph(tags map[string][]string) {
	one := func(keys ...string) string {
		for _, k := range keys {
			for _, v := range tags[k] {
				if v = strings.TrimSpace(v); v != "" {
					return v
				}
			}
		}
		return ""
	}
	m.title = orElse(m.title, oneLine(one("og:title", "twitter:title"), maxTitle))
	m.canonical = orElse(m.canonical, one("og:url"))
	m.summary = orElse(m.summary, oneLine(one("og:description", "description", "twitter:description"), maxSummary))
	m.published = orElse(m.published, one("article:published_time", "date", "dc.date", "dcterms.created"))
	m.modified = orElse(m.modified, one("article:modified_time", "og:updated_time", "dcterms.modified"))
	m.language = orElse(m.language, one("og:locale"))
	if img := one("og:image", "og:image:url", "twitter:image"); m.image == nil && img != "" {
		m.image = &news.Image{URL: img, Alt: one("og:image:alt", "twitter:image:alt"), Type: one("og:image:type"),
			Width: max(pixels(one("og:image:width")), 0), Height: max(pixels(one("og:image:height")), 0)}
	}
	if name := one("author", "article:author", "dc.creator"); len(m.authors) == 0 && name != "" && !strings.Contains(name, "://") {
		m.authors = []news.Author{{Name: name}}
	}
	if len(m.sections) == 0 {
		m.sections = tags["article:section"]
	}
	if len(m.tags) == 0 {
		m.tags = tags["article:tag"]
	}
	m.article = m.article || strings.EqualFold(one("og:type"), "article")
	m.site = oneLine(one("og:site_name"), maxTitle)
	m.hidden = m.hidden || strings.Contains(strings.ToLower(one("robots")), "noindex") || strings.EqualFold(one("draft"), "true")
}

// linkedData reads the first NewsArticle, Article or BlogPosting of a block of
// JSON-LD (schema.org), also inside of @graph.
func (m *pageMeta) linkedData(text string) {
	if m.article || len(text) > 1<<20 {
		return
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return // many pages carry broken blocks; the other metadata remains
	}
	node := findArticle(v, 0)
	if node == nil {
		return
	}
	m.article = true
	m.title = plainTitle(asText(first(node, "headline", "name")))
	m.summary = plainHTML(asText(node["description"]), maxSummary)
	m.published, m.modified = asText(node["datePublished"]), asText(node["dateModified"])
	m.canonical = orElse(asText(node["url"]), m.canonical)
	m.language = orElse(asText(node["inLanguage"]), m.language)
	if free, ok := node["isAccessibleForFree"]; ok {
		m.paywalled = strings.HasSuffix(strings.ToLower(asText(free)), "false") // or http://schema.org/False
	}
	for _, a := range asList(node["author"]) {
		if p := asMap(a); p != nil {
			m.authors = append(m.authors, news.Author{Name: asText(p["name"]), URL: asText(p["url"])})
		} else if s := asText(a); s != "" {
			m.authors = append(m.authors, news.Author{Name: s})
		}
	}
	if list := asList(node["image"]); len(list) > 0 {
		if p := asMap(list[0]); p != nil {
			m.image = &news.Image{URL: asText(first(p, "url", "contentUrl")), Alt: asText(p["caption"]),
				Width: max(pixels(asText(p["width"])), 0), Height: max(pixels(asText(p["height"])), 0)}
		} else {
			m.image = &news.Image{URL: asText(list[0])}
		}
	}
	m.sections, m.tags = asTexts(node["articleSection"]), asTexts(node["keywords"])
}

func findArticle(v any, depth int) map[string]any {
	if depth > 5 {
		return nil
	}
	for _, item := range asList(v) {
		node := asMap(item)
		for _, kind := range asTexts(node["@type"]) {
			switch kind {
			case "NewsArticle", "Article", "BlogPosting", "ReportageNewsArticle", "OpinionNewsArticle", "AnalysisNewsArticle", "LiveBlogPosting":
				return node
			}
		}
		for _, key := range []string{"@graph", "mainEntity"} {
			if sub := findArticle(node[key], depth+1); sub != nil {
				return sub
			}
		}
	}
	return nil
}

func asList(v any) []any {
	if v == nil {
		return nil
	}
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}
