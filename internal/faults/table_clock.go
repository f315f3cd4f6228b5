package main

import (
	"gazetted/internal/faults/run"
)

// clockFaults are clocks and schedules: F34 to F38.
func clockFaults() []fault {
	postgres := []run.Kind{run.Postgres}
	return []fault{
		{id: "F37", what: "two replicas, instant slots", on: postgres, setup: run.Setup{NoEdition: true, Frequency: "instant"}, inject: oneSlot(10)},
		{id: "F37", what: "two replicas, a slot by the clock", on: postgres, setup: run.Setup{NoEdition: true, Frequency: "minutely=* * * * *"}, inject: oneSlot(2)},
	}
}
