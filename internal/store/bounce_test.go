package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
)

// mailed publishes an article, closes the edition of the day and sends it; it
// returns the delivery to a reader.
func (w *world) mailed(name, article string) news.Delivery {
	w.t.Helper()
	w.publish(article)
	w.db.Clock.Advance(24 * time.Hour)
	w.closeDue()
	w.send()
	ds, err := w.db.DeliveriesTo(w.t.Context(), mustAddress(w.t, name+"@example.org"), 1)
	if err != nil || len(ds) != 1 || ds[0].State != news.DeliveryAccepted {
		w.t.Fatalf("the mail of %s: %+v, %v", name, ds, err)
	}
	return ds[0]
}

func (w *world) bounce(b news.Bounce) bool {
	w.t.Helper()
	if b.Via == "" {
		b.Via = "dsn"
	}
	acted, err := w.db.RecordBounce(w.t.Context(), b)
	if err != nil {
		w.t.Fatal(err)
	}
	return acted
}

func (w *world) suppressed() []news.Suppression {
	w.t.Helper()
	all, err := w.db.Suppressions(w.t.Context(), 0, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestHardBouncesAndComplaintsSuppressAtOnceAndOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.list(daily("sports"))
		ana, both, ben := w.follow("world", "ana", "daily"), w.follow("sports", "ana", "daily"), w.follow("world", "ben", "daily")
		d, e := w.mailed("ana", "a"), w.mailed("ben", "b")
		hard := news.Bounce{Kind: news.BounceHard, DeliveryID: d.ID, EventID: "dsn:1", Code: 550, Enhanced: "5.1.1", Diagnostic: "no such user", At: w.db.Clock.Now()}
		if !w.bounce(hard) {
			t.Error("a hard bounce did nothing")
		}
		if w.bounce(hard) {
			t.Error("the same event acted twice")
		}
		if !w.bounce(news.Bounce{Kind: news.BounceComplaint, DeliveryID: e.ID, EventID: "arf:1", Via: "arf"}) {
			t.Error("a complaint did nothing")
		}
		for id, want := range map[int64]news.SubscriptionState{ana.ID: news.SubscriptionBounced, both.ID: news.SubscriptionBounced, ben.ID: news.SubscriptionUnsubscribed} {
			if got := w.subscription(id).State; got != want {
				t.Errorf("subscription %d is %s, want %s", id, got, want)
			}
		}
		all := w.suppressed()
		if len(all) != 2 || all[0].Address != "ana@example.org" || all[0].Reason != news.SuppressedBounce || !strings.Contains(all[0].Note, "5.1.1") ||
			all[1].Address != "ben@example.org" || all[1].Reason != news.SuppressedComplaint {
			t.Errorf("%+v", all)
		}
		list, err := w.db.Bounces(t.Context(), 0, 10)
		if err != nil || len(list) != 2 || list[1].Recipient != "ana@example.org" || list[1].Effect != news.EffectSuppressed || list[1].Diagnostic != "no such user" {
			t.Errorf("%+v, %v", list, err)
		}
		// Nothing is left of an erased person's words.
		if err := w.db.EraseSubscriber(t.Context(), mustAddress(t, "ana@example.org"), keyedHash(t, w, mustAddress(t, "ana@example.org"))); err != nil {
			t.Fatal(err)
		}
		if list, err = w.db.Bounces(t.Context(), 0, 10); err != nil || list[1].Recipient != "" || list[1].Diagnostic != "" {
			t.Errorf("%+v, %v", list, err)
		}
		hard.EventID, hard.Via = "dsn:2", "dsn"
		if _, err := w.db.RecordBounce(t.Context(), hard); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("of an erased person: %v", err)
		}
	})
}

func TestSoftBouncesEndSubscriptionsOnlyWhenTheyGoOn(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		ana := w.follow("world", "ana", "daily")
		n := 0
		soft := func() bool {
			t.Helper()
			n++
			d := w.mailed("ana", fmt.Sprintf("a%d", n))
			if w.bounce(news.Bounce{Kind: news.BounceSoft, DeliveryID: d.ID, EventID: fmt.Sprintf("dsn:soft:%d", d.ID)}) {
				return true
			}
			// The same mail may bounce from several servers: it counts once.
			return w.bounce(news.Bounce{Kind: news.BounceSoft, DeliveryID: d.ID, EventID: fmt.Sprintf("again:%d", d.ID)})
		}
		for range 7 { // seven mails in six days
			if soft() {
				t.Fatalf("soft bounce %d ended the subscription", n)
			}
		}
		// One mail arrives: nothing comes back for five days.
		n++
		w.mailed("ana", fmt.Sprintf("a%d", n))
		w.db.Clock.Advance(news.DefaultSilence)
		for range 7 {
			if soft() {
				t.Fatalf("soft bounce %d after an arrival ended the subscription", n)
			}
		}
		if !soft() {
			t.Fatal("eight days of soft bounces did nothing")
		}
		if got := w.subscription(ana.ID).State; got != news.SubscriptionBounced {
			t.Errorf("%s", got)
		}
		if all := w.suppressed(); len(all) != 0 {
			t.Errorf("a full mailbox was suppressed: %+v", all)
		}
		// Who comes back begins anew.
		w.db.Clock.Advance(time.Hour)
		w.follow("world", "ana", "daily")
		if soft() {
			t.Error("the first soft bounce after coming back ended it again")
		}
	})
}

