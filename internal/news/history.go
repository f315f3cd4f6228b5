package news

import (
	"strings"
	"time"
)

// ParseDeliveryState accepts the name of a state; "" stays "". Anything else is
// a *FieldError.
func ParseDeliveryState(field, s string) (DeliveryState, error) {
	all := []string{
		string(DeliveryPending), string(DeliveryClaimed), string(DeliveryDotPending), string(DeliveryDeferred), string(DeliveryAccepted),
		string(DeliveryRefused), string(DeliverySuppressed), string(DeliveryExpired), string(DeliveryQuarantined), string(DeliveryUncertain),
	}
	for _, name := range append(all, "") {
		if s == name {
			return DeliveryState(s), nil
		}
	}
	return "", &FieldError{Field: field, Value: s, Want: "one of " + strings.Join(all, ", ")}
}

// Attempt is one try to hand a delivery to a relay, and what the relay said.
type Attempt struct {
	Number   int           `json:"number"` // counted from 1; those given back before they met a relay do not count
	At       time.Time     `json:"at"`
	Relay    string        `json:"relay,omitempty"` // empty: not known, the sender was lost
	State    DeliveryState `json:"state"`           // what it came to: accepted, deferred, refused, uncertain …
	Code     int           `json:"code,omitempty"`  // RFC 5321 §4.2; 0: no reply
	Enhanced string        `json:"enhanced,omitempty"`
	Reply    string        `json:"reply,omitempty"` // at most 500 bytes
}

// LogEntry is one line of the audit log: who did what to the thing asked about.
type LogEntry struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`
	Detail string    `json:"detail,omitempty"`
}

// DeliveryHistory is a Delivery with how it came to where it stands.
type DeliveryHistory struct {
	Delivery
	List    string     `json:"list"`
	Subject string     `json:"subject"`
	Replies []Attempt  `json:"replies"` // the latest ten, the oldest first
	Log     []LogEntry `json:"log"`     // what admins did to it
}

// Pace is how fast an edition goes out.
type Pace struct {
	Waiting   int      `json:"waiting"`    // not ended, and not held for an admin
	PerSecond float64  `json:"per_second"` // ends reached, over the last minute or since the edition closed
	Left      Duration `json:"left"`       // until all have ended at this speed; 0: not known
}

// Sum is how many deliveries were counted.
func (c DeliveryTally) Sum() int {
	sum := 0
	for _, n := range c {
		sum += n
	}
	return sum
}
