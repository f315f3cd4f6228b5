package source

import (
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"gazetted/internal/news"
)

// tidier changes a parsed article in place: the first pass of Cleaner.Clean.
type tidier struct {
	base  *url.URL
	local func(string) string
	image *news.Image // first one met
}

// shortForm is how much text a <form> may hold and still be only a form. Some
// old sites wrap the whole page in one.
const shortForm = 600

// rebase takes the first <base href> of the text for the base of its URLs.
func (t *tidier) rebase(root *html.Node) {
	for n := range root.Descendants() {
		if n.DataAtom != atom.Base {
			continue
		}
		if href := t.resolve(attr(n, "href")); href != "" {
			if u, err := url.Parse(href); err == nil {
				t.base = u
			}
			return
		}
	}
}

func (t *tidier) children(n *html.Node) {
	for c := n.FirstChild; c != nil; {
		next := c.NextSibling
		switch c.Type {
		case html.ElementNode:
			t.element(c)
		case html.TextNode:
		default:
			n.RemoveChild(c)
		}
		c = next
	}
}

func (t *tidier) element(n *html.Node) {
	if n.Namespace != "" { // svg, math: nothing in them is needed, much is dangerous
		n.Parent.RemoveChild(n)
		return
	}
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Template, atom.Noembed, atom.Noframes, atom.Canvas, atom.Map, atom.Area, atom.Link, atom.Meta,
		atom.Base, atom.Title, atom.Frameset, atom.Frame, atom.Input, atom.Button, atom.Select, atom.Textarea, atom.Datalist,
		atom.Progress, atom.Meter, atom.Param, atom.Source, atom.Track, atom.Dialog:
		n.Parent.RemoveChild(n)
	case atom.Iframe, atom.Embed, atom.Object, atom.Applet, atom.Video, atom.Audio:
		t.player(n)
	case atom.Form:
		t.form(n)
	case atom.Noscript:
		t.noscript(n)
	case atom.Picture:
		t.picture(n)
	case atom.Img:
		t.img(n)
	default:
		if hidden(n) {
			n.Parent.RemoveChild(n)
			return
		}
		t.links(n)
		t.children(n)
		if n.DataAtom == atom.Figure && onlyCaption(n) || n.DataAtom == atom.P && onlyCaption(n) {
			n.Parent.RemoveChild(n)
		}
	}
}

// onlyCaption tells whether a figure has lost what its caption was about, or a
// paragraph all that was in it.
func onlyCaption(n *html.Node) bool {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode && strings.TrimSpace(c.Data) == "" || c.DataAtom == atom.Figcaption {
			continue
		}
		return false
	}
	return true
}

// links makes the URLs of n absolute, or removes those that lead nowhere good.
func (t *tidier) links(n *html.Node) {
	for _, key := range []string{"href", "cite"} {
		ref, ok := findAttr(n, key)
		if !ok {
			continue
		}
		if abs := t.resolve(ref); abs != "" {
			setAttr(n, key, abs)
		} else {
			dropAttr(n, key)
		}
	}
}

// player replaces what needs a browser's plug-in, frame or player by a link to it.
func (t *tidier) player(n *html.Node) {
	ref := firstAttr(n, "src", "data-src", "data-lazy-src", "data")
	for c := range n.Descendants() {
		if ref == "" && (c.DataAtom == atom.Source || c.DataAtom == atom.Embed || c.DataAtom == atom.A) {
			ref = firstAttr(c, "src", "href")
		}
	}
	parent := n.Parent
	abs := watchURL(t.resolve(ref))
	u, err := url.Parse(abs)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		parent.RemoveChild(n)
		return
	}
	text := oneLine(firstAttr(n, "title", "aria-label"), maxAlt)
	if text == "" {
		text = u.Host + strings.TrimSuffix(u.Path, "/")
	}
	link := &html.Node{Type: html.ElementNode, DataAtom: atom.A, Data: "a", Attr: []html.Attribute{{Key: "href", Val: abs}}}
	link.AppendChild(&html.Node{Type: html.TextNode, Data: text})
	parent.InsertBefore(link, n)
	parent.RemoveChild(n)
}

