package store_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/faults/link"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// throughLink lays a cable to the server of the tests and opens a store at its end.
func throughLink(t *testing.T) (*store.Store, *link.Link) {
	t.Helper()
	db := dbtest.Postgres(t)
	u, err := url.Parse(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	k, err := link.New(t.Context(), u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	u.Host = k.Addr()
	s, err := store.Open(t.Context(), u.String(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, k
}

func TestACutLinkIsUnavailableUntilItIsMended(t *testing.T) {
	t.Parallel()
	s, k := throughLink(t)
	if err := s.SetPaused(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	k.Set(link.Cut)
	if err := s.SetPaused(t.Context(), false); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("a write over a cut link: %v", err)
	}
	if _, err := s.Paused(t.Context()); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("a read over a cut link: %v", err)
	}
	k.Set(link.Pass)
	if paused, err := s.Paused(t.Context()); err != nil || !paused {
		t.Errorf("after the link was mended: %v, %v", paused, err)
	}
}

// lib/pq alone waits for the answer of a frozen server, whatever its context says.
func TestAFrozenServerIsGivenUpWithTheContext(t *testing.T) {
	t.Parallel()
	s, k := throughLink(t)
	if err := s.SetPaused(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	k.Set(link.Silent)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.SetPaused(ctx, false) }()
	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a write over a silent link: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it waits for ever")
	}
	k.Set(link.Pass)
	if _, err := s.Paused(t.Context()); err != nil {
		t.Errorf("after the silence: %v", err)
	}
}

func TestSeveralHostsAreTriedInTurn(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	u, err := url.Parse(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = "127.0.0.1:1," + u.Host // nobody listens on port 1
	s, err := store.Open(t.Context(), u.String(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Paused(t.Context()); err != nil {
		t.Error(err)
	}
	u.Host = "127.0.0.1:1"
	_, err = store.Open(t.Context(), u.String(), store.Options{})
	if !errors.Is(err, news.ErrUnavailable) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("nobody there: %v", err)
	}
}

// Replicas that start together on an empty database: each returns with the
// schema in place, and no step was done twice.
func TestReplicasMigrateOneAfterTheOther(t *testing.T) {
	t.Parallel()
	dsn := dbtest.PostgresDSN(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := store.Open(t.Context(), dsn, store.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Close() }()
			if err := s.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.CheckSchema(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
