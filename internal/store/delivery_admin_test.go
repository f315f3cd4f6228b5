package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
)

func (w *world) history(id int64) news.DeliveryHistory {
	w.t.Helper()
	h, err := w.db.Delivery(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// refused is what a relay says of a reader it does not want.
func refused(d news.Delivery, reply string) news.Outcome {
	o := outcome(d, news.DeliveryRefused)
	o.Code, o.Enhanced, o.Reply = 550, "5.7.1", reply
	return o
}

// deferred is greylisting.
func deferred(d news.Delivery, reply string, next time.Time) news.Outcome {
	o := outcome(d, news.DeliveryDeferred)
	o.Code, o.Enhanced, o.Reply, o.NextAt = 450, "4.7.1", reply, next
	return o
}

// balanced fails unless the edition's counts add up, and returns its state.
func (w *world) balanced(id int64) news.EditionState {
	w.t.Helper()
	if err := w.db.FinishEditions(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	e := w.edition(id)
	sum := 0
	for _, n := range e.Counts {
		sum += n
	}
	if sum != e.Intended {
		w.t.Errorf("%d intended: %v", e.Intended, e.Counts)
	}
	return e.State
}

func wantField(t *testing.T, err error, want string) {
	t.Helper()
	var field *news.FieldError
	if !errors.As(err, &field) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want a mistake that says %q", err, want)
	}
}

func TestEveryReplyIsKept(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 2, nil)
		ds := w.claim(2)
		other := ds[1]
		w.record(accepted(other))
		for i := range 12 {
			now := w.db.Clock.Now()
			if i > 0 {
				ds = w.claim(1)
			}
			w.record(deferred(ds[0], fmt.Sprint("greylisted ", i+1), now.Add(time.Minute)))
			w.db.Clock.Advance(time.Minute)
		}
		back := w.claim(1)[0] // given back before it met a relay: no attempt
		w.record(news.Outcome{DeliveryID: back.ID, Token: back.Token, State: news.DeliveryDeferred, FreeAttempt: true})
		last := w.claim(1)[0]
		o := accepted(last)
		o.At = w.db.Clock.Now().Add(-time.Second)
		w.record(o)
		h := w.history(last.ID)
		if h.State != news.DeliveryAccepted || h.List != "world" || h.Subject != "News" || h.Address == "" || len(h.Replies) != 11 || !h.NextAt.IsZero() {
			t.Fatalf("%+v", h)
		}
		first, end := h.Replies[0], h.Replies[10]
		if first.Number != 3 || first.Reply != "greylisted 3" || first.State != news.DeliveryDeferred || first.Code != 450 || first.Enhanced != "4.7.1" || first.Relay != "main" || first.At.IsZero() {
			t.Errorf("%+v", first)
		}
		if end.Number != 13 || end.State != news.DeliveryAccepted || end.Reply != "ok" || end.Code != 250 || !end.At.Equal(o.At) {
			t.Errorf("%+v", end)
		}
		if h := w.history(other.ID); len(h.Replies) != 1 || h.Replies[0].Number != 1 || h.Replies[0].State != news.DeliveryAccepted {
			t.Errorf("%+v", h)
		}
		if _, err := w.db.Delivery(t.Context(), 99); !errors.Is(err, news.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestAKeptReplyIsShortAndGoesWithItsReader(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 1, nil)
		d := w.claim(1)[0]
		w.record(refused(d, strings.Repeat("é", 300)))
		if h := w.history(d.ID); h.Replies[0].Reply != strings.Repeat("é", 250) {
			t.Errorf("%q", h.Replies[0].Reply)
		}
		if err := w.db.RetryDelivery(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.db.EraseSubscriber(t.Context(), mustAddress(t, "r0@example.org"), "hash"); err != nil {
			t.Fatal(err)
		}
		if h := w.history(d.ID); h.Replies[0].Reply != "" || len(h.Log) != 0 || h.Address != "" {
			t.Errorf("%+v", h)
		}
		wantField(t, w.db.RetryDelivery(t.Context(), d.ID), "suppressed")
		if err := w.db.RemoveList(t.Context(), "world"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Delivery(t.Context(), d.ID); !errors.Is(err, news.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestWhatACrashLeftIsAnAttempt(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 1, func(l *news.List) { l.OnUncertain = news.UncertainHold })
		w.claim(1)
		crash(w)
		d := w.claim(1)[0]
		w.record(deferred(d, "later", w.db.Clock.Now()))
		d = w.claim(1)[0]
		w.dot(d)
		crash(w)
		h := w.history(d.ID)
		if h.State != news.DeliveryUncertain || h.Doubts != 1 || h.Relay != "" || h.Code != 0 || len(h.Replies) != 3 {
			t.Fatalf("%+v", h)
		}
		for i, want := range []string{"the sender was lost before the final dot", "later", "the sender was lost between the final dot and its reply"} {
			if h.Replies[i].Reply != want {
				t.Errorf("%d: %+v", i, h.Replies[i])
			}
		}
		if h.Replies[2].State != news.DeliveryUncertain {
			t.Errorf("%+v", h.Replies[2])
		}
	})
}

func TestARetrySendsTheSameMailAgain(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		e, _ := mailing(w, 4, nil)
		ds := w.claim(4)
		w.record(refused(ds[0], "policy"), accepted(ds[1]), outcome(ds[2], news.DeliveryExpired), accepted(ds[3]))
		if s := w.balanced(e.ID); s != news.EditionDone {
			t.Fatal(s)
		}
		w.db.Clock.Advance(72 * time.Hour)
		w.db.Wakes.Take(news.WakeOutbox)
		for _, d := range []news.Delivery{ds[0], ds[2]} {
			if err := w.db.RetryDelivery(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
		}
		if w.db.Wakes.Take(news.WakeOutbox) == 0 {
			t.Error("the courier was not told")
		}
		if got := w.edition(e.ID); got.State != news.EditionClosed || !got.DoneAt.IsZero() || got.Counts[news.DeliveryDeferred] != 2 || got.Counts[news.DeliveryAccepted] != 2 {
			t.Errorf("%+v", got)
		}
		if s := w.balanced(e.ID); s != news.EditionClosed {
			t.Error("done while two mails wait")
		}
		again := w.claim(10)
		if len(again) != 2 {
			t.Fatalf("%+v", again)
		}
		for i, d := range []news.Delivery{ds[0], ds[2]} {
			if a := again[i]; a.ID != d.ID || !a.CreatedAt.Equal(d.CreatedAt) || a.VariantID != d.VariantID || a.Attempts != 2 || !a.EndedAt.IsZero() ||
				!a.ExpiresAt.Equal(w.db.Clock.Now().Add(24*time.Hour)) {
				t.Errorf("%+v", a)
			}
			w.record(accepted(again[i]))
		}
		if s := w.balanced(e.ID); s != news.EditionDone {
			t.Error(s)
		}
		h := w.history(ds[0].ID)
		if len(h.Replies) != 2 || h.Replies[0].Reply != "policy" || len(h.Log) != 1 || h.Log[0].Actor != "admin" || h.Log[0].Action != "retry" ||
			h.Log[0].Detail != "was refused" || h.Log[0].At.IsZero() {
			t.Errorf("%+v", h)
		}
		wantField(t, w.db.RetryDelivery(t.Context(), ds[0].ID), "this one is accepted")
		if err := w.db.RetryDelivery(t.Context(), 99); !errors.Is(err, news.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestNothingIsRetriedForThoseWhoLeft(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		e, subs := mailing(w, 3, nil)
		ds := w.claim(3)
		w.record(refused(ds[0], "no"), refused(ds[1], "no"), refused(ds[2], "no"))
		if _, err := w.db.Unsubscribe(t.Context(), subs[0].ID, ""); err != nil {
			t.Fatal(err)
		}
		wantField(t, w.db.RetryDelivery(t.Context(), ds[0].ID), "unsubscribed")
		retried, left, next, err := w.db.RetryEdition(t.Context(), e.ID, news.DeliveryRefused, 0, 2)
		if err != nil || retried != 1 || left != 1 || next != ds[1].ID {
			t.Fatal(retried, left, next, err)
		}
		retried, left, next, err = w.db.RetryEdition(t.Context(), e.ID, news.DeliveryRefused, next, 2)
		if err != nil || retried != 1 || left != 0 || next != 0 {
			t.Fatal(retried, left, next, err)
		}
		if again := w.claim(10); len(again) != 2 {
			t.Errorf("%+v", again)
		}
		for _, state := range []news.DeliveryState{news.DeliveryClaimed, news.DeliverySuppressed} {
			if state == news.DeliverySuppressed {
				crash(w)
				if _, err := w.db.Unsubscribe(t.Context(), subs[1].ID, ""); err != nil {
					t.Fatal(err)
				}
			}
			wantField(t, w.db.RetryDelivery(t.Context(), ds[1].ID), "this one is "+string(state))
		}
		if _, _, _, err := w.db.RetryEdition(t.Context(), e.ID, news.DeliveryClaimed, 0, 10); err == nil && w.delivery(ds[2].ID).State == news.DeliveryClaimed {
			t.Error("took mails out of a courier's hands")
		}
		if _, _, _, err := w.db.RetryEdition(t.Context(), 99, news.DeliveryRefused, 0, 10); !errors.Is(err, news.ErrNotFound) {
			t.Error(err)
		}
		w.balanced(e.ID)
	})
}

// A quarantined delivery gets one more chance, alone.
func TestARetriedPoisonIsSentAlone(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 2, nil)
		d := w.claim(1)[0]
		w.record(accepted(w.claim(1)[0]))
		for range 3 {
			crash(w)
			w.claim(1)
		}
		if d = w.delivery(d.ID); d.State != news.DeliveryQuarantined {
			t.Fatalf("%+v", d)
		}
		if err := w.db.RetryDelivery(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		if ds := w.claim(10); len(ds) != 1 || ds[0].ID != d.ID {
			t.Fatalf("%+v", ds)
		}
		crash(w)
		if d = w.delivery(d.ID); d.State != news.DeliveryQuarantined {
			t.Errorf("%+v", d)
		}
	})
}

func TestAnAdminGivesUpWhatWaits(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		e, _ := mailing(w, 4, nil)
		held, flying, sent := w.claim(1)[0], w.claim(1)[0], w.claim(1)[0]
		if !w.dot(flying) {
			t.Fatal("no dot")
		}
		w.record(accepted(sent))
		wantField(t, w.db.FailDelivery(t.Context(), held.ID, " "), "reason")
		wantField(t, w.db.FailDelivery(t.Context(), flying.ID, "late"), "still be stopped")
		wantField(t, w.db.FailDelivery(t.Context(), sent.ID, "late"), "not ended")
		for _, id := range []int64{held.ID, 4} {
			if err := w.db.FailDelivery(t.Context(), id, "a wrong headline"); err != nil {
				t.Fatal(err)
			}
		}
		if w.dot(held) {
			t.Error("what was given up was sent")
		}
		w.record(outcome(held, news.DeliveryDeferred))
		h := w.history(held.ID)
		if h.State != news.DeliveryRefused || h.Reply != "given up by an admin: a wrong headline" || h.EndedAt.IsZero() || len(h.Log) != 1 ||
			h.Log[0].Action != "fail" || h.Log[0].Detail != "was claimed; given up by an admin: a wrong headline" {
			t.Errorf("%+v", h)
		}
		if s := w.balanced(e.ID); s != news.EditionClosed {
			t.Error("done before the reply to a dot")
		}
		w.record(accepted(flying))
		if s := w.balanced(e.ID); s != news.EditionDone {
			t.Error(s)
		}
		if err := w.db.RetryDelivery(t.Context(), held.ID); err != nil {
			t.Error("an admin could not change their mind:", err)
		}
	})
}