// watchURL turns the address of an embedded player into the page that people watch.
func watchURL(abs string) string {
	u, err := url.Parse(abs)
	if err != nil {
		return abs
	}
	host := strings.TrimPrefix(u.Host, "www.")
	id, isEmbed := strings.CutPrefix(u.Path, "/embed/")
	switch {
	case (host == "youtube.com" || host == "youtube-nocookie.com") && isEmbed && id != "" && id != "videoseries":
		return "https://www.youtube.com/watch?v=" + url.QueryEscape(strings.Trim(id, "/"))
	case host == "player.vimeo.com" && strings.HasPrefix(u.Path, "/video/"):
		return "https://vimeo.com/" + strings.TrimPrefix(u.Path, "/video/")
	}
	return abs
}

// form removes a form with its text, above all a password form, unless it
// wraps an article.
func (t *tidier) form(n *html.Node) {
	password := false
	for c := range n.Descendants() {
		password = password || c.DataAtom == atom.Input && strings.EqualFold(attr(c, "type"), "password")
	}
	if password || len(strings.TrimSpace(nodeText(n))) < shortForm {
		n.Parent.RemoveChild(n)
		return
	}
	t.unwrap(n)
}

// noscript holds the real image beside a lazy one: one of the two is enough.
func (t *tidier) noscript(n *html.Node) {
	prev := n.PrevSibling
	for prev != nil && prev.Type == html.TextNode && strings.TrimSpace(prev.Data) == "" {
		prev = prev.PrevSibling
	}
	if prev != nil && (prev.DataAtom == atom.Img || prev.DataAtom == atom.Picture) {
		n.Parent.RemoveChild(n)
		return
	}
	t.unwrap(n)
}

// unwrap tidies the children of n and puts them into its place.
func (t *tidier) unwrap(n *html.Node) {
	t.children(n)
	for n.FirstChild != nil {
		c := n.FirstChild
		n.RemoveChild(c)
		n.Parent.InsertBefore(c, n)
	}
	n.Parent.RemoveChild(n)
}

func hidden(n *html.Node) bool {
	if _, ok := findAttr(n, "hidden"); ok {
		return true
	}
	style := strings.ToLower(strings.ReplaceAll(attr(n, "style"), " ", ""))
	return strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden")
}

// resolve makes ref absolute and returns "" for what must not be linked.
func (t *tidier) resolve(ref string) string {
	// Browsers drop tabs and line breaks anywhere in a URL (WHATWG URL §4.4),
	// so "java\nscript:" is a script.
	ref = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(ref)
	ref = strings.TrimFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f })
	if ref == "" || len(ref) > maxURL {
		return ""
	}
	u, err := url.Parse(ref)
	if err != nil {
		return ""
	}
	if u.Scheme == "" {
		if t.base == nil {
			return ""
		}
		u = t.base.ResolveReference(u)
	}
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			return ""
		}
		return u.String()
	case "mailto", "tel":
		return u.String()
	}
	return ""
}

func findAttr(n *html.Node, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == key && a.Namespace == "" {
			return a.Val, true
		}
	}
	return "", false
}

func attr(n *html.Node, key string) string { v, _ := findAttr(n, key); return v }

// firstAttr is the first of keys that has a value.
func firstAttr(n *html.Node, keys ...string) string {
	for _, k := range keys {
		if v := strings.TrimSpace(attr(n, k)); v != "" {
			return v
		}
	}
	return ""
}

func setAttr(n *html.Node, key, val string) {
	for i := range n.Attr {
		if n.Attr[i].Key == key {
			n.Attr[i].Val = val
			return
		}
	}
	n.Attr = append(n.Attr, html.Attribute{Key: key, Val: val})
}

func dropAttr(n *html.Node, key string) {
	kept := n.Attr[:0]
	for _, a := range n.Attr {
		if a.Key != key {
			kept = append(kept, a)
		}
	}
	n.Attr = kept
}
