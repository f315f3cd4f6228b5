package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/news"
)

func TestASlotMakesOneEdition(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a", "b")
		w.until("2026-03-03T05:59:59Z")
		w.takeNone()
		w.until("2026-03-03T06:00:10Z")
		e, l := w.take()
		if e.SlotKey != "2026-03-03T06:00:00Z" || e.DueAt.Format(time.RFC3339) != e.SlotKey || e.State != news.EditionOpen || e.Zone != "Europe/Berlin" ||
			e.Frequency != "daily" || e.FromSeq != 0 || e.CutoffSeq != 2 || e.Note != "" || e.ListName != "world" || l.ID != e.ListID {
			t.Fatalf("%+v", e)
		}
		w.takeNone()
		if got := w.close(w.plan(e, l)); got.State != news.EditionClosed || got.Intended != 1 {
			t.Fatalf("%+v", got)
		}
		w.takeNone()
	})
}

func TestReplicasTakeASlotOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for _, name := range []string{"one", "two", "three"} {
			w.list(daily(name))
		}
		w.until("2026-03-09T06:00:00Z") // a Monday: daily and weekly of three lists
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			seen = map[string]int{}
		)
		for range 8 {
			wg.Go(func() {
				for range 4 {
					e, l, ok, err := w.db.TakeSlot(t.Context(), lease)
					if err != nil {
						t.Error(err)
					}
					if ok {
						mu.Lock()
						seen[l.Name+" "+e.Frequency+" "+e.SlotKey]++
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		for { // a replica passes over what another has locked at that moment
			e, l, ok, err := w.db.TakeSlot(t.Context(), lease)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			seen[l.Name+" "+e.Frequency+" "+e.SlotKey]++
		}
		if len(seen) != 6 {
			t.Errorf("%v", seen)
		}
		for slot, n := range seen {
			if n != 1 {
				t.Errorf("%s taken %d times", slot, n)
			}
		}
	})
}

func TestAnEditionWhoseMakerIsLostIsTakenOver(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		first, l := w.take()
		plan := w.plan(first, l)
		w.publish("b")
		w.db.Clock.Advance(lease)
		second, l := w.take()
		if second.ID != first.ID || second.CutoffSeq != first.CutoffSeq {
			t.Fatalf("%+v, %+v", first, second)
		}
		w.close(w.plan(second, l))
		if _, err := w.db.CloseEdition(t.Context(), plan); !errors.Is(err, news.ErrStale) {
			t.Errorf("closed twice: %v", err)
		}
		w.send()
		if w.got("ana") != "a" {
			t.Errorf("got %q", w.got("ana"))
		}
	})
}

func TestAnEditionThatTakesItsMakersDownIsGivenUp(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		e, _ := w.take()
		for range 9 {
			w.db.Clock.Advance(lease)
			if again, _ := w.take(); again.ID != e.ID {
				t.Fatalf("%+v", again)
			}
		}
		w.db.Clock.Advance(lease)
		w.takeNone()
		if got := w.edition(e.ID); got.State != news.EditionFailed || !strings.Contains(got.Note, "10 times") {
			t.Errorf("%+v", got)
		}
		w.until("2026-03-04T06:00:00Z")
		w.closeDue()
		w.send()
		if w.got("ana") != "a" { // the next slot carries what the lost one would have
			t.Errorf("got %q", w.got("ana"))
		}
	})
}

func TestFailedEditionsLeaveTheirArticlesToTheNext(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		e, l := w.take()
		plan := w.plan(e, l)
		if err := w.db.FailEdition(t.Context(), e.ID, "template broken"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.CloseEdition(t.Context(), plan); !errors.Is(err, news.ErrStale) {
			t.Errorf("close: %v", err)
		}
		if err := w.db.FailEdition(t.Context(), e.ID, "again"); !errors.Is(err, news.ErrStale) {
			t.Errorf("twice: %v", err)
		}
		if err := w.db.FailEdition(t.Context(), 999, ""); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		if got := w.edition(e.ID); got.State != news.EditionFailed || got.Note != "template broken" {
			t.Errorf("%+v", got)
		}
		w.publish("b")
		w.until("2026-03-04T06:00:00Z")
		w.closeDue()
		w.send()
		if w.got("ana") != "a b" {
			t.Errorf("got %q", w.got("ana"))
		}
	})
}

