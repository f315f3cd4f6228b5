package news

import (
	"strconv"
	"strings"
	"time"
)

// BounceKind says what came back about a mail after a relay had taken it.
type BounceKind string

// The kinds.
const (
	BounceHard        BounceKind = "hard"        // there is no such mailbox
	BounceSoft        BounceKind = "soft"        // full, unreachable, or not wanted there just now
	BounceComplaint   BounceKind = "complaint"   // the reader pressed "spam" (RFC 5965)
	BounceUnsubscribe BounceKind = "unsubscribe" // the reader, or their provider, asked by mail to end it
)

// Purposes of the tokens in addresses of ours. They are short of nothing that
// the tokens of links have: whoever holds one has had the mail.
const (
	PurposeBounce          Purpose = "bounce"           // ID: the delivery
	PurposeMailUnsubscribe Purpose = "mail-unsubscribe" // ID: the subscription
)

// Bounce is one event about a mail that had left. Whoever makes one vouches
// that it is authentic: by a signed address, a signed Message-ID, or a
// provider's signature.
type Bounce struct {
	Kind BounceKind `json:"kind"`
	// DeliveryID is the mail that it is about; 0: only Address is known.
	DeliveryID int64 `json:"delivery_id,omitempty"`
	// SubscriptionID is what an unsubscribe names; 0: that of the delivery.
	SubscriptionID int64 `json:"subscription_id,omitempty"`
	// Address is whom a provider reports. It counts only where DeliveryID is 0,
	// and then only if that address was mailed.
	Address Address `json:"-"`

	Code       int    `json:"code,omitempty"`       // of the reply (RFC 5321 §4.2); 0: none was told
	Enhanced   string `json:"enhanced,omitempty"`   // RFC 3463, e.g. 5.1.1
	Diagnostic string `json:"diagnostic,omitempty"` // one line of a stranger's text: data, never markup
	Via        string `json:"via"`                  // "dsn", "arf", "mail", ViaReply, or the provider of a hook
	// EventID is the identity of the event: the same one counts once.
	EventID string    `json:"event_id"`
	At      time.Time `json:"at"` // when it came in
}

// ViaReply is a relay's own reply while we were sending.
const ViaReply = "reply"

// BounceRecord is a Bounce as it was kept, for people.
type BounceRecord struct {
	ID int64 `json:"id"`
	Bounce
	Recipient string       `json:"address,omitempty"` // empty once erased
	Effect    BounceEffect `json:"effect,omitempty"`
}

// IgnoredBounces counts what came in and was not believed or not needed.
type IgnoredBounces struct {
	Via    string    `json:"via"`
	Reason string    `json:"reason"`
	Count  int       `json:"count"`
	LastAt time.Time `json:"last_at"`
}

// BounceEffect is what follows from a Bounce.
type BounceEffect string

// The effects.
const (
	EffectNone         BounceEffect = ""             // it is kept, and may count later
	EffectSuppressed   BounceEffect = "suppressed"   // the address is never mailed again
	EffectBounced      BounceEffect = "bounced"      // all its subscriptions end; the person may come back
	EffectUnsubscribed BounceEffect = "unsubscribed" // one subscription ends
)

// BouncePolicy says when soft bounces are enough. The zero value is the default.
type BouncePolicy struct {
	// SoftLimit is how many mails must have bounced softly; 0: 5.
	SoftLimit int
	// SoftOver is how far apart the first and the last of them must be; 0: 7
	// days. A full mailbox is often emptied after a holiday.
	SoftOver time.Duration
	// Silence is how long after a relay took a mail no bounce means that the
	// mail arrived; 0: 5 days, for so long do servers try (RFC 5321 §4.5.4.1).
	Silence time.Duration
}

// Defaults of a BouncePolicy.
const (
	DefaultSoftLimit = 5
	DefaultSoftOver  = 7 * 24 * time.Hour
	DefaultSilence   = 5 * 24 * time.Hour
)

// SoftBounces are the soft bounces of one person since a mail last arrived, the
// one at hand included. A mail counts once, however often it bounces.
type SoftBounces struct {
	Count       int
	First, Last time.Time
}

// WithDefaults fills in what is zero.
func (p BouncePolicy) WithDefaults() BouncePolicy {
	if p.SoftLimit <= 0 {
		p.SoftLimit = DefaultSoftLimit
	}
	if p.SoftOver <= 0 {
		p.SoftOver = DefaultSoftOver
	}
	if p.Silence <= 0 {
		p.Silence = DefaultSilence
	}
	return p
}

// Effect is the policy. soft counts only for BounceSoft. A complaint suppresses
// at once (RFC 5965 leaves no doubt about the reader's wish); so does a mailbox
// that does not exist. Soft bounces end subscriptions and no more: the person
// may come back with a working mailbox.
func (p BouncePolicy) Effect(kind BounceKind, soft SoftBounces) BounceEffect {
	p = p.WithDefaults()
	switch kind {
	case BounceHard, BounceComplaint:
		return EffectSuppressed
	case BounceUnsubscribe:
		return EffectUnsubscribed
	case BounceSoft:
		if soft.Count >= p.SoftLimit && soft.Last.Sub(soft.First) >= p.SoftOver {
			return EffectBounced
		}
	}
	return EffectNone
}

// ClassifyBounce reads a status (RFC 3463) and, where it says nothing, a reply
// code. Only what says that there is no such mailbox is hard: 5.1.x (but
// 5.1.7 and 5.1.8, which blame the sender), 5.2.1 and 556 (RFC 7504 §4). A full
// mailbox, a policy (5.7.x), content, time and a bare 550 are soft: suppressing
// on a guess would silence a reader for ever.
func ClassifyBounce(enhanced string, code int) BounceKind {
	class, subject, detail, ok := ParseEnhanced(enhanced)
	if !ok {
		if code == 556 {
			return BounceHard
		}
		return BounceSoft
	}
	switch {
	case class != 5:
		return BounceSoft
	case subject == 1 && detail != 7 && detail != 8, subject == 2 && detail == 1:
		return BounceHard
	case code == 556 && subject == 0:
		return BounceHard
	default:
		return BounceSoft
	}
}

// ParseEnhanced takes a status of RFC 3463 §2 apart: "5.1.1" is 5, 1, 1.
func ParseEnhanced(s string) (class, subject, detail int, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(s) > 9 {
		return 0, 0, 0, false
	}
	var n [3]int
	for i, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return 0, 0, 0, false
		}
		n[i], _ = strconv.Atoi(p) // three digits
	}
	if n[0] != 2 && n[0] != 4 && n[0] != 5 {
		return 0, 0, 0, false
	}
	return n[0], n[1], n[2], true
}
