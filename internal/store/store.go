// Package store keeps everything: every query of the product is here, written
// once for SQLite and PostgreSQL.
//
// A method is one transaction: it happens whole or not at all, and the
// database handle never leaves the package. Methods are grouped in files by
// what they store (article_*.go, subscription_*.go, delivery_*.go); dialect.go
// holds all that differs between the two databases, with the reason.
//
// The order of things: Open connects and checks the file or server, Migrate
// brings the schema up to this binary, then any number of goroutines may call
// any method. Work that must not be done twice (looks, slots, deliveries) is
// claimed: a row gets a lease in one committed transaction before the work
// begins, so that a crash only delays it.
package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"gazetted/internal/news"
)

// Options tune a Store. The zero value is ready for use.
type Options struct {
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Steady is the time since a fixed moment on a clock that nobody sets: leases
	// end by it. Default: Go's monotonic clock.
	Steady func() time.Duration
	// Shared is the clock that all processes on the database can read. Default: the
	// server's on PostgreSQL, Now on SQLite.
	Shared func() time.Time
	// Rand makes secrets and tokens; default crypto/rand.
	Rand io.Reader
	// Wake is told, after the commit, what has changed. It must not block.
	Wake func(news.Wake)
	// Bounces says when soft bounces are enough; zero: the default policy.
	Bounces news.BouncePolicy
	// Readers bounds the connections for reading; default 8.
	Readers int
	// Batch is how many deliveries of an edition are queued in one transaction,
	// which for so long keeps SQLite's only writer; default 2,000.
	Batch int
	// Create lets Open make a new SQLite file. Without it a missing file is an
	// error, so that an empty database never takes the place of a lost one.
	Create bool
}

// Store is the database. It is safe for concurrent use.
type Store struct {
	d      dialect
	dsn    string
	path   string // of the SQLite file
	writer *sqlx.DB
	reader *sqlx.DB // the same as writer on PostgreSQL
	conns  int      // that PostgreSQL may be asked for
	schema int64    // of this binary
	group  *group   // shares commits; nil on PostgreSQL
	now    func() time.Time
	shared func() time.Time
	leases *leaseClock
	rand   io.Reader
	wake   func(news.Wake)
	health *health

	bounces news.BouncePolicy
	batch   int
}

// ErrNoDatabase says that the SQLite file does not exist.
var ErrNoDatabase = errors.New("no database there")

// ErrDamaged says that the SQLite file cannot be relied upon.
var ErrDamaged = errors.New("the file is damaged, or is no SQLite database")

// ErrReadOnly says that the SQLite file, or its folder, cannot be written by
// this user.
var ErrReadOnly = errors.New("the file or its folder cannot be written")

// ErrOlderSchema says that the database waits for a migration.
var ErrOlderSchema = errors.New("the database is older than this binary")

// ErrNewerSchema says that the database was written by a newer binary.
var ErrNewerSchema = errors.New("the database is newer than this binary")

// Open connects to `sqlite:PATH` or `postgres://…` and checks that it answers.
// It does not change the schema: see Migrate.
func Open(ctx context.Context, dsn string, o Options) (*Store, error) {
	s := &Store{
		dsn: dsn, now: o.Now, shared: o.Shared, rand: o.Rand, wake: o.Wake, health: newHealth(), bounces: o.Bounces, batch: cmp.Or(o.Batch, defaultBatch),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.wake == nil {
		s.wake = func(news.Wake) {}
	}
	if o.Readers <= 0 {
		o.Readers = 8
	}
	var err error
	if s.leases, err = newLeaseClock(o.Steady, s.rand); err != nil {
		return nil, err
	}
	switch path, ok := strings.CutPrefix(dsn, "sqlite:"); {
	case ok && path != "":
		err = s.openSQLite(ctx, path, o)
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		err = s.openPostgres(ctx, dsn, o)
	default:
		return nil, &news.FieldError{Field: "database", Value: redact(dsn), Want: "sqlite:PATH or postgres://USER@HOST/NAME"}
	}
	if err != nil {
		return nil, err
	}
	shared, err := s.sharedClock(ctx)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.leases.begin(shared, s.clock())
	if s.schema, err = s.newestStep(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes all connections.
func (s *Store) Close() error {
	if s.reader == s.writer {
		return s.writer.Close()
	}
	return errors.Join(s.group.close(), s.reader.Close(), s.writer.Close())
}

// Kind names the database: "sqlite" or "postgres".
func (s *Store) Kind() string { return s.d.name }

// clock is the store's time: UTC, cut to what the databases keep.
func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// redact cuts the password out of a DSN, so that it can be shown.
func redact(dsn string) string {
	scheme, rest, ok := strings.Cut(dsn, "://")
	if !ok {
		return dsn
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, _, _ := strings.Cut(rest[:i], ":")
		rest = user + rest[i:]
	}
	return scheme + "://" + rest
}

// ms turns an instant into what columns hold: milliseconds since 1970, 0 for "not set".
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// at is the inverse of ms.
func at(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(v).UTC()
}

// token fences a claim: 64 random bits of this process and 64 of this claim, in hex.
func (s *Store) token() (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(s.rand, b[:]); err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return fmt.Sprintf("%s%x", s.leases.owner, b), nil
}
