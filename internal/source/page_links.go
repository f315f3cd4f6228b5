package source

import (
	"net/url"
	"path"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxPageLinks bounds the links of an index page that are followed.
const maxPageLinks = 200

// isSitemap tells a sitemap from a page.
func isSitemap(text string) bool {
	head := strings.ToLower(text[:min(len(text), 4<<10)])
	return strings.Contains(head, "<urlset") || strings.Contains(head, "<sitemapindex")
}

// articleLinks finds the links of an index page that look like articles', in
// the order of the page. Whether they are, the pages themselves say.
func articleLinks(text, base string) ([]sitemapURL, error) {
	doc, err := html.Parse(strings.NewReader(clipBytes(text, maxContent)))
	if err != nil {
		return nil, &OddAnswerError{URL: base, Text: "HTML that cannot be read"}
	}
	from := base
	for n := range doc.Descendants() {
		if n.DataAtom == atom.Base {
			from = orElse(abs(attr(n, "href"), base), base)
			break
		}
	}
	var out []sitemapURL
	seen := map[string]bool{linkKey(base): true}
	for n := range doc.Descendants() {
		if n.DataAtom != atom.A {
			continue
		}
		loc := cleanLink(abs(attr(n, "href"), from))
		u, err := url.Parse(loc)
		if err != nil || loc == "" || siteHost(loc) != siteHost(base) || !articlePath(u, n) {
			continue
		}
		u.Fragment = ""
		loc = u.String()
		if key := linkKey(loc); !seen[key] && len(out) < maxPageLinks {
			seen[key] = true
			out = append(out, sitemapURL{loc: loc})
		}
	}
	return out, nil
}

// articlePath tells whether an address looks like an article's: by a date, a
// number or several words in it, or because a heading or an article on the page
// links it.
func articlePath(u *url.URL, link *html.Node) bool {
	p := strings.Trim(u.Path, "/")
	if p == "" {
		return u.Query().Get("p") != "" // plain permalinks of WordPress
	}
	switch ext := strings.ToLower(path.Ext(p)); ext {
	case "", ".html", ".htm", ".php", ".asp", ".aspx", ".jsp", ".shtml", ".stm", ".cms", ".ece":
	default:
		return false
	}
	segments := strings.Split(strings.ToLower(p), "/")
	for _, s := range segments {
		switch s {
		case "tag", "tags", "category", "categories", "author", "authors", "page", "search", "login", "register", "signup", "subscribe", "feed", "rss",
			"wp-admin", "wp-login.php", "wp-content", "wp-json", "cdn-cgi", "privacy", "terms", "contact", "about", "about-us", "contact-us", "imprint", "impressum":
			return false
		}
	}
	last := segments[len(segments)-1]
	if strings.Count(last, "-") >= 2 || strings.Count(last, "_") >= 2 {
		return true
	}
	digits := 0
	for _, r := range p {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	if digits >= 4 {
		return true
	}
	for n := link.Parent; n != nil; n = n.Parent {
		switch n.DataAtom {
		case atom.H1, atom.H2, atom.H3, atom.H4, atom.Article:
			return true
		case atom.Nav, atom.Header, atom.Footer:
			return false
		}
	}
	for c := range link.Descendants() {
		switch c.DataAtom {
		case atom.H1, atom.H2, atom.H3, atom.H4:
			return true
		}
	}
	return false
}
