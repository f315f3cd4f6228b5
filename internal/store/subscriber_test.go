package store_test

import (
	"errors"
	"fmt"
	"testing"

	"gazetted/internal/news"
)

func TestSubscribersArePagedWithTheirPlaces(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("one"))
		w.list(daily("two"))
		for i := range 5 {
			w.follow("one", fmt.Sprint("r", i), "daily")
		}
		w.follow("two", "r1", "daily")
		w.follow("two", "r3", "weekly")
		page, err := w.db.Subscribers(t.Context(), news.SubscriberQuery{Limit: 2})
		if err != nil || len(page) != 2 || page[1].Address != "r1@example.org" || len(page[1].Subscriptions) != 2 {
			t.Fatalf("%+v, %v", page, err)
		}
		page, err = w.db.Subscribers(t.Context(), news.SubscriberQuery{AfterID: page[1].ID})
		if err != nil || len(page) != 3 {
			t.Errorf("%+v, %v", page, err)
		}
		page, err = w.db.Subscribers(t.Context(), news.SubscriberQuery{List: "two"})
		if err != nil || len(page) != 2 || page[0].Address != "r1@example.org" || page[1].Address != "r3@example.org" {
			t.Errorf("%+v, %v", page, err)
		}
		if _, err := w.db.Subscribers(t.Context(), news.SubscriberQuery{List: "nowhere"}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown list: %v", err)
		}
		if _, err := w.db.SubscriberByAddress(t.Context(), mustAddress(t, "x@example.org")); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown address: %v", err)
		}
	})
}

func keyedHash(t *testing.T, w *world, addr news.Address) string {
	t.Helper()
	secrets, err := w.db.Secrets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := news.NewSigner(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return signer.KeyedHash(addr.Key)
}

func TestEraseLeavesOnlyAHashAndCounts(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		sub := w.follow("world", "ana", "daily")
		w.follow("world", "ben", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		for _, d := range w.claim(10) {
			if !w.dot(d) {
				t.Fatal("no dot")
			}
			o := accepted(d)
			o.Reply = "2.0.0 queued for " + d.Address
			w.record(o)
		}
		w.publish("b")
		w.until("2026-03-04T06:00:00Z")
		w.closeDue()
		held := w.claim(1) // ana's: the first
		addr := mustAddress(t, "ana@example.org")
		hash := keyedHash(t, w, addr)
		if err := w.db.EraseSubscriber(t.Context(), addr, hash); err != nil {
			t.Fatal(err)
		}
		if len(held) != 1 || held[0].Address != addr.Spec || w.dot(held[0]) {
			t.Errorf("sent to an erased person: %+v", held)
		}
		if _, _, _, err := w.db.Subscription(t.Context(), sub.ID); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("subscription: %v", err)
		}
		if _, err := w.db.SubscriberByAddress(t.Context(), addr); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("subscriber: %v", err)
		}
		ds, err := w.db.Deliveries(t.Context(), news.DeliveryQuery{})
		if err != nil || len(ds) != 4 {
			t.Fatalf("%+v, %v", ds, err)
		}
		for _, d := range ds {
			if d.SubscriptionID == sub.ID && (d.Address != "" || d.Reply != "" || !d.State.Ended()) {
				t.Errorf("%+v", d)
			}
		}
		sups, err := w.db.Suppressions(t.Context(), 0, 10)
		if err != nil || len(sups) != 1 || sups[0].Address != "" || sups[0].Reason != news.SuppressedErased {
			t.Errorf("%+v, %v", sups, err)
		}
		res, err := w.db.Subscribe(t.Context(), form(t, "world", "ana"), confirmVariant())
		if err != nil || !res.Suppressed {
			t.Errorf("%+v, %v", res, err)
		}
		w.send() // ben's
		if c := w.edition(1).Counts; c[news.DeliveryAccepted] != 2 {
			t.Errorf("the first edition counts %v", c)
		}
		if e := w.edition(2); e.State != news.EditionDone || e.Counts[news.DeliverySuppressed] != 1 || e.Counts[news.DeliveryAccepted] != 1 {
			t.Errorf("the second edition: %+v", e)
		}
		if err := w.db.EraseSubscriber(t.Context(), mustAddress(t, "x@example.org"), "other"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
	})
}

// The reply to a dot that was on its way when the person was erased is
// recorded, without what it says of them.
func TestALateReplyDoesNotNameAnErasedPerson(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		d := w.claim(1)[0]
		if !w.dot(d) {
			t.Fatal("no dot")
		}
		addr := mustAddress(t, "ana@example.org")
		if err := w.db.EraseSubscriber(t.Context(), addr, keyedHash(t, w, addr)); err != nil {
			t.Fatal(err)
		}
		o := accepted(d)
		o.Reply, o.Bounce = "queued for ana@example.org", news.BounceSoft
		w.record(o)
		if got := w.delivery(d.ID); got.State != news.DeliveryAccepted || got.Reply != "" {
			t.Errorf("%+v", got)
		}
	})
}