func TestDowntimeMakesOneCatchUpEdition(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a", "b", "c")
		w.until("2026-03-06T08:00:00Z")
		es := w.closeDue()
		w.send()
		if len(es) != 1 || es[0].SlotKey != "2026-03-06T06:00:00Z" || es[0].Note != "covers 3 missed slots" || w.got("ana") != "a b c" {
			t.Errorf("%+v; got %q", es, w.got("ana"))
		}
		w.until("2026-03-07T06:00:00Z")
		w.publish("d")
		w.closeDue()
		w.send()
		if w.got("ana") != "a b c | d" {
			t.Errorf("got %q", w.got("ana"))
		}
	})
}

// With catch_up = all each slot that passed gets its edition, with what had been released
// by then: here the daemon released, and the list was paused.
func TestCatchingUpWithEachSlot(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := daily("world")
		l.CatchUp, l.MaxLate = news.CatchUpAll, news.Duration(60*time.Hour)
		l.Frequencies, l.Paused = l.Frequencies[:1], true
		l = w.list(l)
		w.follow("world", "ana", "daily")
		w.publish("a")
		w.until("2026-03-03T07:00:00Z")
		w.publish("b")
		w.until("2026-03-05T05:00:00Z") // nothing new for the slot of the 4th
		w.publish("c")
		w.until("2026-03-05T08:00:00Z")
		l.Paused = false
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range w.closeDue() {
			got = append(got, fmt.Sprint(e.SlotKey, " ", e.CutoffSeq, " ", e.Note))
		}
		w.send()
		want := []string{
			"2026-03-03T06:00:00Z 1 catches up, 50h0m0s late", "2026-03-04T06:00:00Z 2 catches up, 26h0m0s late", "2026-03-05T06:00:00Z 3 ",
		}
		if !slices.Equal(got, want) || w.got("ana") != "a | b | c" {
			t.Errorf("%q, %q", got, w.got("ana"))
		}
		w.until("2026-03-09T08:00:00Z")
		w.publish("d")
		w.closeDue()
		w.send()
		es, err := w.db.Editions(t.Context(), "world", 0, 10)
		if err != nil || len(es) != 7 {
			t.Fatalf("%d editions, %v", len(es), err)
		}
		if skipped := es[3]; skipped.State != news.EditionSkipped || skipped.Note != "skipped: 74h0m30s late, and the list allows 60h0m0s" {
			t.Errorf("%+v", skipped)
		}
		if w.got("ana") != "a | b | c | d" {
			t.Errorf("got %q", w.got("ana"))
		}
	})
}

func TestSlotsThatAreTooLateAreRecordedAndLeaveTheirArticles(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		skip := daily("skip")
		skip.CatchUp = news.CatchUpSkip
		w.list(skip)
		late := daily("late")
		late.MaxLate = news.Duration(time.Hour)
		w.list(late)
		for _, list := range []string{"skip", "late"} {
			w.follow(list, list, "daily")
		}
		w.publish("a")
		w.until("2026-03-03T08:00:00Z")
		w.takeNone()
		for _, list := range []string{"skip", "late"} {
			es, err := w.db.Editions(t.Context(), list, 0, 10)
			if err != nil || len(es) != 1 || es[0].State != news.EditionSkipped || !strings.HasPrefix(es[0].Note, "skipped: 2h0m0s late") {
				t.Errorf("%s: %+v, %v", list, es, err)
			}
		}
		w.takeNone() // once
		w.publish("b")
		w.until("2026-03-04T06:00:00Z")
		for _, e := range w.closeDue() {
			if e.FromSeq != 0 || e.CutoffSeq != 2 {
				t.Errorf("%+v", e)
			}
		}
		w.send()
		if w.got("skip") != "a b" || w.got("late") != "a b" {
			t.Errorf("skip %q, late %q", w.got("skip"), w.got("late"))
		}
	})
}

func TestClocksThatJumpSendNothingTwice(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		run := func(instant string) {
			t.Helper()
			w.until(instant)
			w.closeDue()
			w.send()
		}
		w.publish("a")
		run("2026-03-03T06:00:30Z")
		run("2026-03-03T04:00:30Z") // two hours back
		run("2026-03-03T06:00:00Z") // the same slot again
		w.publish("b")
		run("2026-04-02T06:10:00Z") // thirty days ahead
		w.publish("c")
		run("2026-03-03T07:00:00Z") // and back
		w.publish("d")
		run("2026-03-04T06:00:20Z") // the very next regular slot is served
		if w.got("ana") != "a | b | c d" {
			t.Errorf("got %q", w.got("ana"))
		}
		es, err := w.db.Editions(t.Context(), "world", 0, 50)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, e := range es {
			if key := e.Frequency + e.SlotKey; seen[key] {
				t.Errorf("twice: %+v", e)
			} else {
				seen[key] = true
			}
		}
	})
}

func TestPausesHoldSlotsBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := w.list(daily("world"))
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		if err := w.db.SetPaused(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		w.takeNone()
		if _, _, err := w.db.TakeManual(t.Context(), "world", "", lease); !errors.Is(err, news.ErrPaused) {
			t.Errorf("manual: %v", err)
		}
		if err := w.db.SetPaused(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		l.Paused = true
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		w.takeNone()
		if _, _, err := w.db.TakeManual(t.Context(), "world", "", lease); !errors.Is(err, news.ErrPaused) {
			t.Errorf("manual of a paused list: %v", err)
		}
		l.Paused = false
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		e, _ := w.take()
		w.db.Clock.Advance(lease)
		l.Paused = true
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		w.takeNone() // an open edition waits, too
		l.Paused = false
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if again, _ := w.take(); again.ID != e.ID {
			t.Errorf("%+v", again)
		}
	})
}

func instantly(name string) news.List {
	l := daily(name)
	l.Frequencies = []news.Frequency{{Name: news.Instant}}
	return l
}

func TestInstantEditionsFollowReleases(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(instantly("flash"))
		w.publish("before")
		w.closeDue()
		w.follow("flash", "ana", "")
		w.takeNone()
		w.publish("a/US")
		e, l := w.take()
		if e.SlotKey != "seq:2" || e.FromSeq != 1 {
			t.Fatalf("%+v", e)
		}
		w.publish("b/Iran")
		w.takeNone() // one at a time, or both would carry a
		w.close(w.plan(e, l))
		w.closeDue()
		w.send()
		if w.got("ana") != "a | b" {
			t.Errorf("got %q", w.got("ana"))
		}
		if err := w.db.SetPreferences(t.Context(), 1, news.Preferences{Topics: []news.Topic{"category:us"}}); err != nil {
			t.Fatal(err)
		}
		w.publish("c/Iran")
		w.closeDue()
		w.publish("d/US")
		e, _ = w.take()
		if err := w.db.FailEdition(t.Context(), e.ID, "broken"); err != nil {
			t.Fatal(err)
		}
		w.takeNone() // not again until there is more
		w.publish("e/US")
		w.closeDue()
		w.send()
		if w.got("ana") != "a | b | d e" {
			t.Errorf("got %q", w.got("ana"))
		}
	})
}

func TestAnInstantEditionWithoutNewsLeavesNoTrace(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(instantly("flash"))
		w.follow("flash", "ana", "")
		w.publish("a")
		if n, err := w.db.WithdrawArticles(t.Context(), w.id, []string{"a"}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		es := w.closeDue()
		if len(es) != 1 || es[0].State != news.EditionEmpty {
			t.Fatalf("%+v", es)
		}
		if all, err := w.db.Editions(t.Context(), "", 0, 0); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestEveryReadersZoneHasItsHour(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := daily("world")
		l.Zone = news.ZoneSubscriber
		w.list(l)
		in := func(name, zone string) news.Subscription {
			t.Helper()
			return w.followReq(news.SubscribeRequest{Address: mustAddress(t, name+"@example.org"), List: "world", Zone: zone, Confirmed: true})
		}
		in("ken", "Asia/Tokyo")
		ana := in("ana", "Europe/Berlin")
		in("nyx", "America/New_York")
		w.publish("a")
		for _, c := range []struct{ at, zone string }{
			{"2026-03-02T12:00:00Z", "America/New_York"}, {"2026-03-02T22:00:00Z", "Asia/Tokyo"}, {"2026-03-03T06:00:00Z", "Europe/Berlin"},
		} {
			w.until(c.at)
			es := w.closeDue()
			if len(es) != 1 || es[0].Zone != c.zone || es[0].Intended != 1 {
				t.Fatalf("%s: %+v", c.zone, es)
			}
		}
		w.send()
		for _, name := range []string{"ken", "ana", "nyx"} {
			if w.got(name) != "a" {
				t.Errorf("%s got %q", name, w.got(name))
			}
		}
		// Who moves east loses nothing and gets nothing twice; a zone in which
		// nobody is left makes no edition.
		if err := w.db.SetPreferences(t.Context(), ana.ID, news.Preferences{Zone: "Asia/Tokyo"}); err != nil {
			t.Fatal(err)
		}
		w.publish("b")
		w.until("2026-03-04T06:00:00Z")
		es := w.closeDue()
		if len(es) != 2 || es[0].Zone != "America/New_York" || es[0].Intended != 1 || es[1].Zone != "Asia/Tokyo" || es[1].Intended != 2 {
			t.Errorf("%+v", es)
		}
		w.send()
		if w.got("ana") != "a | b" {
			t.Errorf("ana got %q", w.got("ana"))
		}
	})
}

