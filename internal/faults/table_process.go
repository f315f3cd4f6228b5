package main

import (
	"time"

	"gazetted/internal/faults/run"
)

// processFaults are what happens to the process: F1 to F10.
func processFaults() []fault {
	// Of a storm of crashes, with leases that end at once, a few deliveries may be hit
	// twice between dot and reply, and are quarantined by rule.
	const unlucky = 20
	both := []run.Kind{run.SQLite, run.Postgres}
	postgres := []run.Kind{run.Postgres}
	return []fault{
		{id: "F1", what: "SIGKILL at random, 50 to 500 ms into sending", on: both, setup: run.Setup{Subscribers: 2500, MaxQuarantined: unlucky}, inject: killAtRandom(100)},
		{id: "F2", what: "SIGKILL in each of 7 phases", on: both, setup: run.Setup{Connections: 2}, inject: killInPhases(3)},
		{id: "F3", what: "SIGKILL between edition and fan-out, and in it", on: both, setup: run.Setup{Subscribers: 1000, NoEdition: true, Frequency: "instant"}, inject: killBeforeFanOut(6)},
		{
			id: "F3", what: "SIGKILL between the batches of a big fan-out", on: both, large: 1_000_000,
			setup: run.Setup{Subscribers: 25_000, NoEdition: true, Frequency: "instant", MaxQuarantined: unlucky}, inject: killWithinFanOut(3),
		},
		{id: "F4", what: "crash loop: dies 0.3 s after each start", on: both, setup: run.Setup{Subscribers: 600, MaxQuarantined: unlucky}, inject: crashLoop(30)},
		{id: "F5", what: "SIGTERM in mid-sending", on: both, setup: run.Setup{Subscribers: 800}, inject: terminate(5)},
		{id: "F5", what: "SIGTERM, relay silent, drain time over", on: both, setup: run.Setup{Drain: 2 * time.Second}, inject: terminateStuck(false)},
		{id: "F5", what: "SIGTERM twice, relay silent", on: both, inject: terminateStuck(true)},
		{id: "F6", what: "SIGSTOP for 60 s, SIGCONT", on: both, setup: run.Setup{Subscribers: 1000}, inject: stopAndGo(time.Minute)},
		{id: "F7", what: "one of two replicas stopped beyond its lease", on: postgres, setup: run.Setup{Subscribers: 1500}, inject: stallOneOfTwo},
		{
			id: "F8", what: "a template that takes all memory", on: both, setup: run.Setup{NoEdition: true, Frequency: "instant", Templates: greedyTemplates()},
			inject: outOfMemory,
		},
		{id: "F9", what: "poison: relay drops at the dot", on: both, setup: run.Setup{MaxQuarantined: 1}, inject: poisonedRelay},
		{id: "F9", what: "poison: daemon dies with it in hand", on: both, setup: run.Setup{MaxQuarantined: 1}, inject: poisonedDaemon},
		{id: "F10", what: "upgrade in mid-edition, with a newer schema, and back", on: both, setup: run.Setup{Subscribers: 600}, around: withNext(upgradeInMidEdition)},
	}
}
