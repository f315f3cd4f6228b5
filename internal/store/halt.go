package store

import (
	"context"

	"gazetted/internal/news"
)

// What may keep everything from being sent. It is read in the transactions that
// claim deliveries and take slots, so that nothing is decided by what was true
// before; the final dot asks for the pause and the server again.

// Halted tells why nothing is sent.
func (s *Store) Halted(ctx context.Context) (news.Halt, error) {
	var h news.Halt
	err := s.read(ctx, "read what is paused", func(t *tx) (err error) {
		h, err = t.halted()
		return err
	})
	return h, err
}

// halted is why nothing may be sent now. What people said goes first: to
// resume is to answer all of it.
func (t *tx) halted() (news.Halt, error) {
	var r struct {
		Paused   bool   `db:"paused"`
		Restored bool   `db:"restored"`
		Oldest   int64  `db:"oldest"`
		Known    string `db:"known"`
		Server   string `db:"server"`
	}
	if err := t.get(&r, `SELECT EXISTS (SELECT 1 FROM settings WHERE name = 'paused' AND value = 'true') AS paused,
		EXISTS (SELECT 1 FROM settings WHERE name = 'restored') AS restored,
		coalesce((SELECT CAST(value AS BIGINT) FROM settings WHERE name = 'oldest_schema'), 0) AS oldest,
		coalesce((SELECT value FROM settings WHERE name = 'server'), '') AS known, `+t.d.server+` AS server`); err != nil {
		return "", err
	}
	switch {
	case r.Oldest > t.schema:
		return news.HaltSchema, nil
	case r.Restored:
		return news.HaltRestored, nil
	case r.Known != r.Server:
		return news.HaltServer, nil
	case r.Paused:
		return news.HaltPaused, nil
	}
	return "", nil
}

// AcceptServer says that the database may go on where it is now, whatever it has
// lost on the way.
func (s *Store) AcceptServer(ctx context.Context) error {
	return s.write(ctx, "accept the server", func(t *tx) error {
		t.wake(news.WakeLists)
		t.wake(news.WakeOutbox)
		return t.acceptServer()
	})
}

func (t *tx) acceptServer() error {
	_, err := t.exec(`INSERT INTO settings (name, value) SELECT 'server', ` + t.d.server + ` WHERE ` + t.d.server + ` <> ''
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
	return err
}

// Doubts are the server's settings under which a crash of it, or of its machine,
// may forget what was committed.
func (s *Store) Doubts(ctx context.Context) ([]string, error) {
	if s.d.name != "postgres" {
		return nil, nil
	}
	var names []string
	err := s.read(ctx, "read settings of the server", func(t *tx) error {
		return t.all(&names, `SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name`)
	})
	return names, err
}
