package store_test

import (
	"errors"
	"testing"

	"gazetted/internal/news"
)

func TestSuppressEndsEverythingAndUnsuppressBringsNothingBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		ana, ben := w.follow("world", "ana", "daily"), w.follow("world", "ben", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		held := w.claim(10)
		if err := w.db.Suppress(t.Context(), mustAddress(t, "ana@example.org"), news.SuppressedComplaint, "ARF"); err != nil {
			t.Fatal(err)
		}
		if err := w.db.Suppress(t.Context(), mustAddress(t, "ben@example.org"), news.SuppressedBounce, ""); err != nil {
			t.Fatal(err)
		}
		for _, d := range held {
			if w.dot(d) {
				t.Errorf("sent to a suppressed address: %+v", d)
			}
		}
		if a, b := w.subscription(ana.ID).State, w.subscription(ben.ID).State; a != news.SubscriptionUnsubscribed || b != news.SubscriptionBounced {
			t.Errorf("%s, %s", a, b)
		}
		for _, id := range []int64{ana.ID, ben.ID} {
			if _, err := w.db.Confirm(t.Context(), id, ""); !errors.Is(err, news.ErrToken) {
				t.Errorf("confirm: %v", err)
			}
		}
		res, err := w.db.Subscribe(t.Context(), form(t, "world", "ana"), confirmVariant())
		if err != nil || !res.Suppressed || res.ConfirmQueued || res.Subscription.ID != 0 {
			t.Errorf("%+v, %v", res, err)
		}
		sups, err := w.db.Suppressions(t.Context(), 0, 1)
		if err != nil || len(sups) != 1 || sups[0].Address != "ana@example.org" || sups[0].Note != "ARF" || !sups[0].At.Equal(w.db.Clock.Now()) {
			t.Errorf("%+v, %v", sups, err)
		}
		if err := w.db.Unsuppress(t.Context(), mustAddress(t, "Ana@example.org")); err != nil {
			t.Fatal(err)
		}
		if got := w.subscription(ana.ID).State; got != news.SubscriptionUnsubscribed {
			t.Errorf("came back as %s", got)
		}
		res, err = w.db.Subscribe(t.Context(), form(t, "world", "ana"), confirmVariant())
		if err != nil || !res.ConfirmQueued || res.Subscription.State != news.SubscriptionPending {
			t.Errorf("%+v, %v", res, err)
		}
		if err := w.db.Unsuppress(t.Context(), mustAddress(t, "ana@example.org")); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("twice: %v", err)
		}
	})
}

func TestSuppressTakesAddressesThatAreNotSubscribed(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		addr := mustAddress(t, "ana@example.org")
		for _, reason := range []news.SuppressionReason{news.SuppressedManual, news.SuppressedComplaint} {
			if err := w.db.Suppress(t.Context(), addr, reason, ""); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.db.EraseSubscriber(t.Context(), addr, keyedHash(t, w, addr)); err != nil {
			t.Fatal(err)
		}
		if err := w.db.Suppress(t.Context(), addr, news.SuppressedManual, "again"); err != nil {
			t.Fatal(err)
		}
		sups, err := w.db.Suppressions(t.Context(), 0, 0)
		if err != nil || len(sups) != 1 || sups[0].Address != "" || sups[0].Reason != news.SuppressedErased {
			t.Errorf("what was erased came back: %+v, %v", sups, err)
		}
		var f *news.FieldError
		if err := w.db.Suppress(t.Context(), addr, "dislike", ""); !errors.As(err, &f) || f.Field != "reason" {
			t.Errorf("%v", err)
		}
		if err := w.db.Suppress(t.Context(), news.Address{}, news.SuppressedManual, ""); !errors.As(err, &f) || f.Field != "address" {
			t.Errorf("%v", err)
		}
	})
}
