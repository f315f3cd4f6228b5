package news

import "time"

// HubLease is our subscription at the WebSub hub of a source's feed.
type HubLease struct {
	Hub      string `json:"hub"`
	Topic    string `json:"topic"` // what the hub knows the feed by
	Callback string `json:"-"`     // where it calls; holds a token
	// AskedAt is when the hub was last asked to subscribe us.
	AskedAt time.Time `json:"asked_at,omitzero"`
	// From and To bound the lease that the hub has granted; zero: it has not.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	Err  string    `json:"error,omitempty"` // of the last try, for people
}

// Holds tells whether the hub is to be expected to call.
func (l HubLease) Holds(now time.Time) bool { return l.To.After(now) }