func TestManualEditionsMoveTheSeriesOn(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a")
		es, l, err := w.db.TakeManual(t.Context(), "world", "", lease)
		if err != nil || len(es) != 1 || !strings.HasPrefix(es[0].SlotKey, "manual:") || es[0].Frequency != "daily" || es[0].CutoffSeq != 1 {
			t.Fatalf("%+v, %v", es, err)
		}
		if _, _, err := w.db.TakeManual(t.Context(), "world", "daily", lease); !errors.Is(err, news.ErrExists) {
			t.Errorf("while one is open: %v", err)
		}
		w.close(w.plan(es[0], l))
		again, l, err := w.db.TakeManual(t.Context(), "world", "daily", lease) // at the same instant
		if err != nil || len(again) != 1 || again[0].SlotKey != es[0].SlotKey+"-2" {
			t.Fatalf("%+v, %v", again, err)
		}
		if e := w.close(w.plan(again[0], l)); e.State != news.EditionEmpty || e.Note == "" {
			t.Errorf("%+v", e)
		}
		w.publish("b")
		w.until("2026-03-03T06:00:00Z")
		if es := w.closeDue(); len(es) != 1 || es[0].FromSeq != 1 || es[0].SlotKey != "2026-03-03T06:00:00Z" {
			t.Errorf("%+v", es)
		}
		w.send()
		if w.got("ana") != "a | b" {
			t.Errorf("got %q", w.got("ana"))
		}
		var f *news.FieldError
		if _, _, err := w.db.TakeManual(t.Context(), "world", "hourly", lease); !errors.As(err, &f) || f.Field != "frequency" {
			t.Errorf("%v", err)
		}
		if _, _, err := w.db.TakeManual(t.Context(), "nowhere", "", lease); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// An edition that is open keeps its shape while its list changes.
func TestAListThatChangesDoesNotChangeTheOpenEdition(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := w.list(daily("world"))
		w.follow("world", "ana", "daily")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		e, _ := w.take()
		l.Frequencies[0].Cron = "0 18 * * *"
		l.Zone = "America/New_York"
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if got := w.edition(e.ID); got.Zone != "Europe/Berlin" || got.SlotKey != e.SlotKey || got.State != news.EditionOpen {
			t.Errorf("%+v", got)
		}
		w.close(w.plan(e, l))
		w.until("2026-03-03T23:00:00Z")
		w.closeDue()
		w.send()
		if w.got("ana") != "a" {
			t.Errorf("got %q", w.got("ana"))
		}
	})
}

// A list changes its zone and back while an edition is open, and another one closes with
// more meanwhile: when the first closes at last, the series stays where the other left it.
func TestASeriesNeverGoesBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := w.list(daily("world"))
		w.follow("world", "ana", "daily")
		set := func(zone string) {
			l.Zone = zone
			if err := w.db.SetList(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		take := func() news.Edition {
			e, _, ok, err := w.db.TakeSlot(t.Context(), 24*time.Hour)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			return e
		}
		slow := take()
		plan := w.plan(slow, l)
		set("America/New_York")
		w.publish("b")
		w.until("2026-03-03T12:00:00Z")
		e := take()
		if e.Zone != "America/New_York" || e.CutoffSeq != 2 {
			t.Fatalf("%+v", e)
		}
		w.close(w.plan(e, l))
		set("Europe/Berlin")
		if _, err := w.db.CloseEdition(t.Context(), plan); err != nil && !errors.Is(err, news.ErrStale) {
			t.Fatal(err)
		} else if err != nil {
			w.close(w.plan(slow, l))
		}
		w.send()
		w.publish("c")
		w.until("2026-03-04T06:00:00Z")
		if e := take(); e.FromSeq != 2 {
			t.Errorf("the next edition begins after %d, want 2: it would show b as news again", e.FromSeq)
		}
	})
}
