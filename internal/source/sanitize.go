package source

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"gazetted/internal/news"
)

// maxContent bounds the HTML of one article in bytes, before and after
// cleaning. What is longer loses its end.
const maxContent = 4 << 20

// Cleaner reduces the HTML of articles to what may safely stand in a feed, a
// mail and a page of ours. It is safe for concurrent use.
//
// It works twice over the text, by different means: first on the parsed tree,
// where embedded players become links, lazy images real ones and URLs
// absolute; then bluemonday lets through only listed elements and attributes.
// An error in the first pass can therefore spoil an article, but not a reader.
type Cleaner struct {
	policy  *bluemonday.Policy
	strict  *bluemonday.Policy // text only
	phrases *phrases
}

// NewCleaner makes a Cleaner.
func NewCleaner() *Cleaner {
	return &Cleaner{policy: newPolicy(), strict: bluemonday.StrictPolicy(), phrases: newPhrases()}
}

// newPolicy lists what articles are made of. Classes go, except a code's
// language: they would fall under our style sheets. Positions, sizes and
// colours go with the style attribute.
func newPolicy() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "kbd", "samp", "var",
		"em", "strong", "b", "i", "u", "s", "del", "ins", "mark", "small", "sub", "sup", "abbr", "cite", "dfn", "q", "time", "bdi", "wbr",
		"ul", "ol", "li", "dl", "dt", "dd", "figure", "figcaption", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td",
		"a", "img", "details", "summary", "div", "section", "aside", "ruby", "rt", "rp", "address")
	p.AllowStandardURLs()
	p.AllowRelativeURLs(false)
	p.AllowURLSchemes("http", "https", "mailto", "tel")
	p.RequireNoFollowOnLinks(false)
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("src").OnElements("img")
	p.AllowAttrs("cite").OnElements("blockquote", "q", "del", "ins")
	p.AllowAttrs("alt").Matching(regexp.MustCompile(`(?s)^.*$`)).OnElements("img")
	p.AllowAttrs("title").Matching(regexp.MustCompile(`(?s)^.*$`)).OnElements("a", "img", "abbr", "dfn")
	small := regexp.MustCompile(`^[0-9]{1,5}$`)
	p.AllowAttrs("width", "height").Matching(small).OnElements("img")
	p.AllowAttrs("colspan", "rowspan").Matching(regexp.MustCompile(`^[0-9]{1,3}$`)).OnElements("td", "th")
	p.AllowAttrs("start", "value").Matching(regexp.MustCompile(`^-?[0-9]{1,6}$`)).OnElements("ol", "li")
	p.AllowAttrs("reversed").Matching(regexp.MustCompile(`^$|^reversed$`)).OnElements("ol")
	p.AllowAttrs("align").Matching(regexp.MustCompile(`(?i)^(left|right|center)$`)).OnElements("td", "th")
	p.AllowAttrs("scope").Matching(regexp.MustCompile(`(?i)^(row|col|rowgroup|colgroup)$`)).OnElements("th")
	p.AllowAttrs("datetime").Matching(regexp.MustCompile(`^[0-9T:.Z+-]{4,35}$`)).OnElements("time", "del", "ins")
	p.AllowAttrs("id").Matching(regexp.MustCompile(`^[\pL\pN][\pL\pN:._-]{0,199}$`)).
		OnElements("h1", "h2", "h3", "h4", "h5", "h6", "li", "sup", "a", "section", "figure")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^language-[A-Za-z0-9+#_-]{1,30}$`)).OnElements("code")
	p.AllowAttrs("dir").Matching(regexp.MustCompile(`(?i)^(ltr|rtl|auto)$`)).Globally()
	p.AllowAttrs("lang").Matching(regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)).Globally()
	return p
}

// CleanOptions is what cleaning must know of an article.
type CleanOptions struct {
	// Base is the article's URL, against which relative ones are read
	// (RFC 3986 §5.1). Empty: relative links and images go.
	Base string
	// Local, if set, is asked first where an image lies; it returns an
	// absolute URL, or "" for what it does not know.
	Local func(ref string) string
	// Title is the article's; a first heading that repeats it goes.
	Title string
}

