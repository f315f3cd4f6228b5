package store_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"gazetted/internal/news"
	"gazetted/internal/store"
)

// A lock of another program is waited for once and then told as what it is.
func TestALockOfAnotherProgramIsUnavailability(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "busy.db")
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetPaused(t.Context(), true); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("while locked: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPaused(t.Context(), true); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
