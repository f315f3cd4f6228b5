package store_test

import (
	"context"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// A change made by another process (here: another Store) wakes a listener.
func TestListenHearsOtherProcesses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		heard := make(chan news.Wake, 100)
		other, err := store.Open(ctx, db.DSN, store.Options{Wake: func(w news.Wake) {
			select {
			case heard <- w:
			default:
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- other.Listen(ctx) }()
		// Changes until one is heard: the listener may not be connected yet.
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		// Each is a real change: SQLite commits nothing for a row that stays as it is.
		paused := false
		for woken := false; !woken; {
			paused = !paused
			if err := db.SetPaused(ctx, paused); err != nil {
				t.Fatal(err)
			}
			select {
			case w := <-heard:
				woken = w == news.WakeLists || w == news.WakeOutbox
			case <-tick.C:
			case <-ctx.Done():
				t.Fatal("no wake")
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
}
