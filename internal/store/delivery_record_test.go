package store_test

import (
	"slices"
	"testing"
	"time"

	"gazetted/internal/news"
)

func outcome(d news.Delivery, state news.DeliveryState) news.Outcome {
	return news.Outcome{DeliveryID: d.ID, Token: d.Token, State: state, Relay: "main"}
}

func TestOutcomesAreRecorded(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 5, nil)
		ds := w.claim(5)
		now := w.db.Clock.Now()
		retry := outcome(ds[2], news.DeliveryDeferred)
		retry.NextAt, retry.Code, retry.Enhanced, retry.Reply = now.Add(5*time.Minute), 451, "4.7.1", "greylisted"
		late := outcome(ds[3], news.DeliveryDeferred)
		late.NextAt = now.Add(24 * time.Hour)
		free := outcome(ds[4], news.DeliveryDeferred)
		free.FreeAttempt = true
		refused := outcome(ds[1], news.DeliveryRefused)
		refused.Code, refused.Enhanced, refused.Reply, refused.At = 550, "5.7.1", "policy\x00", now.Add(-time.Second)
		w.record(accepted(ds[0]), refused, retry, late, free)
		if d := w.delivery(ds[0].ID); d.State != news.DeliveryAccepted || d.Relay != "main" || d.Code != 250 || d.Reply != "ok" || !d.EndedAt.Equal(now) || d.Attempts != 1 {
			t.Errorf("accepted: %+v", d)
		}
		if d := w.delivery(ds[1].ID); d.State != news.DeliveryRefused || d.Code != 550 || d.Enhanced != "5.7.1" || d.Reply != "policy" || !d.EndedAt.Equal(refused.At) {
			t.Errorf("refused: %+v", d)
		}
		if d := w.delivery(ds[2].ID); d.State != news.DeliveryDeferred || !d.NextAt.Equal(retry.NextAt) || d.Attempts != 1 || !d.EndedAt.IsZero() {
			t.Errorf("deferred: %+v", d)
		}
		if d := w.delivery(ds[3].ID); d.State != news.DeliveryExpired || d.EndedAt.IsZero() {
			t.Errorf("deferred beyond its expiry: %+v", d)
		}
		if d := w.delivery(ds[4].ID); d.State != news.DeliveryDeferred || d.Attempts != 0 {
			t.Errorf("not charged: %+v", d)
		}
		if sups, err := w.db.Suppressions(t.Context(), 0, 0); err != nil || len(sups) != 0 {
			t.Errorf("a refusal by policy suppressed %+v, %v", sups, err)
		}
		w.db.Clock.Advance(5*time.Minute - time.Second)
		if again := w.claim(10); len(again) != 1 || again[0].ID != ds[4].ID {
			t.Errorf("%+v", again)
		}
		w.db.Clock.Advance(time.Second)
		if again := w.claim(10); len(again) != 1 || again[0].ID != ds[2].ID || again[0].Attempts != 2 {
			t.Errorf("%+v", again)
		}
	})
}

func TestOutcomesAreFencedByTheLatestClaim(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 1, nil)
		first := w.claim(1)[0]
		w.db.Clock.Advance(lease)
		if n, err := w.db.RecoverDeliveries(t.Context()); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		second := w.claim(1)[0]
		w.record(outcome(first, news.DeliveryRefused))
		if d := w.delivery(first.ID); d.State != news.DeliveryClaimed {
			t.Errorf("an old claim spoke: %+v", d)
		}
		w.record(accepted(second))
		w.record(outcome(second, news.DeliveryDeferred), outcome(first, news.DeliveryRefused))
		if d := w.delivery(first.ID); d.State != news.DeliveryAccepted {
			t.Errorf("the end was not the end: %+v", d)
		}
		for _, state := range []news.DeliveryState{news.DeliveryPending, news.DeliveryClaimed, news.DeliveryDotPending, ""} {
			if err := w.db.RecordOutcomes(t.Context(), []news.Outcome{outcome(second, state)}); err == nil {
				t.Errorf("%q was taken for an outcome", state)
			}
		}
	})
}

// A courier that was thought lost may still say what happened, until somebody
// else has the delivery.
func TestALateTruthCounts(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 1, nil)
		d := w.claim(1)[0]
		if !w.dot(d) {
			t.Fatal("no dot")
		}
		w.db.Clock.Advance(lease)
		if _, err := w.db.RecoverDeliveries(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.record(accepted(d))
		if got := w.delivery(d.ID); got.State != news.DeliveryAccepted {
			t.Errorf("%+v", got)
		}
		if ds := w.claim(1); len(ds) != 0 {
			t.Errorf("a second copy: %+v", ds)
		}
	})
}

