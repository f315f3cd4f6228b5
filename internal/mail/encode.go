package mail

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of lines.
const (
	maxEncodedWord = 60  // RFC 2047 §2 allows 75; so the first one fits behind "Subject: "
	maxWord        = 70  // of plain text in a header
	maxQPLine      = 76  // RFC 2045 §6.7, the soft break's "=" included
	foldAt         = 76  // where header lines are folded; RFC 5322 §2.1.1 says at most 78
	maxWireLine    = 998 // RFC 5322 §2.1.1, without CRLF
)

// cleanLine makes one line of s: invalid UTF-8 goes, and control characters,
// line separators and marks that turn the direction of writing become spaces.
// White space collapses and at most limit characters remain. Joiners stay:
// Persian and many emoji need them.
func cleanLine(s string, limit int) string {
	if isCleanLine(s, limit) { // as nearly every reply of a relay is
		return s
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufeff',
			r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return ' '
		default:
			return r
		}
	}, strings.ToValidUTF8(cutBytes(s, limit*utf8.UTFMax), ""))
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > limit {
		s = strings.TrimSpace(string([]rune(s)[:limit]))
	}
	return s
}

// isCleanLine tells whether cleanLine has nothing to do.
func isCleanLine(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	before := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == ' ' && before == ' ' {
			return false
		}
		before = c
	}
	return before != ' ' || s == ""
}

// cutBytes bounds what the functions above look at: a field of 100 KB is not
// worth cleaning before it is cut.
func cutBytes(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// plainHeader tells whether s may stand in a header as it is: printable ASCII,
// no word so long that a line could not be folded, and nothing that a reader
// would take for an encoded word.
func plainHeader(s string) bool {
	word := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			word = 0
		case c < ' ' || c > '~':
			return false
		default:
			if word++; word > maxWord {
				return false
			}
		}
	}
	return !strings.Contains(s, "=?")
}

// unstructured encodes clean text for a field such as Subject (RFC 5322 §2.2.1).
func unstructured(s string) string {
	if plainHeader(s) {
		return s
	}
	return encodedWords(s)
}

// phrase encodes a clean display name (RFC 5322 §3.2.5).
func phrase(s string) string {
	switch {
	case s == "" || !plainHeader(s):
		return encodedWords(s)
	case strings.IndexFunc(s, func(r rune) bool { return r != ' ' && !isAtext(r) }) < 0:
		return s
	default:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
}

func isAtext(r rune) bool { // RFC 5322 §3.2.3
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// encodedWords encodes s in UTF-8 as RFC 2047 words parted by spaces, in
// whichever encoding is shorter. Only characters that are safe in a phrase
// stand for themselves (§5 rule 3), and no character is split (§5).
func encodedWords(s string) string {
	if s == "" {
		return ""
	}
	q := 0
	for i := range len(s) {
		if qSafe(s[i]) || s[i] == ' ' {
			q++
		} else {
			q += 3
		}
	}
	if base64.StdEncoding.EncodedLen(len(s)) < q {
		return split(s, "=?utf-8?b?", func(part string) string { return base64.StdEncoding.EncodeToString([]byte(part)) })
	}
	return split(s, "=?utf-8?q?", qWord)
}

// split cuts s between characters so that each encoded word fits.
func split(s, open string, encode func(string) string) string {
	var b strings.Builder
	room := maxEncodedWord - len(open) - len("?=")
	start := 0
	for i, r := range s {
		if end := i + utf8.RuneLen(r); len(encode(s[start:end])) > room {
			b.WriteString(open + encode(s[start:i]) + "?= ")
			start = i
		}
	}
	b.WriteString(open + encode(s[start:]) + "?=")
	return b.String()
}

func qSafe(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '!' || c == '*' || c == '+' || c == '-' || c == '/'
}

func qWord(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			b.WriteByte('_')
		case qSafe(c):
			b.WriteByte(c)
		default:
			b.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

const hexDigits = "0123456789ABCDEF"

// fold breaks a header's value at spaces so that lines stay short where they
// can; used is what stands on the first line already.
func fold(value string, used int) string {
	var b strings.Builder
	for i, word := range strings.Split(value, " ") {
		switch {
		case i == 0:
		case used+1+len(word) > foldAt:
			b.WriteString("\r\n ")
			used = 1
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += len(word)
	}
	return b.String()
}

// appendQP appends s in quoted-printable (RFC 2045 §6.7), starting at the
// beginning of a line. Spaces are encoded, so that the value may stand at the
// end of a line; no line is longer than 75, so that a soft break fits behind it.
func appendQP(dst []byte, s string) []byte {
	column := 0
	for i := range len(s) {
		c, width := s[i], 1
		if c <= ' ' || c > '~' || c == '=' {
			width = 3
		}
		if column+width > maxQPLine-1 {
			dst = append(dst, "=\r\n"...)
			column = 0
		}
		if width == 1 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', hexDigits[c>>4], hexDigits[c&15])
		}
		column += width
	}
	return dst
}
