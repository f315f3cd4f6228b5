package digest

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"gazetted/internal/news"
)

// Lengths of excerpts in characters.
const (
	maxExcerpt  = 600 // what is kept of an article
	fullExcerpt = 300
	leadExcerpt = 420
	tinyExcerpt = 140 // where an edition is too long
)

// maxOpening is how many bytes of HTML are looked through for a beginning.
const maxOpening = 64 << 10

// excerpt is the beginning of an article as plain text, or "" where only its
// title may be mailed. The publisher's summary goes first; a summary that a
// machine cut ("[…]") only where the body gives nothing.
func excerpt(a *news.Article) string {
	if a.Visibility != news.VisibilityPublic && a.Visibility != "" {
		return ""
	}
	summary := oneLine(a.Summary)
	whole := summary
	for _, mark := range []string{"[…]", "[...]", "[&hellip;]", "…", "..."} {
		whole = strings.TrimSpace(strings.TrimSuffix(whole, mark))
	}
	if whole == summary && summary != "" {
		return cut(summary, maxExcerpt)
	}
	if body := opening(a.ContentHTML); utf8.RuneCountInString(body) >= tinyExcerpt {
		return cut(body, maxExcerpt)
	}
	if whole != "" {
		return cutWord(whole, maxExcerpt-1) + ellipsisUnlessCut(whole)
	}
	return cut(opening(a.ContentHTML), maxExcerpt)
}

func ellipsisUnlessCut(s string) string {
	if utf8.RuneCountInString(s) > maxExcerpt-1 || endsSentence(rune(s[len(s)-1])) {
		return ""
	}
	return "…"
}

// opening collects the first paragraphs of running text. Contents lists,
// tables, captions, headings, FAQs below them and paragraphs that only lead
// elsewhere ("Read another news …", a related headline) are not an article's
// beginning. It stops as soon as there is enough, and looks no further than
// maxOpening, so that the length of the article does not matter.
func opening(content string) string {
	content = strings.ToValidUTF8(content[:min(len(content), maxOpening)], "")
	p := paragraphs{tokens: html.NewTokenizer(strings.NewReader(content))}
	for p.next() && p.length < maxExcerpt {
	}
	if p.length == 0 {
		return oneLine(p.loose.String())
	}
	return strings.Join(p.found, " ")
}

type paragraphs struct {
	tokens *html.Tokenizer
	skip   []atom.Atom     // elements whose text does not count, innermost last
	inside bool            // of a <p>
	link   int             // open <a>
	text   strings.Builder // of the paragraph
	linked strings.Builder // of its links
	loose  strings.Builder // text outside of any <p>, for content without
	found  []string
	length int
}

func skipped(a atom.Atom) bool {
	switch a {
	case atom.Nav, atom.Aside, atom.Figure, atom.Table, atom.Ul, atom.Ol, atom.Dl, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6,
		atom.Script, atom.Style, atom.Form, atom.Pre, atom.Template, atom.Details, atom.Iframe, atom.Noscript, atom.Header, atom.Footer:
		return true
	default:
		return false
	}
}

// next reads one token; it is false at the end.
func (p *paragraphs) next() bool {
	kind := p.tokens.Next()
	switch kind {
	case html.ErrorToken:
		p.end()
		return false
	case html.TextToken:
		p.take(string(p.tokens.Text()))
	case html.StartTagToken:
		p.open(p.tag())
	case html.EndTagToken:
		p.close(p.tag())
	case html.SelfClosingTagToken:
		if p.tag() == atom.Br {
			p.take(" ")
		}
	}
	return true
}

func (p *paragraphs) tag() atom.Atom {
	name, _ := p.tokens.TagName()
	return atom.Lookup(name)
}

func (p *paragraphs) take(raw string) {
	text := html.UnescapeString(raw)
	switch {
	case len(p.skip) > 0:
	case p.inside:
		p.text.WriteString(text)
		if p.link > 0 {
			p.linked.WriteString(text)
		}
	case p.loose.Len() < 4*maxExcerpt:
		p.loose.WriteString(text)
	}
}

func (p *paragraphs) open(a atom.Atom) {
	switch {
	case skipped(a):
		p.end() // in HTML these end an open <p>
		p.skip = append(p.skip, a)
	case a == atom.P:
		p.end()
		p.inside = true
	case a == atom.A:
		p.link++
	case a == atom.Br:
		p.take(" ")
	}
}

func (p *paragraphs) close(a atom.Atom) {
	switch {
	case skipped(a):
		if i := slices.Index(p.skip, a); i >= 0 {
			p.skip = p.skip[:i]
		}
	case a == atom.P:
		p.end()
	case a == atom.A && p.link > 0:
		p.link--
	}
}

// minParagraph is the length below which a paragraph is taken for a byline,
// a place and date, or a label.
const minParagraph = 40

func (p *paragraphs) end() {
	text, linked := oneLine(p.text.String()), oneLine(p.linked.String())
	p.text.Reset()
	p.linked.Reset()
	p.inside, p.link = false, 0
	if linked != "" {
		if 2*len(linked) > len(text) {
			return
		}
		text = withoutPointers(text, linked)
	}
	if utf8.RuneCountInString(text) >= minParagraph {
		p.found = append(p.found, text)
		p.length += utf8.RuneCountInString(text)
	}
}

// withoutPointers drops the last sentence of a paragraph if it is there for
// its link: "Read another news on example.org."
func withoutPointers(text, linked string) string {
	start := 0
	for i := len(text) - 2; i > 0; i-- {
		if endsSentence(rune(text[i])) && text[i+1] == ' ' {
			start = i + 2
			break
		}
	}
	last := strings.ToLower(text[start:])
	for _, word := range []string{"read ", "see also", "also read", "related", "more:", "click "} {
		if start > 0 && strings.HasPrefix(last, word) && strings.HasSuffix(strings.TrimRight(last, ". "), strings.ToLower(strings.TrimRight(linked, ". "))) {
			return strings.TrimSpace(text[:start])
		}
	}
	return text
}