func TestAHardBounceEndsAllThatIsForTheAddress(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("other"))
		elsewhere := w.follow("other", "r0", "daily")
		_, subs := mailingOf(w, 2)
		ds := w.claim(10)
		var first news.Delivery
		for _, d := range ds {
			if d.SubscriptionID == subs[0].ID {
				first = d
			}
		}
		o := outcome(first, news.DeliveryRefused)
		o.Code, o.Enhanced, o.Reply, o.Bounce = 550, "5.1.1", "no such user", news.BounceHard
		w.record(o)
		if d := w.delivery(first.ID); d.State != news.DeliveryRefused {
			t.Errorf("%+v", d)
		}
		for _, id := range []int64{subs[0].ID, elsewhere.ID} {
			if got := w.subscription(id); got.State != news.SubscriptionBounced || got.EndedAt.IsZero() {
				t.Errorf("%+v", got)
			}
		}
		if got := w.subscription(subs[1].ID); got.State != news.SubscriptionActive {
			t.Errorf("%+v", got)
		}
		sups, err := w.db.Suppressions(t.Context(), 0, 0)
		if err != nil || len(sups) != 1 || sups[0].Address != "r0@example.org" || sups[0].Reason != news.SuppressedBounce || sups[0].Note != "550 5.1.1 no such user" {
			t.Errorf("%+v, %v", sups, err)
		}
		for _, d := range ds {
			if d.SubscriptionID == elsewhere.ID && w.dot(d) {
				t.Error("another list went on mailing it")
			}
		}
		if res, err := w.db.Subscribe(t.Context(), form(t, "world", "r0"), confirmVariant()); err != nil || !res.Suppressed {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// mailingOf is mailing for all lists that there are.
func mailingOf(w *world, n int) ([]news.Edition, []news.Subscription) {
	w.t.Helper()
	w.list(daily("world"))
	var subs []news.Subscription
	for i := range n {
		subs = append(subs, w.follow("world", "r"+string(rune('0'+i)), "daily"))
	}
	w.publish("a")
	w.until("2026-03-03T06:00:00Z")
	return w.closeDue(), subs
}

func TestALostReplyIsSentAgainOrHeld(t *testing.T) {
	for policy, want := range map[news.OnUncertain][]news.DeliveryState{
		news.UncertainResend: {news.DeliveryDeferred, news.DeliveryDeferred, news.DeliveryQuarantined},
		news.UncertainHold:   {news.DeliveryUncertain},
	} {
		t.Run(string(policy), func(t *testing.T) {
			eachWorld(t, func(t *testing.T, w *world) {
				mailing(w, 1, func(l *news.List) { l.OnUncertain = policy })
				for i, state := range want {
					ds := w.claim(1)
					if len(ds) != 1 || !w.dot(ds[0]) {
						t.Fatalf("attempt %d: %+v", i+1, ds)
					}
					w.record(outcome(ds[0], news.DeliveryUncertain))
					if d := w.delivery(ds[0].ID); d.State != state {
						t.Fatalf("attempt %d: %+v", i+1, d)
					}
				}
				if ds := w.claim(1); len(ds) != 0 {
					t.Errorf("%+v", ds)
				}
			})
		})
	}
}

func crash(w *world) int {
	w.t.Helper()
	w.db.Clock.Advance(lease)
	n, err := w.db.RecoverDeliveries(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestADotThatNobodyAnsweredForIsSentAtMostTwice(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 1, nil)
		for i, want := range []news.DeliveryState{news.DeliveryDeferred, news.DeliveryQuarantined} {
			ds := w.claim(1)
			if len(ds) != 1 || !w.dot(ds[0]) {
				t.Fatalf("%+v", ds)
			}
			if n := crash(w); n != 1 {
				t.Fatalf("recovered %d", n)
			}
			if d := w.delivery(ds[0].ID); d.State != want {
				t.Fatalf("crash %d: %+v", i+1, d)
			}
		}
		if n := crash(w); n != 0 {
			t.Errorf("recovered %d", n)
		}
	})
}

