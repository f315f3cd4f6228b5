package source

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
)

// hashSet is a set of addresses kept as five bytes each: small enough for a
// cursor, and of 20,000 members one in 50 million strangers is taken for one.
type hashSet map[[5]byte]bool

func shortSum(s string) [5]byte {
	sum := sha256.Sum256([]byte(s))
	return [5]byte(sum[:5])
}

func (h hashSet) has(s string) bool { return h[shortSum(s)] }

// add puts s in, unless the set is full.
func (h *hashSet) add(s string, limit int) {
	if *h == nil {
		*h = hashSet{}
	}
	if len(*h) < limit {
		(*h)[shortSum(s)] = true
	}
}

// MarshalText writes the members one behind the other, in base64.
func (h hashSet) MarshalText() ([]byte, error) {
	keys := make([][5]byte, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [5]byte) int { return slices.Compare(a[:], b[:]) })
	raw := make([]byte, 0, 5*len(keys))
	for _, k := range keys {
		raw = append(raw, k[:]...)
	}
	return base64.RawStdEncoding.AppendEncode(nil, raw), nil
}

// UnmarshalText reads what MarshalText wrote.
func (h *hashSet) UnmarshalText(text []byte) error {
	raw, err := base64.RawStdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("read set: %w", err)
	}
	*h = make(hashSet, len(raw)/5)
	for ; len(raw) >= 5; raw = raw[5:] {
		(*h)[[5]byte(raw)] = true
	}
	return nil
}