// TestManyAreGivenUpAtOnce: all of an edition in one state, page by page, and the
// edition is done when they were the last. Dead letters are found.
func TestManyAreGivenUpAtOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		e, _ := mailing(w, 7, nil)
		sent := w.claim(1)[0]
		w.record(accepted(sent))
		fail := func(state news.DeliveryState, limit int) int {
			t.Helper()
			n, err := w.db.FailDeliveries(t.Context(), e.ID, state, "a wrong headline", limit)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		_, err := w.db.FailDeliveries(t.Context(), e.ID, news.DeliveryAccepted, "late", 10)
		wantField(t, err, "not ended")
		_, err = w.db.FailDeliveries(t.Context(), e.ID, news.DeliveryPending, "", 10)
		wantField(t, err, "reason")
		if _, err := w.db.FailDeliveries(t.Context(), 99, news.DeliveryPending, "late", 10); !errors.Is(err, news.ErrNotFound) {
			t.Error(err)
		}
		if n := fail(news.DeliveryDeferred, 10); n != 0 {
			t.Errorf("%d were given up that are not deferred", n)
		}
		if n := fail(news.DeliveryPending, 4); n != 4 || w.balanced(e.ID) != news.EditionClosed {
			t.Errorf("the first page has %d", n)
		}
		if n := fail(news.DeliveryPending, 4); n != 2 || w.balanced(e.ID) != news.EditionDone {
			t.Errorf("the second page has %d", n)
		}
		dead, err := w.db.Deliveries(t.Context(), news.DeliveryQuery{Dead: true, Limit: 100})
		if err != nil || len(dead) != 6 || dead[0].Reply != "given up by an admin: a wrong headline" {
			t.Errorf("%+v, %v", dead, err)
		}
		if h := w.history(dead[5].ID); len(h.Log) != 1 || h.Log[0].Detail != "was pending; given up by an admin: a wrong headline" {
			t.Errorf("%+v", h.Log)
		}
	})
}