// Four connections have four of a claim in hand, and not those that came first. The
// poisonous one is found at the third crash, whoever was in hand with it at the first,
// nobody else is quarantined, and all others have gone out.
func TestAPoisonousDeliveryIsQuarantinedAndTheRestGoesOut(t *testing.T) {
	const connections = 4
	eachWorld(t, func(t *testing.T, w *world) {
		e, subs := mailing(w, 20, nil)
		poison := subs[9].ID
		w.db.Wakes.Take(news.WakeOutbox)
		crashes, process := 0, w.db.Store
		for range 60 {
			ds, err := process.ClaimDeliveries(t.Context(), 12, lease)
			if err != nil {
				t.Fatal(err)
			}
			if len(ds) == 0 {
				break
			}
			// What is in hand when the process dies is neither recorded nor at its dot.
			died := false
			for len(ds) > 0 && !died {
				hand := ds[max(0, len(ds)-connections):]
				ds = ds[:len(ds)-len(hand)]
				if died = slices.ContainsFunc(hand, func(d news.Delivery) bool { return d.SubscriptionID == poison }); died {
					break
				}
				for _, d := range hand {
					if !w.dot(d) {
						t.Fatalf("no dot: %+v", d)
					}
					w.record(accepted(d))
				}
			}
			if died {
				crashes++
				w.db.Clock.Advance(lease)
				process = w.db.Another(t)
				recoverAll(t, process)
			}
		}
		if crashes != 3 {
			t.Errorf("%d crashes", crashes)
		}
		if w.db.Wakes.Take(news.WakeOutbox) == 0 {
			t.Error("nobody was told of what waits again")
		}
		if err := w.db.FinishEditions(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.edition(e.ID); got.State != news.EditionDone || got.Counts[news.DeliveryAccepted] != 19 || got.Counts[news.DeliveryQuarantined] != 1 {
			t.Errorf("%+v", got)
		}
		ds, err := w.db.Deliveries(t.Context(), news.DeliveryQuery{EditionID: e.ID, State: news.DeliveryQuarantined})
		if err != nil || len(ds) != 1 || ds[0].SubscriptionID != poison || ds[0].EndedAt.IsZero() {
			t.Errorf("%+v, %v", ds, err)
		}
	})
}

// Crashes at random moments quarantine nobody who was only waiting in a claim.
func TestWaitingInAClaimIsNoCrash(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 5, nil)
		for range 6 { // the first with all five, and then with each of them alone
			ds := w.claim(5)
			if len(ds) == 0 {
				t.Fatal("nothing to claim")
			}
			if ds[0].Attempts > 1 {
				t.Errorf("charged for waiting: %+v", ds[0])
			}
			crash(w)
		}
		ds, err := w.db.Deliveries(t.Context(), news.DeliveryQuery{State: news.DeliveryQuarantined})
		if err != nil || len(ds) != 0 {
			t.Errorf("%+v, %v", ds, err)
		}
	})
}

// What a dead process held, or another one holds, keeps no suspect from this one.
func TestSuspectsComeOneByOneInEachProcess(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 3, nil)
		w.claim(3)
		if n := crash(w); n != 3 {
			t.Fatalf("recovered %d", n)
		}
		other := w.db.Another(t)
		if ds, err := other.ClaimDeliveries(t.Context(), 3, lease); err != nil || len(ds) != 1 {
			t.Fatalf("%+v, %v", ds, err)
		}
		if ds := w.claim(3); len(ds) != 1 {
			t.Errorf("while another process has one, this one got %+v", ds)
		}
		if ds := w.claim(3); len(ds) != 0 {
			t.Errorf("two in one process: %+v", ds)
		}
	})
}

func TestSuspectsComeOneByOneAfterTheOthers(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 4, nil)
		a, b := w.claim(1), w.claim(1)
		if n := crash(w); n != 2 {
			t.Fatalf("recovered %d", n)
		}
		if ds := w.claim(10); len(ds) != 2 || ds[0].ID == a[0].ID || ds[0].ID == b[0].ID {
			t.Errorf("first the others: %+v", ds)
		}
		w.db.Wakes.Take(news.WakeOutbox)
		for range 2 {
			ds := w.claim(10)
			if len(ds) != 1 || ds[0].ID != a[0].ID && ds[0].ID != b[0].ID {
				t.Fatalf("one by one: %+v", ds)
			}
			// With two in hand at once, one would take the other down with it.
			if others := w.claim(10); len(others) != 0 {
				t.Errorf("together with another: %+v", others)
			}
			if !w.dot(ds[0]) {
				t.Fatal("no dot")
			}
			w.record(accepted(ds[0]))
			if w.db.Wakes.Take(news.WakeOutbox) == 0 {
				t.Error("nobody was told that the next one may come")
			}
		}
	})
}

// While one that was in hand at a crash is in hand, those that were not go on,
// also from behind many that wait for it.
func TestSuspectsKeepNobodyWaiting(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 6, nil)
		for range 3 {
			w.claim(1)
		}
		if n := crash(w); n != 3 {
			t.Fatalf("recovered %d", n)
		}
		late := w.claim(3)
		if len(late) != 3 || len(w.claim(1)) != 1 {
			t.Fatalf("%+v", late)
		}
		for i := range late {
			o := outcome(late[i], news.DeliveryDeferred)
			o.NextAt = w.db.Clock.Now().Add(time.Second)
			w.record(o)
		}
		w.db.Clock.Advance(time.Second)
		if ds := w.claim(2); len(ds) != 2 {
			t.Errorf("two that were never in hand at a crash are due, and were given %+v", ds)
		}
	})
}
