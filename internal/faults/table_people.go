package main

import (
	"gazetted/internal/faults/run"
)

// peopleFaults are what publishers, readers and admins do: F44 to F47.
func peopleFaults() []fault {
	both := []run.Kind{run.SQLite, run.Postgres}
	return []fault{
		{id: "F46", what: "people leave, return, are erased; a list is removed", on: both, setup: run.Setup{Subscribers: 800}, inject: comings},
		{id: "F47", what: "pause and resume in mid-edition", on: both, setup: run.Setup{Subscribers: 800}, inject: killSwitch(3)},
	}
}
