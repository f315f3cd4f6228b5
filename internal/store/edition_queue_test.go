package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// inBatches lets the world's store queue so many deliveries at a time.
func (w *world) inBatches(n int) {
	w.t.Helper()
	s, err := store.Open(w.t.Context(), w.db.DSN, store.Options{Now: w.db.Clock.Now, Steady: w.db.Clock.Steady, Shared: w.db.Clock.Now, Wake: w.db.Wakes.Add, Batch: n})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
	w.db.Store = s
}

// begin freezes the edition that is due and queues its first batch.
func (w *world) begin() news.Edition {
	w.t.Helper()
	e, l := w.take()
	e, err := w.db.CloseEdition(w.t.Context(), w.plan(e, l))
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// queue queues one batch.
func (w *world) queue(id int64) news.Edition {
	w.t.Helper()
	e, err := w.db.QueueDeliveries(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// queueAll queues what is left.
func (w *world) queueAll(id int64) news.Edition {
	w.t.Helper()
	for {
		if e := w.queue(id); e.State != news.EditionQueueing {
			return e
		}
	}
}

// queued are the recipients of an edition so far.
func (w *world) queued(id int64) []string {
	w.t.Helper()
	ds, err := w.db.Deliveries(w.t.Context(), news.DeliveryQuery{EditionID: id, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, d := range ds {
		out = append(out, strings.TrimSuffix(d.Address, "@example.org"))
	}
	slices.Sort(out)
	return out
}

// The maker dies after each number of batches in turn, while mails go out; the
// next one goes on where it was.
func TestQueueingGoesOnAfterACrashBetweenAnyTwoBatches(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.inBatches(4)
		w.list(daily("world"))
		w.publish("x/#War", "y/US")
		var all []string
		for i := range 23 {
			all = append(all, fmt.Sprintf("r%02d", i))
			topics := map[int][]news.Topic{1: {"category:us"}, 2: {"tag:war"}}[i%4]
			w.follow("world", all[i], "daily", topics...)
		}
		served := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Index(all, name)%4 == 2 }) // no #War
		day := time.Date(2026, 3, 3, 6, 0, 0, 0, time.UTC)
		for batches := 0; ; batches++ {
			article := fmt.Sprint("a", batches)
			w.publish(article + "/US")
			w.db.Clock.Set(day.AddDate(0, 0, batches))
			e := w.begin()
			for i := 0; i < batches && e.State == news.EditionQueueing; i++ {
				e = w.queue(e.ID)
			}
			if e.State != news.EditionQueueing {
				if batches < 5 {
					t.Fatalf("closed after %d batches", batches)
				}
				break
			}
			if n := len(w.queued(e.ID)); n != e.Intended || w.edition(e.ID).State != news.EditionQueueing {
				t.Errorf("%d batches: %d queued of %+v", batches, n, e)
			}
			w.send() // it is not done before all are queued
			if got := w.edition(e.ID); got.State != news.EditionQueueing {
				t.Errorf("%+v", got)
			}
			w.takeNone() // the lease of who died
			w.db.Clock.Advance(31 * time.Second)
			again, l := w.take()
			if again.ID != e.ID || again.State != news.EditionQueueing || l.Name != "world" {
				t.Fatalf("%+v", again)
			}
			if closed := w.queueAll(e.ID); closed.State != news.EditionClosed || closed.Intended != len(served) {
				t.Errorf("%+v", closed)
			}
			if got := w.queued(e.ID); !slices.Equal(got, served) {
				t.Errorf("%d batches: queued for %v", batches, got)
			}
			w.send()
			if got := w.edition(e.ID); got.State != news.EditionDone || got.Counts[news.DeliveryAccepted] != len(served) {
				t.Errorf("%+v", got)
			}
			for i, name := range all {
				if sub := w.subscription(int64(i + 1)); sub.ServedThrough != e.CutoffSeq {
					t.Errorf("%s is served through %d of %d", name, sub.ServedThrough, e.CutoffSeq)
				}
				if got := w.got(name); slices.Contains(served, name) != strings.HasSuffix(got, article) || strings.Count(got, "a") > batches+1 {
					t.Errorf("%s got %q", name, got)
				}
			}
		}
	})
}

func TestPeopleMayDoAnythingWhileAnEditionIsQueued(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.inBatches(1) // one group at a time is begun: see groupCost
		ctx := t.Context()
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		w.list(daily("world"))
		w.publish("x/US")
		us := []news.Topic{"category:us"}
		subs := map[string]news.Subscription{}
		for _, name := range []string{"first", "leaves-early", "pauses", "leaves-late", "to-weekly", "back", "chooses", "erased", "last"} {
			subs[name] = w.follow("world", name, "daily", us...)
		}
		subs["to-daily"] = w.follow("world", "to-daily", "weekly", us...)
		w.follow("world", "all", "daily") // a group that comes last
		w.publish("a/US")
		w.until("2026-03-03T06:00:00Z")
		e := w.begin()
		for range 2 {
			e = w.queue(e.ID)
		}
		if got := w.queued(e.ID); !slices.Equal(got, []string{"first", "leaves-early", "pauses"}) {
			t.Fatalf("%v", got)
		}
		// Those that are queued.
		_, err := w.db.Unsubscribe(ctx, subs["leaves-early"].ID, "page")
		ok(err)
		ok(w.db.SetPreferences(ctx, subs["pauses"].ID, news.Preferences{Topics: us, Paused: true}))
		ok(w.db.SetPreferences(ctx, subs["pauses"].ID, news.Preferences{})) // back, in a group that comes still
		// Those that are not.
		_, err = w.db.Unsubscribe(ctx, subs["leaves-late"].ID, "page")
		ok(err)
		ok(w.db.SetPreferences(ctx, subs["to-weekly"].ID, news.Preferences{Frequency: "weekly", Topics: us}))
		_, err = w.db.Unsubscribe(ctx, subs["back"].ID, "page")
		ok(err)
		w.follow("world", "back", "daily") // anew, from now on
		ok(w.db.SetPreferences(ctx, subs["chooses"].ID, news.Preferences{}))
		ok(w.db.EraseSubscriber(ctx, mustAddress(t, "erased@example.org"), "hash"))
		ok(w.db.SetPreferences(ctx, subs["to-daily"].ID, news.Preferences{Frequency: "daily", Topics: us}))
		if _, _, err := w.db.TakeManual(ctx, "world", "daily", lease); !errors.Is(err, news.ErrExists) {
			t.Errorf("a second edition while one is queued: %v", err)
		}
		w.publish("b/US")
		closed := w.queueAll(e.ID)
		if got := w.queued(e.ID); closed.State != news.EditionClosed || closed.Intended != 7 ||
			!slices.Equal(got, []string{"all", "chooses", "first", "last", "leaves-early", "pauses", "to-daily"}) {
			t.Fatalf("%+v for %v", closed, got)
		}
		w.send()
		if got := w.edition(e.ID); got.State != news.EditionDone || got.Counts[news.DeliverySuppressed] != 2 || got.Counts[news.DeliveryAccepted] != 5 {
			t.Errorf("%+v", got)
		}
		w.until("2026-03-09T06:00:00Z")
		w.closeDue()
		w.send()
		for name, want := range map[string]string{
			"first": "a | b", "leaves-early": "", "pauses": "a b", "leaves-late": "", "to-weekly": "a b", "back": "b", "chooses": "a | b",
			"erased": "", "last": "a | b", "to-daily": "a | b", "all": "a | b",
		} {
			if w.got(name) != want {
				t.Errorf("%s got %q, want %q", name, w.got(name), want)
			}
		}
	})
}

