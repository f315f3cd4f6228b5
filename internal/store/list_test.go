package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gazetted/internal/news"
)

func TestAddListFillsWhatIsLeftOpenAndKeepsTheRest(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		got := w.list(daily("world"))
		want := daily("world")
		want.ID, want.Language, want.Template, want.CatchUp = got.ID, "en", "default", news.CatchUpOne
		want.MaxLate, want.OnUncertain, want.CreatedAt = news.DefaultMaxLate, news.UncertainResend, w.db.Clock.Now()
		want.Filter = []news.Topic{}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		stored, err := w.db.ListByName(t.Context(), "world")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(got, stored); d != "" {
			t.Error(d)
		}
		if w.db.Wakes.Take(news.WakeLists) != 1 {
			t.Error("nobody was told")
		}
		all, err := w.db.Lists(t.Context())
		if err != nil || len(all) != 1 || all[0].Name != "world" {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestListsRefuseMistakesByField(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for field, change := range map[string]func(*news.List){
			"name":         func(l *news.List) { l.Name = "World News" },
			"zone":         func(l *news.List) { l.Zone = "Mars/Base" },
			"schedule":     func(l *news.List) { l.Frequencies[0].Cron = "at noon" },
			"catch_up":     func(l *news.List) { l.CatchUp = "some" },
			"on_uncertain": func(l *news.List) { l.OnUncertain = "hope" },
			"language":     func(l *news.List) { l.Language = "<b>" },
			"max_late":     func(l *news.List) { l.MaxLate = -1 },
			"reply_to":     func(l *news.List) { l.ReplyTo = "nobody" },
			"template":     func(l *news.List) { l.Template = "../etc" },
		} {
			l := daily("world")
			change(&l)
			_, err := w.db.AddList(t.Context(), l)
			var f *news.FieldError
			if !errors.As(err, &f) || f.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		w.list(daily("world"))
		if _, err := w.db.AddList(t.Context(), daily("world")); !errors.Is(err, news.ErrExists) {
			t.Errorf("twice: %v", err)
		}
		if err := w.db.SetList(t.Context(), daily("nowhere")); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("set unknown: %v", err)
		}
		if _, err := w.db.ListByName(t.Context(), "nowhere"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("read unknown: %v", err)
		}
	})
}

func TestRemoveListTakesEverythingOfItAndStopsTheCourier(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.list(daily("other"))
		sub := w.follow("world", "ana", "daily")
		w.follow("other", "ana", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		var held news.Delivery
		for _, d := range w.claim(10) {
			if d.SubscriptionID == sub.ID {
				held = d
			}
		}
		if err := w.db.RemoveList(t.Context(), "world"); err != nil {
			t.Fatal(err)
		}
		if held.ID == 0 || w.dot(held) {
			t.Errorf("a message of a removed list was sent: %+v", held)
		}
		if _, _, _, err := w.db.Subscription(t.Context(), sub.ID); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("its subscription: %v", err)
		}
		row, err := w.db.SubscriberByAddress(t.Context(), mustAddress(t, "ana@example.org"))
		if err != nil || len(row.Subscriptions) != 1 || row.Subscriptions[0].ListName != "other" {
			t.Errorf("%+v, %v", row, err)
		}
		ds, err := w.db.Deliveries(t.Context(), news.DeliveryQuery{})
		if err != nil || len(ds) != 1 {
			t.Errorf("%+v, %v", ds, err)
		}
		if err := w.db.RemoveList(t.Context(), "world"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("twice: %v", err)
		}
	})
}

// due is when the next slot of anything comes.
func due(t *testing.T, w *world) string {
	t.Helper()
	st, err := w.db.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.NextSlot.IsZero() {
		return ""
	}
	return st.NextSlot.Format(time.RFC3339)
}

