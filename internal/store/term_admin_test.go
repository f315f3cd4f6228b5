package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
)

func (n *newsroom) learn(refs ...news.TermRef) {
	n.t.Helper()
	if err := n.db.StoreTerms(n.t.Context(), n.id, refs); err != nil {
		n.t.Fatal(err)
	}
	if err := n.db.ForgetTerms(n.t.Context(), n.id, refs); err != nil {
		n.t.Fatal(err)
	}
}

func category(id, name string) news.TermRef {
	return news.TermRef{Kind: news.KindCategory, NativeID: id, Name: name}
}

// feed lists what is in the feed of a category.
func (n *newsroom) feed(slug string) []string {
	n.t.Helper()
	return n.titles(news.ArticleQuery{TermIDs: []int64{n.term(news.KindCategory, slug).ID}})
}

// changedFeeds tells which terms' feeds were changed by f.
func (n *newsroom) changedFeeds(f func()) []int64 {
	n.t.Helper()
	before, err := n.db.FeedChanges(n.t.Context(), 0)
	if err != nil {
		n.t.Fatal(err)
	}
	f()
	after, err := n.db.FeedChanges(n.t.Context(), before.Cursor)
	if err != nil {
		n.t.Fatal(err)
	}
	return after.TermIDs
}

func TestTheOperatorsNameStays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		w := newWorld(t, db)
		w.learn(category("1", "US"))
		w.publish("a/US")
		w.list(daily("world"))
		sub := w.follow("world", "ana", "daily", "category:us")
		got, err := db.RenameTerm(t.Context(), news.KindCategory, "us", "United States", "")
		if err != nil || got.Slug != "united-states" || got.Name != "United States" {
			t.Fatalf("%+v, %v", got, err)
		}
		w.learn(category("1", "US")) // its source says so still
		w.publish("b/US")            // and a source without ids
		if term := w.term(news.KindCategory, "us"); term.Name != "United States" || term.Articles != 2 {
			t.Errorf("%+v", term)
		}
		if topics := w.subscription(sub.ID).Topics; !slices.Equal(topics, []news.Topic{"category:united-states"}) {
			t.Errorf("topics %v", topics)
		}
		// And back: the old name and slug are free for it.
		if got, err = db.RenameTerm(t.Context(), news.KindCategory, "united-states", "US", ""); err != nil || got.Slug != "us" {
			t.Fatalf("%+v, %v", got, err)
		}
		w.publish("c/United States")
		if term := w.term(news.KindCategory, "us"); term.Articles != 3 {
			t.Errorf("%+v", term)
		}
		w.learn(category("1", "US"), category("2", "Asia"))
		if _, err := db.RenameTerm(t.Context(), news.KindCategory, "us", "asia", ""); !errors.Is(err, news.ErrExists) {
			t.Errorf("a name that another has: %v", err)
		}
		if _, err := db.RenameTerm(t.Context(), news.KindCategory, "us", "America", "asia"); !errors.Is(err, news.ErrExists) {
			t.Errorf("a slug that another has: %v", err)
		}
		if term := w.term(news.KindCategory, "us"); term.Name != "US" {
			t.Errorf("a refused rename left %+v", term)
		}
	})
}

func TestMergeMovesEverythingOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		w := newWorld(t, db)
		texas := category("3", "Texas")
		texas.ParentNativeID = "1"
		w.learn(category("1", "USA"), category("2", "US"), texas)
		w.publish("a/USA", "b/US", "c/USA/US", "d/Texas/#x")
		l := daily("world")
		l.Filter = []news.Topic{"category:us", "category:usa"}
		w.list(l)
		both := w.follow("world", "ana", "daily", "category:us", "category:usa")
		one := w.follow("world", "ben", "daily", "category:usa", "tag:x")
		usa := w.term(news.KindCategory, "usa")

		changed := w.changedFeeds(func() {
			if _, err := db.MergeTerms(t.Context(), news.KindCategory, "usa", "us"); err != nil {
				t.Fatal(err)
			}
		})
		us := w.term(news.KindCategory, "us")
		if us.Articles != 3 || us.Name != "US" {
			t.Errorf("%+v", us)
		}
		if got := w.feed("usa"); !slices.Equal(got, []string{"c", "b", "a"}) { // the old slug leads to it
			t.Errorf("feed %v", got)
		}
		if !slices.Contains(changed, us.ID) || !slices.Contains(changed, usa.ID) {
			t.Errorf("changed feeds %v", changed)
		}
		if parent := w.term(news.KindCategory, "texas").ParentID; parent != us.ID {
			t.Errorf("texas is below %d", parent)
		}
		if got := w.subscription(both.ID).Topics; !slices.Equal(got, []news.Topic{"category:us"}) {
			t.Errorf("who had both has %v", got)
		}
		if got := w.subscription(one.ID).Topics; !slices.Equal(got, []news.Topic{"category:us", "tag:x"}) {
			t.Errorf("who had one has %v", got)
		}
		if l, err := db.ListByName(t.Context(), "world"); err != nil || !slices.Equal(l.Filter, []news.Topic{"category:us"}) {
			t.Errorf("%v, %v", l.Filter, err)
		}
		terms, err := db.Terms(t.Context())
		if err != nil || slices.ContainsFunc(terms, func(t news.Term) bool { return t.ID == usa.ID }) {
			t.Errorf("%+v, %v", terms, err)
		}

		// The source goes on as before.
		w.learn(category("1", "USA"), category("2", "US"), texas)
		w.publish("e/USA", "f/usa")
		if c := w.put(found("c", "USA", "US")); c.Unchanged != 1 {
			t.Errorf("an article that had both: %+v", c)
		}
		if us = w.term(news.KindCategory, "us"); us.Articles != 5 || us.Name != "US" {
			t.Errorf("after another look %+v", us)
		}
	})
}

