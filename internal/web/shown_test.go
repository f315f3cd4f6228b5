package web_test

import (
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
	"gazetted/internal/web"
)

// A source that knows only the day of an article gives midnight UTC; readers
// are not shown an hour that nobody named.
func TestDaysAreShownWithoutAnHour(t *testing.T) {
	h := newTown(t, func(o *web.Options) { o.Site.Zone = time.FixedZone("west", -5*60*60) })
	day := time.Date(2026, 2, 14, 0, 0, 0, 0, time.UTC)
	_, err := h.db.StoreArticles(t.Context(), h.source.ID, []news.Found{
		{NativeID: "day", URL: "https://example.org/day", Title: "Of a day", PublishedAt: day, UpdatedAt: day.AddDate(0, 0, 2), Visibility: news.VisibilityPublic},
		{NativeID: "hour", URL: "https://example.org/hour", Title: "Of an hour", PublishedAt: day.Add(10 * time.Hour), Visibility: news.VisibilityPublic},
	})
	h.ok(err)
	h.clock.Advance(time.Minute)
	_, _, err = h.db.ReleaseDue(t.Context())
	h.ok(err)
	a := h.want(h.get("/"), 200)
	for _, want := range []string{`<time datetime="2026-02-14">14 February 2026</time>`, "Updated 16 February 2026</span>", `<time datetime="2026-02-14T10:00:00Z">14 February 2026, 05:00</time>`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("lacks %s:\n%s", want, a.body)
		}
	}
}

// An import brings hundreds of terms that no article carries: nothing offers
// them, and yet their pages and feeds are there for who has the address.
func TestEmptyTermsAreNotOffered(t *testing.T) {
	h := newTown(t)
	h.ok(h.db.StoreTerms(t.Context(), h.source.ID, []news.TermRef{
		{Kind: news.KindCategory, NativeID: "Void", Name: "Void"}, {Kind: news.KindCategory, NativeID: "US/Void", ParentNativeID: "US", Name: "Void within"},
		{Kind: news.KindTag, NativeID: "#Nil", Name: "Nil"},
	}))
	h.clock.Advance(2 * time.Second)
	for _, p := range []string{"/", "/feeds", "/feeds.opml", "/subscribe/world", "/topics/category/us", h.links.Preferences(h.ana)} {
		if a := h.want(h.get(p), 200); strings.Contains(a.body, "Void") || strings.Contains(a.body, "Nil") {
			t.Errorf("%s offers terms without articles", p)
		}
	}
	for _, p := range []string{"/topics/category/void", "/topics/tag/nil", "/feeds/category/void.rss", "/feeds/tag/nil.json"} {
		h.want(h.get(p), 200)
	}
}

// A section's page says its name once, and offers the newsletters.
func TestSectionPage(t *testing.T) {
	h := newTown(t)
	h.publish("deep", "US/Texas")
	a := h.want(h.get("/topics/category/us"), 200)
	if n := strings.Count(a.body, `<p class="kicker"><a`); n != 1 || !strings.Contains(a.body, `<p class="kicker"><a href="/topics/category/texas">Texas</a>`) {
		t.Errorf("%d kickers, want only that of the section within:\n%s", n, a.body)
	}
	if !strings.Contains(a.body, `href="/subscribe/world"`) {
		t.Error("no newsletter is offered")
	}
}

func TestRhythmsAreWordedForPeople(t *testing.T) {
	h := newTown(t)
	if a := h.want(h.get("/subscribe/world"), 200); !strings.Contains(a.body, "<small>Every day at 07:00, your time</small>") || !strings.Contains(a.body, "<small>As soon as there is news</small>") {
		t.Errorf("the choices:\n%s", a.body)
	}
	if a := h.want(h.get("/subscribe"), 200); !strings.Contains(a.body, "Every day at 07:00 · As soon as there is news") {
		t.Errorf("the list of newsletters:\n%s", a.body)
	}
	_, err := h.db.AddList(t.Context(), news.List{
		Name: "ticker", Title: "Ticker", Zone: news.ZoneSubscriber, Language: "en", Public: true,
		Frequencies: []news.Frequency{{Name: "often", Cron: "* * * * *"}, {Name: "new-year", Cron: "0 0 1 1 *"}},
	})
	h.ok(err)
	a := h.want(h.get("/subscribe/ticker"), 200)
	if !strings.Contains(a.body, "<small>Every minute</small>") || !strings.Contains(a.body, "<span>New year</span>") {
		t.Errorf("the choices:\n%s", a.body)
	}
	if a := h.want(h.form(h.links.Confirm(h.ben, h.clock.Now().Add(time.Hour)), ""), 200); !strings.Contains(a.body, "You will receive World news every day at 07:00, your time.") {
		t.Errorf("the word at the end of the sign-up:\n%s", a.body)
	}
}

func TestSharePageNamesTheNetworksInTheOrderOfTheMails(t *testing.T) {
	h := newTown(t)
	articles, err := h.db.Articles(t.Context(), news.ArticleQuery{Limit: 1})
	h.ok(err)
	body := h.want(h.get(h.links.Share(articles[0].ID)), 200).body
	last := 0
	for _, n := range news.ShareLinks("", "https://example.org/") {
		at := strings.Index(body, ">"+n.Network+"</a>")
		if at < last {
			t.Errorf("%s is missing or not in its place", n.Network)
		}
		last = at
	}
}
