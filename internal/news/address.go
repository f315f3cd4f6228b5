package news

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of an address (RFC 5321 §4.5.3.1).
const (
	maxAddress = 254
	maxLocal   = 64
)

// Address is an e-mail address that can be mailed. Its zero value is no address.
type Address struct {
	// Spec is local@domain as it goes into envelopes and headers: the local
	// part as given, the domain as lower-case A-labels (RFC 5890 §2.3.2.1).
	Spec string
	// Key is the identity: Spec with the local part lower-cased.
	Key string
}

// ParseAddress accepts one bare addr-spec (RFC 5321 §4.1.2, dot-string local
// part), in ASCII or UTF-8 (RFC 6531). It refuses what net/mail lets through
// and no relay would deliver: quoted or overlong local parts, white space,
// control characters, address literals and domains without a dot.
func ParseAddress(field, s string) (Address, error) {
	spec, ok := parseSpec(strings.TrimSpace(s))
	if !ok {
		return Address{}, &FieldError{Field: field, Value: s, Want: "an address like ana@example.org"}
	}
	return Address{Spec: spec, Key: strings.ToLower(spec)}, nil
}

func parseSpec(s string) (string, bool) {
	local, domain, ok := cutLast(s, '@')
	if !ok || len(s) > maxAddress || local == "" || len(local) > maxLocal || !validLocal(local) {
		return "", false
	}
	// Nearly all addresses are of this kind; every mail looks at its own.
	if plain(s) && !strings.Contains(domain, "--") && validDomain(domain) {
		return s, true
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil || !utf8.ValidString(s) || !validDomain(ascii) || len(local)+1+len(ascii) > maxAddress {
		return "", false
	}
	spec := local + "@" + strings.ToLower(ascii)
	_, err = mail.ParseAddress("<" + spec + ">")
	return spec, err == nil
}

// plain tells whether s consists of what may stand in an address and means
// itself: letters without case, digits, signs.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// validLocal checks a dot-string: atoms of atext (RFC 5322 §3.2.3) or, by
// RFC 6532 §3.2, letters and digits beyond ASCII, parted by single dots.
func validLocal(local string) bool {
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			plain := r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r))
			wide := r >= 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
			if !plain && !wide {
				return false
			}
		}
	}
	return true
}

// validDomain checks an ASCII domain name with at least two labels and a
// top label that is not a number.
func validDomain(d string) bool {
	labels := strings.Split(d, ".")
	if len(labels) < 2 || len(d) > 253 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for i := range len(l) {
			c := l[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// Domain returns the part after the @.
func (a Address) Domain() string { _, d, _ := cutLast(a.Spec, '@'); return d }

// NeedsUTF8 tells whether the next hop must offer SMTPUTF8 (RFC 6531 §3.3).
func (a Address) NeedsUTF8() bool {
	for i := range len(a.Spec) {
		if a.Spec[i] >= 0x80 {
			return true
		}
	}
	return false
}

// CleanName makes a display name safe for a header and a greeting: control
// characters and line breaks become spaces, white space collapses, at most
// 100 characters remain.
func CleanName(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > 100 {
		s = strings.TrimSpace(string([]rune(s)[:100]))
	}
	return s
}

// ParseSender reads a sender as "Name <local@domain>" or a bare address.
func ParseSender(field, s string) (name string, addr Address, err error) {
	spec := s
	if i := strings.LastIndexByte(s, '<'); i >= 0 && strings.HasSuffix(strings.TrimSpace(s), ">") {
		name = CleanName(strings.Trim(strings.TrimSpace(s[:i]), `"`))
		spec = strings.TrimSuffix(strings.TrimSpace(s[i+1:]), ">")
	}
	addr, err = ParseAddress(field, spec)
	return name, addr, err
}
