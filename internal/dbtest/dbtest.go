// Package dbtest opens real databases for tests: SQLite in the test's folder,
// PostgreSQL in a fresh schema. A test never runs on one of them only and is
// never skipped: without PostgreSQL it fails with a hint.
package dbtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver

	"gazetted/internal/news"
	"gazetted/internal/store"
)

// Clock is a clock that a test moves by hand. It is safe for concurrent use.
type Clock struct {
	mu     sync.Mutex
	t      time.Time
	passed time.Duration
}

// NewClock starts at 2026-03-02 09:00 UTC, a Monday.
func NewClock() *Clock { return &Clock{t: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

// Now returns the clock's instant.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Steady returns how much time has passed, whatever the clock was set to.
func (c *Clock) Steady() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed
}

// Advance lets time pass.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t, c.passed = c.t.Add(d), c.passed+d
}

// Step sets the clock forward or back, without time passing.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// Set lets time pass until t. If t has passed, the clock is set back.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += max(0, t.Sub(c.t))
	c.t = t
}

// Wakes records what a store has announced. It is safe for concurrent use.
type Wakes struct {
	mu   sync.Mutex
	seen map[news.Wake]int
}

// Add counts a wake; pass it as store.Options.Wake.
func (w *Wakes) Add(k news.Wake) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = map[news.Wake]int{}
	}
	w.seen[k]++
}

// Take returns how often k was announced since the last Take.
func (w *Wakes) Take(k news.Wake) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.seen[k]
	delete(w.seen, k)
	return n
}

// DB is one migrated database of a test.
type DB struct {
	*store.Store
	Clock *Clock
	Wakes *Wakes
	DSN   string
}

// Each runs f once per database, as sub-tests "sqlite" and "postgres".
func Each(t *testing.T, f func(t *testing.T, db *DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); f(t, Postgres(t)) })
}

// SQLite opens a new file.
func SQLite(t testing.TB) *DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "gazetted.db"))
}

// Postgres opens a new schema, which is dropped when the test ends.
func Postgres(t testing.TB) *DB {
	t.Helper()
	return open(t, PostgresDSN(t))
}

// PostgresDSN makes a new schema and returns a DSN that stays within it.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	base := cmp.Or(os.Getenv("GAZETTED_TEST_POSTGRES"), "postgres://postgres@127.0.0.1:5432/test?sslmode=disable")
	u, err := url.Parse(base)
	if err != nil {
		t.Fatalf("GAZETTED_TEST_POSTGRES: %v", err)
	}
	admin, err := sql.Open("postgres", base)
	if err != nil {
		t.Fatal(err)
	}
	schema := "gz_" + rand.Text()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := admin.ExecContext(ctx, `CREATE SCHEMA "`+schema+`"`); err != nil {
		t.Fatalf("no PostgreSQL for tests: %v\nhint: run `make test`, which finds, starts or installs one, or set GAZETTED_TEST_POSTGRES", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := admin.ExecContext(ctx, fmt.Sprintf(`DROP SCHEMA "%s" CASCADE`, schema)); err != nil {
			t.Errorf("drop test schema: %v", err)
		}
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	q := u.Query()
	q.Set("search_path", `"`+schema+`"`)
	if _, measures := t.(*testing.B); !measures { // no test cuts the server's power: waiting for its disk would only take time
		q.Set("synchronous_commit", "off")
	}
	q.Set("application_name", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func open(t testing.TB, dsn string) *DB {
	t.Helper()
	db := &DB{Clock: NewClock(), Wakes: &Wakes{}, DSN: dsn}
	db.Store = db.Another(t)
	if err := db.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return db
}

// Another opens the database again, as another process on it would.
func (db *DB) Another(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), db.DSN, store.Options{
		Now: db.Clock.Now, Steady: db.Clock.Steady, Shared: db.Clock.Now, Wake: db.Wakes.Add, Create: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
