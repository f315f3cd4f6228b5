package feeds

import (
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// webURL returns s as an absolute http or https URI in ASCII, as RSS demands it
// and every format allows; "" if it is none. What is encoded already stays
// byte for byte: the URL is an identity.
func webURL(s string) string {
	s = encodeURI(strings.TrimSpace(clean(s)))
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return ""
	}
	if isASCII(u.Host) {
		return s
	}
	// url.Parse has decoded the host; readers resolve A-labels only (RFC 5891 §4.4).
	host, err := idna.Lookup.ToASCII(u.Hostname())
	if err != nil {
		return ""
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	u.Host = host
	return u.String()
}

// identifier returns s as an absolute URI if it is one of the kinds that name
// things without doing anything when followed; "" otherwise.
func identifier(s string) string {
	s = strings.TrimSpace(clean(s))
	scheme, rest, _ := strings.Cut(s, ":")
	switch strings.ToLower(scheme) {
	case "http", "https":
		return webURL(s)
	case "tag", "urn":
		if rest != "" {
			return encodeURI(s)
		}
	}
	return ""
}

// guidURI makes an Atom id, which must be a URI, of a guid, which may be any
// text. One that is no URI becomes a UUID computed from it (RFC 9562 §5.8), so
// that the same guid always gives the same id.
func guidURI(guid string) string {
	if id := identifier(guid); id != "" {
		return id
	}
	sum := sha256.Sum256([]byte(guid))
	sum[6] = sum[6]&0x0f | 0x80 // version 8
	sum[8] = sum[8]&0x3f | 0x80 // variant
	h := hex.EncodeToString(sum[:16])
	return "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// encodeURI percent-encodes every byte that a URI cannot hold (RFC 3986 §2),
// every % that encodes nothing, brackets outside the host and a second #.
func encodeURI(s string) string {
	const upperHex = "0123456789ABCDEF"
	host := hostEnd(s)
	fragment := strings.IndexByte(s, '#')
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		var ok bool
		switch c {
		case '%':
			ok = i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])
		case '[', ']':
			ok = i < host
		case '#':
			ok = i == fragment
		default:
			ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~:/?@!$&'()*+,;=", c) >= 0
		}
		if ok {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
	}
	return b.String()
}

// hostEnd returns where the authority of s ends; 0 if it has none.
func hostEnd(s string) int {
	start := strings.Index(s, "://")
	if start < 0 {
		return 0
	}
	start += len("://")
	if n := strings.IndexAny(s[start:], "/?#"); n >= 0 {
		return start + n
	}
	return len(s)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// mediaType returns s without parameters if it is a media type, else "".
func mediaType(s string) string {
	t, _, err := mime.ParseMediaType(clean(s))
	if err != nil || !strings.Contains(t, "/") {
		return ""
	}
	return t
}
