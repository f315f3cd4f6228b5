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
