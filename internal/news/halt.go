package news

// Halt is why nothing at all is sent; "" if that is not so.
type Halt string

// The reasons.
const (
	// HaltPaused: somebody has paused everything.
	HaltPaused Halt = "paused"
	// HaltRestored: the database comes from a backup, and nobody has decided what
	// becomes of the time since; see Restored.
	HaltRestored Halt = "restored"
	// HaltServer: the database has moved to another server, which may not have what
	// was committed last.
	HaltServer Halt = "server changed"
	// HaltSchema: a newer version has changed the database in a way that this one
	// does not know.
	HaltSchema Halt = "schema changed"
)

// Explain says it to an operator.
func (h Halt) Explain() string {
	switch h {
	case HaltPaused:
		return "paused"
	case HaltRestored:
		return "paused: the database was restored from a backup; see docs/backup.md, then `gazetted resume --restored`"
	case HaltServer:
		return "paused: the database is on another server (a standby has taken over, or a backup was restored), which may lack what was stored last; " +
			"see docs/postgresql.md, then `gazetted resume`"
	case HaltSchema:
		return "paused: a newer version of gazetted has changed the database; this one must be replaced"
	}
	return "on"
}
