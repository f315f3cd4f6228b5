package mail

import (
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"gazetted/internal/news"
)

// SignedAddress makes addresses of ours that say, signed, what came back: the
// variable envelope sender (VERP) bounces+TOKEN@example.org and the address to
// unsubscribe by, unsubscribe+TOKEN@example.org. It is safe for concurrent use.
type SignedAddress struct {
	sign          *news.Signer
	purpose       news.Purpose
	local, domain string
}

// maxLocalPart is RFC 5321 §4.5.3.1.1.
const maxLocalPart = 64

// maxTokenBytes is a Signer's longest token with one id and no expiry: key id,
// three numbers of at most 10, 1 and 1 bytes, and the signature.
const maxTokenBytes = 1 + 10 + 1 + 1 + 16

// NewSignedAddress takes the plain address that the tokens are put into: its
// local part must leave room for one. field is named in the error.
func NewSignedAddress(field, base string, purpose news.Purpose, sign *news.Signer) (*SignedAddress, error) {
	addr, err := news.ParseAddress(field, base)
	if err != nil {
		return nil, err
	}
	local, domain, _ := strings.Cut(addr.Spec, "@")
	room := maxLocalPart - len("+") - tokenEncoding().EncodedLen(maxTokenBytes)
	if len(local) > room || addr.NeedsUTF8() || strings.Contains(local, "+") {
		return nil, &news.FieldError{Field: field, Value: base, Want: fmt.Sprintf("an ASCII address with at most %d characters before the @ and no +, such as bounces@example.org", room)}
	}
	return &SignedAddress{sign: sign, purpose: purpose, local: local, domain: domain}, nil
}

// tokenEncoding has one case: servers on the way may lower the case of local
// parts, though they must not (RFC 5321 §2.4).
func tokenEncoding() *base32.Encoding {
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
}

// For returns the address for a row's id. It never expires: servers report for
// days, readers unsubscribe after years.
func (a *SignedAddress) For(id int64) string {
	raw, err := base64.RawURLEncoding.DecodeString(a.sign.Sign(a.purpose, news.Token{ID: id}))
	if err != nil {
		return a.local + "@" + a.domain // a Signer's token is base64url
	}
	return a.local + "+" + tokenEncoding().EncodeToString(raw) + "@" + a.domain
}

// openSigned reads the id of a signed address. What stands before the + and
// after the @ does not matter: servers rewrite both (prvs=…=bounces+TOKEN@…),
// and the signature alone proves that the address is ours.
func openSigned(sign *news.Signer, purpose news.Purpose, address string, now time.Time) (id int64, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return 0, false
	}
	local := strings.ToLower(address[:at])
	plus := strings.LastIndexByte(local, '+')
	if plus < 0 || len(local) > 2*maxLocalPart {
		return 0, false
	}
	text := local[plus+1:]
	raw, err := tokenEncoding().DecodeString(text)
	if err != nil || tokenEncoding().EncodeToString(raw) != text {
		return 0, false
	}
	token, err := sign.Verify(purpose, base64.RawURLEncoding.EncodeToString(raw), now)
	return token.ID, err == nil && token.ID > 0
}