func TestSchedulesFollowTheList(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := daily("world")
		l.Frequencies = l.Frequencies[:1]
		l = w.list(l)
		if got := due(t, w); got != "2026-03-03T06:00:00Z" { // 07:00 in Berlin
			t.Fatalf("at first %s", got)
		}
		l.Frequencies[0].Cron = "30 12 * * *"
		set := func() {
			t.Helper()
			if err := w.db.SetList(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		set()
		if got := due(t, w); got != "2026-03-02T11:30:00Z" {
			t.Errorf("after a new line %s", got)
		}
		l.Zone = "America/New_York"
		set()
		if got := due(t, w); got != "2026-03-02T17:30:00Z" {
			t.Errorf("after a new zone %s", got)
		}
		// Nothing of the schedule changed: a slot that is due stays due.
		w.until("2026-03-02T18:00:00Z")
		l.Title = "Another"
		set()
		if got := due(t, w); got != "2026-03-02T17:30:00Z" {
			t.Errorf("after a new title %s", got)
		}
		l.Zone = news.ZoneSubscriber
		set()
		if got := due(t, w); got != "" {
			t.Errorf("without readers there is no zone: %s", got)
		}
		w.followReq(news.SubscribeRequest{Address: mustAddress(t, "ken@example.org"), List: "world", Zone: "Asia/Tokyo", Confirmed: true})
		if got := due(t, w); got != "2026-03-03T03:30:00Z" {
			t.Errorf("in Tokyo %s", got)
		}
		w.followReq(news.SubscribeRequest{Address: mustAddress(t, "una@example.org"), List: "world", Confirmed: true})
		w.until("2026-03-03T04:00:00Z")
		if e, _ := w.take(); e.Zone != "Asia/Tokyo" {
			t.Errorf("took %+v", e)
		}
		if got := due(t, w); got != "2026-03-03T12:30:00Z" {
			t.Errorf("without a zone it is UTC: %s", got)
		}
	})
}

func TestAFrequencyThatIsRemovedGivesItsReadersToTheFirst(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := w.list(daily("world"))
		sub := w.follow("world", "ana", "weekly")
		w.publish("a")
		l.Frequencies = l.Frequencies[:1]
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		got := w.subscription(sub.ID)
		if got.Frequency != "daily" || got.ServedThrough != sub.ServedThrough {
			t.Fatalf("%+v", got)
		}
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		w.send()
		if w.got("ana") != "a" {
			t.Errorf("got %q", w.got("ana"))
		}
		w.until("2026-03-09T06:00:00Z") // Monday: the weekly series is no more
		for _, e := range w.closeDue() {
			if e.Frequency != "daily" {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestWhenTheListsZoneBecomesTheReadersEverythingComesOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := w.list(daily("world"))
		w.followReq(news.SubscribeRequest{Address: mustAddress(t, "ken@example.org"), List: "world", Zone: "Asia/Tokyo", Confirmed: true})
		w.follow("world", "una", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		w.closeDue()
		w.send()
		l.Zone = news.ZoneSubscriber
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		w.publish("b")
		w.until("2026-03-03T07:00:00Z") // in UTC, where those live who did not say
		w.closeDue()
		w.send()
		if w.got("ken") != "a" || w.got("una") != "a | b" {
			t.Errorf("ken %q, una %q", w.got("ken"), w.got("una"))
		}
		w.until("2026-03-03T22:00:00Z") // 07:00 in Tokyo
		w.closeDue()
		w.send()
		if w.got("ken") != "a | b" || w.got("una") != "a | b" {
			t.Errorf("ken %q, una %q", w.got("ken"), w.got("una"))
		}
		w.until("2026-03-04T07:00:00Z")
		w.closeDue()
		l.Zone = "Europe/Berlin"
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		w.publish("c")
		w.until("2026-03-05T06:00:00Z")
		w.closeDue()
		w.send()
		if w.got("ken") != "a | b | c" || w.got("una") != "a | b | c" {
			t.Errorf("ken %q, una %q", w.got("ken"), w.got("una"))
		}
	})
}
