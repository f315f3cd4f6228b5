package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func TestMigrateTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		have, want, err := db.Schema(t.Context())
		if err != nil || have != want || have == 0 {
			t.Fatalf("schema %d of %d, %v", have, want, err)
		}
	})
}

func TestOpenNeverMakesAnEmptyDatabaseUnasked(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "lost.db"), store.Options{})
	if !errors.Is(err, store.ErrNoDatabase) {
		t.Fatalf("got %v", err)
	}
}

func TestOpenRefusesWhatIsNoDSN(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"", "sqlite:", "mysql://root:secret@host/db"} {
		_, err := store.Open(context.Background(), dsn, store.Options{})
		var field *news.FieldError
		if !errors.As(err, &field) || field.Field != "database" || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
}

// Several processes that start together leave one schema, and none of them fails.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "new.db"), "postgres": dbtest.PostgresDSN(t)} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for range 4 {
				s, err := store.Open(t.Context(), dsn, store.Options{Create: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				wg.Go(func() {
					if err := s.Migrate(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// A new database is its owner's alone, is durable, and an empty file is no database.
func TestFileOfANewDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new.db")
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1"} {
		if got, err := s.Pragma(t.Context(), pragma); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), "sqlite:"+empty, store.Options{}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("empty file: %v", err)
	}
}
