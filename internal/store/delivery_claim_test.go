package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"gazetted/internal/news"
)

// mailing is a closed edition of the list world for n readers r0, r1 …
func mailing(w *world, n int, change func(*news.List)) (news.Edition, []news.Subscription) {
	w.t.Helper()
	l := daily("world")
	if change != nil {
		change(&l)
	}
	w.list(l)
	subs := make([]news.Subscription, 0, n)
	for i := range n {
		subs = append(subs, w.follow("world", fmt.Sprint("r", i), "daily"))
	}
	w.publish("a")
	w.until("2026-03-03T06:00:00Z")
	es := w.closeDue()
	if len(es) != 1 || es[0].Intended != n {
		w.t.Fatalf("%+v", es)
	}
	return es[0], subs
}

func TestClaimsNeverShareADelivery(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 60, nil)
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			seen = map[int64]int{}
		)
		for range 6 {
			wg.Go(func() {
				for range 10 {
					ds, err := w.db.ClaimDeliveries(t.Context(), 4, lease)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					for _, d := range ds {
						seen[d.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for _, d := range w.claim(100) { // what was locked by another at that moment
			seen[d.ID]++
		}
		if len(seen) != 60 {
			t.Errorf("%d of 60", len(seen))
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("delivery %d claimed %d times", id, n)
			}
		}
	})
}

func TestAClaimIsCommittedWithItsAttemptAndLease(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 2, nil)
		ds := w.claim(1)
		if len(ds) != 1 {
			t.Fatalf("%+v", ds)
		}
		d := ds[0]
		if d.State != news.DeliveryClaimed || d.Attempts != 1 || d.Token == "" || d.Address != "r0@example.org" || !d.NextAt.Equal(w.db.Clock.Now().Add(lease)) {
			t.Errorf("%+v", d)
		}
		stored := w.delivery(d.ID)
		if stored.State != news.DeliveryClaimed || stored.Attempts != 1 || !stored.NextAt.Equal(d.NextAt) {
			t.Errorf("%+v", stored)
		}
		if more := w.claim(10); len(more) != 1 || more[0].ID == d.ID || more[0].Token == d.Token {
			t.Errorf("%+v", more)
		}
		if more := w.claim(10); len(more) != 0 {
			t.Errorf("%+v", more)
		}
	})
}

func TestWhatExpiredOrLostItsReaderIsEndedAtTheClaim(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		_, subs := mailing(w, 3, nil)
		if err := w.db.SetPreferences(t.Context(), subs[0].ID, news.Preferences{Paused: true}); err != nil {
			t.Fatal(err)
		}
		if ds := w.claim(1); len(ds) != 1 || ds[0].SubscriptionID != subs[1].ID {
			t.Errorf("%+v", ds)
		}
		if d := w.delivery(1); d.State != news.DeliverySuppressed || d.EndedAt.IsZero() {
			t.Errorf("%+v", d)
		}
		w.until("2026-03-04T06:00:00Z")
		if ds := w.claim(10); len(ds) != 0 {
			t.Errorf("%+v", ds)
		}
		if d := w.delivery(3); d.State != news.DeliveryExpired || d.EndedAt.IsZero() {
			t.Errorf("%+v", d)
		}
	})
}

// More expired deliveries than one claim takes do not look like an empty outbox.
func TestAClaimLooksBehindWhatHasExpired(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 7, nil)
		w.publish("b")
		w.until("2026-03-04T06:00:00Z")
		w.closeDue()
		if ds := w.claim(3); len(ds) == 0 || ds[0].EditionID != 2 {
			t.Errorf("%+v", ds)
		}
	})
}

func TestConfirmationsGoFirstAndOnlyWhilePending(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 3, nil)
		var pending []news.Subscription
		for _, name := range []string{"ana", "ben", "cem"} {
			res, err := w.db.Subscribe(t.Context(), form(t, "world", name), confirmVariant())
			if err != nil {
				t.Fatal(err)
			}
			pending = append(pending, res.Subscription)
		}
		if _, err := w.db.Confirm(t.Context(), pending[0].ID, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Unsubscribe(t.Context(), pending[1].ID, ""); err != nil {
			t.Fatal(err)
		}
		ds := w.claim(10)
		if len(ds) != 1 || ds[0].Kind != news.VariantConfirm || ds[0].SubscriptionID != pending[2].ID {
			t.Fatalf("%+v", ds)
		}
		if d, v, err := w.db.DeliveryView(t.Context(), ds[0].ID); err != nil || d.ID != ds[0].ID || v.Subject != "Please confirm" || d.EditionID != 0 {
			t.Errorf("%+v, %+v, %v", d, v, err)
		}
		if ds := w.claim(10); len(ds) != 3 || ds[0].Kind != news.VariantEdition {
			t.Errorf("%+v", ds)
		}
	})
}

