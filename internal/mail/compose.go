package mail

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gazetted/internal/news"
)

// errRecipient marks a delivery that could never be sent to this person.
var errRecipient = errors.New("the address cannot be mailed")

// composed is one message ready for a relay.
type composed struct {
	envelope Envelope
	bytes    []byte
}

// compose makes the message of d. Its bytes depend on d, the Variant and the
// List alone, so that every attempt sends the same.
func (c *Courier) compose(ctx context.Context, d *news.Delivery, buf []byte) (composed, error) {
	addr, err := news.ParseAddress("address", d.Address)
	if err != nil {
		return composed{}, fmt.Errorf("%w: %w", errRecipient, err)
	}
	list, err := c.lists.get(ctx, d.ListID)
	if err != nil {
		return composed{}, err
	}
	key := variantKey{
		variantID: d.VariantID, from: list.From, replyTo: list.ReplyTo, name: list.Name, title: list.Title,
		language: list.Language, public: list.Public, domain: c.o.Domain,
	}
	compiled, err := c.variants.get(ctx, key, func(v news.Variant) Spec { return c.spec(v, list) })
	if err != nil {
		return composed{}, err
	}
	r := Recipient{
		Address: addr.Spec, Name: d.Name, MessageID: c.messageID(d), Date: d.CreatedAt,
		Unsubscribe: c.o.Links.Unsubscribe(d.SubscriptionID),
		Preferences: c.o.Links.Preferences(d.SubscriptionID),
		WebView:     c.o.Links.WebView(d.ID),
		Confirm:     c.o.Links.Confirm(d.SubscriptionID, d.CreatedAt.Add(ConfirmExpires)),
	}
	raw, err := compiled.Append(buf[:0], r)
	if err != nil {
		return composed{}, errCompile{err}
	}
	return composed{envelope: Envelope{From: c.returnPath(d, list), To: addr.Spec, UTF8: addr.NeedsUTF8()}, bytes: raw}, nil
}

// spec is what all recipients of a Variant share.
func (c *Courier) spec(v news.Variant, list news.List) Spec {
	s := Spec{
		Variant: v, From: firstOf(list.From, c.o.From), ReplyTo: firstOf(list.ReplyTo, c.o.ReplyTo),
		ListID: list.Name + "." + strings.ToLower(c.o.Domain), ListTitle: list.Title, Language: firstOf(v.Language, list.Language),
		OneClick: strings.HasPrefix(c.o.Links.Home(), "https://"),
		HelpURL:  c.o.HelpURL, Owner: c.o.Owner, MaxBytes: c.o.MaxBytes,
	}
	if list.Public {
		s.ArchiveURL = c.o.Links.Archive(list.Name)
	}
	if c.o.FeedbackSender != "" {
		s.FeedbackID = fmt.Sprintf("%d:%s:%s:%s", v.EditionID, list.Name, v.Kind, c.o.FeedbackSender)
	}
	return s
}

// messageID is the same on every attempt, and another one for every message: an
// edition reaches a person once; other mail is told apart by its delivery.
func (c *Courier) messageID(d *news.Delivery) string {
	sign := c.o.Links.Signer()
	if d.Kind == news.VariantEdition {
		return "<" + sign.Digest(news.PurposeMessageID, d.EditionID, d.SubscriberID, 1) + "@" + c.o.Domain + ">"
	}
	return "<" + sign.Digest(news.PurposeMessageID, d.ID, d.SubscriberID, 2) + "@" + c.o.Domain + ">"
}

func (c *Courier) returnPath(d *news.Delivery, list news.List) string {
	if c.o.ReturnPath != nil {
		return c.o.ReturnPath(*d)
	}
	_, addr, err := news.ParseSender("from", firstOf(list.From, c.o.From))
	if err != nil {
		return "" // Compile refuses this sender
	}
	return addr.Spec
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
