package news

import (
	"slices"
	"strings"
	"time"
)

// Subscriber is a person who follows lists.
type Subscriber struct {
	ID        int64     `json:"id"`
	Address   string    `json:"address"` // Address.Spec
	Name      string    `json:"name,omitempty"`
	Language  string    `json:"language,omitempty"` // BCP 47; empty: the list's
	Zone      string    `json:"zone,omitempty"`     // IANA; empty: unknown
	CreatedAt time.Time `json:"created_at"`
}

// SubscriptionState is where a person stands on one list.
type SubscriptionState string

// The states of a subscription.
//
//	pending ──► active ◄──► paused
//	   │           ├──► unsubscribed ──► pending or active again
//	   ▼           └──► bounced      ──► active again
//	(expires)
const (
	SubscriptionPending      SubscriptionState = "pending" // waits for the confirmation
	SubscriptionActive       SubscriptionState = "active"
	SubscriptionPaused       SubscriptionState = "paused" // by the subscriber
	SubscriptionUnsubscribed SubscriptionState = "unsubscribed"
	SubscriptionBounced      SubscriptionState = "bounced"
)

// Subscription is a subscriber's place on one list.
type Subscription struct {
	ID           int64             `json:"id"`
	SubscriberID int64             `json:"subscriber_id"`
	ListID       int64             `json:"list_id"`
	ListName     string            `json:"list,omitempty"`
	State        SubscriptionState `json:"state"`
	Frequency    string            `json:"frequency"`
	Topics       []Topic           `json:"topics,omitempty"` // sorted; empty: all of the list
	// Zone is the subscriber's on lists whose zone is ZoneSubscriber, else empty.
	Zone string `json:"zone,omitempty"`
	// ServedThrough is the Seq up to which they have been served.
	ServedThrough int64     `json:"served_through"`
	CreatedAt     time.Time `json:"created_at"`
	ConfirmedAt   time.Time `json:"confirmed_at,omitzero"`
	EndedAt       time.Time `json:"ended_at,omitzero"`
	Consent       Consent   `json:"consent"`
}

// Consent is the evidence that a person asked to be mailed (GDPR art. 7(1)).
type Consent struct {
	Source      string    `json:"source,omitempty"` // "form", "cli", "import"
	Form        string    `json:"form,omitempty"`   // which form, with the version of its wording
	RequestedAt time.Time `json:"requested_at,omitzero"`
	RequestIP   string    `json:"request_ip,omitempty"` // shortened to /24 or /48
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`
	ConfirmIP   string    `json:"confirm_ip,omitempty"`
}

// SubscribeRequest asks for a place on a list.
type SubscribeRequest struct {
	Address   Address
	Name      string
	Language  string
	Zone      string
	List      string // name
	Frequency string // empty: the list's first
	Topics    []Topic
	// Confirmed skips the confirmation: an admin vouches for the consent.
	Confirmed bool
	Consent   Consent
}

// SubscribeResult tells what a SubscribeRequest led to.
type SubscribeResult struct {
	Subscription Subscription
	// Created is false if the person already had a place on the list.
	Created bool
	// ConfirmQueued tells that a confirmation mail was put into the outbox.
	ConfirmQueued bool
	// Suppressed tells that the address is never mailed; nothing was changed.
	Suppressed bool
}

// Preferences is what a subscriber may change of a subscription.
type Preferences struct {
	Frequency string
	Topics    []Topic
	Zone      string // changes the subscriber; empty: unchanged
	Language  string // changes the subscriber; empty: unchanged
	Name      *string
	Paused    bool
}

// CleanTopics parses, sorts and deduplicates topics. The result is the same
// for every order in which they are given, so that equal choices share a Variant.
func CleanTopics(in []string) ([]Topic, error) {
	out := make([]Topic, 0, len(in))
	for _, s := range in {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		t, err := ParseTopic(s)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > MaxTopics {
		return nil, &FieldError{Field: "topics", Value: string(out[0]) + ", ...", Want: "at most 100 topics"}
	}
	return out, nil
}

// MaxTopics bounds a subscription's choice.
const MaxTopics = 100

// SuppressionReason says why an address is never mailed again.
type SuppressionReason string

// The reasons.
const (
	SuppressedBounce    SuppressionReason = "bounce"
	SuppressedComplaint SuppressionReason = "complaint"
	SuppressedManual    SuppressionReason = "manual"
	SuppressedErased    SuppressionReason = "erased"
)

// Suppression is an address that is never mailed again.
type Suppression struct {
	ID      int64             `json:"id"`
	Address string            `json:"address,omitempty"` // empty once erased: the keyed hash remains
	Reason  SuppressionReason `json:"reason"`
	Note    string            `json:"note,omitempty"`
	At      time.Time         `json:"at"`
}
