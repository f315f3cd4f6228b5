package main

import (
	"gazetted/internal/faults/run"
)

// postgresFaults are what happens to PostgreSQL: F39 to F43.
func postgresFaults() []fault {
	postgres := []run.Kind{run.Postgres}
	return []fault{
		{id: "F39", what: "SIGKILL of the postmaster, three times", on: postgres, setup: run.Setup{Subscribers: 1500}, around: killPostgres(3)},
	}
}
