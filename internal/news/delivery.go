package news

import "time"

// DeliveryState is where one mail to one person stands.
type DeliveryState string

// The states of a delivery. Accepted, refused, suppressed, expired and
// quarantined are ends; uncertain is an end only where OnUncertain is hold.
//
//	pending ─► claimed ─► dot_pending ─► accepted
//	   ▲          │            ├───────► refused
//	   │          │            ├───────► uncertain (reply lost)
//	   └─ deferred ◄───────────┘
//	any not yet ended ─► suppressed | expired | quarantined
const (
	DeliveryPending     DeliveryState = "pending"
	DeliveryClaimed     DeliveryState = "claimed"     // in the hands of one courier until its lease ends
	DeliveryDotPending  DeliveryState = "dot_pending" // the final dot may be on its way
	DeliveryDeferred    DeliveryState = "deferred"    // to be tried again at NextAt
	DeliveryAccepted    DeliveryState = "accepted"    // the relay took the responsibility
	DeliveryRefused     DeliveryState = "refused"     // permanently, by the relay
	DeliverySuppressed  DeliveryState = "suppressed"  // left, bounced or suppressed before it was sent
	DeliveryExpired     DeliveryState = "expired"     // too old to be worth sending
	DeliveryQuarantined DeliveryState = "quarantined" // took the sender down three times
	DeliveryUncertain   DeliveryState = "uncertain"   // found in dot_pending, or the final reply was lost
)

// Ended tells whether s is an end state.
func (s DeliveryState) Ended() bool {
	switch s {
	case DeliveryAccepted, DeliveryRefused, DeliverySuppressed, DeliveryExpired, DeliveryQuarantined:
		return true
	default:
		return false
	}
}

// Delivery is one row per (Edition, Subscriber): the outbox and the ledger in one.
type Delivery struct {
	ID             int64         `json:"id"`
	Kind           VariantKind   `json:"kind"`
	EditionID      int64         `json:"edition_id,omitempty"`
	VariantID      int64         `json:"variant_id"`
	ListID         int64         `json:"list_id"`
	SubscriberID   int64         `json:"subscriber_id"`
	SubscriptionID int64         `json:"subscription_id"`
	State          DeliveryState `json:"state"`
	Attempts       int           `json:"attempts"`
	Doubts         int           `json:"doubts,omitempty"` // final dots without a reply: each may be an extra copy
	NextAt         time.Time     `json:"next_at,omitzero"`
	ExpiresAt      time.Time     `json:"expires_at,omitzero"`
	CreatedAt      time.Time     `json:"created_at"` // also the Date of the message: frozen
	EndedAt        time.Time     `json:"ended_at,omitzero"`
	Relay          string        `json:"relay,omitempty"`
	Code           int           `json:"code,omitempty"`     // of the deciding reply (RFC 5321 §4.2); 0: none
	Enhanced       string        `json:"enhanced,omitempty"` // RFC 3463, e.g. 5.1.1
	Reply          string        `json:"reply,omitempty"`

	// Read at claim for sending, not stored with the row.
	Token   string `json:"-"` // fences this claim against a later one
	Address string `json:"address,omitempty"`
	Name    string `json:"-"`
}

// Outcome is what became of one attempt. State is where the delivery goes next.
type Outcome struct {
	DeliveryID int64
	Token      string
	State      DeliveryState
	NextAt     time.Time // for deferred
	Relay      string
	Code       int
	Enhanced   string
	Reply      string
	At         time.Time
	// FreeAttempt takes the attempt back: the relay was at fault, not the recipient.
	FreeAttempt bool
	// Bounce is what the reply says of the recipient, should the delivery end with
	// it: BounceHard, BounceSoft, or nothing. It is recorded as a bounce that
	// comes back later would be, and the policy decides.
	Bounce BounceKind
}

// Dot asks for the final dot of a delivery through a relay.
type Dot struct {
	DeliveryID int64
	Token      string
	Relay      string
}

// OutboxState is an overview for status pages and metrics.
type OutboxState struct {
	Counts DeliveryTally `json:"counts"`
	Oldest time.Time     `json:"oldest_waiting,omitzero"`
}
