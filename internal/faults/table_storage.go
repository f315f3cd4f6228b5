package main

import (
	"time"

	"gazetted/internal/faults/run"
)

// storageFaults are what happens to the disk and the file: F26 to F33.
func storageFaults() []fault {
	sqlite := []run.Kind{run.SQLite}
	return []fault{
		{id: "F26", what: "disk full in mid-run, then space", on: sqlite, setup: run.Setup{Subscribers: 1500}, inject: diskFull, around: onSmallDisk},
		{id: "F29", what: "a second process holds SQLite's write lock for 30 s", on: sqlite, setup: run.Setup{Subscribers: 1000}, inject: lockedOut(30 * time.Second)},
		{id: "F33", what: "a second daemon on one SQLite file", on: sqlite, inject: secondDaemon},
	}
}