func TestMailedUnsubscribeEndsOneSubscription(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.list(daily("sports"))
		ana, other := w.follow("world", "ana", "daily"), w.follow("sports", "ana", "daily")
		b := news.Bounce{Kind: news.BounceUnsubscribe, SubscriptionID: ana.ID, Via: "mail", EventID: "mail:1"}
		if !w.bounce(b) {
			t.Error("nothing happened")
		}
		b.EventID = "mail:2"
		if w.bounce(b) {
			t.Error("unsubscribed twice")
		}
		if a, o := w.subscription(ana.ID).State, w.subscription(other.ID).State; a != news.SubscriptionUnsubscribed || o != news.SubscriptionActive {
			t.Errorf("%s, %s", a, o)
		}
		// By the delivery it is the subscription of that mail.
		d := w.mailed("ana", "a")
		if !w.bounce(news.Bounce{Kind: news.BounceUnsubscribe, DeliveryID: d.ID, Via: "arf", EventID: "arf:1"}) || w.subscription(other.ID).State != news.SubscriptionUnsubscribed {
			t.Error("an opt-out by report did nothing")
		}
		if len(w.suppressed()) != 0 {
			t.Error("an unsubscribe suppressed")
		}
	})
}

func TestAProvidersWordCountsOnlyForSomebodyWhoWasMailed(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		ana := w.follow("world", "ana", "daily")
		for i, addr := range []string{"ana@example.org", "stranger@example.org"} {
			_, err := w.db.RecordBounce(t.Context(), news.Bounce{Kind: news.BounceComplaint, Address: mustAddress(t, addr), Via: "ses", EventID: fmt.Sprint(i)})
			if !errors.Is(err, news.ErrNotFound) {
				t.Errorf("%s was not mailed: %v", addr, err)
			}
		}
		if len(w.suppressed()) != 0 || w.subscription(ana.ID).State != news.SubscriptionActive {
			t.Error("a word about somebody who was not mailed counted")
		}
		w.mailed("ana", "a")
		if !w.bounce(news.Bounce{Kind: news.BounceComplaint, Address: mustAddress(t, "Ana@example.org"), Via: "ses", EventID: "0"}) {
			t.Error("a complaint of a reader did nothing")
		}
		if all := w.suppressed(); len(all) != 1 || all[0].Reason != news.SuppressedComplaint {
			t.Errorf("%+v", all)
		}
	})
}

