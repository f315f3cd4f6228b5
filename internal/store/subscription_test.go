package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gazetted/internal/news"
)

func confirmVariant() *news.Variant {
	return &news.Variant{Kind: news.VariantConfirm, Nonce: "confirm", Language: "en", Subject: "Please confirm", HTML: "<p>", Text: "-"}
}

func form(t *testing.T, list, name string) news.SubscribeRequest {
	t.Helper()
	return news.SubscribeRequest{
		Address: mustAddress(t, name+"@example.org"), List: list,
		Consent: news.Consent{Source: "form", Form: "signup-1", RequestIP: "192.0.2.0"},
	}
}

func TestDoubleOptIn(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.publish("archive1")
		w.db.Wakes.Take(news.WakeOutbox)
		res, err := w.db.Subscribe(t.Context(), form(t, "world", "ana"), confirmVariant())
		if err != nil || !res.Created || !res.ConfirmQueued || res.Suppressed || res.Subscription.State != news.SubscriptionPending {
			t.Fatalf("%+v, %v", res, err)
		}
		if w.db.Wakes.Take(news.WakeOutbox) != 1 {
			t.Error("the courier was not told")
		}
		if res.Subscription.Frequency != "daily" || res.Subscription.ListName != "world" || !res.Subscription.Consent.RequestedAt.Equal(w.db.Clock.Now()) {
			t.Errorf("%+v", res.Subscription)
		}
		w.send()
		if w.got("ana") != "confirm" {
			t.Fatalf("got %q", w.got("ana"))
		}
		w.publish("archive2")
		sub, err := w.db.Confirm(t.Context(), res.Subscription.ID, "198.51.100.0")
		if err != nil || sub.State != news.SubscriptionActive || sub.ServedThrough != 2 {
			t.Fatalf("%+v, %v", sub, err)
		}
		if c := sub.Consent; c.RequestIP != "192.0.2.0" || c.ConfirmIP != "198.51.100.0" || !c.ConfirmedAt.Equal(w.db.Clock.Now()) || c.Form != "signup-1" {
			t.Errorf("consent %+v", c)
		}
		w.publish("a")
		again, err := w.db.Confirm(t.Context(), res.Subscription.ID, "203.0.113.0")
		if err != nil || again.ServedThrough != 2 || again.Consent.ConfirmIP != "198.51.100.0" {
			t.Errorf("the second time: %+v, %v", again, err)
		}
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		w.send()
		if w.got("ana") != "confirm | a" { // never what was published before they confirmed
			t.Errorf("got %q", w.got("ana"))
		}
		if _, err := w.db.Confirm(t.Context(), 999, ""); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
	})
}

func TestConfirmationsToOneAddressAreCapped(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for _, name := range []string{"one", "two"} {
			w.list(daily(name))
		}
		ask := func(list string) bool {
			t.Helper()
			res, err := w.db.Subscribe(t.Context(), form(t, list, "victim"), confirmVariant())
			if err != nil || res.Subscription.State != news.SubscriptionPending {
				t.Fatalf("%+v, %v", res, err)
			}
			return res.ConfirmQueued
		}
		for i, c := range []struct {
			after  time.Duration
			list   string
			queued bool
		}{
			{0, "one", true},
			{0, "one", false},
			{9 * time.Minute, "two", false}, // over all lists
			{time.Minute, "two", true},
			{10 * time.Minute, "one", true},
			{time.Hour, "one", false}, // three a day
			{24 * time.Hour, "one", true},
			{24 * time.Hour, "two", true},
			{24 * time.Hour, "two", false}, // five ever
			{90 * 24 * time.Hour, "one", false},
		} {
			w.db.Clock.Advance(c.after)
			if got := ask(c.list); got != c.queued {
				t.Fatalf("step %d: queued %v", i, got)
			}
		}
		if res, err := w.db.Subscribe(t.Context(), form(t, "one", "other"), confirmVariant()); err != nil || !res.ConfirmQueued {
			t.Errorf("another address: %+v, %v", res, err)
		}
	})
}

