package store_test

import (
	"errors"
	"testing"

	"gazetted/internal/news"
)

func TestAudienceGroupsWhoSharesAVariant(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		w.publish("x/US/#Iran")
		w.follow("world", "a", "daily")
		w.follow("world", "b", "daily")
		w.follow("world", "c", "daily", "tag:iran", "category:us")
		w.follow("world", "d", "daily", "category:us", "tag:iran")
		w.follow("world", "e", "weekly")
		paused := w.follow("world", "f", "daily")
		if err := w.db.SetPreferences(t.Context(), paused.ID, news.Preferences{Paused: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Subscribe(t.Context(), form(t, "world", "pending"), nil); err != nil {
			t.Fatal(err)
		}
		w.followReq(news.SubscribeRequest{Address: mustAddress(t, "g@example.org"), List: "world", Language: "tr", Confirmed: true})
		w.publish("y")
		w.until("2026-03-03T06:00:00Z")
		e, _ := w.take()
		w.follow("world", "joiner", "daily")
		groups, err := w.db.Audience(t.Context(), e)
		if err != nil || len(groups) != 3 {
			t.Fatalf("%+v, %v", groups, err)
		}
		for i, want := range []struct {
			topics, n int
			language  string
		}{{2, 2, ""}, {0, 2, ""}, {0, 1, "tr"}} {
			if g := groups[i]; len(g.Topics) != want.topics || g.Subscribers != want.n || g.Language != want.language || g.ServedThrough != 1 {
				t.Errorf("group %d: %+v", i, g)
			}
		}
		if _, err := w.db.Audience(t.Context(), news.Edition{ListID: 99}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown list: %v", err)
		}
	})
}

func TestEditionsArePagedNewestFirst(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("one"))
		w.list(daily("two"))
		w.follow("one", "ana", "daily")
		for _, c := range []struct{ article, at string }{{"a", "2026-03-03T06:00:00Z"}, {"b", "2026-03-04T06:00:00Z"}, {"c", "2026-03-05T06:00:00Z"}} {
			w.publish(c.article)
			w.until(c.at)
			w.closeDue()
		}
		all, err := w.db.Editions(t.Context(), "", 0, 0)
		if err != nil || len(all) != 6 || all[0].ID < all[5].ID {
			t.Fatalf("%+v, %v", all, err)
		}
		page, err := w.db.Editions(t.Context(), "one", all[1].ID, 2)
		if err != nil || len(page) != 2 || page[0].ListName != "one" || page[0].ID >= all[1].ID || page[0].Counts[news.DeliveryPending] != 1 {
			t.Errorf("%+v, %v", page, err)
		}
		if _, err := w.db.Editions(t.Context(), "nowhere", 0, 0); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown list: %v", err)
		}
		if _, err := w.db.Edition(t.Context(), 99); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		if frozen, err := w.db.EditionArticles(t.Context(), 99); err != nil || len(frozen) != 0 {
			t.Errorf("%+v, %v", frozen, err)
		}
	})
}

func TestAFailedEditionIsMadeOnceItsCauseIsMended(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := w.list(daily("world"))
		w.follow("world", "ana", "daily")
		ctx := t.Context()
		failed := func() int {
			t.Helper()
			st, err := w.db.Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return st.FailedEditions
		}
		fail := func(article, at string) news.Edition {
			t.Helper()
			w.publish(article)
			w.until(at)
			e, _ := w.take()
			if err := w.db.FailEdition(ctx, e.ID, "template: broken"); err != nil {
				t.Fatal(err)
			}
			return e
		}
		e := fail("a", "2026-03-03T06:00:00Z")
		if failed() != 1 {
			t.Errorf("%d failed", failed())
		}
		l.Paused = true
		if err := w.db.SetList(ctx, l); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.db.ReopenEdition(ctx, e.ID, lease); !errors.Is(err, news.ErrPaused) {
			t.Errorf("of a paused list: %v", err)
		}
		l.Paused = false
		if err := w.db.SetList(ctx, l); err != nil {
			t.Fatal(err)
		}
		again, list, err := w.db.ReopenEdition(ctx, e.ID, lease)
		if err != nil || again.State != news.EditionOpen || again.Note != "" || list.Name != "world" {
			t.Fatalf("%+v, %v", again, err)
		}
		w.takeNone() // it has a maker
		var wrong *news.FieldError
		if _, _, err := w.db.ReopenEdition(ctx, e.ID, lease); !errors.As(err, &wrong) {
			t.Errorf("an open one: %v", err)
		}
		if _, _, err := w.db.ReopenEdition(ctx, 99, lease); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("%v", err)
		}
		w.close(w.plan(again, list))
		w.send()
		if w.got("ana") != "a" || failed() != 0 {
			t.Errorf("%q, %d failed", w.got("ana"), failed())
		}
		// One that the next one has made up for serves nobody twice.
		e = fail("b", "2026-03-04T06:00:00Z")
		w.publish("c")
		w.until("2026-03-05T06:00:00Z")
		next, _ := w.take()
		if _, _, err := w.db.ReopenEdition(ctx, e.ID, lease); !errors.Is(err, news.ErrExists) {
			t.Errorf("while the next one is made: %v", err)
		}
		w.close(w.plan(next, list))
		if failed() != 0 {
			t.Errorf("%d failed", failed())
		}
		if again, _, err = w.db.ReopenEdition(ctx, e.ID, lease); err != nil {
			t.Fatal(err)
		}
		w.close(w.plan(again, list))
		w.send()
		if w.got("ana") != "a | b c" {
			t.Errorf("%q", w.got("ana"))
		}
	})
}
