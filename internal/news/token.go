package news

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"
	"time"
)

// Purpose binds a token to the one thing that it allows.
type Purpose string

// The purposes of signed links.
const (
	PurposeUnsubscribe Purpose = "unsubscribe"
	PurposePreferences Purpose = "preferences"
	PurposeConfirm     Purpose = "confirm"
	PurposeWebView     Purpose = "webview"
	PurposeForm        Purpose = "form" // the signed timestamp of a sign-up form
	PurposeMessageID   Purpose = "message-id"
	PurposeNonce       Purpose = "nonce"
	PurposeHook        Purpose = "hook"        // the address of a source's hook
	PurposeHookSecret  Purpose = "hook-secret" // what the sender signs with, where it can
	PurposeHubSecret   Purpose = "hub-secret"  // what a WebSub hub signs with
)

// Secret is one signing key. The newest signs; all verify, so that links in
// old mails keep working after a rotation.
type Secret struct {
	ID        byte
	Key       []byte // 32 random bytes
	CreatedAt time.Time
}

// Signer makes and checks the tokens of links. It is safe for concurrent use.
type Signer struct {
	secrets []*key // newest last
}

// macLen is 128 bits: enough that guessing is hopeless, short enough for a mail.
const macLen = 16

// NewSigner takes all secrets, newest last. At least one is needed.
func NewSigner(secrets []Secret) (*Signer, error) {
	if len(secrets) == 0 {
		return nil, fmt.Errorf("make signer: %w: no secret", ErrNotFound)
	}
	s := &Signer{}
	for _, secret := range secrets {
		s.secrets = append(s.secrets, newKey(secret))
	}
	return s, nil
}

// Token is what a signed link carries: up to two row ids and an expiry.
type Token struct {
	ID      int64     // e.g. a subscription
	Second  int64     // e.g. an edition; 0: none
	Expires time.Time // zero: never
}

// Sign returns a URL-safe token for purpose: base64url(key id, ids, expiry, MAC).
func (s *Signer) Sign(p Purpose, t Token) string {
	secret := s.secrets[len(s.secrets)-1]
	buf := append(make([]byte, 0, 48), secret.ID)
	buf = binary.AppendVarint(buf, t.ID)
	buf = binary.AppendVarint(buf, t.Second)
	exp := int64(0)
	if !t.Expires.IsZero() {
		exp = t.Expires.Unix()
	}
	buf = binary.AppendVarint(buf, exp)
	buf = append(buf, secret.mac(p, buf)...)
	return base64.RawURLEncoding.EncodeToString(buf)
}

// Verify checks a token made by Sign for the same purpose; every fault, also
// expiry, is ErrToken.
func (s *Signer) Verify(p Purpose, text string, now time.Time) (Token, error) {
	if len(text) > 100 {
		return Token{}, ErrToken
	}
	buf, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(buf) < macLen+4 {
		return Token{}, ErrToken
	}
	body, mac := buf[:len(buf)-macLen], buf[len(buf)-macLen:]
	var ok bool
	for _, secret := range s.secrets {
		if secret.ID == body[0] && hmac.Equal(mac, secret.mac(p, body)) {
			ok = true
		}
	}
	if !ok {
		return Token{}, ErrToken
	}
	var v [3]int64
	rest := body[1:]
	for i := range v {
		n, width := binary.Varint(rest)
		if width <= 0 {
			return Token{}, ErrToken
		}
		v[i], rest = n, rest[width:]
	}
	t := Token{ID: v[0], Second: v[1]}
	if v[2] != 0 {
		t.Expires = time.Unix(v[2], 0).UTC()
		if !now.Before(t.Expires) {
			return Token{}, ErrToken
		}
	}
	return t, nil
}

// Digest returns 128 bits in hex that only the holder of the secrets can
// compute from the parts: stable Message-IDs and nonces of marks. It uses the
// oldest secret, so that a rotation in mid-edition changes no Message-ID.
func (s *Signer) Digest(p Purpose, parts ...int64) string {
	buf := make([]byte, 0, 64)
	for _, v := range parts {
		buf = binary.AppendVarint(buf, v)
	}
	return hex.EncodeToString(s.secrets[0].mac(p, buf))
}

// KeyedHash is the keyed hash of an address key that outlives its erasure.
func (s *Signer) KeyedHash(addressKey string) string {
	h := s.secrets[0].mac("suppression", []byte(addressKey))
	return base64.RawURLEncoding.EncodeToString(h)
}

// key is a Secret with hashes that have taken the key in already: half of the
// work for texts as short as ours.
type key struct {
	Secret
	hashes sync.Pool // of hash.Hash
}

func newKey(s Secret) *key {
	k := &key{Secret: s}
	k.hashes.New = func() any { return hmac.New(sha256.New, s.Key) }
	return k
}

func (k *key) mac(p Purpose, body []byte) []byte {
	h := k.hashes.Get().(hash.Hash)
	defer k.hashes.Put(h)
	h.Reset()
	h.Write([]byte(p))
	h.Write([]byte{0})
	h.Write(body)
	return h.Sum(nil)[:macLen]
}
