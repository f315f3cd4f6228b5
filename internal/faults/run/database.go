package run

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/lib/pq"
	_ "modernc.org/sqlite" // the driver

	"gazetted/internal/news"
)

// Kind names a database.
type Kind string

// The databases.
const (
	SQLite   Kind = "sqlite"
	Postgres Kind = "postgres"
)

// createDatabase returns the DSN of a new database, and what removes it.
func createDatabase(ctx context.Context, s Setup) (dsn string, drop func() error, err error) {
	if s.Database == SQLite {
		return "sqlite:" + filepath.Join(s.DataDir, "gazetted.db"), func() error { return nil }, nil // the folder goes with it
	}
	none := func() error { return nil }
	u, err := url.Parse(s.BaseDSN)
	if err != nil {
		return "", none, fmt.Errorf("the DSN of PostgreSQL: %w", err)
	}
	if u.Query().Has("search_path") { // a server of the run's own
		return s.BaseDSN, none, nil
	}
	db, err := sql.Open("postgres", s.BaseDSN)
	if err != nil {
		return "", none, err
	}
	schema := "gz_faults_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(ctx, `CREATE SCHEMA `+schema); err != nil {
		return "", none, errors.Join(fmt.Errorf("make a schema: %w", err), db.Close())
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	drop = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_, err := db.ExecContext(ctx, `DROP SCHEMA `+schema+` CASCADE`)
		return errors.Join(err, db.Close())
	}
	return u.String(), drop, nil
}

// connect opens a connection of the run's own: a second process beside the daemon.
func (w *World) connect() (*sql.DB, error) {
	if path, ok := strings.CutPrefix(w.DSN, "sqlite:"); ok {
		q := url.Values{"_pragma": {"busy_timeout(60000)", "synchronous(FULL)"}}
		return sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: path, RawQuery: q.Encode()}).String())
	}
	return sql.Open("postgres", w.DSN)
}

// with runs f on a connection of the run's own.
func (w *World) with(ctx context.Context, f func(*sql.Conn) error) error {
	db, err := w.connect()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // f's error is what counts
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return f(conn)
}

// Age lets d pass for the deliveries in these states: their leases and next attempts come
// so much nearer. Leases may only be aged while nobody alive holds any.
func (w *World) Age(ctx context.Context, d time.Duration, states ...news.DeliveryState) error {
	list := make([]string, len(states))
	for i, s := range states {
		list[i] = "'" + string(s) + "'"
	}
	older := func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, fmt.Sprintf(`UPDATE deliveries SET next_at = next_at - %d WHERE state IN (%s)`, d.Milliseconds(), strings.Join(list, ", ")))
		if err == nil && w.Database == Postgres { // as every commit of the store's tells
			_, err = c.ExecContext(ctx, `SELECT pg_notify('gazetted', 'outbox')`)
		}
		return err
	}
	for {
		err := w.with(ctx, older)
		// The server may still be busy with the last statement of a daemon that was
		// killed, which locks the same rows in its own order.
		if e, ok := errors.AsType[*pq.Error](err); ok && e.Code == "40P01" && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("age deliveries: %w", err)
		}
		return nil
	}
}

// AgeLeases lets a quarter of an hour pass for what crashed daemons hold: deliveries
// and editions.
func (w *World) AgeLeases(ctx context.Context) error {
	if err := w.Age(ctx, 15*time.Minute, news.DeliveryClaimed, news.DeliveryDotPending); err != nil {
		return err
	}
	return w.with(ctx, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `UPDATE editions SET leased_until = leased_until - 900000 WHERE state IN ('open', 'queueing')`)
		return err
	})
}

// Path is the SQLite file.
func (w *World) Path() string { return strings.TrimPrefix(w.DSN, "sqlite:") }

// PassSlots lets a day pass for every schedule: its next slot was missed.
func (w *World) PassSlots(ctx context.Context) error {
	return w.with(ctx, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, fmt.Sprintf(`UPDATE schedules SET next_due_at = %d WHERE next_due_at > 0`, time.Now().Add(-24*time.Hour).UnixMilli()))
		return err
	})
}

// LockWrites keeps every daemon from writing deliveries until release is called: a second
// process holds SQLite's write lock, or a lock on the table.
func (w *World) LockWrites(ctx context.Context) (release func() error, err error) {
	begin := []string{`BEGIN IMMEDIATE`}
	if w.Database == Postgres {
		begin = []string{`BEGIN`, `LOCK TABLE deliveries IN EXCLUSIVE MODE`}
	}
	return w.hold(ctx, begin...)
}

// LockReaders keeps a fan-out, on PostgreSQL, from queueing its first delivery.
func (w *World) LockReaders(ctx context.Context) (release func() error, err error) {
	return w.hold(ctx, `BEGIN`, `SELECT count(*) FROM (SELECT 1 FROM subscriptions ORDER BY id LIMIT 1 FOR UPDATE) AS s`)
}

// UntilBlocked waits until a statement that begins so waits for a lock of LockReaders, on
// PostgreSQL.
func (w *World) UntilBlocked(ctx context.Context, statement string) error {
	return w.with(ctx, func(c *sql.Conn) error {
		return w.Until(ctx, statement, func() (bool, error) {
			var n int
			err := c.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1`, statement+"%").Scan(&n)
			return n > 0, err
		})
	})
}

// hold begins a transaction and keeps it open.
func (w *World) hold(ctx context.Context, begin ...string) (release func() error, err error) {
	db, err := w.connect()
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	for _, q := range begin {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return nil, errors.Join(fmt.Errorf("hold a lock: %w", err), conn.Close(), db.Close())
		}
	}
	return func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
		return errors.Join(err, conn.Close(), db.Close())
	}, nil
}

// integrity asks the database whether it is whole (O7).
func (w *World) integrity(ctx context.Context) error {
	if w.Database == Postgres {
		return nil // it has no such question; its checks are made at every read
	}
	return w.with(ctx, func(c *sql.Conn) error {
		var answer string
		if err := c.QueryRowContext(ctx, `PRAGMA integrity_check`).Scan(&answer); err != nil {
			return err
		}
		if answer != "ok" {
			return fmt.Errorf("integrity check: %s", answer)
		}
		return nil
	})
}
