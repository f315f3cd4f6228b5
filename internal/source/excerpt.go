package source

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Sizes of an excerpt in characters.
const (
	excerptLimit = 300
	// excerptEnough is where no further paragraph is added.
	excerptEnough = 120
)

// excerpter walks an article in reading order and gathers its lead.
type excerpter struct {
	lead  []string
	size  int
	spare string // the first text that is no paragraph: a list, a quotation
	// skip is the level of the heading whose section is left out (contents,
	// FAQs); it ends with the next heading of that level or above.
	skip       int
	afterImage bool
	blocks     int // looked at so far
	phrases    *phrases
}

// excerptReach is how many elements from the top a lead may lie: who has not
// begun by then has written a list.
const excerptReach = 1000

// phrases are what marks text on a page as not being part of the article. They
// are those of English sites and of the languages that first users write in;
// an unknown one only makes an excerpt less good.
type phrases struct {
	box     *regexp.Regexp // class or id of an element that is furniture
	section *regexp.Regexp // heading of a section that is furniture
	pointer *regexp.Regexp // sentence or paragraph that points elsewhere
	codes   *regexp.Regexp // of a plug-in that is no longer there, or a bare URL on a line
}

func newPhrases() *phrases {
	return &phrases{
		box:     regexp.MustCompile(`(?i)(^|[\s_-])(toc|lwptoc|table-of-contents|contents|related|also-read|read-?more|yarpp|jp-relatedposts|share|sharing|sharedaddy|social|newsletter|subscribe|subscription|caption|byline|author-box|faqs?|breadcrumbs?|tags|advert(isement)?|promo|footnotes?|sr-only|screen-reader-text)($|[\s_-])`),
		section: regexp.MustCompile(`(?i)^\W*(faqs?|frequently asked questions|(table of )?contents|in this (article|post|story)|on this page|related( (articles|stories|posts|news|reading))?|you (might|may) also like|also read|read (more|next|also)|i̇çindekiler|içindekiler|sıkça sorulan sorular|inhalt|inhaltsverzeichnis|sommaire|contenido)\W*$`),
		pointer: regexp.MustCompile(`(?i)^\W*(read (another|more|also|next|the full)|also read|see also|related( (article|story|post|news|reading))?s?:|click here|continue reading|don['’]t miss|you (may|might) also like|recommended:|more on this|watch:|listen:|photo( by| credit|:)|image( by| credit|:)|credit:|source:|advertisement|sign up (for|to)|subscribe (to|now)|follow us|this (article|post|story) (was |is )?(originally|first) (appeared|published)|ayrıca oku|devamını oku)`),
		codes:   regexp.MustCompile(`\[/[a-z][\w-]*\]|\[[a-z][\w-]*\s[^\[\]]*=[^\[\]]*\]|^https?://\S+$`),
	}
}

// excerptOf is the lead of an article as plain text: its first paragraph, and
// more of them while it is short, without what stands around an article's text.
func excerptOf(root *html.Node, p *phrases) string {
	e := &excerpter{phrases: p}
	e.walk(root)
	if len(e.lead) > 0 {
		return cutExcerpt(strings.Join(e.lead, " "))
	}
	return cutExcerpt(e.spare)
}

func (e *excerpter) done() bool { return e.size >= excerptEnough || e.blocks > excerptReach }

func (e *excerpter) walk(n *html.Node) {
	for c := n.FirstChild; c != nil && !e.done(); c = c.NextSibling {
		if c.Type == html.TextNode {
			e.loose(c)
			continue
		}
		if c.Type == html.ElementNode {
			e.element(c)
		}
	}
}

func (e *excerpter) element(n *html.Node) {
	e.blocks++
	if level := headingLevel(n.DataAtom); level > 0 {
		e.heading(n, level)
		return
	}
	if e.skip > 0 || e.phrases.box.MatchString(attr(n, "class")+" "+attr(n, "id")) {
		return
	}
	switch n.DataAtom {
	case atom.P, atom.Dd:
		e.paragraph(n)
	case atom.Div, atom.Section, atom.Article, atom.Main, atom.Center:
		if hasBlock(n) {
			e.walk(n)
			return
		}
		e.paragraph(n)
	case atom.Figure, atom.Img, atom.Picture:
		e.afterImage = true
	case atom.Ul, atom.Ol, atom.Dl, atom.Blockquote, atom.Pre, atom.Details:
		if e.spare == "" && linkShare(n) < 0.5 {
			e.spare = oneLine(nodeText(n), 4*excerptLimit)
		}
	case atom.Nav, atom.Aside, atom.Header, atom.Footer, atom.Figcaption, atom.Table, atom.Hr, atom.Br, atom.Script, atom.Style:
	default:
		// Text without paragraphs, as plain editors and old feeds write it.
		if inlineOnly(n) {
			e.loose(n)
		} else {
			e.walk(n)
		}
	}
}

func (e *excerpter) heading(n *html.Node, level int) {
	if e.skip > 0 && level > e.skip {
		return
	}
	e.skip = 0
	if e.phrases.section.MatchString(oneLine(nodeText(n), maxTitle)) {
		e.skip = level
	}
	e.afterImage = false
}

// loose takes text that stands outside of any paragraph.
func (e *excerpter) loose(n *html.Node) {
	text := oneLine(nodeText(n), 4*excerptLimit)
	if e.skip > 0 || text == "" || n.DataAtom == atom.A {
		return
	}
	e.add(text)
}

