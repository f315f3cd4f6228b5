package store_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
)

// lockOut holds SQLite's write lock, as another program would, until the
// returned function is called.
func lockOut(t *testing.T, dsn string) (release func()) {
	t.Helper()
	other, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(dsn, "sqlite:")+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	release = func() {
		_ = tx.Rollback()
		_ = other.Close()
	}
	t.Cleanup(release)
	return release
}

func TestReadyWhileTheDatabaseCanBeWritten(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		for range 3 {
			if err := db.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		}
		db.Clock.Advance(-48 * time.Hour) // a clock that steps is no reason
		if err := db.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Ready knows at once what writes have met, asks rarely while all is well, and
// sees by itself when a failure is over.
func TestReadyFollowsTheWrites(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	hurry := news.WithPatience(t.Context(), 10*time.Millisecond)
	if err := db.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	release := lockOut(t, db.DSN)
	if err := db.Ready(hurry); err != nil {
		t.Errorf("it wrote again at once: %v", err)
	}
	db.Clock.Advance(time.Minute)
	if err := db.Ready(hurry); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("after a minute: %v", err)
	}
	release()
	if err := db.Ready(hurry); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("it tried again at once: %v", err)
	}
	db.Clock.Advance(2 * time.Second)
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}

	release = lockOut(t, db.DSN)
	if err := db.SetPaused(hurry, true); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("a write: %v", err)
	}
	if err := db.Ready(hurry); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("after a write that failed: %v", err)
	}
	release()
}

// Who has patience gets the lock when it is free; who has none is told soon.
// Neither waits for the other.
func TestPatience(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	release := lockOut(t, db.DSN)
	patient := make(chan error, 1)
	go func() { patient <- db.SetRelayPaused(t.Context(), "one", true) }()
	for range 3 { // the patient one may come first or later
		if err := db.SetPaused(news.WithPatience(t.Context(), 20*time.Millisecond), true); !errors.Is(err, news.ErrUnavailable) {
			t.Errorf("while locked: %v", err)
		}
	}
	release()
	if err := <-patient; err != nil {
		t.Error(err)
	}
	if paused, err := db.Paused(t.Context()); err != nil || paused {
		t.Errorf("what was given up happened all the same: %v, %v", paused, err)
	}
	if relays, err := db.PausedRelays(t.Context()); err != nil || len(relays) != 1 {
		t.Errorf("%v, %v", relays, err)
	}
}