func TestFormsAtTheSameTimeQueueOneConfirmation(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		reqs := make([]news.SubscribeRequest, 8) // of as many lists
		for i := range reqs {
			name := fmt.Sprint("list", i)
			w.list(daily(name))
			reqs[i] = form(t, name, "ana")
		}
		for round := range 3 { // the first round makes the person, the others find them
			var (
				wg     sync.WaitGroup
				queued atomic.Int64
			)
			for _, req := range reqs {
				wg.Go(func() {
					res, err := w.db.Subscribe(t.Context(), req, confirmVariant())
					if err != nil {
						t.Error(err)
					}
					if res.ConfirmQueued {
						queued.Add(1)
					}
				})
			}
			wg.Wait()
			rows, err := w.db.Subscribers(t.Context(), news.SubscriberQuery{})
			if err != nil || queued.Load() != 1 || len(rows) != 1 || len(rows[0].Subscriptions) != len(reqs) {
				t.Errorf("round %d: %d queued; %+v, %v", round, queued.Load(), rows, err)
			}
			w.db.Clock.Advance(confirmPause)
		}
	})
}

// confirmPause is how long an address has peace after a confirmation.
const confirmPause = 10 * time.Minute

// Whoever leaves has left, even if their confirmation arrives at that moment.
func TestConfirmRacesWithUnsubscribe(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		for i := range 15 {
			res, err := w.db.Subscribe(t.Context(), form(t, "world", fmt.Sprint("r", i)), nil)
			if err != nil {
				t.Fatal(err)
			}
			id := res.Subscription.ID
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := w.db.Confirm(t.Context(), id, ""); err != nil && !errors.Is(err, news.ErrToken) {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, err := w.db.Unsubscribe(t.Context(), id, "page"); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			if got := w.subscription(id); got.State != news.SubscriptionUnsubscribed {
				t.Errorf("%+v", got)
			}
		}
	})
}

func TestAConfirmationSaysWhatTheListSaysNow(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		variant := func(name, subject string) int64 {
			t.Helper()
			v := confirmVariant()
			v.Subject = subject
			if _, err := w.db.Subscribe(t.Context(), form(t, "world", name), v); err != nil {
				t.Fatal(err)
			}
			ds := w.claim(1)
			if len(ds) != 1 {
				t.Fatalf("%+v", ds)
			}
			got, err := w.db.Variant(t.Context(), ds[0].VariantID)
			if err != nil || got.Subject != subject || got.Kind != news.VariantConfirm || got.EditionID != 0 {
				t.Fatalf("%+v, %v", got, err)
			}
			return got.ID
		}
		a, b, c := variant("ana", "Confirm"), variant("ben", "Confirm"), variant("cem", "Please confirm")
		if a != b || b != c {
			t.Errorf("variants %d, %d, %d", a, b, c)
		}
	})
}

func TestSubscribeRefusesMistakesByField(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		private := daily("staff")
		private.Public = false
		w.list(private)
		w.publish("a/US")
		for field, change := range map[string]func(*news.SubscribeRequest){
			"address":   func(r *news.SubscribeRequest) { r.Address = news.Address{} },
			"frequency": func(r *news.SubscribeRequest) { r.Frequency = "hourly" },
			"zone":      func(r *news.SubscribeRequest) { r.Zone = "Mars/Base" },
			"language":  func(r *news.SubscribeRequest) { r.Language = "en_US; drop" },
			"topic":     func(r *news.SubscribeRequest) { r.Topics = []news.Topic{"category:us", "category:nowhere"} },
		} {
			req := form(t, "world", "ana")
			change(&req)
			_, err := w.db.Subscribe(t.Context(), req, nil)
			var f *news.FieldError
			if !errors.As(err, &f) || f.Field != field {
				t.Errorf("%s: %v", field, err)
			}
			if field == "topic" && f.Value != "category:nowhere" {
				t.Errorf("names %q", f.Value)
			}
		}
		for _, list := range []string{"nowhere", "staff"} {
			if _, err := w.db.Subscribe(t.Context(), form(t, list, "ana"), nil); !errors.Is(err, news.ErrNotFound) {
				t.Errorf("%s: %v", list, err)
			}
		}
		if rows, err := w.db.Subscribers(t.Context(), news.SubscriberQuery{}); err != nil || len(rows) != 0 {
			t.Errorf("left behind: %+v, %v", rows, err)
		}
		if sub := w.follow("staff", "ana", ""); sub.State != news.SubscriptionActive {
			t.Errorf("an admin may: %+v", sub)
		}
	})
}

