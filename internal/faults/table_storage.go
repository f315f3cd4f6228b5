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
		{id: "F27", what: "an fsync fails, in mid-sending", on: sqlite, setup: run.Setup{Subscribers: 1500}, inject: failedSync(4), around: traced},
		{id: "F28", what: "power cut at random: what was not synced is lost, by sectors", on: sqlite, setup: run.Setup{Subscribers: 1000}, inject: powerCut(6), around: traced},
		{id: "F29", what: "a second process holds SQLite's write lock for 30 s", on: sqlite, setup: run.Setup{Subscribers: 1000}, inject: lockedOut(30 * time.Second)},
		{id: "F30", what: "a database that is damaged, cut, empty or missing", on: sqlite, inject: damaged},
		{id: "F31", what: "a disk, a folder, a file that cannot be written", on: sqlite, inject: readOnlyFiles, around: onSmallDisk},
		{id: "F32", what: "a backup in mid-run, restored afterwards", on: sqlite, setup: run.Setup{Subscribers: 600, Frequency: "daily=0 7 * * *"}, inject: restored},
		{id: "F33", what: "a second daemon on one SQLite file", on: sqlite, inject: secondDaemon},
	}
}
