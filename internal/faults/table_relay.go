package main

import (
	"time"

	"gazetted/internal/faults/run"
	"gazetted/internal/faults/sink"
)

// relayFaults are what the relay does: F11 to F25.
func relayFaults() []fault {
	lossy := sink.Rule{Name: "reply lost", Stage: sink.Taken, Share: 0.02, Drop: true}
	both := []run.Kind{run.SQLite, run.Postgres}
	sqlite := []run.Kind{run.SQLite}
	return []fault{
		{id: "F11", what: "relay down at start and in mid-run, 20 s each", on: both, setup: run.Setup{Subscribers: 1000}, inject: relayDown(20 * time.Second)},
		{id: "F11", what: "one of two relays is dead from the start", on: both, inject: oneOfTwo("127.0.0.1", 1)},
		{id: "F11", what: "one of two relays dies in mid-run", on: both, setup: run.Setup{Subscribers: 1000}, inject: failOver},
		{id: "F12", what: "greylisting: 450 on every first attempt", on: both, setup: run.Setup{Subscribers: 500},
			inject: misbehave("", sink.Rule{Name: "greylisted", Stage: sink.Rcpt, First: true, Reply: "450 4.7.1 greylisted"}).and(nobodyBounced)},
		{id: "F13", what: "451 to 5 % of RCPT", on: both, setup: run.Setup{Subscribers: 1500},
			inject: misbehave("", sink.Rule{Name: "451", Stage: sink.Rcpt, Share: 0.05, Reply: "451 4.3.0 later"}).and(nobodyBounced)},
		{id: "F14", what: "5xx at RCPT for some", on: both, inject: refusals},
		{id: "F15", what: "550 at MAIL for all, then mended", on: both, inject: refuseAll(sink.Rule{Stage: sink.Mail, Reply: "550 5.7.1 sender refused"}, 0)},
		{id: "F16", what: "421 at every stage and between messages, 1 % each", on: both, setup: run.Setup{Subscribers: 1000}, inject: misbehave("", everywhere("421 4.3.2 closing")...).and(uncharged)},
		{id: "F17", what: "451 after the dot, 10 %", on: both, setup: run.Setup{Subscribers: 600},
			inject: misbehave("", sink.Rule{Name: "451", Stage: sink.Dot, Share: 0.1, Reply: "451 4.3.0 later"})},
		{id: "F17", what: "554 after the dot for all, then mended", on: both, inject: refuseAll(sink.Rule{Stage: sink.Dot, Reply: "554 5.6.0 refused"}, 10+4)},
		{id: "F18", what: "accepted, then dropped, 2 %; resend", on: both, setup: run.Setup{Subscribers: 1500, MaxCopies: 3}, inject: misbehave(lossy.Name, lossy)},
		{id: "F18", what: "accepted, then dropped, 2 %; hold", on: both, setup: run.Setup{Subscribers: 1500, OnUncertain: "hold"}, inject: misbehave(lossy.Name, lossy).and(held)},
		{id: "F19", what: "reply to the dot after 9 of 10 seconds", on: both, inject: lateReply(9*time.Second, 4)},
		{id: "F19", what: "reply to the dot after 11, not 10, seconds", on: both, inject: lateReply(11*time.Second, 4)},
		{id: "F20", what: "452 and 552 at RCPT, 5 % each", on: both, setup: run.Setup{Subscribers: 600}, inject: misbehave("", tooMany()...).and(nobodyBounced).and(alone)},
		{id: "F21", what: "slow relay: 1 Mbit/s per connection", on: sqlite, setup: run.Setup{Relay: sink.Options{BytesPerSecond: 125_000}},
			inject: misbehave("", sink.Rule{Name: "slow", Stage: sink.Mail, Delay: 10 * time.Millisecond}).and(uncharged)},
		{id: "F22", what: "relay takes 5 connections of 10", on: both, setup: run.Setup{Subscribers: 1500, Connections: 10, Relay: sink.Options{MaxConns: 5}}, inject: crowded},
		{id: "F23", what: "no PIPELINING, 7 mails a connection, malformed and endless replies", on: both,
			setup: run.Setup{Subscribers: 600, Relay: sink.Options{NoPipelining: true, MaxPerConn: 7}}, inject: misbehave("", odd()...)},
		{id: "F23", what: "STARTTLS lost; certificate expired, another's, unknown; old TLS; wrong password", on: both, inject: tlsFaults},
		{id: "F23", what: "SIZE too small, then mended", on: both, inject: tooSmall},
		{id: "F24", what: "connections reset at every stage, 2 % each", on: both, setup: run.Setup{Subscribers: 1000}, inject: misbehave("taken", cuts()...)},
		{id: "F24", what: "network silent on all connections", on: both, setup: run.Setup{Subscribers: 500}, inject: silence},
		{id: "F25", what: "the relay's name does not resolve, then mended", on: both, inject: noName},
		{id: "F25", what: "the name of one of two relays does not resolve", on: both, inject: oneOfTwo("relay.invalid", 25)},
	}
}

// everywhere answers so at each stage now and then.
func everywhere(reply string) []sink.Rule {
	var rules []sink.Rule
	for _, stage := range []sink.Stage{sink.Connect, sink.Hello, sink.Mail, sink.Rcpt, sink.Data, sink.Dot, sink.Idle} {
		r := sink.Rule{Name: string(stage), Stage: stage, Share: 0.01, Reply: reply}
		if stage == sink.Connect || stage == sink.Hello { // they are fewer
			r.Share = 0.1
		}
		rules = append(rules, r)
	}
	return rules
}

// cuts resets connections at each stage now and then. At Taken the relay has the message.
// After the dot, each recipient is hit once at most: at the third lost reply a delivery is
// quarantined.
func cuts() []sink.Rule {
	var rules []sink.Rule
	for _, stage := range []sink.Stage{sink.Mail, sink.Rcpt, sink.Data, sink.Body, sink.Dot, sink.Taken} {
		after := stage == sink.Dot || stage == sink.Taken
		rules = append(rules, sink.Rule{Name: string(stage), Stage: stage, Share: 0.02, First: after, Reset: true})
	}
	return rules
}

// tooMany is a relay that counts recipients, as RFC 5321 has it say and as older ones do
// (§4.5.3.1.10). There is one recipient in each of our transactions.
func tooMany() []sink.Rule {
	return []sink.Rule{
		{Name: "452", Stage: sink.Rcpt, Share: 0.05, Reply: "452 4.5.3 too many recipients"},
		{Name: "552", Stage: sink.Rcpt, Share: 0.05, Reply: "552 too many recipients"},
	}
}

// odd is a relay that does not speak as it should.
func odd() []sink.Rule {
	return []sink.Rule{
		{Name: "malformed", Stage: sink.Mail, Share: 0.02, Reply: "what did you say?"},
		{Name: "no class", Stage: sink.Rcpt, Share: 0.01, Reply: "999 what"},
		{Name: "endless", Stage: sink.Data, Times: 3, Share: 0.05, Endless: true},
	}
}
