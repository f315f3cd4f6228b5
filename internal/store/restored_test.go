package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// A restored database sends nothing, tells what it does not know, and gives out
// no number that was given out before.
func TestRestored(t *testing.T) {
	t.Parallel()
	for _, how := range []news.AfterRestore{{HoldOpen: true, SkipSlots: true}, {}} {
		t.Run(fmt.Sprintf("%+v", how), func(t *testing.T) { testRestored(t, how) })
	}
}

func testRestored(t *testing.T, how news.AfterRestore) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.follow("world", "bob", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		before := w.closeDue()[0]
		w.publish("b")
		w.until("2026-03-06T09:00:00Z")
		if err := w.db.MarkRestored(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := w.db.ClaimDeliveries(t.Context(), 10, time.Minute); err != nil || len(got) != 0 {
			t.Errorf("claimed %v, %v", got, err)
		}
		w.takeNone()
		if err := w.db.SetPaused(t.Context(), false); !errors.Is(err, news.ErrRestored) {
			t.Errorf("resumed: %v", err)
		}
		st, err := w.db.Status(t.Context())
		if err != nil || st.Restored == nil || len(st.Restored.Passed) != 1 {
			t.Fatalf("%+v, %v", st.Restored, err)
		}
		if r := st.Restored; r.OpenDeliveries != 2 || r.OpenEditions != 1 || r.Passed[0].Slots != 3 || r.Passed[0].List != "world" {
			t.Errorf("%+v", r)
		}
		if err := w.db.ConfirmRestored(t.Context(), how); err != nil {
			t.Fatal(err)
		}
		decided(t, w, how, before)
	})
}

// decided looks at what a decision has led to.
func decided(t *testing.T, w *world, how news.AfterRestore, before news.Edition) {
	t.Helper()
	want := news.DeliveryPending
	if how.HoldOpen {
		want = news.DeliveryUncertain
	}
	if tally := w.edition(before.ID).Counts; tally[want] != 2 {
		t.Errorf("%+v: %v", how, tally)
	}
	if how.SkipSlots {
		w.takeNone()
		w.publish("c")
		w.until("2026-03-07T06:00:00Z")
	}
	after := w.closeDue()[0]
	if after.Articles != 1 || after.ID < before.ID+1_000_000 {
		t.Errorf("%+v: edition %d with %d articles follows %d", how, after.ID, after.Articles, before.ID)
	}
	if st, err := w.db.Status(t.Context()); err != nil || st.Restored != nil || st.Paused {
		t.Errorf("%+v, %v", st, err)
	}
}

// A database that is where it was needs no confirmation, however often it is
// looked at; numbers are moved on once.
func TestGreet(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for range 3 {
			if err := w.db.Greet(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if st, err := w.db.Status(t.Context()); err != nil || st.Paused || st.Restored != nil {
			t.Errorf("%+v, %v", st, err)
		}
		if err := w.db.MarkRestored(t.Context()); err != nil {
			t.Fatal(err)
		}
		one := w.list(daily("one"))
		if err := w.db.Greet(t.Context()); err != nil {
			t.Fatal(err)
		}
		if two := w.list(daily("two")); one.ID < 1_000_000 || two.ID != one.ID+1 {
			t.Errorf("lists %d and %d", one.ID, two.ID)
		}
	})
}

// A backup is whole, whatever is written meanwhile, and for its owner's eyes.
func TestBackup(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	w := newWorld(t, db)
	w.list(daily("world"))
	dir := t.TempDir()
	var writers sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 3 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_ = db.SetRelayPaused(ctx, strings.Repeat("x", i%50+1), i%2 == 0)
			}
		})
	}
	path := filepath.Join(dir, "keep.db")
	c, err := db.Backup(t.Context(), path, nil)
	stop()
	writers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != c.Bytes {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := db.Backup(t.Context(), path, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}

	target := filepath.Join(dir, "new.db")
	if _, _, err := store.Restore(t.Context(), target, path, false, db.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Restore(t.Context(), target, path, false, db.Clock.Now()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a database: %v", err)
	}
	s, err := store.Open(t.Context(), "sqlite:"+target, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	st, err := s.Status(t.Context())
	if err != nil || st.Lists != 1 || st.Restored == nil || !st.Restored.BackupAt.Equal(c.TakenAt) {
		t.Errorf("%+v, %v", st, err)
	}
}

// What is no whole backup takes nothing's place.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	w := newWorld(t, db)
	w.list(daily("world"))
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	if _, err := db.Backup(t.Context(), good, nil); err != nil {
		t.Fatal(err)
	}
	bytesOf, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"text":      func([]byte) []byte { return []byte("-- PostgreSQL database dump") },
		"cut short": func(b []byte) []byte { return b[:len(b)/2] },
		"a page":    func(b []byte) []byte { copy(b[4096:], bytes.Repeat([]byte{0xff}, 4096)); return b },
	} {
		bad := filepath.Join(dir, "bad.db")
		if err := os.WriteFile(bad, spoil(bytes.Clone(bytesOf)), 0o600); err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(dir, "target.db")
		if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := store.Restore(t.Context(), target, bad, true, db.Clock.Now()); err == nil {
			t.Errorf("%s: restored", name)
		}
		if b, err := os.ReadFile(target); err != nil || string(b) != "old" {
			t.Errorf("%s: the old one is gone: %q, %v", name, b, err)
		}
	}
}
