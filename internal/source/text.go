package source

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"
)

// Limits of texts that a source gives, in characters.
const (
	maxTitle   = 300
	maxSummary = 600
	maxName    = 200
	maxAlt     = 500
	// maxURL bounds a URL in bytes; longer ones are data in disguise.
	maxURL = 2000
)

// validText drops what no reader, XML document or database takes: invalid
// UTF-8, NUL and other control characters, the non-characters of XML 1.0
// §2.2, and the two overrides that make text read backwards.
func validText(s string) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= 0x20 && s[i] < 0x7f || s[i] == '\n'
	}
	if clean {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			return '\n'
		case unicode.IsControl(r), r == '\uFFFE', r == '\uFFFF', r == '\uFEFF', r == '\u202D', r == '\u202E', r&0xFFFE == 0xFFFE:
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// oneLine makes valid text of one line, composed (Unicode NFC), without more
// than single spaces, and of at most limit characters.
func oneLine(s string, limit int) string {
	s = norm.NFC.String(strings.Join(strings.Fields(validText(s)), " "))
	return clip(s, limit)
}

// clip cuts s to limit characters at a word where there is one, with "…".
func clip(s string, limit int) string {
	if len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s
	}
	runes := []rune(s)[:limit-1]
	cut := len(runes)
	for i := len(runes) - 1; i > len(runes)*2/3; i-- {
		if unicode.IsSpace(runes[i]) {
			cut = i
			break
		}
	}
	return strings.TrimRight(string(runes[:cut]), " ,;:–—-") + "…"
}

// inlineTags are the elements that publishers put into titles and that are
// markup there. Any other "<word>" in a title is meant to be read.
func inlineTag(name string) bool {
	switch name {
	case "a", "abbr", "b", "bdi", "bdo", "big", "br", "cite", "code", "del", "em", "font", "i", "img", "ins", "kbd", "mark",
		"p", "q", "s", "script", "small", "span", "strike", "strong", "style", "sub", "sup", "tt", "u", "var", "wbr":
		return true
	}
	return false
}

// plainTitle makes the plain text of a title that is HTML: entities decoded
// once, inline markup dropped, everything else kept to the letter.
func plainTitle(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return oneLine(s, maxTitle)
	}
	if len(s) > 20*maxTitle {
		s = s[:20*maxTitle]
	}
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(validText(s)))
	skip := "" // inside script or style
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			b.Write(z.Raw()) // a "<" near the end that opened no tag
			break
		}
		raw := string(z.Raw()) // before Token, which decodes in place
		tok := z.Token()
		switch {
		case skip != "":
			if kind == html.EndTagToken && tok.Data == skip {
				skip = ""
			}
		case kind == html.TextToken:
			b.WriteString(tok.Data)
		case kind == html.CommentToken || kind == html.DoctypeToken:
		case !inlineTag(tok.Data):
			b.WriteString(html.UnescapeString(raw))
		case kind == html.StartTagToken && (tok.Data == "script" || tok.Data == "style"):
			skip = tok.Data
		case tok.Data == "br" || tok.Data == "p":
			b.WriteByte(' ')
		}
	}
	return oneLine(b.String(), maxTitle)
}

// plainHTML makes one line of plain text of a fragment of HTML.
func plainHTML(s string, limit int) string {
	if !strings.ContainsAny(s, "<&") {
		return oneLine(s, limit)
	}
	nodes, err := parseFragment(validText(s))
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, n := range nodes {
		appendText(&b, n)
	}
	return oneLine(b.String(), limit)
}

// firstWords stands in for a missing title.
func firstWords(text string) string {
	words := strings.Fields(text)
	if len(words) > 10 {
		return oneLine(strings.TrimRight(strings.Join(words[:10], " "), ".,;:!?…")+"…", maxTitle)
	}
	return oneLine(strings.TrimRight(text, "."), maxTitle)
}
