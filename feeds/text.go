package feeds

import (
	"strings"
	"unicode/utf8"
)

// clean drops what XML 1.0 cannot carry: characters outside the Char production
// (§2.2) and bytes that are not UTF-8. encoding/xml lets them through inside
// CDATA and writes a malformed document without an error (golang/go#53728).
// JSON gets the same text, so that all formats say the same.
func clean(s string) string {
	at := firstBad(s, 0)
	if at < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	from := 0
	for at >= 0 {
		b.WriteString(s[from:at])
		_, size := utf8.DecodeRuneInString(s[at:])
		from = at + size
		at = firstBad(s, from)
	}
	b.WriteString(s[from:])
	return b.String()
}

// firstBad returns where the first character that is not allowed begins, at or
// after from; -1 if there is none.
func firstBad(s string, from int) int {
	for i := from; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if (r == utf8.RuneError && size == 1) || r == 0xFFFE || r == 0xFFFF {
			return i
		}
		i += size
	}
	return -1
}

// line makes plain text of one line: white space, line breaks included, collapses.
func line(s string) string {
	return strings.Join(strings.Fields(clean(s)), " ")
}

// title is line without HTML. Titles are plain text already, but in RSS a title
// has no type, and half of the readers would take a stray <b> for mark-up.
func title(s string) string { return line(stripTags(clean(s))) }

// htmlText writes plain text as HTML, which is what RSS readers take a
// description for.
func htmlText(s string) string {
	s = strings.ReplaceAll(s, "&", "&amp;")
	s = strings.ReplaceAll(s, "<", "&lt;")
	return strings.ReplaceAll(s, ">", "&gt;")
}

// stripTags drops the tags of inline formatting and of scripts and keeps what
// stands between them; every other use of < and > is text: "a < b", "<3",
// "Why <table> died". It reads s once and checks a tag when its > comes, so that a tag
// which only appears when another is dropped ("<<b>b>") is dropped, too.
func stripTags(s string) string {
	if !strings.Contains(s, "<") {
		return s
	}
	out := make([]byte, 0, len(s))
	var open []int // where the < that are not closed yet stand in out
	for i := range len(s) {
		out = append(out, s[i])
		switch {
		case s[i] == '<':
			open = append(open, len(out)-1)
		case s[i] == '>' && len(open) > 0:
			start := open[len(open)-1]
			open = open[:len(open)-1]
			if isMarkup(out[start:]) {
				out = out[:start]
			}
		}
	}
	return string(out)
}

// longestTag is the length of the longest name in isMarkup: "script".
const longestTag = 6

// isMarkup tells whether tag, from < to >, is one that titles are seen to carry.
func isMarkup(tag []byte) bool {
	name := strings.TrimPrefix(string(tag[1:min(len(tag), longestTag+4)]), "/")
	end := strings.IndexAny(name, " \t\r\n/>")
	if end < 0 {
		return false
	}
	switch strings.ToLower(name[:end]) {
	case "a", "abbr", "b", "bdi", "bdo", "big", "br", "cite", "code", "del", "dfn", "em", "font", "i", "img",
		"ins", "kbd", "mark", "nobr", "p", "q", "s", "samp", "script", "small", "span", "strike", "strong",
		"style", "sub", "sup", "svg", "tt", "u", "var", "wbr":
		return true
	default:
		return false
	}
}

// language returns a language tag as it came if it has the shape of one
// (RFC 5646 §2.1: subtags of at most eight letters or digits), else "".
func language(s string) string {
	s = strings.TrimSpace(s)
	for i, subtag := range strings.Split(s, "-") {
		if subtag == "" || len(subtag) > 8 || (i == 0 && len(subtag) == 1) {
			return ""
		}
		for _, r := range subtag {
			letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
			digit := r >= '0' && r <= '9'
			if !letter && (!digit || i == 0) {
				return ""
			}
		}
	}
	return s
}

// personName is a name without the mail addresses in it: sources write
// "ana@example.org (Ana Berg)", and WordPress shows the login of whoever set no
// name. An address is never published (news.Author).
func personName(s string) string {
	words := strings.Fields(title(s))
	kept := words[:0]
	for _, w := range words {
		at := strings.IndexByte(w, '@')
		if at <= 0 || !strings.Contains(w[at:], ".") {
			kept = append(kept, w)
		}
	}
	name := strings.Join(kept, " ")
	if len(kept) < len(words) {
		name = strings.Trim(name, `()<>"' `)
	}
	return name
}
