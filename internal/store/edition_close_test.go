package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gazetted/internal/news"
)

func TestCloseFreezesAndQueues(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.publish("a/US", "b/Iran")
		w.follow("world", "late", "daily")
		w.publish("c/US", "d/Iran/#War")
		w.follow("world", "later", "daily")
		ana := w.follow("world", "ana", "daily", "category:us")
		w.publish("e/US", "f/Iran")
		w.until("2026-03-03T06:00:00Z")
		e, l := w.take()
		plan := w.plan(e, l)
		if len(plan.Variants) != 3 {
			t.Fatalf("%d variants", len(plan.Variants))
		}
		w.db.Wakes.Take(news.WakeOutbox)
		closed := w.close(plan)
		if closed.State != news.EditionClosed || closed.Intended != 3 || closed.Articles != len(plan.Articles) || closed.Subject != "News" ||
			closed.Slug != "2026-03-03" || !closed.ClosedAt.Equal(plan.Now) || closed.Counts[news.DeliveryPending] != 3 {
			t.Errorf("%+v", closed)
		}
		if d := cmp.Diff(closed, w.edition(e.ID)); d != "" {
			t.Errorf("stored otherwise: %s", d)
		}
		if w.db.Wakes.Take(news.WakeOutbox) != 1 {
			t.Error("the courier was not told")
		}
		for id := int64(1); id <= 3; id++ {
			d := w.delivery(id)
			if d.State != news.DeliveryPending || d.EditionID != e.ID || d.Kind != news.VariantEdition || !d.CreatedAt.Equal(plan.Now) ||
				!d.ExpiresAt.Equal(time.Date(2026, 3, 4, 6, 0, 0, 0, time.UTC)) || d.Address == "" {
				t.Errorf("%+v", d)
			}
		}
		// What happens to the articles now does not reach the edition.
		edited := found("e", "US")
		edited.Title, edited.Hash = "Corrected", "other"
		w.put(edited)
		if _, err := w.db.WithdrawArticles(t.Context(), w.id, []string{"f"}); err != nil {
			t.Fatal(err)
		}
		frozen, err := w.db.EditionArticles(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(plan.Articles, frozen, cmpopts.IgnoreFields(news.Article{}, "Hash", "Fingerprint")); d != "" {
			t.Error(d)
		}
		w.send()
		for name, want := range map[string]string{"late": "c d e f", "later": "e f", "ana": "e"} {
			if w.got(name) != want {
				t.Errorf("%s got %q, want %q", name, w.got(name), want)
			}
		}
		if got := w.subscription(ana.ID).ServedThrough; got != e.CutoffSeq {
			t.Errorf("served through %d of %d", got, e.CutoffSeq)
		}
		if got := w.edition(e.ID); got.State != news.EditionDone || got.Counts[news.DeliveryAccepted] != 3 || got.DoneAt.IsZero() {
			t.Errorf("%+v", got)
		}
	})
}

func TestThoseWithoutNewsAreMovedWithoutAMail(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.publish("x/US", "y/#Iran")
		ana := w.follow("world", "ana", "daily", "tag:iran")
		w.follow("world", "ben", "daily")
		w.publish("a/US")
		w.until("2026-03-03T06:00:00Z")
		es := w.closeDue()
		if len(es) != 1 || es[0].Intended != 1 || w.subscription(ana.ID).ServedThrough != 3 {
			t.Errorf("%+v, %+v", es, w.subscription(ana.ID))
		}
		w.send()
		w.until("2026-03-04T06:00:00Z")
		es = w.closeDue()
		if len(es) != 1 || es[0].State != news.EditionEmpty || es[0].Note != "nothing new for anybody" || es[0].Articles != 0 {
			t.Errorf("%+v", es)
		}
		if got := w.edition(es[0].ID); got.State != news.EditionEmpty || got.Note == "" {
			t.Errorf("%+v", got)
		}
		w.publish("b/#Iran")
		w.until("2026-03-05T06:00:00Z")
		w.closeDue()
		w.send()
		if w.got("ana") != "b" || w.got("ben") != "a | b" {
			t.Errorf("ana %q, ben %q", w.got("ana"), w.got("ben"))
		}
	})
}

