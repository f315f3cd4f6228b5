package digest

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"gazetted/internal/news"
)

// page is a parsed HTML part.
type page struct{ root *html.Node }

func parsePage(t testing.TB, text string) page {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return page{root}
}

func (p page) all(tags ...atom.Atom) []*html.Node {
	var out []*html.Node
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && slices.Contains(tags, n.DataAtom) {
			out = append(out, n)
		}
	}
	return out
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.DataAtom != atom.Style && d.Parent.DataAtom != atom.Title {
			b.WriteString(d.Data + " ")
		}
	}
	return b.String()
}

func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// checkMail holds a rendered mail to spec/digest.md, rules 10 and 25 to 29.
// entries is how many articles have an entry of their own.
func checkMail(t *testing.T, v news.Variant, entries int) {
	t.Helper()
	p := parsePage(t, v.HTML)
	checkStructure(t, p, entries)
	checkImages(t, p)
	checkLinks(t, p, v)
	checkText(t, p, v)
	if n := len(v.HTML); n > maxHTML {
		t.Errorf("HTML part: got %d bytes, want at most %d", n, maxHTML)
	}
	for _, s := range []string{v.Subject, v.HTML, v.Text} {
		if strings.ContainsAny(s, "\r\x00\u2028\u202e") {
			t.Error("a mail holds CR, NUL, a line separator or a direction override")
		}
	}
	if strings.Contains(v.Subject, "\n") {
		t.Errorf("subject of several lines: %q", v.Subject)
	}
}

func checkStructure(t *testing.T, p page, entries int) {
	t.Helper()
	if n := len(p.all(atom.H1)); n != 1 {
		t.Errorf("got %d <h1>, want 1", n)
	}
	if n := len(p.all(atom.H2)); n != entries {
		t.Errorf("got %d <h2>, want one for each of %d articles", n, entries)
	}
	if bad := p.all(atom.Script, atom.Form, atom.Iframe, atom.Object, atom.Embed, atom.Video, atom.Audio, atom.Link, atom.Input, atom.Button, atom.Base, atom.Svg); len(bad) > 0 {
		t.Errorf("got <%s>, which has no place in a mail", bad[0].Data)
	}
	root := p.all(atom.Html)[0]
	if attr(root, "lang") == "" || attr(root, "dir") == "" || len(p.all(atom.Title)) != 1 {
		t.Error("want lang, dir and one <title>")
	}
	for _, table := range p.all(atom.Table) {
		if attr(table, "role") != "presentation" {
			t.Error("a layout table without role=presentation")
		}
	}
	for n := range p.root.Descendants() {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s %s>: an event handler", n.Data, a.Key)
			}
		}
	}
}

func checkImages(t *testing.T, p page) {
	t.Helper()
	for _, img := range p.all(atom.Img) {
		if attr(img, "alt") == "" || attr(img, "width") == "" {
			t.Errorf("image %q: got alt %q, width %q; want both", attr(img, "src"), attr(img, "alt"), attr(img, "width"))
		}
		if style := attr(img, "style"); !strings.Contains(style, "max-width:100%") || !strings.Contains(style, "height:auto") {
			t.Errorf("image %q: style %q would not fit a phone", attr(img, "src"), style)
		}
		if !webURL(attr(img, "src")) {
			t.Errorf("image of no web address: %q", attr(img, "src"))
		}
	}
}

// checkLinks wants only https, http, mailto and marks, each link with a name,
// and all own links in the text part, too.
func checkLinks(t *testing.T, p page, v news.Variant) {
	t.Helper()
	for _, a := range p.all(atom.A) {
		href := attr(a, "href")
		mark := strings.HasPrefix(href, "gz"+v.Nonce)
		if !mark && !webURL(href) && !strings.HasPrefix(href, "mailto:?") {
			t.Errorf("link to %q", href)
		}
		own := mark || strings.HasPrefix(href, "https://news.example.org") || strings.HasPrefix(href, "https://www.example.org")
		if own && !strings.Contains(v.Text, href) {
			t.Errorf("own link %q is not in the text part", href)
		}
		name := strings.TrimSpace(textOf(a)) + attr(a, "aria-label")
		for d := range a.Descendants() {
			name += attr(d, "alt")
		}
		if name == "" {
			t.Errorf("link %q has no name", href)
		}
	}
	for _, place := range []news.Place{news.PlaceUnsubscribe, news.PlacePreferences, news.PlaceWebView, news.PlaceAddress} {
		for part, s := range map[string]string{"HTML": v.HTML, "text": v.Text} {
			if !strings.Contains(s, news.Mark(v.Nonce, place)) {
				t.Errorf("the %s part has no mark of place %q", part, place)
			}
		}
	}
}

func checkText(t *testing.T, p page, v news.Variant) {
	t.Helper()
	in := map[string]bool{}
	for _, w := range words(v.Text) {
		in[w] = true
	}
	all := words(textOf(p.all(atom.Body)[0]))
	missing := 0
	for _, w := range all {
		if !in[w] && len(w) <= 72 { // longer ones are broken
			missing++
		}
	}
	if missing*5 > len(all) {
		t.Errorf("text part: %d of %d words of the HTML part are missing, want at most a fifth", missing, len(all))
	}
	for line := range strings.Lines(v.Text) {
		line = strings.TrimRight(line, "\n")
		if len([]rune(line)) > 78 && !strings.Contains(line, "://") && strings.Contains(strings.TrimSpace(line), " ") {
			t.Errorf("text part: a line of %d characters: %q", len([]rune(line)), line)
		}
	}
}

// TestLegible holds the shipped colours to WCAG 2.2 AA (4.5:1) on paper and in
// the dark, and all text to at least 14 pixels.
func TestLegible(t *testing.T) {
	v := due(t, world()).Variants[0]
	for _, m := range regexp.MustCompile(`(?:font:|font-size:)[a-z ]*(\d+)px`).FindAllStringSubmatch(v.HTML, -1) {
		if n, _ := strconv.Atoi(m[1]); n < 14 && !strings.HasSuffix(m[0], "font-size:1px") { // the 1 px is a rule between articles
			t.Errorf("text of %s", m[0])
		}
	}
	style := v.HTML[:strings.Index(v.HTML, "</style>")]
	body := v.HTML[len(style):]
	colours := regexp.MustCompile(`[;"{ ]color:(#[0-9a-f]{3,6})`)
	for _, m := range colours.FindAllStringSubmatch(body, -1) {
		if c := contrast(t, m[1], "#fffefb"); c < 4.5 {
			t.Errorf("%s on paper: contrast %.1f, want 4.5", m[1], c)
		}
	}
	for _, m := range colours.FindAllStringSubmatch(style, -1) {
		if c := contrast(t, m[1], "#1a1a1a"); c < 4.5 {
			t.Errorf("%s in the dark: contrast %.1f, want 4.5", m[1], c)
		}
	}
}

// contrast is the ratio of WCAG 2.2, 1.4.3.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) == 4 {
		hex = fmt.Sprintf("#%c%c%c%c%c%c", hex[1], hex[1], hex[2], hex[2], hex[3], hex[3])
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
