package mail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"strings"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/smtptest"
)

// closeEdition makes an edition with one variant for so many readers of a new
// list. The confirmation of one more reader waits, too.
func closeEdition(t testing.TB, db *dbtest.DB, readers int, change func(*news.List)) news.Edition {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	src, err := db.AddSource(ctx, news.Source{Name: "press", Kind: news.SourcePush})
	must(err)
	must(db.FinishLook(ctx, src.ID, news.Look{}, true))
	list := news.List{Name: "world", Title: "World news", Language: "en", Zone: "UTC", Template: "digest", Public: true,
		CatchUp: news.CatchUpOne, MaxLate: news.DefaultMaxLate, OnUncertain: news.UncertainResend, Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}}}
	if change != nil {
		change(&list)
	}
	list, err = db.AddList(ctx, list)
	must(err)
	for i := range readers {
		addr, err := news.ParseAddress("address", fmt.Sprintf("reader%d@example.net", i+1))
		must(err)
		_, err = db.Subscribe(ctx, news.SubscribeRequest{Address: addr, Name: "Ana Müller", List: "world", Confirmed: true}, nil)
		must(err)
	}
	_, err = db.StoreArticles(ctx, src.ID, []news.Found{{NativeID: "1", URL: "https://example.org/1", Title: "Mexico says no", Visibility: news.VisibilityPublic}})
	must(err)
	db.Clock.Advance(24 * time.Hour)
	_, _, err = db.ReleaseDue(ctx)
	must(err)
	editions, _, err := db.TakeManual(ctx, "world", "", time.Minute)
	must(err)
	e := editions[0]
	groups, err := db.Audience(ctx, e)
	must(err)
	articles, err := db.ArticlesBetween(ctx, e.FromSeq, e.CutoffSeq, 100)
	must(err)
	closing := news.Closing{Edition: e, Articles: articles, Slug: "2026-03-03", Subject: "Mexico says no", Now: db.Clock.Now()}
	for _, g := range groups {
		v := testSpec().Variant
		v.ID, v.Group, v.Language = 0, g, "en"
		closing.Variants = append(closing.Variants, v)
	}
	e, err = db.CloseEdition(ctx, closing)
	must(err)
	if e.Intended != readers {
		t.Fatalf("%d intended of %d, %d groups", e.Intended, readers, len(groups))
	}
	return e
}

func storeCourier(t testing.TB, db *dbtest.DB, tr Transport) (*Courier, *eventLog) {
	t.Helper()
	secrets, err := db.Secrets(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := news.NewSigner(secrets)
	if err != nil {
		t.Fatal(err)
	}
	links, err := news.NewLinks("https://news.example.org", signer)
	if err != nil {
		t.Fatal(err)
	}
	return newCourier(t, db, tr, func(o *Options) { o.Links, o.Now = links, db.Clock.Now })
}

// wantTally checks the edition in the store.
func wantTally(t *testing.T, db *dbtest.DB, id int64, state news.EditionState, want news.DeliveryTally) {
	t.Helper()
	e, err := db.Edition(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(want, func(_ news.DeliveryState, n int) bool { return n == 0 })
	if e.State != state || !maps.Equal(e.Counts, want) {
		t.Errorf("edition is %s with %v, want %s with %v", e.State, e.Counts, state, want)
	}
}

func TestAgainstTheStore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		relay := smtptest.Start(t)
		relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: "reader2@example.net", Reply: "550 5.1.1 no such user"})
		relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: "reader3@example.net", Reply: "450 4.7.1 greylisted", Times: 1})
		relay.On(smtptest.Rule{Stage: smtptest.Dot, Match: "reader4@example.net", Take: true, Drop: true, Times: 1})
		relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: "reader5@example.net", Reply: "421 4.3.0 restarting", Times: 1})
		relay.On(smtptest.Rule{Stage: smtptest.Dot, Match: "reader6@example.net", Reply: "451 4.3.0 later", Times: 1})
		e := closeEdition(t, db, 40, nil)
		c, _ := storeCourier(t, db, newSMTP(t, relay, nil))
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTally(t, db, e.ID, news.EditionClosed, news.DeliveryTally{news.DeliveryAccepted: 35, news.DeliveryRefused: 1, news.DeliveryDeferred: 4})
		db.Clock.Advance(10 * time.Minute)
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTally(t, db, e.ID, news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 39, news.DeliveryRefused: 1})

		copies := map[string][]string{}
		for _, m := range relay.Messages() {
			copies[m.To[0]] = append(copies[m.To[0]], string(m.Data))
		}
		for to, all := range copies {
			if to == "reader4@example.net" && (len(all) != 2 || all[0] != all[1]) || to != "reader4@example.net" && len(all) != 1 {
				t.Errorf("%s has %d copies", to, len(all))
			}
		}
		if len(copies) != 39 {
			t.Errorf("%d readers have it", len(copies))
		}
		gone, err := news.ParseAddress("address", "reader2@example.net")
		if err != nil {
			t.Fatal(err)
		}
		if row, err := db.SubscriberByAddress(t.Context(), gone); err != nil || row.Subscriptions[0].State != news.SubscriptionBounced {
			t.Errorf("the hard bounce: %+v, %v", row, err)
		}
	})
}