func (e *excerpter) paragraph(n *html.Node) {
	text := oneLine(nodeText(n), 8*excerptLimit)
	share := linkShare(n)
	caption := e.afterImage && onlyChildIs(n, atom.Em, atom.Small, atom.I)
	if text == "" {
		e.afterImage = e.afterImage || hasImage(n)
		return
	}
	e.afterImage = false
	if caption || share > 0.8 {
		return
	}
	if e.phrases.section.MatchString(text) {
		// A heading in bold instead of in <h2>; what it heads has no end to be seen.
		return
	}
	if share > 0 {
		text = e.withoutPointers(text)
	} else if e.phrases.pointer.MatchString(text) && utf8.RuneCountInString(text) < 100 {
		return
	}
	e.add(text)
}

func (e *excerpter) add(text string) {
	text = strings.TrimSpace(e.phrases.codes.ReplaceAllString(text, ""))
	if text == "" || !strings.ContainsFunc(text, unicode.IsLetter) {
		return
	}
	e.lead = append(e.lead, text)
	e.size += utf8.RuneCountInString(text)
}

// withoutPointers drops the sentences that send the reader elsewhere, such as
// "Read another news on example.com." at the end of a lead.
func (e *excerpter) withoutPointers(text string) string {
	var kept []string
	for _, s := range sentences(text) {
		if !e.phrases.pointer.MatchString(s) {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, " ")
}

// cutExcerpt shortens text to excerptLimit characters: after a sentence if one
// ends in the second half, else after a word, with "…".
func cutExcerpt(text string) string {
	text = oneLine(text, 8*excerptLimit)
	if utf8.RuneCountInString(text) <= excerptLimit {
		return text
	}
	kept, size := "", 0
	for _, s := range sentences(text) {
		n := utf8.RuneCountInString(s) + 1
		if size+n > excerptLimit {
			break
		}
		kept, size = strings.TrimSpace(kept+" "+s), size+n
	}
	if size > excerptLimit/2 {
		return kept
	}
	return clip(text, excerptLimit)
}

// sentences splits a line after ".", "!", "?" or "…" (and closing quotes) that
// stand before a space and no lower-case letter. A single capital before the
// dot is an initial or an abbreviation: "U.S. troops", "J. Doe".
func sentences(text string) []string {
	var out []string
	runes := []rune(text)
	start := 0
	for i := 0; i < len(runes); i++ {
		if !strings.ContainsRune(".!?…。！？", runes[i]) {
			continue
		}
		end := i + 1
		for end < len(runes) && strings.ContainsRune(`.!?…"'”’»)]`, runes[end]) {
			end++
		}
		wide := strings.ContainsRune("。！？", runes[i])
		if !wide && (end >= len(runes) || runes[end] != ' ') {
			i = end - 1
			continue
		}
		if !wide && (end+1 < len(runes) && unicode.IsLower(runes[end+1]) || runes[i] == '.' && abbreviation(runes[start:i])) {
			i = end - 1
			continue
		}
		out = append(out, strings.TrimSpace(string(runes[start:end])))
		start, i = end, end-1
	}
	if rest := strings.TrimSpace(string(runes[start:])); rest != "" {
		out = append(out, rest)
	}
	return out
}

// abbreviation tells whether the word at the end of before is one letter or a
// title of few letters, so that the dot after it ends no sentence.
func abbreviation(before []rune) bool {
	i := len(before)
	for i > 0 && unicode.IsLetter(before[i-1]) {
		i--
	}
	word := string(before[i:])
	switch word {
	case "Mr", "Mrs", "Ms", "Dr", "Prof", "St", "No", "Sen", "Rep", "Gov", "Gen", "Lt", "Col", "Jr", "Sr", "vs", "etc", "Inc", "Ltd", "Co":
		return true
	}
	return len([]rune(word)) == 1
}

func headingLevel(a atom.Atom) int {
	switch a {
	case atom.H1:
		return 1
	case atom.H2:
		return 2
	case atom.H3:
		return 3
	case atom.H4:
		return 4
	case atom.H5:
		return 5
	case atom.H6:
		return 6
	}
	return 0
}

// linkShare is the part of n's text that is inside links, 0 to 1.
func linkShare(n *html.Node) float64 {
	all := len(strings.Join(strings.Fields(nodeText(n)), " "))
	if all == 0 {
		return 0
	}
	linked := 0
	for c := range n.Descendants() {
		if c.DataAtom == atom.A {
			linked += len(strings.Join(strings.Fields(nodeText(c)), " "))
		}
	}
	return float64(linked) / float64(all)
}

func hasBlock(n *html.Node) bool {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && blockElement(c.DataAtom) {
			return true
		}
	}
	return false
}

func inlineOnly(n *html.Node) bool { return !hasBlock(n) && !hasImage(n) }

func hasImage(n *html.Node) bool {
	for c := range n.Descendants() {
		if c.DataAtom == atom.Img {
			return true
		}
	}
	return false
}

// onlyChildIs tells whether all text of n is inside one child of these kinds.
func onlyChildIs(n *html.Node, kinds ...atom.Atom) bool {
	var only *html.Node
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode && strings.TrimSpace(c.Data) == "" {
			continue
		}
		if only != nil {
			return false
		}
		only = c
	}
	if only == nil {
		return false
	}
	for _, k := range kinds {
		if only.DataAtom == k {
			return true
		}
	}
	return false
}