func TestMergeOfAParentIntoItsChild(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		refs := []news.TermRef{category("1", "World"), category("2", "Asia"), category("3", "Japan"), category("4", "Tokyo")}
		for i := 1; i < 4; i++ {
			refs[i].ParentNativeID = fmt.Sprint(i)
		}
		n.learn(refs...)
		if _, err := db.MergeTerms(t.Context(), news.KindCategory, "asia", "tokyo"); err != nil {
			t.Fatal(err)
		}
		tokyo, japan, world := n.term(news.KindCategory, "tokyo"), n.term(news.KindCategory, "japan"), n.term(news.KindCategory, "world")
		if tokyo.ParentID != world.ID || japan.ParentID != tokyo.ID {
			t.Errorf("tokyo below %d, japan below %d", tokyo.ParentID, japan.ParentID)
		}
		if _, err := db.MergeTerms(t.Context(), news.KindCategory, "asia", "tokyo"); err == nil {
			t.Error("merged with itself")
		}
	})
}

func TestAliasAndPlace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		w := newWorld(t, db)
		w.learn(category("1", "US"), category("2", "Americas"))
		if _, err := db.AliasTerm(t.Context(), news.KindCategory, "us", "États-Unis"); err != nil {
			t.Fatal(err)
		}
		w.publish("a/états-unis")
		if us := w.term(news.KindCategory, "etats-unis"); us.Slug != "us" || us.Articles != 1 {
			t.Errorf("%+v", us)
		}
		if _, err := db.AliasTerm(t.Context(), news.KindCategory, "us", "americas"); !errors.Is(err, news.ErrExists) {
			t.Errorf("an alias that is a category: %v", err)
		}
		americas := w.term(news.KindCategory, "americas")
		changed := w.changedFeeds(func() {
			if _, err := db.PlaceCategory(t.Context(), "us", "americas"); err != nil {
				t.Fatal(err)
			}
		})
		if !slices.Contains(changed, americas.ID) {
			t.Errorf("changed feeds %v", changed)
		}
		w.learn(category("1", "US"), category("2", "Americas")) // its source knows of no parent
		if us := w.term(news.KindCategory, "us"); us.ParentID != americas.ID {
			t.Errorf("%+v", us)
		}
		var field *news.FieldError
		if _, err := db.PlaceCategory(t.Context(), "americas", "us"); !errors.As(err, &field) {
			t.Errorf("a category below itself: %v", err)
		}
		if us, err := db.PlaceCategory(t.Context(), "us", ""); err != nil || us.ParentID != 0 {
			t.Errorf("%+v, %v", us, err)
		}
	})
}

func TestWhatASourceHasDeletedIsGone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		w := newWorld(t, db)
		refs := []news.TermRef{category("1", "US"), category("2", "Asia")}
		w.learn(refs...)
		w.publish("a/Asia")
		w.learn(refs[0])
		asia := w.term(news.KindCategory, "asia")
		if asia.Gone != news.GoneAtSource || !asia.Offered() {
			t.Errorf("while an article carries it: %+v", asia)
		}
		w.put(found("a"))
		if asia = w.term(news.KindCategory, "asia"); asia.Offered() {
			t.Errorf("without articles: %+v", asia)
		}
		w.learn(refs...)
		if asia = w.term(news.KindCategory, "asia"); !asia.Offered() || asia.Gone != "" {
			t.Errorf("back again: %+v", asia)
		}
		// A list from which nearly all is missing is not believed.
		many := refs
		for i := range 20 {
			many = append(many, category(fmt.Sprint(100+i), fmt.Sprintf("Section %d", i)))
		}
		w.learn(many...)
		w.learn(refs...)
		if s := w.term(news.KindCategory, "section-3"); s.Gone != "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestARemovedTermIsRestoredByTheOperatorOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		w := newWorld(t, db)
		w.learn(category("1", "US"))
		w.publish("a/US")
		us, err := db.RetireTerm(t.Context(), news.KindCategory, "us")
		if err != nil || us.Offered() {
			t.Fatalf("%+v, %v", us, err)
		}
		w.db.Clock.Advance(time.Minute)
		w.learn(category("1", "US"))
		w.publish("b/US")
		if us := w.term(news.KindCategory, "us"); us.Offered() {
			t.Errorf("its source brought it back: %+v", us)
		}
		if us, err := db.RestoreTerm(t.Context(), news.KindCategory, "us"); err != nil || !us.Offered() || us.Articles != 2 {
			t.Errorf("%+v, %v", us, err)
		}
		if _, err := db.RetireTerm(t.Context(), news.KindTag, "us"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}
