package store_test

import (
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func recoverAll(t *testing.T, s *store.Store) int {
	t.Helper()
	n, err := s.RecoverDeliveries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func steps() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{30 * day, -2 * time.Hour, time.Second, -time.Second, -30 * day}
}

// The wall clock is set while deliveries are in hand: nobody takes them, their dots
// may follow, and what a crash left comes back when its lease is over in true time.
func TestAStepOfTheClockEndsNoLeaseAndLengthensNone(t *testing.T) {
	t.Parallel()
	for _, step := range steps() {
		t.Run(step.String(), func(t *testing.T) {
			eachWorld(t, func(t *testing.T, w *world) {
				mailing(w, 3, nil)
				ds := w.claim(3)
				w.db.Clock.Step(step)
				if n := recoverAll(t, w.db.Store); n != 0 {
					t.Fatalf("%d were taken from a courier at work", n)
				}
				if more := w.claim(3); len(more) != 0 {
					t.Fatalf("claimed twice: %+v", more)
				}
				if !w.dot(ds[0]) {
					t.Error("the dot of a delivery in hand was forbidden")
				}
				w.record(accepted(ds[0]))
				w.db.Clock.Advance(lease - time.Second)
				if n := recoverAll(t, w.db.Store); n != 0 {
					t.Errorf("%d came back before their lease was over", n)
				}
				if !w.dot(ds[1]) {
					t.Error("the dot within the lease was forbidden")
				}
				w.db.Clock.Advance(2 * time.Second)
				if n := recoverAll(t, w.db.Store); n != 1 { // the dot began the lease of one anew
					t.Errorf("%d came back after the lease", n)
				}
				if w.dot(ds[2]) {
					t.Error("the dot after the lease was allowed")
				}
			})
		})
	}
}

// Two processes on one database: each goes after the clock in its own time.
func TestProcessesFollowAStepOneByOne(t *testing.T) {
	t.Parallel()
	for _, step := range steps() {
		t.Run(step.String(), func(t *testing.T) {
			eachWorld(t, func(t *testing.T, w *world) {
				mailing(w, 4, nil)
				other := w.db.Another(t)
				w.db.Clock.Advance(5 * time.Minute)
				ours := w.claim(2)
				theirs, err := other.ClaimDeliveries(t.Context(), 2, lease)
				if err != nil || len(theirs) != 2 {
					t.Fatal(theirs, err)
				}
				w.db.Clock.Step(step)
				if n := recoverAll(t, other); n != 0 {
					t.Fatalf("who noticed first took %d of the other", n)
				}
				w.db.Clock.Advance(time.Minute)
				if n := recoverAll(t, w.db.Store) + recoverAll(t, other); n != 0 {
					t.Fatalf("%d were taken from couriers at work", n)
				}
				if !w.dot(ours[0]) {
					t.Error("our dot was forbidden")
				}
				if ok, err := other.MarkDot(t.Context(), theirs[0].ID, theirs[0].Token); err != nil || !ok {
					t.Error("their dot was forbidden", err)
				}
				w.db.Clock.Advance(lease + time.Second)
				// After the step nobody is hasty; then all is found by either.
				if n := recoverAll(t, w.db.Store) + recoverAll(t, other); n != 4 {
					t.Errorf("%d of 4 were recovered", n)
				}
			})
		})
	}
}

// Whoever held the deliveries died, and then the clock was set back.
func TestALeaseFromBeforeAStepBackEnds(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 1, nil)
		if ds := w.claim(1); len(ds) != 1 {
			t.Fatalf("%+v", ds)
		}
		w.db.Clock.Step(-2 * time.Hour)
		next := w.db.Another(t)
		if n := recoverAll(t, next); n != 0 {
			t.Errorf("took %d at once: they may be in somebody's hands", n)
		}
		w.db.Clock.Advance(2 * time.Minute)
		if n := recoverAll(t, next); n != 1 {
			t.Errorf("recovered %d", n)
		}
		if ds := w.claim(1); len(ds) != 1 {
			t.Errorf("%+v", ds)
		}
	})
}