func TestBounceIsChecked(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for field, b := range map[string]news.Bounce{
			"kind":     {Kind: "postcard", EventID: "1", Via: "dsn"},
			"event id": {Kind: news.BounceHard, Via: "dsn"},
			"via":      {Kind: news.BounceHard, EventID: "1"},
		} {
			var f *news.FieldError
			if _, err := w.db.RecordBounce(t.Context(), b); !errors.As(err, &f) || f.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		for _, b := range []news.Bounce{{DeliveryID: 99}, {SubscriptionID: 99}, {}} {
			b.Kind, b.Via, b.EventID = news.BounceHard, "dsn", "1"
			if _, err := w.db.RecordBounce(t.Context(), b); !errors.Is(err, news.ErrNotFound) {
				t.Errorf("%+v: %v", b, err)
			}
		}
		for range 3 {
			if err := w.db.CountIgnoredBounce(t.Context(), "mail", "forged"); err != nil {
				t.Fatal(err)
			}
		}
		got, err := w.db.IgnoredBounces(t.Context())
		if err != nil || len(got) != 1 || got[0].Count != 3 || got[0].Reason != "forged" || !got[0].LastAt.Equal(w.db.Clock.Now()) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestImportedSuppressionsOnlyAdd(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		ana := w.follow("world", "ana", "daily")
		if err := w.db.Suppress(t.Context(), mustAddress(t, "ben@example.org"), news.SuppressedComplaint, "ARF"); err != nil {
			t.Fatal(err)
		}
		past := w.db.Clock.Now().Add(-time.Hour)
		in := []news.Suppression{
			{Address: "ben@example.org", Reason: news.SuppressedManual}, {Address: "Ana@example.org", Reason: news.SuppressedBounce, At: past},
			{Address: "carl@example.org", Reason: news.SuppressedManual, At: w.db.Clock.Now().Add(time.Hour)},
		}
		for i, want := range []int{2, 0} {
			if n, err := w.db.ImportSuppressions(t.Context(), in); err != nil || n != want {
				t.Errorf("import %d: %d, %v", i, n, err)
			}
		}
		if got := w.subscription(ana.ID).State; got != news.SubscriptionBounced {
			t.Errorf("%s", got)
		}
		var all []news.Suppression
		for after := int64(0); ; {
			page, next, err := w.db.SuppressionPage(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if next == 0 {
				break
			}
			all, after = append(all, page...), next
		}
		if len(all) != 3 || all[0].Reason != news.SuppressedComplaint || all[1].Address != "Ana@example.org" || !all[1].At.Equal(past) || !all[2].At.Equal(w.db.Clock.Now()) {
			t.Errorf("%+v", all)
		}
		if _, err := w.db.ImportSuppressions(t.Context(), []news.Suppression{{Address: "x@example.org", Reason: news.SuppressedErased}}); err == nil {
			t.Error("an erasure was imported")
		}
	})
}

// TestRepliesAreBouncesToo: what a relay says of a recipient while we send is
// counted by the same policy as what comes back later: a full mailbox that is
// refused at once, and one that is deferred until the mail expires.
func TestRepliesAreBouncesToo(t *testing.T) {
	for name, c := range map[string]struct {
		state news.DeliveryState
		code  int
		alone bool // nobody else's mail was taken
		ends  bool
	}{
		"refused":               {state: news.DeliveryRefused, code: 552, ends: true},
		"deferred till the end": {state: news.DeliveryDeferred, code: 452, ends: true},
		"the relay's own fault": {state: news.DeliveryRefused, code: 550, alone: true},
	} {
		t.Run(name, func(t *testing.T) {
			eachWorld(t, func(t *testing.T, w *world) {
				w.list(daily("world"))
				ana, ben := w.follow("world", "ana", "daily"), w.follow("world", "ben", "daily")
				refuse := func(ds []news.Delivery) (out []news.Outcome) {
					for _, d := range ds {
						o := outcome(d, news.DeliveryAccepted)
						if d.SubscriptionID == ana.ID || c.alone {
							o = outcome(d, c.state)
							o.Code, o.Enhanced, o.Reply, o.Bounce, o.NextAt = c.code, "5.2.2", "the mailbox is full", news.BounceSoft, d.ExpiresAt
						}
						out = append(out, o)
					}
					// What is accepted first: only then it is known that the relay takes any.
					slices.SortFunc(out, func(a, b news.Outcome) int { return strings.Compare(string(a.State), string(b.State)) })
					return out
				}
				for day := range 9 {
					w.publish(fmt.Sprintf("a%d", day))
					w.db.Clock.Advance(24 * time.Hour)
					w.closeDue()
					for _, o := range refuse(w.claim(10)) {
						w.record(o)
					}
					want := news.SubscriptionActive
					if c.ends && day >= 7 { // five mails in seven days are not over seven days
						want = news.SubscriptionBounced
					}
					if got := w.subscription(ana.ID).State; got != want {
						t.Fatalf("day %d: %s, want %s", day, got, want)
					}
				}
				if got := w.subscription(ben.ID).State; got != news.SubscriptionActive || len(w.suppressed()) != 0 {
					t.Errorf("ben is %s, suppressed are %+v", got, w.suppressed())
				}
				all, err := w.db.Bounces(t.Context(), 0, 100)
				if err != nil || len(all) < 8 || all[0].Via != news.ViaReply || all[0].Kind != news.BounceSoft || all[0].Code != c.code || all[0].Diagnostic != "the mailbox is full" {
					t.Errorf("%+v, %v", all, err)
				}
				if c.ends && (all[0].Effect != news.EffectBounced || all[0].Recipient != "ana@example.org") {
					t.Errorf("%+v", all[0])
				}
			})
		})
	}
}

// TestAReplyAndItsReportAreOneBounce: a mail counts once, however often it is
// refused, and by whomever.
func TestAReplyAndItsReportAreOneBounce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a")
		w.db.Clock.Advance(24 * time.Hour)
		w.closeDue()
		for range 2 {
			d := w.claim(10)[0]
			o := outcome(d, news.DeliveryRefused)
			o.Code, o.Enhanced, o.Bounce = 552, "5.2.2", news.BounceSoft
			w.record(o)
			if err := w.db.RetryDelivery(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
		}
		if all, err := w.db.Bounces(t.Context(), 0, 10); err != nil || len(all) != 1 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}