func TestAListIsRemovedWhileAnEditionIsQueued(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.inBatches(3)
		w.list(daily("world"))
		w.list(daily("staff"))
		for i := range 10 {
			w.follow("world", fmt.Sprint("r", i), "daily")
		}
		w.follow("staff", "r0", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		e := w.begin()
		if err := w.db.RemoveList(t.Context(), "world"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.QueueDeliveries(t.Context(), e.ID); !errors.Is(err, news.ErrStale) {
			t.Errorf("%v", err)
		}
		if ds, err := w.db.Deliveries(t.Context(), news.DeliveryQuery{}); err != nil || len(ds) != 0 {
			t.Errorf("%+v, %v", ds, err)
		}
		w.closeDue()
		w.send()
		if w.got("r0") != "a" || w.got("r1") != "" {
			t.Errorf("%v", w.inbox)
		}
	})
}

// Makers, readers and couriers at once: everybody who stays gets every article
// exactly once.
func TestQueueingAmongOthers(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.inBatches(5)
		ctx := t.Context()
		w.list(daily("world"))
		w.publish("x/US")
		const n = 60
		for i := range n {
			w.follow("world", fmt.Sprint("r", i), "daily")
		}
		w.publish("a/US")
		w.until("2026-03-03T06:00:00Z")
		e := w.begin()
		var wg sync.WaitGroup
		for range 3 { // two of them took over from one who was only slow
			wg.Go(func() {
				for {
					got, err := w.db.QueueDeliveries(ctx, e.ID)
					if err != nil {
						t.Error(err)
					}
					if err != nil || got.State != news.EditionQueueing {
						return
					}
				}
			})
		}
		for i := range n {
			if i%4 == 0 {
				continue
			}
			wg.Go(func() {
				id := int64(i + 1)
				for _, p := range map[int][]news.Preferences{
					1: {{Paused: true}, {}}, 2: {{Frequency: "weekly"}}, 3: {{Topics: []news.Topic{"category:us"}}, {Paused: true}, {Paused: false}},
				}[i%4] {
					if err := w.db.SetPreferences(ctx, id, p); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if got := w.edition(e.ID); got.Intended != len(w.queued(e.ID)) || got.Counts.Sum() != got.Intended {
			t.Errorf("%+v", got)
		}
		w.send()
		w.until("2026-03-09T06:00:00Z") // what the first one left to the next
		w.closeDue()
		w.send()
		for i := range n {
			if name := fmt.Sprint("r", i); w.got(name) != "a" {
				t.Errorf("%s got %q", name, w.got(name))
			}
		}
	})
}

// Nothing is new for anybody, and there are many of them.
func TestMovingReadersForwardInBatches(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.inBatches(3)
		l := daily("world")
		l.Frequencies = append(l.Frequencies, news.Frequency{Name: news.Instant})
		w.list(l)
		w.publish("x/US", "y/#War")
		for i := range 10 {
			w.follow("world", fmt.Sprint("d", i), "daily", "tag:war")
			w.follow("world", fmt.Sprint("i", i), news.Instant, "tag:war")
		}
		w.publish("a/US")
		nothing := func() news.Edition {
			e, l := w.take()
			c := w.plan(e, l)
			c.Articles = nil // of the list's filter
			e, err := w.db.CloseEdition(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		instant := nothing()
		if instant.State != news.EditionQueueing || instant.Frequency != news.Instant {
			t.Fatalf("%+v", instant)
		}
		w.takeNone() // its series waits
		if got := w.queueAll(instant.ID); got.State != news.EditionEmpty {
			t.Errorf("%+v", got)
		}
		if _, err := w.db.Edition(t.Context(), instant.ID); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("an empty instant edition leaves a row: %v", err)
		}
		w.until("2026-03-03T06:00:00Z")
		e := nothing()
		got := w.queueAll(e.ID)
		if got.State != news.EditionEmpty || got.Note == "" || got.DoneAt.IsZero() || w.edition(e.ID).State != news.EditionEmpty {
			t.Errorf("%+v", got)
		}
		for id := range int64(20) {
			if sub := w.subscription(id + 1); sub.ServedThrough != 3 {
				t.Errorf("%+v", sub)
			}
		}
	})
}

func TestWhoIsAskedToStopGivesTheEditionBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.inBatches(3)
		w.list(daily("world"))
		for i := range 10 {
			w.follow("world", fmt.Sprint("r", i), "daily")
		}
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		var e news.Edition
		for range 12 { // more often than an edition may be begun without being given back
			e, _ = w.take()
			if err := w.db.ReturnEdition(t.Context(), e.ID); err != nil {
				t.Fatal(err)
			}
		}
		e = w.begin()
		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.db.QueueDeliveries(stopped, e.ID); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if n := len(w.queued(e.ID)); n != 3 {
			t.Errorf("%d queued", n)
		}
		w.takeNone()
		if err := w.db.ReturnEdition(t.Context(), e.ID); err != nil {
			t.Fatal(err)
		}
		again, _ := w.take()
		if again.ID != e.ID || again.State != news.EditionQueueing {
			t.Errorf("%+v", again)
		}
		if got := w.queueAll(e.ID); got.Intended != 10 {
			t.Errorf("%+v", got)
		}
		if err := w.db.ReturnEdition(t.Context(), e.ID); err != nil { // it is closed: nothing to give back
			t.Error(err)
		}
		if got := w.edition(e.ID); got.State != news.EditionClosed {
			t.Errorf("%+v", got)
		}
	})
}

