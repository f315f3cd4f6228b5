package main

import "slices"

// table lists the faults, in the order and with the numbers of docs/reliability.md.
func table() []fault {
	return slices.Concat(processFaults(), relayFaults(), storageFaults(), clockFaults(), postgresFaults(), peopleFaults())
}
