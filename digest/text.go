package digest

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// unprintable tells whether r could break a line, hide text or turn its
// direction around. Joiners stay: emoji and several scripts need them.
func unprintable(r rune) bool {
	if r == '\u200c' || r == '\u200d' {
		return false
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// cut shortens s to at most n characters, at the end of a sentence if that
// loses little, else at the end of a word with an ellipsis.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n < 2 {
		return ""
	}
	runes := []rune(s)
	head := runes[:n]
	for i := n - 1; i > n*6/10; i-- {
		if endsSentence(head[i]) && runes[i+1] == ' ' {
			return string(head[:i+1])
		}
	}
	return cutWord(s, n)
}

// cutWord shortens s to at most n characters at the end of a word.
func cutWord(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n < 2 {
		return ""
	}
	runes := []rune(s)
	end := n - 1
	for i := end; i > n/2; i-- {
		if runes[i] == ' ' {
			end = i
			break
		}
	}
	return strings.TrimRight(string(runes[:end]), " ,;:–—-") + "…"
}

func endsSentence(r rune) bool {
	return strings.ContainsRune(".!?。！？", r)
}

// listing joins names as people do: "a, b and c".
func listing(names []string, and string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " " + and + " " + names[n-1]
	}
}