func TestTopicsAreStoredInOneOrderUnderTheirPresentName(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		ref := news.TermRef{Kind: news.KindCategory, NativeID: "1", Slug: "us", Name: "US"}
		if err := w.db.StoreTerms(t.Context(), w.id, []news.TermRef{ref}); err != nil {
			t.Fatal(err)
		}
		w.publish("a/#Iran")
		ref.Slug, ref.Name = "united-states", "United States"
		if err := w.db.StoreTerms(t.Context(), w.id, []news.TermRef{ref}); err != nil {
			t.Fatal(err)
		}
		a := w.follow("world", "ana", "", "tag:iran", "category:us", "tag:iran")
		b := w.follow("world", "ben", "", "category:united-states", "tag:iran")
		want := "[category:united-states tag:iran]"
		if fmt.Sprint(a.Topics) != want || fmt.Sprint(b.Topics) != want {
			t.Errorf("%v, %v", a.Topics, b.Topics)
		}
	})
}

func TestWhoIsOnTheListIsLeftAlone(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		before := w.follow("world", "ana", "weekly")
		w.publish("a")
		req := form(t, "world", "ana")
		req.Name, req.Language, req.Zone = "BUY NOW", "tr", "Asia/Tokyo"
		res, err := w.db.Subscribe(t.Context(), req, confirmVariant())
		if err != nil || res.Created || res.ConfirmQueued || fmt.Sprint(res.Subscription) != fmt.Sprint(before) {
			t.Errorf("%+v, %v; before %+v", res, err, before)
		}
		row, err := w.db.SubscriberByAddress(t.Context(), mustAddress(t, "ANA@Example.org"))
		if err != nil || row.Name != "" || row.Language != "" || row.Zone != "" {
			t.Errorf("a stranger's form changed %+v, %v", row.Subscriber, err)
		}
	})
}

func TestUntilTheFirstConfirmationTheLatestFormCounts(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := daily("world")
		l.Zone = news.ZoneSubscriber
		w.list(l)
		req := form(t, "world", "ana")
		req.Name, req.Language, req.Zone, req.Frequency = "Stranger", "tr", "Asia/Tokyo", "weekly"
		if _, err := w.db.Subscribe(t.Context(), req, nil); err != nil {
			t.Fatal(err)
		}
		req.Name, req.Language, req.Zone, req.Frequency = "Ana", "en", "Europe/Berlin", "daily"
		res, err := w.db.Subscribe(t.Context(), req, nil)
		if err != nil || res.Created {
			t.Fatalf("%+v, %v", res, err)
		}
		sub, person, _, err := w.db.Subscription(t.Context(), res.Subscription.ID)
		if err != nil || sub.Frequency != "daily" || sub.Zone != "Europe/Berlin" || person.Name != "Ana" || person.Language != "en" {
			t.Errorf("%+v, %+v, %v", sub, person, err)
		}
	})
}

func TestAStrangersNameIsNotInTheConfirmation(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		req := form(t, "world", "ana")
		req.Name = "Cheap pills"
		if _, err := w.db.Subscribe(t.Context(), req, confirmVariant()); err != nil {
			t.Fatal(err)
		}
		if ds := w.claim(1); len(ds) != 1 || ds[0].Name != "" || ds[0].Address != "ana@example.org" {
			t.Errorf("%+v", ds)
		}
	})
}

