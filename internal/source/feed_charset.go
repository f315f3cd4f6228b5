package source

import (
	"bytes"
	"mime"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// utf8Text makes UTF-8 of a document whose label may lie. What the bytes
// themselves prove counts first: a byte order mark, then being valid UTF-8,
// which text in another encoding practically never is. Then come the
// document's own label and the server's (of which RFC 7303 §3 trusts the
// latter more; but servers know less than authors), as long as the bytes are
// possible under it; then a guess by which letters would come out.
func utf8Text(body []byte, contentType, declared, language string) string {
	switch {
	case bytes.HasPrefix(body, []byte("\xEF\xBB\xBF")):
		body = body[3:]
	case bytes.HasPrefix(body, []byte("\xFE\xFF")), bytes.HasPrefix(body, []byte("\x00<")):
		return decoded(body, unicode.UTF16(unicode.BigEndian, unicode.UseBOM))
	case bytes.HasPrefix(body, []byte("\xFF\xFE")), bytes.HasPrefix(body, []byte("<\x00")):
		return decoded(body, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM))
	}
	labels := []string{declared}
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		labels = append(labels, params["charset"])
	}
	if utf8.Valid(body) && !sevenBit(labels) {
		return string(body)
	}
	for _, label := range labels {
		enc, name := charset.Lookup(label)
		if enc == nil || name == "utf-8" {
			continue
		}
		if text := decoded(body, enc); plausible(text) {
			return text
		}
	}
	return guessed(body, language)
}

// sevenBit tells whether a label names an encoding that uses no byte above
// 0x7F: its text always looks like UTF-8.
func sevenBit(labels []string) bool {
	for _, l := range labels {
		if _, name := charset.Lookup(l); name == "iso-2022-jp" {
			return true
		}
	}
	return false
}

func decoded(body []byte, enc encoding.Encoding) string {
	out, err := enc.NewDecoder().Bytes(body)
	if err != nil {
		return strings.ToValidUTF8(string(body), "\uFFFD")
	}
	return string(out)
}

// plausible tells whether a decoded text has next to no signs that are errors:
// replacement characters, and C1 controls, which nobody writes.
func plausible(text string) bool {
	bad, other := 0, 0
	for _, r := range text {
		switch {
		case r == utf8.RuneError || r >= 0x80 && r < 0xA0:
			bad++
		case r >= 0x80:
			other++
		}
	}
	return bad*20 <= other
}

// guessed decodes bytes that are not what they were said to be.
func guessed(body []byte, language string) string {
	good, bad := 0, 0 // sequences of UTF-8, and bytes that are none
	runs, high, lower, upper := 0, 0, 0, 0
	for i := 0; i < len(body); {
		if body[i] < utf8.RuneSelf {
			i++
			continue
		}
		if _, n := utf8.DecodeRune(body[i:]); n > 1 {
			good++
			i += n
			continue
		}
		bad++
		run := 0
		for ; i < len(body) && body[i] >= utf8.RuneSelf; i++ {
			run++
			switch {
			case body[i] >= 0xE0:
				upper++
			case body[i] >= 0xC0:
				lower++
			}
		}
		runs++
		high += run
	}
	if good >= bad { // UTF-8 with strays, mostly of Windows programs: “ ” ’ –
		return mended(body)
	}
	return decoded(body, guess(language, high >= 3*runs, lower > upper))
}

// mended reads UTF-8, and each byte that is none as windows-1252.
func mended(body []byte) string {
	var b strings.Builder
	b.Grow(len(body) + 64)
	for len(body) > 0 {
		r, n := utf8.DecodeRune(body)
		if r == utf8.RuneError && n == 1 {
			r = charmap.Windows1252.DecodeByte(body[0])
		}
		b.WriteRune(r)
		body = body[n:]
	}
	return b.String()
}

// guess picks an encoding by the language that the feed claims. Without one
// only Cyrillic tells itself: its words are long runs of bytes above 0x7F, and
// koi8-r has its small letters where windows-1251 has its capitals.
func guess(language string, longRuns, koi bool) encoding.Encoding {
	lang, _, _ := strings.Cut(strings.ToLower(language), "-")
	name := map[string]string{
		"tr": "windows-1254", "az": "windows-1254", "pl": "windows-1250", "cs": "windows-1250", "sk": "windows-1250", "hu": "windows-1250",
		"ro": "windows-1250", "hr": "windows-1250", "sl": "windows-1250", "el": "windows-1253", "he": "windows-1255", "ar": "windows-1256",
		"fa": "windows-1256", "et": "windows-1257", "lv": "windows-1257", "lt": "windows-1257", "vi": "windows-1258", "th": "windows-874",
		"ja": "shift_jis", "zh": "gb18030", "ko": "euc-kr",
	}[lang]
	switch {
	case name != "":
		enc, _ := charset.Lookup(name)
		return enc
	case longRuns && koi && lang != "bg" && lang != "sr":
		return charmap.KOI8R
	case longRuns:
		return charmap.Windows1251
	}
	return charmap.Windows1252
}

// declaration finds the encoding that an XML declaration names, and the end of
// the declaration.
type declaration struct {
	encoding *regexp.Regexp
	language *regexp.Regexp
}

func newDeclaration() *declaration {
	return &declaration{
		encoding: regexp.MustCompile(`^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["'][^>]*\?>`),
		language: regexp.MustCompile(`<(?:dc:)?language>\s*([A-Za-z]{2,3})\b|\sxml:lang\s*=\s*["']([A-Za-z]{2,3})\b`),
	}
}

// text reads a feed's bytes as text. The XML declaration goes: what it says of
// the encoding is true no more.
func (d *declaration) text(body []byte, contentType string) string {
	head := body[:min(len(body), 8<<10)]
	declared, language := "", ""
	if m := d.encoding.FindSubmatch(head); m != nil {
		declared = string(m[1])
	}
	if m := d.language.FindSubmatch(head); m != nil {
		language = orElse(string(m[1]), string(m[2]))
	}
	text := strings.TrimLeft(utf8Text(body, contentType, declared, language), "\uFEFF \t\r\n")
	if strings.HasPrefix(text, "<?xml") {
		if end := strings.Index(text[:min(len(text), 1<<10)], "?>"); end > 0 {
			text = text[end+2:]
		}
	}
	return text
}
