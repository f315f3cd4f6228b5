package sink

import (
	"strings"
	"sync/atomic"
	"time"
)

// Stage is a point in a session at which a Rule may act.
type Stage string

// The stages, in their order.
const (
	Connect Stage = "connect" // before the greeting
	Hello   Stage = "hello"   // EHLO
	Mail    Stage = "mail"
	Rcpt    Stage = "rcpt"
	Data    Stage = "data"  // the command
	Body    Stage = "body"  // the beginning of the body has come
	Dot     Stage = "dot"   // the final dot has come; the message is not taken
	Taken   Stage = "taken" // the message is taken; the reply is not sent
	Idle    Stage = "idle"  // a message is over, the reply is sent
)

// Rule makes the relay fail. With neither Reply, Drop, Reset nor Endless it only waits.
type Rule struct {
	Name  string // of its counter
	Stage Stage

	// Match restricts it to recipients that begin so. At stages before RCPT, and at
	// Idle, it must be empty.
	Match string
	// Share is the part of the occasions at which it acts; 0: all.
	Share float64
	// First restricts it to the first RCPT of each recipient.
	First bool
	// Times is how often it acts; 0: for ever.
	Times int

	Delay time.Duration   // waits so long,
	Hold  <-chan struct{} // or until this is closed

	// Reply is said in place of the usual one, without the line end. After a 421 the
	// relay hangs up. At Idle it comes unasked; at Dot anything but 2xx means that the
	// message is not taken.
	Reply string
	// Endless makes the reply a line that never ends, or ends after a gigabyte.
	Endless bool
	Drop    bool // hangs up, after Reply if there is one
	Reset   bool // the same, with RST
}

// rule is a Rule at work.
type rule struct {
	Rule
	acted atomic.Int64
}

// Set replaces all rules. Counters stay.
func (s *Sink) Set(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	for _, r := range rules {
		s.rules = append(s.rules, &rule{Rule: r})
	}
}

// apply finds the first rule for this point, counts it and waits as it says. Nil: none.
func (s *Sink) apply(stage Stage, to string, first bool) *rule {
	s.mu.Lock()
	var found *rule
	for _, r := range s.rules {
		if r.Stage != stage || r.First && !first || r.Match != "" && !strings.HasPrefix(to, r.Match) {
			continue
		}
		if r.Times > 0 && r.acted.Load() >= int64(r.Times) || r.Share > 0 && s.random.Float64() >= r.Share {
			continue
		}
		r.acted.Add(1)
		s.counts[r.Name]++
		found = r
		break
	}
	s.mu.Unlock()
	if found != nil && (found.Delay > 0 || found.Hold != nil) {
		wait(s.ctx, found.Delay, found.Hold)
	}
	return found
}

// note counts a RCPT and tells whether it is the address's first.
func (s *Sink) note(to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[to]++
	return s.seen[to] == 1
}
