package smtptest

import (
	"slices"
	"strings"
)

// Stage is a point in a session at which a Rule may answer in the server's place.
type Stage string

// The stages, in their usual order.
const (
	Connect  Stage = "connect" // before the greeting
	Hello    Stage = "hello"   // EHLO and HELO
	StartTLS Stage = "starttls"
	Auth     Stage = "auth" // once the client has said who it is
	Mail     Stage = "mail"
	Rcpt     Stage = "rcpt"
	Data     Stage = "data" // the command
	Dot      Stage = "dot"  // the end of the message: where the server takes it
	Reset    Stage = "rset"
	Noop     Stage = "noop"
	Quit     Stage = "quit"
)

// Rule makes the server fail. With neither Reply nor Drop it answers as usual, perhaps
// after Hold.
type Rule struct {
	Stage Stage

	// Match restricts the rule to an address: the recipient at Rcpt, the sender at Mail,
	// any of the accepted recipients at Data and Dot. Case does not count. "" is all.
	Match string

	// Times is how often the rule applies. 0 is for ever.
	Times int

	// Reply is sent in place of the usual one: "450 4.2.0 try later". Further lines of a
	// reply stand after line feeds, without the code. After a 421 the server hangs up
	// (RFC 5321, section 3.8). A reply of 4xx or 5xx at Dot means the message was not
	// taken.
	Reply string

	// Drop closes the connection: after Reply if there is one, else without a word.
	Drop bool

	// Take keeps the message at Dot, whatever is then said or not said of it: the relay
	// has it, and the client cannot know.
	Take bool

	// Hold makes the server wait until it is closed before it goes on.
	Hold <-chan struct{}
}

// apply returns the rule for this point, and counts its use; nil if there is none. An
// empty list of addresses stands for a stage without one.
func (s *Server) apply(stage Stage, addresses ...string) *Rule {
	s.mu.Lock()
	var found *Rule
	for i, r := range s.rules {
		if r.Stage != stage || !r.matches(addresses) {
			continue
		}
		found = new(*r)
		if r.Times == 1 {
			s.rules = slices.Delete(s.rules, i, i+1)
		} else if r.Times > 1 {
			r.Times--
		}
		break
	}
	s.mu.Unlock()

	if found != nil && found.Hold != nil {
		select {
		case <-found.Hold:
		case <-s.ctx.Done():
		}
	}
	return found
}

func (r *Rule) matches(addresses []string) bool {
	return r.Match == "" || slices.ContainsFunc(addresses, func(a string) bool { return strings.EqualFold(a, r.Match) })
}
