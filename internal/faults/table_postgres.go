package main

import (
	"time"

	"gazetted/internal/faults/run"
)

// postgresFaults are what happens to PostgreSQL: F39 to F43.
func postgresFaults() []fault {
	postgres := []run.Kind{run.Postgres}
	return []fault{
		{id: "F39", what: "SIGKILL of the postmaster, three times", on: postgres, setup: run.Setup{Subscribers: 1500}, around: killPostgres(3)},
		{id: "F40", what: "fail-over to a synchronous standby", on: postgres, setup: run.Setup{Subscribers: 1000, Config: "synchronous_failover = true"}, around: onPair(true, toSynchronous)},
		{id: "F40", what: "fail-over to an asynchronous standby, then resume", on: postgres, setup: run.Setup{Subscribers: 1000, MaxCopies: 3}, around: onPair(false, toAsynchronous)},
		{id: "F41", what: "link cut, three times", on: postgres, setup: run.Setup{Subscribers: 1000}, around: onLink(cutLink(3, 3*time.Second))},
		{id: "F41", what: "link silent for 40 s", on: postgres, setup: run.Setup{Subscribers: 600}, around: onLink(silentLink(40 * time.Second))},
		{id: "F41", what: "2 s of latency", on: postgres, setup: run.Setup{Subscribers: 600}, around: onLink(slowLink(2*time.Second, 15*time.Second))},
		{id: "F41", what: "no connection left", on: postgres, setup: run.Setup{Subscribers: 600}, around: onCluster(noConnections(5*time.Second), "max_connections=30")},
		{id: "F41", what: "a read-only standby behind the DSN", on: postgres, setup: run.Setup{Subscribers: 600}, around: onCluster(readOnly(5 * time.Second))},
		{id: "F42", what: "PgBouncer in transaction mode, killed twice", on: postgres, setup: run.Setup{NoEdition: true, Frequency: "instant"}, around: behindPgBouncer(pooled(3))},
		{id: "F43", what: "rolling upgrade: two versions side by side", on: postgres, setup: run.Setup{NoEdition: true, Frequency: "instant"}, around: withNext(rolling)},
	}
}