// Cleaned is an article's content made harmless.
type Cleaned struct {
	HTML    string
	Excerpt string      // the lead as plain text, at most excerptLimit characters
	Image   *news.Image // the first one of some size in the text; nil: none
	Heading string      // the first heading of level 1, which HTML no longer holds
}

// Clean makes raw harmless. It never fails: what cannot be parsed becomes
// plain text.
func (c *Cleaner) Clean(raw string, o CleanOptions) Cleaned {
	raw = validText(clipBytes(raw, maxContent))
	nodes, err := parseFragment(raw)
	if err != nil {
		// The parser refuses trees deeper than a browser builds.
		text := clipBytes(strings.Join(strings.Fields(c.strict.Sanitize(raw)), " "), maxContent)
		return Cleaned{HTML: "<p>" + text + "</p>", Excerpt: cutExcerpt(html.UnescapeString(text))}
	}
	root := &html.Node{Type: html.ElementNode, DataAtom: atom.Div, Data: "div"}
	for _, n := range nodes {
		root.AppendChild(n)
	}
	t := &tidier{local: o.Local}
	if u, err := url.Parse(o.Base); err == nil && u.IsAbs() {
		t.base = u
	}
	t.rebase(root)
	t.children(root)
	out := Cleaned{Heading: dropTitle(root, o.Title), Image: t.image}
	out.Excerpt = excerptOf(root, c.phrases)
	var b strings.Builder
	for n := root.FirstChild; n != nil; n = n.NextSibling {
		if err := html.Render(&b, n); err != nil {
			return Cleaned{Excerpt: out.Excerpt} // a node that cannot be written is not ours to guess
		}
	}
	out.HTML = strings.TrimSpace(c.policy.Sanitize(b.String()))
	return out
}

// parseFragment reads HTML as a browser without scripts would inside <body>.
func parseFragment(s string) ([]*html.Node, error) {
	body := &html.Node{Type: html.ElementNode, DataAtom: atom.Body, Data: "body"}
	nodes, err := html.ParseFragmentWithOptions(strings.NewReader(s), body, html.ParseOptionEnableScripting(false))
	if err != nil {
		return nil, fmt.Errorf("parse HTML: %w", err)
	}
	return nodes, nil
}

// dropTitle removes a first heading that is the article's title, or, where the
// article has none, serves as one. It returns the heading's text.
func dropTitle(root *html.Node, title string) string {
	n := root.FirstChild
	for n != nil && (n.Type == html.TextNode && strings.TrimSpace(n.Data) == "" || n.Type == html.CommentNode) {
		n = n.NextSibling
	}
	if n == nil || n.DataAtom != atom.H1 {
		return ""
	}
	text := oneLine(nodeText(n), maxTitle)
	if text == "" || title != "" && !strings.EqualFold(text, title) {
		return ""
	}
	root.RemoveChild(n)
	return text
}

func clipBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// nodeText is the text below n, without comments and hidden elements.
func nodeText(n *html.Node) string {
	var b strings.Builder
	appendText(&b, n)
	return b.String()
}

// appendText writes the text below n, with a space where a block or a line ends.
func appendText(b *strings.Builder, n *html.Node) {
	switch {
	case n.Type == html.TextNode:
		b.WriteString(n.Data)
		return
	case n.Type != html.ElementNode && n.Type != html.DocumentNode:
		return
	case n.DataAtom == atom.Script || n.DataAtom == atom.Style || n.DataAtom == atom.Template:
		return
	case n.DataAtom == atom.Br || n.DataAtom == atom.Td || n.DataAtom == atom.Th || blockElement(n.DataAtom):
		b.WriteByte(' ')
		defer b.WriteByte(' ')
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		appendText(b, c)
	}
}

func blockElement(a atom.Atom) bool {
	switch a {
	case atom.P, atom.Div, atom.Section, atom.Article, atom.Main, atom.Aside, atom.Header, atom.Footer, atom.Nav, atom.H1, atom.H2, atom.H3,
		atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Li, atom.Dl, atom.Dt, atom.Dd, atom.Blockquote, atom.Pre, atom.Figure,
		atom.Figcaption, atom.Table, atom.Thead, atom.Tbody, atom.Tfoot, atom.Tr, atom.Hr, atom.Address, atom.Details, atom.Summary,
		atom.Center, atom.Form, atom.Fieldset:
		return true
	}
	return false
}