// Differing clocks of machines do not matter: replicas go by the database's.
func TestReplicasAgreeAboutLeasesWhateverTheirClocksShow(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	w := newWorld(t, db)
	mailing(w, 2, nil)
	open := func(off time.Duration) *store.Store {
		s, err := store.Open(t.Context(), db.DSN, store.Options{Now: func() time.Time { return db.Clock.Now().Add(off) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	early, late := open(0), open(20*time.Hour)
	ds, err := early.ClaimDeliveries(t.Context(), 1, time.Hour)
	if err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	if n := recoverAll(t, late); n != 0 {
		t.Errorf("%d were taken by a replica whose clock is ahead", n)
	}
	if until := time.Until(ds[0].NextAt); until < 55*time.Minute || until > 65*time.Minute {
		t.Errorf("the lease ends in %v by the database's clock", until)
	}
}

func TestAStepBackDelaysNoNextAttempt(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 2, nil)
		for _, d := range w.claim(2) {
			o := outcome(d, news.DeliveryDeferred)
			o.NextAt = w.db.Clock.Now().Add(5 * time.Minute)
			w.record(o)
		}
		w.db.Clock.Step(-2 * time.Hour)
		recoverAll(t, w.db.Store)
		w.db.Clock.Advance(4 * time.Minute)
		if ds := w.claim(2); len(ds) != 0 {
			t.Errorf("tried again too early: %+v", ds)
		}
		w.db.Clock.Advance(2 * time.Minute)
		if ds := w.claim(2); len(ds) != 2 {
			t.Errorf("%d of 2 are tried again", len(ds))
		}
	})
}

// A slot that comes due by a step is noticed at the next look, an edition under
// way is not taken over, and none is made twice.
func TestAStepOfTheClockAndEditions(t *testing.T) {
	t.Parallel()
	for _, step := range steps() {
		t.Run(step.String(), func(t *testing.T) {
			eachWorld(t, func(t *testing.T, w *world) {
				w.list(daily("world"))
				w.follow("world", "ana", "daily")
				w.publish("a")
				w.until("2026-03-03T06:00:01Z")
				e, l := w.take()
				w.db.Clock.Step(step)
				recoverAll(t, w.db.Store)
				if again, _, ok, err := w.db.TakeSlot(t.Context(), lease); err != nil || ok && again.ID == e.ID {
					t.Fatalf("the edition was given to two: %+v, %v", again, err)
				}
				w.close(w.plan(e, l))
				w.closeDue()
				w.send()
				w.publish("b")
				w.db.Clock.Advance(48 * time.Hour)
				w.closeDue()
				w.send()
				if got := w.got("ana"); got != "a | b" {
					t.Errorf("ana got %q", got)
				}
			})
		})
	}
}

func TestASlotBroughtByAStepIsNoticedAtTheNextLook(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a")
		w.takeNone()
		w.db.Clock.Step(30 * 24 * time.Hour)
		if got := w.closeDue(); len(got) != 1 || got[0].Intended != 1 {
			t.Errorf("forward: %+v", got)
		}
		w.publish("b")
		// Nobody looks in the moment of the slot.
		w.db.Clock.Step(time.Date(2026, 3, 3, 5, 59, 57, 0, time.UTC).Sub(w.db.Clock.Now()))
		w.db.Clock.Advance(10 * time.Second)
		if got := w.closeDue(); len(got) != 1 || got[0].SlotKey != "2026-03-03T06:00:00Z" {
			t.Errorf("back, a slot just after: %+v", got)
		}
		w.publish("c")
		w.db.Clock.Step(-2 * time.Hour)
		w.takeNone()
		w.until("2026-03-03T06:00:01Z")
		w.takeNone() // it was made
		w.until("2026-03-04T06:00:01Z")
		if got := w.closeDue(); len(got) != 1 || got[0].Intended != 1 {
			t.Errorf("back: %+v", got)
		}
	})
}

func TestASourceIsLookedAtAfterAStepBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for {
			src, ok, err := w.db.ClaimSource(t.Context(), lease)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			look := news.Look{LastAt: w.db.Clock.Now(), NextAt: w.db.Clock.Now().Add(10 * time.Minute)}
			if err := w.db.FinishLook(t.Context(), src.ID, look, false); err != nil {
				t.Fatal(err)
			}
		}
		w.db.Clock.Step(-2 * time.Hour)
		src, ok, err := w.db.ClaimSource(t.Context(), lease)
		if err != nil || !ok {
			t.Fatalf("not due after the step: %v", err)
		}
		if _, again, err := w.db.ClaimSource(t.Context(), lease); err != nil || again {
			t.Errorf("claimed twice: %v", err)
		}
		w.db.Clock.Step(30 * 24 * time.Hour)
		if _, again, err := w.db.ClaimSource(t.Context(), lease); err != nil || again {
			t.Errorf("claimed twice after a step forward: %v", err)
		}
		w.db.Clock.Advance(lease + time.Second)
		if back, ok, err := w.db.ClaimSource(t.Context(), lease); err != nil || !ok || back.ID != src.ID {
			t.Errorf("not looked at again after the lease: %v, %v", ok, err)
		}
	})
}

func TestAStepBackDelaysNoReleaseButAnEmbargoHolds(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		embargoed := found("later", "US")
		embargoed.EmbargoAt = w.db.Clock.Now().Add(time.Minute)
		w.put(found("a", "US"), embargoed)
		w.db.Clock.Step(-2 * time.Hour)
		recoverAll(t, w.db.Store)
		if n := w.release(); n != 0 {
			t.Errorf("%d were released before they had settled", n)
		}
		w.db.Clock.Advance(31 * time.Second)
		if n := w.release(); n != 1 {
			t.Errorf("released %d", n)
		}
		w.db.Clock.Advance(2 * time.Hour)
		if n := w.release(); n != 0 {
			t.Errorf("an embargo was broken")
		}
		w.db.Clock.Advance(time.Minute)
		if n := w.release(); n != 1 {
			t.Errorf("released %d", n)
		}
	})
}