func TestUnsubscribeBetweenClaimAndDot(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		e := closeEdition(t, db, 6, nil)
		left, err := news.ParseAddress("address", "reader5@example.net")
		if err != nil {
			t.Fatal(err)
		}
		row, err := db.SubscriberByAddress(t.Context(), left)
		if err != nil {
			t.Fatal(err)
		}
		relay := &fakeRelay{onBegin: func(to string) error {
			if to == left.Spec { // claimed, composed, on its way: and now they leave
				_, err := db.Unsubscribe(t.Context(), row.Subscriptions[0].ID, "link")
				return err
			}
			return nil
		}}
		c, log := storeCourier(t, db, relay)
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTally(t, db, e.ID, news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 5, news.DeliverySuppressed: 1})
		if log.count(EventTokenLost) != 1 || relay.dots != 5 {
			t.Errorf("%d tokens lost, %d dots", log.count(EventTokenLost), relay.dots)
		}
	})
}

func TestPauseStopsDots(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		e := closeEdition(t, db, 8, nil)
		relay := &fakeRelay{}
		relay.onBegin = func(to string) error {
			if to == "reader4@example.net" {
				return db.SetPaused(t.Context(), true)
			}
			return nil
		}
		c, _ := storeCourier(t, db, relay)
		c.fleet[0].Connections, c.fleet[0].limit, c.workers = 1, 1, 1
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if relay.dots != 3 {
			t.Errorf("%d dots after the pause", relay.dots-3)
		}
		relay.onBegin = nil
		if err := db.SetPaused(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		db.Clock.Advance(time.Minute)
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTally(t, db, e.ID, news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 8})
		if len(relay.messages()) != 8 {
			t.Errorf("%d messages", len(relay.messages()))
		}
	})
}

func TestHoldKeepsTheUncertain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		e := closeEdition(t, db, 4, func(l *news.List) { l.OnUncertain = news.UncertainHold })
		relay := &fakeRelay{onDot: func(_ context.Context, to string) error {
			if to == "reader1@example.net" {
				return &ReplyError{Stage: StageDot, Err: errTaken}
			}
			return nil
		}}
		c, _ := storeCourier(t, db, relay)
		for range 3 {
			if _, err := c.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
			db.Clock.Advance(time.Hour)
		}
		wantTally(t, db, e.ID, news.EditionClosed, news.DeliveryTally{news.DeliveryAccepted: 3, news.DeliveryUncertain: 1})
		if len(relay.messages()) != 4 {
			t.Errorf("%d messages: a held one was sent again", len(relay.messages()))
		}
	})
}

