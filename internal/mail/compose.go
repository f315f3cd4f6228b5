package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// compose makes the message of d. Its bytes depend on d, the Variant and our
// configuration alone, so that every attempt sends the same.
func (c *Courier) compose(ctx context.Context, d *news.Delivery, buf []byte) (composed, error) {
	addr, err := news.ParseAddress("address", d.Address)
	if err != nil {
		return composed{}, fmt.Errorf("%w: %w", errRecipient, err)
	}
	compiled, err := c.variants.get(ctx, d.VariantID, c.spec)
	if err != nil {
		return composed{}, err
	}
	r := c.recipient(d, compiled)
	r.Address = addr.Spec
	raw, err := c.signed(compiled, r, buf)
	if err != nil {
		return composed{}, errCompile{err}
	}
	return composed{envelope: Envelope{From: c.returnPath(d, compiled), To: addr.Spec, UTF8: addr.NeedsUTF8()}, bytes: raw}, nil
}

// recipient is what m needs of d, but for the address. Each link is an HMAC.
func (c *Courier) recipient(d *news.Delivery, m *Compiled) Recipient {
	r := Recipient{Name: d.Name, MessageID: c.messageID(d), Date: d.CreatedAt}
	if m.needs(news.PlaceUnsubscribe) {
		r.Unsubscribe = c.o.Links.Unsubscribe(d.SubscriptionID)
	}
	if m.needs(news.PlacePreferences) {
		r.Preferences = c.o.Links.Preferences(d.SubscriptionID)
	}
	if m.needs(news.PlaceWebView) {
		r.WebView = c.o.Links.WebView(d.ID)
	}
	if m.needs(news.PlaceConfirm) {
		r.Confirm = c.o.Links.Confirm(d.SubscriptionID, d.CreatedAt.Add(ConfirmExpires))
	}
	if m.needs(placeMailto) {
		r.MailtoUnsubscribe = c.mailtoUnsubscribe(d)
	}
	return r
}

// signed is the message for r with its signatures. The workers sign, each for
// itself: an RSA signature takes as long as everything else of a message
// together, ten times over.
func (c *Courier) signed(m *Compiled, r Recipient, buf []byte) ([]byte, error) {
	raw, err := m.Append(buf[:0], r)
	if err != nil || c.o.DKIM == nil {
		return raw, err
	}
	signatures, err := c.o.DKIM.Sign(raw, m.from.Domain(), r.Date)
	if err != nil {
		return nil, err
	}
	return slices.Insert(raw, 0, signatures...), nil
}

// spec is what all recipients of a Variant share.
func (c *Courier) spec(v news.Variant) Spec {
	s := Spec{
		Variant: v, From: firstOf(v.Sender, c.o.From), ReplyTo: firstOf(v.ReplyTo, c.o.ReplyTo),
		ListID: v.ListName + "." + strings.ToLower(c.o.Domain), ListTitle: v.ListTitle,
		OneClick: strings.HasPrefix(c.o.Links.Home(), "https://"),
		HelpURL:  c.o.HelpURL, MailtoUnsubscribe: c.o.Unsubscribe != nil, Owner: c.o.Owner, MaxBytes: c.o.MaxBytes,
	}
	if v.Public {
		s.ArchiveURL = c.o.Links.Archive(v.ListName)
	}
	if c.o.FeedbackSender != "" {
		s.FeedbackID = fmt.Sprintf("%d:%s:%s:%s", v.EditionID, v.ListName, v.Kind, c.o.FeedbackSender)
	}
	return s
}

func (c *Courier) messageID(d *news.Delivery) string {
	return messageIDOf(c.o.Links.Signer(), c.o.Domain, d)
}

// messageIDOf is the same on every attempt, and another one for every message:
// an edition reaches a person once; other mail is told apart by its delivery.
func messageIDOf(sign *news.Signer, domain string, d *news.Delivery) string {
	if d.Kind == news.VariantEdition {
		return "<" + sign.Digest(news.PurposeMessageID, d.EditionID, d.SubscriberID, 1) + "@" + domain + ">"
	}
	return "<" + sign.Digest(news.PurposeMessageID, d.ID, d.SubscriberID, 2) + "@" + domain + ">"
}

func (c *Courier) returnPath(d *news.Delivery, m *Compiled) string {
	if c.o.ReturnPath != nil {
		return c.o.ReturnPath(*d)
	}
	return m.from.Spec
}

// mailtoUnsubscribe is the URL to unsubscribe by mail; empty: there is none.
func (c *Courier) mailtoUnsubscribe(d *news.Delivery) string {
	if c.o.Unsubscribe == nil {
		return ""
	}
	return "mailto:" + c.o.Unsubscribe(*d) + "?subject=unsubscribe"
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