func TestWhoLeftStartsAnew(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		sub := w.follow("world", "ana", "daily")
		w.publish("a")
		left, err := w.db.Unsubscribe(t.Context(), sub.ID, "one-click")
		if err != nil || left.State != news.SubscriptionUnsubscribed || !left.EndedAt.Equal(w.db.Clock.Now()) {
			t.Fatalf("%+v, %v", left, err)
		}
		w.db.Clock.Advance(time.Hour)
		again, err := w.db.Unsubscribe(t.Context(), sub.ID, "page")
		if err != nil || !again.EndedAt.Equal(left.EndedAt) {
			t.Errorf("the second time: %+v, %v", again, err)
		}
		if _, err := w.db.Confirm(t.Context(), sub.ID, ""); !errors.Is(err, news.ErrToken) {
			t.Errorf("an old confirmation: %v", err)
		}
		if err := w.db.SetPreferences(t.Context(), sub.ID, news.Preferences{}); !errors.Is(err, news.ErrStale) {
			t.Errorf("preferences of one who left: %v", err)
		}
		res, err := w.db.Subscribe(t.Context(), form(t, "world", "ana"), confirmVariant())
		if err != nil || res.Created || !res.ConfirmQueued || res.Subscription.State != news.SubscriptionPending || res.Subscription.Consent.Form != "signup-1" {
			t.Fatalf("%+v, %v", res, err)
		}
		w.publish("b")
		if _, err := w.db.Confirm(t.Context(), sub.ID, ""); err != nil {
			t.Fatal(err)
		}
		w.publish("c")
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		w.send()
		if w.got("ana") != "c" { // neither while away nor while pending; the confirmation was overtaken
			t.Errorf("got %q", w.got("ana"))
		}
		if _, err := w.db.Unsubscribe(t.Context(), 999, ""); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
	})
}

func TestASwitchOfFrequencyLosesAndRepeatsNothing(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		sub := w.follow("world", "ana", "daily")
		day := func(instant string, articles ...string) {
			t.Helper()
			w.publish(articles...)
			w.until(instant)
			w.closeDue()
			w.send()
		}
		prefer := func(p news.Preferences) {
			t.Helper()
			if err := w.db.SetPreferences(t.Context(), sub.ID, p); err != nil {
				t.Fatal(err)
			}
		}
		day("2026-03-03T06:00:00Z", "mon")
		prefer(news.Preferences{Frequency: "weekly"})
		day("2026-03-04T06:00:00Z", "tue")
		day("2026-03-05T06:00:00Z", "wed")
		day("2026-03-09T06:00:00Z", "sun")
		prefer(news.Preferences{Frequency: "daily"})
		day("2026-03-10T06:00:00Z", "mon2")
		prefer(news.Preferences{Frequency: "daily", Paused: true})
		if got := w.subscription(sub.ID); got.State != news.SubscriptionPaused {
			t.Errorf("%+v", got)
		}
		day("2026-03-11T06:00:00Z", "tue2")
		prefer(news.Preferences{Frequency: "weekly"})
		day("2026-03-16T06:00:00Z", "sun2")
		if want := "mon | tue wed sun | mon2 | tue2 sun2"; w.got("ana") != want {
			t.Errorf("got %q, want %q", w.got("ana"), want)
		}
	})
}