func TestArticlesWithoutReadersAreForTheArchive(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := w.list(daily("world"))
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		es := w.closeDue()
		if len(es) != 1 || es[0].State != news.EditionDone || es[0].Intended != 0 || es[0].Slug != "2026-03-03" {
			t.Fatalf("%+v", es)
		}
		got, err := w.db.ArchiveEdition(t.Context(), l.ID, "2026-03-03")
		if err != nil || got.ID != es[0].ID {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// changes that make a plan stale, each between planning and closing.
func TestAStalePlanChangesNothing(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"an article is withdrawn": func(w *world) {
			if _, err := w.db.WithdrawArticles(w.t.Context(), w.id, []string{"a"}); err != nil {
				w.t.Fatal(err)
			}
		},
		"a reader chooses topics": func(w *world) {
			if err := w.db.SetPreferences(w.t.Context(), 1, news.Preferences{Topics: []news.Topic{"category:us"}}); err != nil {
				w.t.Fatal(err)
			}
		},
		"a reader comes over from another frequency": func(w *world) {
			if err := w.db.SetPreferences(w.t.Context(), 2, news.Preferences{Frequency: "daily", Topics: []news.Topic{"category:us"}}); err != nil {
				w.t.Fatal(err)
			}
		},
		"its list is removed": func(w *world) {
			if err := w.db.RemoveList(w.t.Context(), "world"); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachWorld(t, func(t *testing.T, w *world) {
				w.list(daily("world"))
				w.follow("world", "ana", "daily")
				w.follow("world", "ben", "weekly")
				w.publish("a/US", "b/US")
				w.until("2026-03-03T06:00:00Z")
				e, l := w.take()
				plan := w.plan(e, l)
				change(w)
				if _, err := w.db.CloseEdition(t.Context(), plan); !errors.Is(err, news.ErrStale) {
					t.Fatalf("%v", err)
				}
				if ds, err := w.db.Deliveries(t.Context(), news.DeliveryQuery{}); err != nil || len(ds) != 0 {
					t.Errorf("queued %+v, %v", ds, err)
				}
				if name == "its list is removed" {
					return
				}
				if got := w.edition(e.ID); got.State != news.EditionOpen || w.subscription(1).ServedThrough != 0 {
					t.Errorf("%+v", got)
				}
				if got := w.close(w.plan(e, l)); got.State != news.EditionClosed {
					t.Errorf("planned again: %+v", got)
				}
			})
		})
	}
}

func TestWhoLeavesOrComesWhileAnEditionIsMadeIsNotInIt(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		ana := w.follow("world", "ana", "daily")
		w.follow("world", "ben", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		e, l := w.take()
		plan := w.plan(e, l)
		if _, err := w.db.Unsubscribe(t.Context(), ana.ID, "page"); err != nil {
			t.Fatal(err)
		}
		w.follow("world", "cem", "daily")
		if got := w.close(plan); got.Intended != 1 {
			t.Errorf("%+v", got)
		}
		w.send()
		if w.got("ana") != "" || w.got("ben") != "a" || w.got("cem") != "" {
			t.Errorf("%v", w.inbox)
		}
	})
}

func TestTwoSeriesDoNotServeOnePersonTwice(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		ana := w.follow("world", "ana", "daily")
		w.follow("world", "ben", "daily")
		w.publish("a")
		w.until("2026-03-09T06:00:00Z") // both are due
		var open []news.Edition
		var l news.List
		for range 2 {
			var e news.Edition
			e, l = w.take()
			open = append(open, e)
		}
		first := w.plan(open[0], l)
		if err := w.db.SetPreferences(t.Context(), ana.ID, news.Preferences{Frequency: "weekly"}); err != nil {
			t.Fatal(err)
		}
		w.close(w.plan(open[1], l))
		w.close(first)
		w.send()
		if w.got("ana") != "a" || w.got("ben") != "a" {
			t.Errorf("%v", w.inbox)
		}
	})
}

func TestMakersAtTheSameTimeCloseOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		for i := range 20 {
			w.follow("world", fmt.Sprint("r", i), "daily")
		}
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		e, l := w.take()
		plan := w.plan(e, l)
		var (
			wg     sync.WaitGroup
			mu     sync.Mutex
			closed int
		)
		for range 4 {
			wg.Go(func() {
				_, err := w.db.CloseEdition(t.Context(), plan)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					closed++
				case !errors.Is(err, news.ErrStale):
					t.Error(err)
				}
			})
		}
		for i := range 10 { // readers move while it closes
			wg.Go(func() {
				p := news.Preferences{Frequency: "weekly"}
				if err := w.db.SetPreferences(t.Context(), int64(i+1), p); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if closed != 1 {
			t.Fatalf("closed %d times", closed)
		}
		w.send()
		w.until("2026-03-09T06:00:00Z")
		w.closeDue()
		w.send()
		for i := range 20 {
			if name := fmt.Sprint("r", i); w.got(name) != "a" {
				t.Errorf("%s got %q", name, w.got(name))
			}
		}
	})
}