func TestUncertainDeliveriesAreResolved(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		e, _ := mailing(w, 3, func(l *news.List) { l.OnUncertain = news.UncertainHold })
		ds := w.claim(3)
		for _, d := range ds[:2] {
			w.dot(d)
		}
		w.record(outcome(ds[0], news.DeliveryUncertain), outcome(ds[1], news.DeliveryUncertain), accepted(ds[2]))
		held, err := w.db.Uncertain(t.Context(), news.DeliveryQuery{List: "world"})
		if err != nil || len(held) != 2 || held[0].ID != ds[0].ID || held[0].Doubts != 1 || held[0].Address == "" {
			t.Fatalf("%+v, %v", held, err)
		}
		if rest, err := w.db.Uncertain(t.Context(), news.DeliveryQuery{AfterID: held[0].ID}); err != nil || len(rest) != 1 {
			t.Errorf("%+v, %v", rest, err)
		}
		wantField(t, w.db.ResolveUncertain(t.Context(), ds[2].ID, true), "this one is accepted")
		if err := w.db.ResolveUncertain(t.Context(), ds[0].ID, true); err != nil {
			t.Fatal(err)
		}
		if h := w.history(ds[0].ID); h.State != news.DeliveryAccepted || h.EndedAt.IsZero() || len(h.Replies) != 1 || h.Replies[0].State != news.DeliveryUncertain || h.Log[0].Action != "resolve" {
			t.Errorf("%+v", h)
		}
		if err := w.db.ResolveUncertain(t.Context(), ds[1].ID, false); err != nil {
			t.Fatal(err)
		}
		w.balanced(e.ID)
		again := w.claim(10)
		if len(again) != 1 || again[0].ID != ds[1].ID {
			t.Fatalf("%+v", again)
		}
		w.record(accepted(again[0]))
		if s := w.balanced(e.ID); s != news.EditionDone {
			t.Error(s)
		}
		if all, err := w.db.Deliveries(t.Context(), news.DeliveryQuery{Doubtful: true}); err != nil || len(all) != 2 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// The last word of an admin ends the edition: no courier may be at work.
func TestResolvingTheLastEndsTheEdition(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		e, _ := mailing(w, 2, func(l *news.List) { l.OnUncertain = news.UncertainHold })
		ds := w.claim(2)
		w.dot(ds[0])
		w.record(outcome(ds[0], news.DeliveryUncertain), accepted(ds[1]))
		if err := w.db.ResolveUncertain(t.Context(), ds[0].ID, true); err != nil {
			t.Fatal(err)
		}
		if got := w.edition(e.ID); got.State != news.EditionDone || got.Counts[news.DeliveryAccepted] != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestDeliveriesAreFoundByListAndAddress(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("other"))
		w.follow("other", "r0", "daily")
		mailingOf(w, 2)
		for _, c := range []struct {
			q    news.DeliveryQuery
			want int
		}{
			{news.DeliveryQuery{}, 3},
			{news.DeliveryQuery{List: "other"}, 1},
			{news.DeliveryQuery{List: "world"}, 2},
			{news.DeliveryQuery{Address: mustAddress(t, "R0@example.org")}, 2},
			{news.DeliveryQuery{Address: mustAddress(t, "r1@example.org"), State: news.DeliveryPending, List: "world"}, 1},
			{news.DeliveryQuery{Address: mustAddress(t, "r1@example.org"), List: "other"}, 0},
		} {
			if ds, err := w.db.Deliveries(t.Context(), c.q); err != nil || len(ds) != c.want {
				t.Errorf("%+v: %+v, %v", c.q, ds, err)
			}
		}
		for _, q := range []news.DeliveryQuery{{List: "none"}, {Address: mustAddress(t, "none@example.org")}} {
			if _, err := w.db.Deliveries(t.Context(), q); !errors.Is(err, news.ErrNotFound) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

func TestThePaceOfAnEdition(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		e, _ := mailing(w, 8, nil)
		pace := func() news.Pace {
			t.Helper()
			p, err := w.db.Pace(t.Context(), e.ID)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if p := pace(); p.Waiting != 8 || p.PerSecond != 0 || p.Left != 0 {
			t.Errorf("%+v", p)
		}
		ds := w.claim(6)
		w.db.Clock.Advance(30 * time.Second)
		w.record(accepted(ds[0]), accepted(ds[1]), refused(ds[2], "no"))
		if p := pace(); p.Waiting != 5 || p.PerSecond != 0.1 || p.Left != news.Duration(50*time.Second) {
			t.Errorf("since the edition closed: %+v", p)
		}
		w.db.Clock.Advance(70 * time.Second)
		w.record(accepted(ds[3]))
		if p := pace(); p.Waiting != 4 || p.PerSecond != 1./60 || p.Left != news.Duration(4*time.Minute) {
			t.Errorf("over the last minute: %+v", p)
		}
		if _, err := w.db.Pace(t.Context(), 99); !errors.Is(err, news.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestAPausedRelayGetsNoDot(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(news.List{Name: "quiet", Title: "Quiet", Zone: "UTC", Paused: true, Frequencies: []news.Frequency{{Name: "instant"}}})
		mailing(w, 2, nil)
		ds := w.claim(2)
		if err := w.db.SetRelayPaused(t.Context(), "main", true); err != nil {
			t.Fatal(err)
		}
		st, err := w.db.Status(t.Context())
		if err != nil || fmt.Sprint(st.PausedLists, st.PausedRelays) != "[quiet] [main]" || st.Paused {
			t.Errorf("%+v, %v", st, err)
		}
		if may, err := w.db.Settle(t.Context(), nil, []news.Dot{{DeliveryID: ds[0].ID, Token: ds[0].Token, Relay: "main"}}); err != nil || may[0] {
			t.Error("a dot through a paused relay", err)
		}
		if d := w.delivery(ds[0].ID); d.State != news.DeliveryDeferred || d.Attempts != 0 || d.NextAt.After(w.db.Clock.Now()) {
			t.Errorf("not handed back: %+v", d)
		}
		if may, err := w.db.Settle(t.Context(), nil, []news.Dot{{DeliveryID: ds[1].ID, Token: ds[1].Token, Relay: "spare"}}); err != nil || !may[0] {
			t.Error("the pause reached another relay", err)
		}
	})
}

// FinishEditions and an admin meet: whoever is second sees the first.
func TestRetryAndFinishRace(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		e, _ := mailing(w, 6, nil)
		ds := w.claim(6)
		for _, d := range ds {
			w.record(refused(d, "no"))
		}
		done := make(chan error)
		go func() {
			var err error
			for range 30 {
				err = errors.Join(err, w.db.FinishEditions(t.Context()))
			}
			done <- err
		}()
		for _, d := range ds {
			if err := w.db.RetryDelivery(t.Context(), d.ID); err != nil {
				t.Error(err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := w.edition(e.ID); got.State != news.EditionClosed || got.Counts[news.DeliveryDeferred] != 6 {
			t.Errorf("%+v", got)
		}
	})
}