// A pause takes back what has not left: it comes after the pause, once.
func TestAPauseTakesBackWhatWaits(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		sub := w.follow("world", "ana", "daily")
		w.follow("world", "bob", "daily")
		prefer := func(paused bool) {
			t.Helper()
			if err := w.db.SetPreferences(t.Context(), sub.ID, news.Preferences{Frequency: "daily", Paused: paused}); err != nil {
				t.Fatal(err)
			}
		}
		w.publish("mon")
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		held := w.claim(10) // a courier has them in its hands
		prefer(true)
		for _, d := range held {
			if ok := w.dot(d); ok != (d.SubscriptionID != sub.ID) {
				t.Fatalf("dot of %+v: %v", d, ok)
			}
			if d.SubscriptionID != sub.ID {
				w.record(accepted(d))
			}
		}
		w.send()
		prefer(false)
		w.publish("tue")
		w.until("2026-03-04T06:00:00Z")
		w.closeDue()
		w.send()
		if want := "mon tue"; w.got("ana") != want {
			t.Errorf("ana got %q, want %q", w.got("ana"), want)
		}
	})
}

func TestReadersFollowARenamedTopic(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ref := news.TermRef{Kind: news.KindCategory, NativeID: "9", Slug: "turkey", Name: "Turkey"}
		f := found("old")
		f.Terms = []news.TermRef{ref}
		w.put(f)
		l := daily("world")
		l.Filter = []news.Topic{"category:turkey"}
		w.list(l)
		sub := w.follow("world", "ana", "daily", "category:turkey")
		ref.Slug, ref.Name = "turkiye", "Türkiye"
		if err := w.db.StoreTerms(t.Context(), w.id, []news.TermRef{ref}); err != nil {
			t.Fatal(err)
		}
		got, err := w.db.ListByName(t.Context(), "world")
		if err != nil || !slices.Equal(got.Filter, []news.Topic{"category:turkiye"}) {
			t.Errorf("list %v, %v", got.Filter, err)
		}
		if got := w.subscription(sub.ID).Topics; !slices.Equal(got, []news.Topic{"category:turkiye"}) {
			t.Errorf("subscriber %v", got)
		}
	})
}

func TestPreferencesReachEveryPlaceOfThePerson(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		local := daily("local")
		local.Zone = news.ZoneSubscriber
		w.list(local)
		w.list(daily("world"))
		w.publish("a/US", "b/Iran")
		here, there := w.follow("local", "ana", "daily"), w.follow("world", "ana", "daily")
		name := "  Ana\nMaría "
		p := news.Preferences{Topics: []news.Topic{"category:us"}, Zone: "Asia/Tokyo", Language: "es", Name: &name}
		if err := w.db.SetPreferences(t.Context(), there.ID, p); err != nil {
			t.Fatal(err)
		}
		if here = w.subscription(here.ID); here.Zone != "Asia/Tokyo" || len(here.Topics) != 0 {
			t.Errorf("%+v", here)
		}
		if there = w.subscription(there.ID); there.Zone != "" || fmt.Sprint(there.Topics) != "[category:us]" || there.Frequency != "daily" {
			t.Errorf("%+v", there)
		}
		_, person, _, err := w.db.Subscription(t.Context(), here.ID)
		if err != nil || person.Name != "Ana María" || person.Language != "es" || person.Zone != "Asia/Tokyo" {
			t.Errorf("%+v, %v", person, err)
		}
		w.publish("c/US")
		w.until("2026-03-02T22:00:00Z") // 07:00 in Tokyo
		e, l := w.take()
		groups, err := w.db.Audience(t.Context(), e)
		if err != nil || l.Name != "local" || len(groups) != 1 || groups[0].Language != "es" || groups[0].Subscribers != 1 {
			t.Errorf("%+v, %+v, %v", e, groups, err)
		}
		var f *news.FieldError
		for field, p := range map[string]news.Preferences{
			"zone": {Zone: "Mars/Base"}, "language": {Language: "?"}, "frequency": {Frequency: "hourly"}, "topic": {Topics: []news.Topic{"tag:none"}},
		} {
			if err := w.db.SetPreferences(t.Context(), there.ID, p); !errors.As(err, &f) || f.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		if err := w.db.SetPreferences(t.Context(), 999, news.Preferences{}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
	})
}