func TestArchiveSlugs(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := daily("world")
		l.Zone = news.ZoneSubscriber
		l = w.list(l)
		private := daily("staff")
		private.Public = false
		staff := w.list(private)
		for name, zone := range map[string]string{"ana": "Europe/Berlin", "ken": "Asia/Tokyo"} {
			w.followReq(news.SubscribeRequest{Address: mustAddress(t, name+"@example.org"), List: "world", Zone: zone, Confirmed: true})
		}
		w.follow("staff", "ana", "")
		closeAll := func(at string) (slugs []string) {
			t.Helper()
			w.until(at)
			for {
				e, l, ok, err := w.db.TakeSlot(t.Context(), lease)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					return slugs
				}
				plan := w.plan(e, l)
				loc, err := time.LoadLocation(e.Zone)
				if err != nil {
					t.Fatal(err)
				}
				plan.Slug = e.DueAt.In(loc).Format(time.DateOnly)
				slugs = append(slugs, e.Zone+" "+w.close(plan).Slug)
			}
		}
		w.publish("a")
		got := closeAll("2026-03-03T06:00:00Z") // 3 March in Tokyo, then in Berlin
		if d := cmp.Diff([]string{"Asia/Tokyo 2026-03-03", "Europe/Berlin ", "Europe/Berlin "}, got, cmpopts.SortSlices(func(a, b string) bool { return a < b })); d != "" {
			t.Error(d)
		}
		w.publish("b")
		es, _, err := w.db.TakeManual(t.Context(), "world", "", lease)
		if err != nil || len(es) != 2 {
			t.Fatalf("%+v, %v", es, err)
		}
		for _, e := range es {
			plan := w.plan(e, l)
			plan.Slug = "2026-03-03"
			want := map[string]string{"Asia/Tokyo": "2026-03-03-2", "Europe/Berlin": ""}[e.Zone]
			if got := w.close(plan); got.Slug != want {
				t.Errorf("%s: %q", e.Zone, got.Slug)
			}
		}
		archive, err := w.db.ArchiveEditions(t.Context(), l.ID, 0, 10)
		if err != nil || len(archive) != 2 || archive[0].Slug != "2026-03-03-2" {
			t.Fatalf("%+v, %v", archive, err)
		}
		if older, err := w.db.ArchiveEditions(t.Context(), l.ID, archive[0].ID, 10); err != nil || len(older) != 1 || older[0].Slug != "2026-03-03" {
			t.Errorf("%+v, %v", older, err)
		}
		if none, err := w.db.ArchiveEditions(t.Context(), staff.ID, 0, 10); err != nil || len(none) != 0 {
			t.Errorf("%+v, %v", none, err)
		}
		l.Public = false
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.ArchiveEdition(t.Context(), l.ID, "2026-03-03"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("of a list that became private: %v", err)
		}
		if _, err := w.db.ArchiveEdition(t.Context(), l.ID, ""); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("without a slug: %v", err)
		}
	})
}

func TestWeeklyDeliveriesAreWorthAWeek(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "weekly")
		w.publish("a")
		w.until("2026-03-09T06:00:00Z")
		w.closeDue()
		if d := w.delivery(1); !d.ExpiresAt.Equal(time.Date(2026, 3, 16, 6, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v", d)
		}
	})
}

func TestAnEditionIsDoneOnlyWhenEverybodyHasAnEnd(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := daily("world")
		l.OnUncertain = news.UncertainHold
		w.list(l)
		for _, name := range []string{"ana", "ben", "cem"} {
			w.follow("world", name, "daily")
		}
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		e := w.closeDue()[0]
		state := func() news.EditionState {
			t.Helper()
			if err := w.db.FinishEditions(t.Context()); err != nil {
				t.Fatal(err)
			}
			return w.edition(e.ID).State
		}
		ds := w.claim(3)
		w.record(accepted(ds[0]), news.Outcome{DeliveryID: ds[1].ID, Token: ds[1].Token, State: news.DeliveryRefused, Code: 550})
		if state() != news.EditionClosed {
			t.Error("done while one is claimed")
		}
		if !w.dot(ds[2]) {
			t.Fatal("no dot")
		}
		w.db.Clock.Advance(lease)
		if n, err := w.db.RecoverDeliveries(t.Context()); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if state() != news.EditionClosed || w.edition(e.ID).Counts[news.DeliveryUncertain] != 1 {
			t.Errorf("done while one is held: %+v", w.edition(e.ID))
		}
		w.record(accepted(ds[2])) // the truth came late
		if state() != news.EditionDone {
			t.Errorf("%+v", w.edition(e.ID))
		}
		if c := w.edition(e.ID).Counts; c[news.DeliveryAccepted] != 2 || c[news.DeliveryRefused] != 1 {
			t.Errorf("%v", c)
		}
	})
}
