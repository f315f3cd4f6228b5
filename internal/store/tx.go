package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"gazetted/internal/news"
)

// tx is one transaction. After an error the transaction is over: the callback
// returns it and never goes on.
type tx struct {
	q      querier
	ctx    context.Context
	d      dialect
	schema int64     // of this binary
	now    time.Time // of the wall clock
	lease  time.Time // of the clock by which leases end, see leaseClock
	wakes  []news.Wake
}

// maxTries bounds how often a transaction that lost a race is run.
const maxTries = 5

// write runs f in a read-write transaction, again if it lost a race, and
// tells the wakes after the commit. verb names the work in errors.
func (s *Store) write(ctx context.Context, verb string, f func(*tx) error) error {
	return s.again(ctx, verb, func() ([]news.Wake, error) {
		if s.group != nil {
			return s.group.run(ctx, s, f)
		}
		return s.try(ctx, s.writer, nil, f)
	})
}

func (s *Store) again(ctx context.Context, verb string, once func() ([]news.Wake, error)) error {
	err := s.Fault()
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	for range maxTries {
		var wakes []news.Wake
		if wakes, err = once(); err == nil {
			for _, w := range wakes {
				s.wake(w)
			}
			return nil
		}
		if !s.d.retryable(err) && !errors.Is(err, errGroupLost) || ctx.Err() != nil {
			break
		}
	}
	if s.d.standby(err) {
		// The connections lead to a server that is no longer the primary, and
		// would be used for ever: the next ones look for it anew.
		s.writer.SetMaxIdleConns(0)
		s.writer.SetMaxIdleConns(s.conns)
	}
	return s.failed(ctx, verb, err)
}

// single is write for an f that on PostgreSQL runs one statement alone: such a
// statement is a transaction by itself, and saves the journeys of BEGIN and COMMIT.
func (s *Store) single(ctx context.Context, verb string, f func(*tx) error) error {
	if s.group != nil {
		return s.write(ctx, verb, f)
	}
	return s.again(ctx, verb, func() ([]news.Wake, error) {
		t := &tx{q: s.writer, ctx: ctx, d: s.d, schema: s.schema, now: s.clock(), lease: s.leases.now()}
		if err := f(t); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil { // see connTx.Commit
			return nil, err
		}
		return t.wakes, t.notify()
	})
}

// read runs f in a read-only transaction: everything f reads is of one moment.
func (s *Store) read(ctx context.Context, verb string, f func(*tx) error) error {
	if err := s.Fault(); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	o := &sql.TxOptions{ReadOnly: true}
	if s.d.name == "postgres" {
		o.Isolation = sql.LevelRepeatableRead // SQLite's reads are so by nature
	}
	if _, err := s.try(ctx, s.reader, o, f); err != nil {
		return s.failed(ctx, verb, err)
	}
	return nil
}

// failed names the work. That it was cancelled is the reason, whatever the
// driver says then.
func (s *Store) failed(ctx context.Context, verb string, err error) error {
	said := s.observe(err)
	if why := ctx.Err(); why != nil && !errors.Is(err, why) {
		return fmt.Errorf("%s: %w: %w", verb, why, said)
	}
	return fmt.Errorf("%s: %w", verb, said)
}

func (s *Store) try(ctx context.Context, db *sqlx.DB, o *sql.TxOptions, f func(*tx) error) ([]news.Wake, error) {
	raw, err := db.BeginTxx(ctx, o)
	if err != nil {
		return nil, err
	}
	t := &tx{q: raw, ctx: ctx, d: s.d, schema: s.schema, now: s.clock(), lease: s.leases.now()}
	defer func() { _ = raw.Rollback() }() // after Commit it does nothing
	if err := f(t); err != nil {
		return nil, err
	}
	if err := t.notify(); err != nil {
		return nil, err
	}
	if err := raw.Commit(); err != nil {
		return nil, err
	}
	return t.wakes, nil
}

// wake asks for w to be told after the commit, once.
func (t *tx) wake(w news.Wake) {
	for _, have := range t.wakes {
		if have == w {
			return
		}
	}
	t.wakes = append(t.wakes, w)
}

// channel is where PostgreSQL replicas tell one another of changes.
const channel = "gazetted"

func (t *tx) notify() error {
	if t.d.name != "postgres" {
		return nil
	}
	for _, w := range t.wakes {
		if _, err := t.exec(`SELECT pg_notify($1, $2)`, channel, string(w)); err != nil {
			return err
		}
	}
	return nil
}

// get reads one row into dest; no row is news.ErrNotFound.
func (t *tx) get(dest any, q string, args ...any) error {
	err := t.q.GetContext(t.ctx, dest, t.d.bind(q), args...)
	if errors.Is(err, sql.ErrNoRows) {
		return news.ErrNotFound
	}
	return err
}

// all reads all rows into dest, a pointer to a slice.
func (t *tx) all(dest any, q string, args ...any) error {
	return t.q.SelectContext(t.ctx, dest, t.d.bind(q), args...)
}

// each runs a statement of SQLite once for each row, with what bind makes of it,
// and sets changed where it changed anything.
func (t *tx) each(q string, rows []settled, bind func(settled) []any, changed []bool) error {
	if len(rows) == 0 {
		return nil
	}
	return t.q.(*prepared).each(t.ctx, t.d.bind(q), len(rows), func(i int) []any { return bind(rows[i]) }, changed)
}

// exec runs a statement and returns the number of rows it changed. A violated
// unique key is news.ErrExists.
func (t *tx) exec(q string, args ...any) (int64, error) {
	res, err := t.q.ExecContext(t.ctx, t.d.bind(q), args...)
	if err != nil {
		if t.d.unique(err) {
			return 0, news.ErrExists // the driver's words are not for people
		}
		return 0, err
	}
	return res.RowsAffected()
}

// insert runs an INSERT … RETURNING id. A violated unique key is news.ErrExists.
func (t *tx) insert(q string, args ...any) (int64, error) {
	var id int64
	if err := t.get(&id, q, args...); err != nil {
		if t.d.unique(err) {
			return 0, news.ErrExists // the driver's words are not for people
		}
		return 0, err
	}
	return id, nil
}

// bump moves the counter on by n and returns its new value. On PostgreSQL the
// row stays locked until the commit, so values become visible in order.
func (t *tx) bump(counter string, n int64) (int64, error) {
	var v int64
	err := t.get(&v, `UPDATE counters SET value = value + $1 WHERE name = $2 RETURNING value`, n, counter)
	return v, err
}

// encode writes v as the JSON text that columns hold.
func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return string(b), nil
}

// decode reads a JSON column; empty text leaves v as it is.
func decode(s string, v any) error {
	if s == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(s), v); err != nil {
		return fmt.Errorf("decode stored JSON: %w", err)
	}
	return nil
}
