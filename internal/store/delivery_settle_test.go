package store_test

import (
	"testing"

	"gazetted/internal/news"
)

// A courier that lost its claim to another one may not send the dot, nor say
// what became of the mail: only the token of the latest claim counts.
func TestOnlyTheLatestClaimMaySettle(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		mailing(w, 1, nil)
		d := w.claim(1)[0]
		stale := d
		stale.Token = "00000000000000000000000000000000"
		if w.dot(stale) {
			t.Error("a dot under a foreign token")
		}
		w.record(accepted(stale))
		if got := w.delivery(d.ID); got.State != news.DeliveryClaimed {
			t.Fatalf("a foreign token moved it: %+v", got)
		}
		if !w.dot(d) {
			t.Fatal("the claim's own dot was refused")
		}
		w.record(accepted(stale))
		if got := w.delivery(d.ID); got.State != news.DeliveryDotPending {
			t.Fatalf("a foreign token recorded an outcome: %+v", got)
		}
		w.record(accepted(d))
		if got := w.delivery(d.ID); got.State != news.DeliveryAccepted {
			t.Errorf("%+v", got)
		}
	})
}