func TestCrashAroundTheDot(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		e := closeEdition(t, db, 5, nil)
		// A courier that died: two in hand, one of them past MarkDot.
		claimed, err := db.ClaimDeliveries(t.Context(), 2, 12*time.Minute)
		if err != nil || len(claimed) != 2 {
			t.Fatal(claimed, err)
		}
		if ok, err := db.MarkDot(t.Context(), claimed[0].ID, claimed[0].Token); !ok || err != nil {
			t.Fatal(ok, err)
		}
		relay := &fakeRelay{}
		c, _ := storeCourier(t, db, relay)
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTally(t, db, e.ID, news.EditionClosed, news.DeliveryTally{news.DeliveryAccepted: 3, news.DeliveryClaimed: 1, news.DeliveryDotPending: 1})
		db.Clock.Advance(13 * time.Minute)
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTally(t, db, e.ID, news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 5})
	})
}

func TestConfirmationFromTheStore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		closeEdition(t, db, 1, nil)
		addr, err := news.ParseAddress("address", "new@example.net")
		if err != nil {
			t.Fatal(err)
		}
		v := news.Variant{Kind: news.VariantConfirm, Language: "en", Nonce: testNonce, Subject: "Please confirm", Text: "For " + mark(news.PlaceAddress) + ":\n" + mark(news.PlaceConfirm) + "\n"}
		res, err := db.Subscribe(t.Context(), news.SubscribeRequest{Address: addr, Name: "BUY NOW http://spam.test", List: "world"}, &v)
		if err != nil || !res.ConfirmQueued {
			t.Fatalf("%+v, %v", res, err)
		}
		relay := &fakeRelay{}
		c, _ := storeCourier(t, db, relay)
		if tally, err := c.Once(t.Context()); err != nil || tally[news.DeliveryAccepted] != 2 {
			t.Fatal(tally, err)
		}
		for _, m := range relay.messages() {
			if m.to != addr.Spec {
				continue
			}
			if strings.Contains(m.bytes, "BUY") {
				t.Error("the confirmation holds what a stranger wrote (S8)")
			}
			parsed, err := mail.ReadMessage(strings.NewReader(m.bytes))
			if err != nil || parsed.Header.Get("Precedence") != "" || parsed.Header.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("%v: %v", parsed.Header, err)
			}
			_, text, _ := decoded(t, []byte(m.bytes))
			if !strings.Contains(text, "https://news.example.org/confirm/") {
				t.Errorf("text %q", text)
			}
			return
		}
		t.Error("no confirmation")
	})
}

func TestInterruptedRunLosesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		e := closeEdition(t, db, 30, nil)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		relay := &fakeRelay{}
		relay.onDot = func(context.Context, string) error {
			relay.mu.Lock()
			defer relay.mu.Unlock()
			if n++; n == 5 {
				cancel()
			}
			return nil
		}
		c, _ := storeCourier(t, db, relay)
		if err := c.Run(ctx, time.Minute); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		sent := len(relay.messages())
		if sent < 5 || sent > 8 {
			t.Errorf("%d messages although it was stopped at the fifth", sent)
		}
		wantTally(t, db, e.ID, news.EditionClosed, news.DeliveryTally{news.DeliveryAccepted: sent, news.DeliveryDeferred: openRows(t, db, e.ID, news.DeliveryDeferred), news.DeliveryPending: openRows(t, db, e.ID, news.DeliveryPending)})
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTally(t, db, e.ID, news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 30})
		if len(relay.messages()) != 30 {
			t.Errorf("%d messages", len(relay.messages()))
		}
	})
}

func openRows(t *testing.T, db *dbtest.DB, edition int64, state news.DeliveryState) int {
	t.Helper()
	rows, err := db.Deliveries(context.Background(), news.DeliveryQuery{EditionID: edition, State: state, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(rows)
}