func TestImportAnswersRowByRowAndBringsNobodyBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		gone := w.follow("world", "gone", "daily")
		if _, err := w.db.Unsubscribe(t.Context(), gone.ID, "page"); err != nil {
			t.Fatal(err)
		}
		if err := w.db.Suppress(t.Context(), mustAddress(t, "never@example.org"), news.SuppressedComplaint, ""); err != nil {
			t.Fatal(err)
		}
		w.follow("world", "here", "weekly")
		row := func(name, frequency string) news.SubscribeRequest {
			return news.SubscribeRequest{Address: mustAddress(t, name+"@example.org"), List: "world", Frequency: frequency, Confirmed: true}
		}
		bad := row("bad", "hourly")
		lost := row("lost", "")
		lost.List = "nowhere"
		results, faults, err := w.db.ImportSubscribers(t.Context(), []news.SubscribeRequest{
			row("new", ""), bad, row("gone", ""), row("never", ""), {List: "world"}, lost, row("here", "daily"), row("new", "weekly"),
		})
		if err != nil || len(results) != 8 || len(faults) != 8 {
			t.Fatalf("%d, %d, %v", len(results), len(faults), err)
		}
		if r := results[0]; faults[0] != nil || !r.Created || r.Subscription.State != news.SubscriptionActive || r.Subscription.Consent.Source != "import" {
			t.Errorf("new: %+v, %v", r, faults[0])
		}
		var f *news.FieldError
		if !errors.As(faults[1], &f) || f.Field != "frequency" {
			t.Errorf("bad: %v", faults[1])
		}
		if r := results[2]; faults[2] != nil || r.Subscription.State != news.SubscriptionUnsubscribed {
			t.Errorf("gone: %+v, %v", r, faults[2])
		}
		if r := results[3]; faults[3] != nil || !r.Suppressed || r.Subscription.ID != 0 {
			t.Errorf("never: %+v, %v", r, faults[3])
		}
		if !errors.As(faults[4], &f) || f.Field != "address" || !errors.Is(faults[5], news.ErrNotFound) {
			t.Errorf("no address %v, no list %v", faults[4], faults[5])
		}
		if results[6].Subscription.Frequency != "weekly" || results[7].Created || results[7].Subscription.ID != results[0].Subscription.ID {
			t.Errorf("here %+v, new again %+v", results[6], results[7])
		}
		rows, err := w.db.Subscribers(t.Context(), news.SubscriberQuery{List: "world"})
		if err != nil || len(rows) != 3 {
			t.Errorf("%d, %v", len(rows), err)
		}
		if _, _, err := w.db.ImportSubscribers(t.Context(), make([]news.SubscribeRequest, 1001)); err == nil {
			t.Error("1001 at once")
		}
	})
}

