package mail

import (
	"time"

	"gazetted/internal/news"
)

// EventKind says what an Event is about.
type EventKind string

// The kinds of event.
const (
	EventAttempt     EventKind = "attempt"      // an attempt was recorded: Delivery, Outcome, Took
	EventTokenLost   EventKind = "token_lost"   // a delivery was no longer ours to send: no dot was sent
	EventRelayFault  EventKind = "relay_fault"  // Err
	EventConfigFault EventKind = "config_fault" // Err: the operator has to mend the relay's settings
	EventRelayDown   EventKind = "relay_down"   // the breaker opened until Until
	EventRelayUp     EventKind = "relay_up"     // the breaker closed
	EventRelayLimit  EventKind = "relay_limit"  // the relay takes no more than Count connections
	EventHeld        EventKind = "held"         // an edition is held back until Until: Err says why
	EventStore       EventKind = "store"        // the store failed: Err
	EventRecovered   EventKind = "recovered"    // Count deliveries were left by a crash
)

// Event tells a logger and metrics what the courier met. It holds no address
// and no secret, except in Delivery.Address.
type Event struct {
	Kind     EventKind
	Relay    string
	Delivery news.Delivery
	Outcome  news.Outcome
	Err      error
	Until    time.Time
	Count    int
	Took     time.Duration // from the first command to the last reply
}
