package source

import (
	"mime"
	"net/url"
	"path"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"gazetted/internal/news"
)

// maxImageWidth is the widest picture that we point readers to, in CSS pixels:
// twice the width of a mail.
const maxImageWidth = 1200

// minImageSide keeps icons and avatars from standing for an article.
const minImageSide = 200

// candidate is one file that an image may be loaded from; width 0 is unknown.
type candidate struct {
	url   string
	width int
}

// img gives an image its one real address, or removes it: a tracker, a
// placeholder, a data: URL.
func (t *tidier) img(n *html.Node) {
	parent := n.Parent
	w, h := pixels(attr(n, "width")), pixels(attr(n, "height"))
	if w == 0 || w == 1 || h == 0 || h == 1 || hidden(n) {
		parent.RemoveChild(n)
		return
	}
	src := t.pick(n, w)
	if src == "" {
		parent.RemoveChild(n)
		return
	}
	alt, title := oneLine(attr(n, "alt"), maxAlt), oneLine(attr(n, "title"), maxAlt)
	n.Attr = []html.Attribute{{Key: "src", Val: src}, {Key: "alt", Val: alt}}
	if title != "" && title != alt {
		setAttr(n, "title", title)
	}
	if w > 0 && h > 0 {
		setAttr(n, "width", strconv.Itoa(w))
		setAttr(n, "height", strconv.Itoa(h))
	}
	if t.image == nil && imageType(src) != "image/svg+xml" && (w < 0 || w >= minImageSide) && (h < 0 || h >= minImageSide) {
		t.image = &news.Image{URL: src, Alt: alt, Width: max(w, 0), Height: max(h, 0), Type: imageType(src)}
	}
}

// pick chooses the image's address: what a lazy loader would load, else src if
// every mail client shows its format, else the best of the srcset.
func (t *tidier) pick(n *html.Node, width int) string {
	src := firstAttr(n, "data-src", "data-lazy-src", "data-original", "data-lazy", "data-hi-res-src", "src")
	usable := t.imageURL(src)
	if usable != "" && width <= maxImageWidth && everyClient(usable) {
		return usable
	}
	var all []candidate
	for _, key := range []string{"data-srcset", "data-lazy-srcset", "srcset"} {
		for _, c := range parseSrcset(attr(n, key)) {
			if c.url = t.imageURL(c.url); c.url != "" {
				all = append(all, c)
			}
		}
	}
	if best := bestCandidate(all); best != "" && (usable == "" || everyClient(best) || !everyClient(usable)) {
		return best
	}
	return usable
}

func (t *tidier) imageURL(ref string) string {
	if t.local != nil && ref != "" {
		if abs := t.local(ref); abs != "" {
			return abs
		}
	}
	abs := t.resolve(ref)
	if strings.HasPrefix(abs, "http:") || strings.HasPrefix(abs, "https:") {
		return abs
	}
	return ""
}

// picture keeps the img of a <picture>, and lends it the sources' files.
func (t *tidier) picture(n *html.Node) {
	var img *html.Node
	var sets []string
	for c := range n.Descendants() {
		switch c.DataAtom {
		case atom.Img:
			img = c
		case atom.Source:
			if set := firstAttr(c, "srcset", "data-srcset"); set != "" {
				sets = append(sets, set)
			}
		}
	}
	if img == nil {
		n.Parent.RemoveChild(n)
		return
	}
	setAttr(img, "srcset", strings.Join(append(sets, attr(img, "srcset")), ", "))
	t.unwrap(n)
}

// bestCandidate is the widest file of at most maxImageWidth in a format that
// every mail client shows; else the narrowest wider one; else any.
func bestCandidate(all []candidate) string {
	var best candidate
	rank := func(c candidate) int {
		r := 0
		if everyClient(c.url) {
			r = 1 << 20
		}
		if c.width <= maxImageWidth {
			return r + 1<<19 + c.width
		}
		return r + 1<<19 - min(c.width, 1<<18)
	}
	for _, c := range all {
		if best.url == "" || rank(c) > rank(best) {
			best = c
		}
	}
	return best.url
}

// parseSrcset reads the srcset attribute (HTML §4.8.4.2.1): URLs may hold
// commas, but do not end with one.
func parseSrcset(s string) []candidate {
	var out []candidate
	for len(out) < 50 {
		s = strings.TrimLeft(s, " \t\n\r\f,")
		if s == "" {
			break
		}
		end := strings.IndexAny(s, " \t\n\r\f")
		if end < 0 {
			end = len(s)
		}
		ref := s[:end]
		s = s[end:]
		if trimmed := strings.TrimRight(ref, ","); trimmed != ref {
			out = append(out, candidate{url: trimmed})
			continue
		}
		descriptor, rest, _ := strings.Cut(s, ",")
		s = rest
		c := candidate{url: ref}
		for field := range strings.FieldsSeq(descriptor) {
			if n, ok := strings.CutSuffix(field, "w"); ok {
				c.width, _ = strconv.Atoi(n) // 0 where it is no number
			}
		}
		out = append(out, c)
	}
	return out
}

// pixels reads a length attribute; -1 where it gives none in pixels.
func pixels(s string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(s), "px"))
	if err != nil || n < 0 || n > 99999 {
		return -1
	}
	return n
}

// imageType guesses the media type from a URL's path; "" where it does not say.
func imageType(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	switch strings.ToLower(path.Ext(u.Path)) {
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".avif":
		return "image/avif"
	case ".svg":
		return "image/svg+xml"
	}
	return ""
}

// everyClient tells whether mail clients at large show the format.
func everyClient(rawURL string) bool {
	switch imageType(rawURL) {
	case "image/webp", "image/avif", "image/svg+xml":
		return false
	}
	return true
}

// tidyImage checks an image that a source names for an article; nil where its
// URL is not one of the web.
func tidyImage(img *news.Image, base string) *news.Image {
	if img == nil || img.URL == "" {
		return nil
	}
	t := &tidier{}
	if u, err := url.Parse(base); err == nil && u.IsAbs() {
		t.base = u
	}
	abs := t.imageURL(img.URL)
	if abs == "" {
		return nil
	}
	out := *img
	out.URL = abs
	out.Alt = oneLine(img.Alt, maxAlt)
	kind, _, err := mime.ParseMediaType(img.Type)
	if err != nil || !strings.HasPrefix(kind, "image/") {
		kind = imageType(abs)
	}
	if kind == "image/svg+xml" {
		return nil // shown by no mail client, and a drawing is rarely a picture of the story
	}
	out.Type = kind
	out.Width, out.Height, out.Bytes = max(out.Width, 0), max(out.Height, 0), max(out.Bytes, 0)
	return &out
}
