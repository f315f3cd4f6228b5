package mail

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gazetted/internal/news"
)

// BounceStore is what reading bounces needs of the store.
type BounceStore interface {
	// RecordBounce does what the policy makes of an event; news.ErrNotFound: no
	// mail of ours is meant.
	RecordBounce(ctx context.Context, b news.Bounce) (acted bool, err error)
	CountIgnoredBounce(ctx context.Context, via, reason string) error
	DeliveriesTo(ctx context.Context, addr news.Address, limit int) ([]news.Delivery, error)
}

// BounceOptions is all that Bounces is given. Store, Signer and Domain are needed.
type BounceOptions struct {
	Store  BounceStore
	Signer *news.Signer
	Domain string           // of our Message-IDs
	Now    func() time.Time // nil: time.Now
	// Events is told of every message. May be nil.
	Events func(BounceEvent)
}

// Bounces turns mail that came back into events of the store. It believes a
// message only if it holds what only somebody who had our mail can know: a
// signed address, or a signed Message-ID together with its recipient. It never
// answers any (RFC 3834 §2, RFC 5321 §4.5.5). It is safe for concurrent use.
type Bounces struct{ o BounceOptions }

// NewBounces checks o.
func NewBounces(o BounceOptions) (*Bounces, error) {
	if o.Store == nil || o.Signer == nil || o.Domain == "" {
		return nil, errors.New("make bounces: store, signer and domain are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Events == nil {
		o.Events = func(BounceEvent) {}
	}
	return &Bounces{o: o}, nil
}

// Ignored says why nothing follows from a message.
type Ignored string

// The reasons.
const (
	IgnoredNot       Ignored = ""
	IgnoredMalformed Ignored = "malformed"       // no message at all
	IgnoredOther     Ignored = "not a bounce"    // neither a report nor a request
	IgnoredForged    Ignored = "not signed"      // it is about no mail that we know to be ours
	IgnoredUnknown   Ignored = "unknown mail"    // signed, but the row or the person is gone
	IgnoredReply     Ignored = "automatic reply" // out of office and such
	IgnoredProgress  Ignored = "nothing failed"  // delayed, delivered; or a report that is no complaint
)

// Handled tells whether the message needs nobody's eye.
func (i Ignored) Handled() bool {
	switch i {
	case IgnoredMalformed, IgnoredOther, IgnoredForged:
		return false
	default:
		return true
	}
}

// Received is what a message was.
type Received struct {
	Bounce  news.Bounce `json:"bounce"`
	Acted   bool        `json:"acted"` // something changed
	Ignored Ignored     `json:"ignored,omitempty"`
}

// BounceEvent tells a logger what came in. It holds no address.
type BounceEvent struct {
	Box      string // where it was read; empty: it was handed over
	Received Received
	Err      error // the box or the store failed; Received says nothing
}

// candidates bounds the deliveries whose Message-ID is compared: ten years of a
// daily list.
const candidates = 4000

// Read takes one message, with the recipients of its envelope if they are
// known. What is wrong with the message is in Received; an error means that it
// could not be read or recorded and is to be tried again.
func (b *Bounces) Read(ctx context.Context, r io.Reader, envelopeTo ...string) (Received, error) {
	rec, err := b.read(ctx, r, envelopeTo)
	if err == nil && rec.Ignored != IgnoredNot {
		via := rec.Bounce.Via
		if via == "" {
			via = "mail"
		}
		err = b.o.Store.CountIgnoredBounce(ctx, via, string(rec.Ignored))
	}
	if err != nil {
		return Received{}, fmt.Errorf("read bounce: %w", err)
	}
	return rec, nil
}

func (b *Bounces) read(ctx context.Context, r io.Reader, envelopeTo []string) (Received, error) {
	in, err := parseIncoming(ctx, r)
	if errors.Is(err, errMalformed) {
		return Received{Ignored: IgnoredMalformed}, nil
	}
	if err != nil {
		return Received{}, err
	}
	for _, to := range envelopeTo {
		in.addressed(to)
	}
	var rec Received
	switch {
	case in.dsn != nil:
		rec, err = b.notification(ctx, in)
	case in.arf != nil:
		rec, err = b.feedback(ctx, in)
	default:
		rec = b.letter(in)
	}
	if err != nil || rec.Ignored != IgnoredNot {
		return rec, err
	}
	rec.Bounce.At = b.o.Now()
	rec.Acted, err = b.o.Store.RecordBounce(ctx, rec.Bounce)
	if errors.Is(err, news.ErrNotFound) {
		rec.Ignored, err = IgnoredUnknown, nil
	}
	return rec, err
}

// notification is a DSN. Its sender must be null (RFC 3464 §2), or the server's
// own as some have it: anything else is a person who passes it on. One mail has
// one outcome of each kind, however many servers report it.
func (b *Bounces) notification(ctx context.Context, in *incoming) (Received, error) {
	rec := Received{Bounce: news.Bounce{Via: "dsn"}}
	local, _, _ := strings.Cut(strings.ToLower(in.sender), "@")
	if in.sender != "" && local != "mailer-daemon" && local != "postmaster" {
		rec.Ignored = IgnoredOther
		return rec, nil
	}
	kind, why, ok := in.dsn.verdict()
	if !ok {
		rec.Ignored = IgnoredProgress
		return rec, nil
	}
	id, err := b.about(ctx, in, in.recipients, why.final, why.original)
	if err != nil || id == 0 {
		rec.Ignored = IgnoredForged
		return rec, err
	}
	rec.Bounce = news.Bounce{
		Kind: kind, DeliveryID: id, Code: why.code, Enhanced: why.enhanced, Diagnostic: why.text, Via: "dsn", EventID: fmt.Sprintf("dsn:%s:%d", kind, id),
	}
	return rec, nil
}

// feedback is an ARF report. It comes to an address without a token, but the
// envelope sender that it quotes is as unguessable there as in its recipient.
func (b *Bounces) feedback(ctx context.Context, in *incoming) (Received, error) {
	rec := Received{Bounce: news.Bounce{Via: "arf"}}
	kind, ok := in.arf.verdict()
	if !ok {
		rec.Ignored = IgnoredProgress
		return rec, nil
	}
	signed := append([]string{in.arf.mailFrom, in.returned.returnPath}, in.recipients...)
	id, err := b.about(ctx, in, signed, in.arf.rcptTo...)
	if err != nil || id == 0 {
		rec.Ignored = IgnoredForged
		return rec, err
	}
	rec.Bounce = news.Bounce{Kind: kind, DeliveryID: id, Diagnostic: cleanLine(in.arf.kind, 40), Via: "arf", EventID: fmt.Sprintf("arf:%d:%s", id, in.identity)}
	return rec, nil
}

// letter is a mail to unsubscribe by, or nothing that concerns us. A program's
// answer and a mail without a sender are nobody's wish.
func (b *Bounces) letter(in *incoming) Received {
	rec := Received{Bounce: news.Bounce{Via: "mail"}, Ignored: IgnoredOther}
	if in.autoReply || in.null {
		rec.Ignored = IgnoredReply
		return rec
	}
	for _, to := range in.recipients {
		if id, ok := openSigned(b.o.Signer, news.PurposeMailUnsubscribe, to, b.o.Now()); ok {
			rec.Bounce = news.Bounce{Kind: news.BounceUnsubscribe, SubscriptionID: id, Via: "mail", EventID: fmt.Sprintf("mail:%d:%s", id, in.identity)}
			rec.Ignored = IgnoredNot
			break
		}
	}
	return rec
}

// about finds the delivery: by a signed address, or by our Message-ID in the
// returned header and one of the addresses that it may have gone to. 0: none.
func (b *Bounces) about(ctx context.Context, in *incoming, signed []string, mailedTo ...string) (int64, error) {
	for _, address := range signed {
		if id, ok := openSigned(b.o.Signer, news.PurposeBounce, address, b.o.Now()); ok {
			return id, nil
		}
	}
	return b.Find(ctx, in.returned.messageID, append([]string{in.returned.to}, mailedTo...)...)
}

// DeliveryOf reads the delivery from a signed envelope sender of ours; 0: it is none.
func (b *Bounces) DeliveryOf(envelopeSender string) int64 {
	id, ok := openSigned(b.o.Signer, news.PurposeBounce, bareAddress(envelopeSender), b.o.Now())
	if !ok {
		return 0
	}
	return id
}

// Find returns the delivery whose signed Message-ID this is, among the mails to
// the addresses; 0: none. The Message-ID is a keyed digest, so it is not read
// but made anew for each candidate and compared.
func (b *Bounces) Find(ctx context.Context, messageID string, addresses ...string) (int64, error) {
	want := "<" + bareAddress(messageID) + ">"
	if !validMessageID(want) || !strings.HasSuffix(strings.ToLower(want), "@"+strings.ToLower(b.o.Domain)+">") {
		return 0, nil
	}
	seen := map[string]bool{}
	for _, text := range addresses {
		addr, err := news.ParseAddress("address", text)
		if err != nil || seen[addr.Key] || len(seen) >= 5 {
			continue
		}
		seen[addr.Key] = true
		all, err := b.o.Store.DeliveriesTo(ctx, addr, candidates)
		if err != nil {
			return 0, err
		}
		for i := range all {
			if subtle.ConstantTimeCompare([]byte(messageIDOf(b.o.Signer, b.o.Domain, &all[i])), []byte(want)) == 1 {
				return all[i].ID, nil
			}
		}
	}
	return 0, nil
}