// Many at once are placed as one after the other would be.
func TestAnImportDoesWhatSignUpsDo(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		var reqs []news.SubscribeRequest
		for _, suffix := range []string{"one", "many"} {
			zones := daily("zones-" + suffix)
			zones.Zone = news.ZoneSubscriber
			w.list(daily("world-" + suffix))
			w.list(zones)
			at := func(name, list string) news.SubscribeRequest {
				return news.SubscribeRequest{Address: mustAddress(t, name+"@"+suffix+".example"), List: list + "-" + suffix, Confirmed: true}
			}
			with := func(r news.SubscribeRequest, name, language, zone string) news.SubscribeRequest {
				r.Name, r.Language, r.Zone = name, language, zone
				return r
			}
			pending := with(at("pending", "world"), "", "fr", "")
			pending.Confirmed = false
			for _, r := range []news.SubscribeRequest{at("known", "world"), with(at("gaps", "world"), "", "de", ""), pending} {
				w.followReq(r)
			}
			unsure := with(at("unsure", "zones"), "Uwe", "nl", "Asia/Tokyo")
			unsure.Confirmed = false
			reqs = []news.SubscribeRequest{
				at("known", "world"), at("known", "zones"), with(at("gaps", "world"), "Gabi", "fr", "Europe/Berlin"), at("gaps", "zones"),
				at("pending", "world"), with(at("new", "zones"), "Nia", "pt-BR", "America/New_York"), at("new", "world"), at("new", "zones"),
				with(at("late", "world"), "", "sv", ""), with(at("late", "zones"), "Lars", "", "Asia/Tokyo"), unsure,
			}
			if suffix == "many" {
				break
			}
			for _, r := range reqs {
				w.followReq(r)
			}
		}
		results, faults, err := w.db.ImportSubscribers(t.Context(), reqs)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []bool{false, true, false, true, false, true, true, false, true, true, true} {
			if r := results[i]; faults[i] != nil || r.Created != want || r.Subscription.ListName != reqs[i].List {
				t.Errorf("%d: %+v, %v", i, r, faults[i])
			}
		}
		schedules := map[string]string{}
		people := map[string]string{}
		for _, suffix := range []string{"one", "many"} {
			rows, err := w.db.Subscribers(t.Context(), news.SubscriberQuery{})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				if !strings.HasSuffix(r.Address, "@"+suffix+".example") {
					continue
				}
				name, _, _ := strings.Cut(r.Address, "@")
				people[suffix] += fmt.Sprintf("\n%s %q %s %s", name, r.Name, r.Language, r.Zone)
				slices.SortFunc(r.Subscriptions, func(a, b news.Subscription) int { return strings.Compare(a.ListName, b.ListName) })
				for _, p := range r.Subscriptions {
					list, _, _ := strings.Cut(p.ListName, "-")
					people[suffix] += fmt.Sprint("\n  ", list, p.State, p.Frequency, p.Topics, p.Zone, p.ServedThrough, p.ConfirmedAt, p.EndedAt.IsZero(), p.Consent.ConfirmedAt)
				}
			}
			es, _, err := w.db.TakeManual(t.Context(), "zones-"+suffix, "", lease)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range es {
				schedules[suffix] += e.Zone + " "
				groups, err := w.db.Audience(t.Context(), e)
				if err != nil {
					t.Fatal(err)
				}
				schedules[suffix] += fmt.Sprint(groups)
			}
		}
		if d := cmp.Diff(people["one"], people["many"]); d != "" {
			t.Error(d)
		}
		if schedules["one"] != schedules["many"] || schedules["one"] == "" {
			t.Errorf("%q, %q", schedules["one"], schedules["many"])
		}
	})
}

func TestSignUpsThatNobodyConfirmsAreForgotten(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		confirm := func() *news.Variant {
			return &news.Variant{Kind: news.VariantConfirm, Language: "en", Nonce: "0011223344556677", Subject: "s", HTML: "h", Text: "t"}
		}
		ask := func(name string) {
			t.Helper()
			if _, err := w.db.Subscribe(t.Context(), news.SubscribeRequest{Address: mustAddress(t, name+"@example.org"), List: "world"}, confirm()); err != nil {
				t.Fatal(err)
			}
		}
		ask("never")
		left := w.follow("world", "left", "daily")
		if _, err := w.db.Unsubscribe(t.Context(), left.ID, ""); err != nil {
			t.Fatal(err)
		}
		ask("left")
		w.follow("world", "stays", "daily")
		w.db.Clock.Advance(6 * 24 * time.Hour)
		if n, err := w.db.PurgePending(t.Context()); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		w.db.Clock.Advance(2 * 24 * time.Hour)
		ask("fresh")
		if n, err := w.db.PurgePending(t.Context()); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		if _, err := w.db.SubscriberByAddress(t.Context(), mustAddress(t, "never@example.org")); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("never: %v", err)
		}
		if got := w.subscription(left.ID); got.State != news.SubscriptionUnsubscribed {
			t.Errorf("left: %+v", got)
		}
		for _, name := range []string{"stays", "fresh"} {
			if _, err := w.db.SubscriberByAddress(t.Context(), mustAddress(t, name+"@example.org")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