// A pause that is being stored while a batch takes its reader: the batch waits
// for it, and leaves the reader where they are. On SQLite there is one writer.
func TestAPauseAtTheMomentOfABatchLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.Postgres(t))
	w.inBatches(1)
	ctx := t.Context()
	w.list(daily("world"))
	w.follow("world", "first", "daily")
	ana := w.follow("world", "ana", "daily")
	w.publish("a")
	w.until("2026-03-03T06:00:00Z")
	e := w.begin()
	raw, err := sql.Open("postgres", w.db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	pause, err := raw.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pause.ExecContext(ctx, `UPDATE subscriptions SET state = 'paused' WHERE id = $1`, ana.ID); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := w.db.QueueDeliveries(ctx, e.ID)
		done <- err
	}()
	for blocked := 0; blocked == 0; {
		if err := raw.QueryRowContext(ctx, `SELECT count(*) FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid)::text[])`,
			backend(t, pause)).Scan(&blocked); err != nil {
			t.Fatal(err)
		}
	}
	if err := pause.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := w.queueAll(e.ID); got.Intended != 1 || w.subscription(ana.ID).ServedThrough != 0 {
		t.Errorf("%+v, %+v", got, w.subscription(ana.ID))
	}
	if err := w.db.SetPreferences(ctx, ana.ID, news.Preferences{}); err != nil {
		t.Fatal(err)
	}
	w.send()
	w.until("2026-03-04T06:00:00Z")
	w.closeDue()
	w.send()
	if w.got("ana") != "a" || w.got("first") != "a" {
		t.Errorf("%v", w.inbox)
	}
}

// backend is the process of a transaction's server.
func backend(t *testing.T, tx *sql.Tx) string {
	t.Helper()
	var pid string
	if err := tx.QueryRowContext(t.Context(), `SELECT pg_backend_pid()::text`).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}