func TestListsShareAClaim(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("other"))
		for i := range 2 {
			w.follow("other", fmt.Sprint("o", i), "daily")
		}
		w.list(daily("world"))
		for i := range 20 {
			w.follow("world", fmt.Sprint("r", i), "daily")
		}
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		count := map[int64]int{}
		ds := w.claim(10)
		for _, d := range ds {
			count[d.ListID]++
		}
		if len(ds) != 10 || count[1] != 2 || count[2] != 8 {
			t.Errorf("%v", count)
		}
	})
}

func TestPausesStopClaimsAndDots(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 4, nil)
		l, err := w.db.ListByName(t.Context(), "world")
		if err != nil {
			t.Fatal(err)
		}
		held := w.claim(2)
		pause := func(all, list bool) {
			t.Helper()
			if err := w.db.SetPaused(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			l.Paused = list
			if err := w.db.SetList(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range [][2]bool{{true, false}, {false, true}} {
			pause(c[0], c[1])
			if w.dot(held[i]) {
				t.Errorf("a dot in spite of the pause %v", c)
			}
			if ds := w.claim(10); len(ds) != 0 {
				t.Errorf("claimed in spite of the pause %v: %+v", c, ds)
			}
			if d := w.delivery(held[i].ID); d.State != news.DeliveryDeferred || d.Attempts != 0 {
				t.Errorf("not handed back: %+v", d)
			}
		}
		pause(false, false)
		if ds := w.claim(10); len(ds) != 4 {
			t.Errorf("%d after the pause", len(ds))
		}
	})
}

func TestADotNeedsTheLatestClaimAndItsLease(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 1, nil)
		d := w.claim(1)[0]
		for _, token := range []string{"", "other"} {
			if ok, err := w.db.MarkDot(t.Context(), d.ID, token); ok || err != nil {
				t.Errorf("token %q: %v, %v", token, ok, err)
			}
		}
		w.db.Clock.Advance(lease)
		if w.dot(d) {
			t.Error("after the lease")
		}
		if n, err := w.db.RecoverDeliveries(t.Context()); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if w.dot(d) {
			t.Error("after recovery")
		}
		again := w.claim(1)[0]
		if w.dot(d) {
			t.Error("with the token of an earlier claim")
		}
		w.db.Clock.Advance(lease - time.Second)
		if !w.dot(again) {
			t.Error("within the lease")
		}
		if w.dot(again) {
			t.Error("twice")
		}
		// The lease begins anew: the reply may take its time.
		w.db.Clock.Advance(lease - time.Second)
		if n, err := w.db.RecoverDeliveries(t.Context()); err != nil || n != 0 {
			t.Errorf("recovered %d while the reply is awaited, %v", n, err)
		}
	})
}

// Nobody whose unsubscribe was answered gets a final dot after it, not even
// one that a courier holds; coming back does not revive what was queued.
func TestUnsubscribeTakesADeliveryOutOfTheCouriersHands(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		_, subs := mailing(w, 3, nil)
		held := w.claim(2)
		for _, sub := range subs {
			if _, err := w.db.Unsubscribe(t.Context(), sub.ID, "one-click"); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range held {
			if w.dot(d) {
				t.Errorf("sent %+v", d)
			}
			w.record(news.Outcome{DeliveryID: d.ID, Token: d.Token, State: news.DeliveryDeferred}) // as a courier that dropped its connection does
		}
		w.follow("world", "r0", "daily")
		if ds := w.claim(10); len(ds) != 0 {
			t.Errorf("%+v", ds)
		}
		for id := int64(1); id <= 3; id++ {
			if d := w.delivery(id); d.State != news.DeliverySuppressed || d.EndedAt.IsZero() {
				t.Errorf("%+v", d)
			}
		}
	})
}

func TestUnsubscribeRacesWithTheDot(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		_, subs := mailing(w, 20, nil)
		held := w.claim(20)
		if len(held) != 20 {
			t.Fatalf("%d", len(held))
		}
		var wg sync.WaitGroup
		dotted := make([]bool, 20)
		for i, d := range held {
			wg.Go(func() {
				if _, err := w.db.Unsubscribe(t.Context(), subs[i].ID, "page"); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				ok, err := w.db.MarkDot(t.Context(), d.ID, d.Token)
				if err != nil {
					t.Error(err)
				}
				dotted[i] = ok
			})
		}
		wg.Wait()
		for i, d := range held {
			want := news.DeliverySuppressed
			if dotted[i] {
				want = news.DeliveryDotPending
			}
			if got := w.delivery(d.ID).State; got != want {
				t.Errorf("%d: dot %v, but it is %s", i, dotted[i], got)
			}
		}
	})
}
