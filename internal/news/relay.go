package news

import "time"

// RelayCondition is whether a relay is given mail.
type RelayCondition string

// The conditions.
const (
	RelayUp     RelayCondition = "up"
	RelayOpen   RelayCondition = "open"   // the breaker is open: nothing is tried before Until
	RelayTrying RelayCondition = "trying" // one attempt shows whether it is well again
	RelayPaused RelayCondition = "paused" // by the operator
)

// RelayConditions lists them all.
func RelayConditions() []RelayCondition {
	return []RelayCondition{RelayUp, RelayOpen, RelayTrying, RelayPaused}
}

// RelayState is what one process that sends knows of one relay.
type RelayState struct {
	Relay   string    `json:"relay"`
	Process string    `json:"process"` // that says so: HOST/PID
	At      time.Time `json:"at"`      // when
	// Ended says that the process has stopped sending since, in good order.
	Ended     bool           `json:"ended,omitempty"`
	Condition RelayCondition `json:"condition"`
	Until     time.Time      `json:"until,omitzero"`
	// Faults are those in a row, since the relay last took or refused a mail.
	Faults    int       `json:"faults_in_a_row"`
	LastFault string    `json:"last_fault,omitempty"` // the stage and the relay's own words
	FaultAt   time.Time `json:"last_fault_at,omitzero"`

	Connections int `json:"connections"` // open
	// MaxConnections are as many as are tried: fewer than configured after the
	// relay has turned one away.
	MaxConnections int           `json:"max_connections"`
	Offer          *RelayOffer   `json:"offer,omitempty"` // nil: it was not connected to yet
	Slowed         []DomainLimit `json:"slowed_domains,omitempty"`
}

// RelayOffer is what a relay said of itself when it was last connected to.
type RelayOffer struct {
	At         time.Time `json:"at"`
	Name       string    `json:"name,omitempty"` // as it calls itself in its reply to EHLO
	Extensions []string  `json:"extensions"`     // such as "SIZE 10240000" (RFC 5321 §4.1.1.1)
	TLS        string    `json:"tls,omitempty"`  // version and cipher; empty: none
	Auth       string    `json:"auth,omitempty"` // the mechanism that was used; empty: no login
}

// DomainLimit is a recipient domain that is given less than it could be,
// because it defers mail.
type DomainLimit struct {
	Domain    string   `json:"domain"`
	UnderWay  int      `json:"under_way"`
	Allowed   int      `json:"allowed"` // under way at once
	Deferrals int      `json:"deferrals_in_a_row"`
	Gap       Duration `json:"gap"` // between attempts
}

// RelayReport is a RelayState and what went through the relay since the last one.
type RelayReport struct {
	RelayState
	Since DeliveryTally
}

// RelayLife is how long a process that sends may be silent. It reports at least
// every minute.
const RelayLife = 3 * time.Minute

// Live tells whether the process that reported s was sending a moment ago.
func (s *RelayState) Live(now time.Time) bool {
	age := now.Sub(s.At)
	return !s.Ended && age < RelayLife && age > -RelayLife
}

// RelayTraffic is what went through a relay lately, by what became of it.
type RelayTraffic struct {
	Hour DeliveryTally `json:"last_hour"`
	Day  DeliveryTally `json:"last_day"`
}
