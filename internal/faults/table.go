package main

import (
	"time"

	"gazetted/internal/faults/run"
	"gazetted/internal/faults/sink"
)

// table lists the faults, in the order and with the numbers of docs/reliability.md.
func table() []fault {
	both, sqlite, postgres := []run.Kind{run.SQLite, run.Postgres}, []run.Kind{run.SQLite}, []run.Kind{run.Postgres}
	// Of a storm of crashes, with leases that end at once, a few deliveries may be hit
	// twice between dot and reply, and are quarantined by rule.
	const unlucky = 20
	lossy := sink.Rule{Name: "reply lost", Stage: sink.Taken, Share: 0.02, Drop: true}
	return []fault{
		{id: "F1", what: "SIGKILL at random, 50 to 500 ms into sending", on: both, setup: run.Setup{Subscribers: 4000, MaxQuarantined: unlucky}, inject: killAtRandom(100)},
		{id: "F2", what: "SIGKILL in each of 7 phases", on: both, setup: run.Setup{Connections: 2}, inject: killInPhases(3)},
		{id: "F3", what: "SIGKILL between edition and fan-out, and in it", on: both, setup: run.Setup{Subscribers: 1000, NoEdition: true, Frequency: "instant"}, inject: killBeforeFanOut(6)},
		{id: "F4", what: "crash loop: dies 0.3 s after each start", on: both, setup: run.Setup{Subscribers: 600, MaxQuarantined: unlucky}, inject: crashLoop(30)},
		{id: "F5", what: "SIGTERM in mid-sending", on: both, setup: run.Setup{Subscribers: 800}, inject: terminate(5)},
		{id: "F5", what: "SIGTERM, relay silent, drain time over", on: both, setup: run.Setup{Drain: 2 * time.Second}, inject: terminateStuck(false)},
		{id: "F5", what: "SIGTERM twice, relay silent", on: both, inject: terminateStuck(true)},
		{id: "F6", what: "SIGSTOP for 60 s, SIGCONT", on: both, setup: run.Setup{Subscribers: 1000}, inject: stopAndGo(time.Minute)},
		{id: "F7", what: "one of two replicas stopped beyond its lease", on: postgres, setup: run.Setup{Subscribers: 1500}, inject: stallOneOfTwo},
		{id: "F9", what: "poison: relay drops at the dot", on: both, setup: run.Setup{MaxQuarantined: 1}, inject: poisonedRelay},
		{id: "F9", what: "poison: daemon dies with it in hand", on: both, setup: run.Setup{MaxQuarantined: 1}, inject: poisonedDaemon},
		{id: "F11", what: "relay down at start and in mid-run, 20 s each", on: both, setup: run.Setup{Subscribers: 1000}, inject: relayDown(20 * time.Second)},
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
		{id: "F21", what: "slow relay: 1 Mbit/s per connection", on: sqlite, setup: run.Setup{Relay: sink.Options{BytesPerSecond: 125_000}},
			inject: misbehave("", sink.Rule{Name: "slow", Stage: sink.Mail, Delay: 10 * time.Millisecond}).and(uncharged)},
		{id: "F22", what: "relay takes 5 connections of 10", on: both, setup: run.Setup{Subscribers: 1500, Connections: 10, Relay: sink.Options{MaxConns: 5}}, inject: crowded},
		{id: "F23", what: "no PIPELINING, 7 mails a connection, malformed and endless replies", on: both,
			setup: run.Setup{Subscribers: 600, Relay: sink.Options{NoPipelining: true, MaxPerConn: 7}}, inject: misbehave("", odd()...)},
		{id: "F24", what: "connections reset at every stage, 2 % each", on: both, setup: run.Setup{Subscribers: 1000}, inject: misbehave("taken", cuts()...)},
		{id: "F24", what: "network silent on all connections", on: both, setup: run.Setup{Subscribers: 500}, inject: silence},
		{id: "F26", what: "disk full in mid-run, then space", on: sqlite, setup: run.Setup{Subscribers: 1500}, inject: diskFull, around: onSmallDisk},
		{id: "F29", what: "a second process holds SQLite's write lock for 30 s", on: sqlite, setup: run.Setup{Subscribers: 1000}, inject: lockedOut(30 * time.Second)},
		{id: "F33", what: "a second daemon on one SQLite file", on: sqlite, inject: secondDaemon},
		{id: "F37", what: "two replicas, instant slots", on: postgres, setup: run.Setup{NoEdition: true, Frequency: "instant"}, inject: oneSlot(10)},
		{id: "F37", what: "two replicas, a slot by the clock", on: postgres, setup: run.Setup{NoEdition: true, Frequency: "minutely=* * * * *"}, inject: oneSlot(2)},
		{id: "F39", what: "SIGKILL of the postmaster, three times", on: postgres, setup: run.Setup{Subscribers: 1500}, around: killPostgres(3)},
		{id: "F46", what: "people leave, return, are erased; a list is removed", on: both, setup: run.Setup{Subscribers: 800}, inject: comings},
		{id: "F47", what: "pause and resume in mid-edition", on: both, setup: run.Setup{Subscribers: 800}, inject: killSwitch(3)},
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

// odd is a relay that does not speak as it should.
func odd() []sink.Rule {
	return []sink.Rule{
		{Name: "malformed", Stage: sink.Mail, Share: 0.02, Reply: "what did you say?"},
		{Name: "no class", Stage: sink.Rcpt, Share: 0.01, Reply: "999 what"},
		{Name: "endless", Stage: sink.Data, Times: 3, Share: 0.05, Endless: true},
	}
}
