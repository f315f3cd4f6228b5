package news

import "time"

// Restored is what a database that comes from a backup does not know: what has
// happened since. Nothing is sent until the operator has decided.
type Restored struct {
	BackupAt time.Time `json:"backup_at,omitzero"` // zero: it was copied by other means, nobody knows when
	// OpenEditions and OpenDeliveries were not finished when the backup was made.
	// They may have been since.
	OpenEditions   int          `json:"open_editions"`
	OpenDeliveries int          `json:"open_deliveries"`
	Passed         []PassedSlot `json:"passed_slots"`
	// Unseen are the sources at which nobody has looked since: what they have
	// published meanwhile is not known yet.
	Unseen []string `json:"unseen_sources"`
}

// PassedSlot is a series of slots that have passed since a backup.
type PassedSlot struct {
	List      string    `json:"list"`
	Frequency string    `json:"frequency"`
	Zone      string    `json:"zone"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Slots     int       `json:"slots"` // at most 101 are counted
}

// AfterRestore is the operator's decision.
type AfterRestore struct {
	// HoldOpen keeps what was open in the backup for a decision about each mail;
	// else it is sent, a second time to those who have it.
	HoldOpen bool
	// SkipSlots takes everything up to now for sent; else each list catches up as
	// its policy says, with what may have been sent before.
	SkipSlots bool
}
