package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
)

// newsroom is a source with helpers; activated says whether its first run is over.
type newsroom struct {
	t  *testing.T
	db *dbtest.DB
	id int64
}

func newNewsroom(t *testing.T, db *dbtest.DB, name string, activated bool) *newsroom {
	t.Helper()
	src, err := db.AddSource(t.Context(), news.Source{
		Name: name, Kind: news.SourceWordPress, Location: "https://" + name + ".example.org",
		Settings: news.SourceSettings{Settle: news.Duration(30 * time.Second)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if activated {
		if err := db.FinishLook(t.Context(), src.ID, news.Look{}, true); err != nil {
			t.Fatal(err)
		}
	}
	return &newsroom{t: t, db: db, id: src.ID}
}

func found(id string, terms ...string) news.Found {
	f := news.Found{NativeID: id, URL: "https://x.example.org/" + id, Title: "Title " + id, Summary: "Summary", ContentHTML: "<p>Body " + id + "</p>"}
	for _, name := range terms {
		kind := news.KindCategory
		if name[0] == '#' {
			kind, name = news.KindTag, name[1:]
		}
		f.Terms = append(f.Terms, news.TermRef{Kind: kind, Name: name})
	}
	return f
}

func (n *newsroom) put(fs ...news.Found) news.StoreCounts {
	n.t.Helper()
	c, err := n.db.StoreArticles(n.t.Context(), n.id, fs)
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

func (n *newsroom) release() int {
	n.t.Helper()
	c, _, err := n.db.ReleaseDue(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

func (n *newsroom) titles(q news.ArticleQuery) []string {
	n.t.Helper()
	as, err := n.db.Articles(n.t.Context(), q)
	if err != nil {
		n.t.Fatal(err)
	}
	out := []string{}
	for _, a := range as {
		out = append(out, a.NativeID)
	}
	return out
}

func (n *newsroom) term(kind news.TermKind, slug string) news.Term {
	n.t.Helper()
	term, err := n.db.TermBySlug(n.t.Context(), kind, slug)
	if err != nil {
		n.t.Fatalf("%s %s: %v", kind, slug, err)
	}
	return term
}

func TestReleaseWaitsForTheSettleDelayAndNumbersOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		if c := n.put(found("b", "US"), found("a", "US", "#Cartels")); c.New != 2 {
			t.Fatalf("%+v", c)
		}
		if got := n.release(); got != 0 {
			t.Fatalf("released %d before the settle delay", got)
		}
		_, next, err := db.ReleaseDue(t.Context())
		if err != nil || !next.Equal(db.Clock.Now().Add(30*time.Second)) {
			t.Fatalf("next %v, %v", next, err)
		}
		db.Clock.Advance(30 * time.Second)
		if got := n.release(); got != 2 {
			t.Fatalf("released %d", got)
		}
		if got := n.release(); got != 0 {
			t.Fatalf("released again: %d", got)
		}
		as, err := db.ArticlesBetween(t.Context(), 0, 99, 0)
		if err != nil || len(as) != 2 || as[0].Seq != 1 || as[1].Seq != 2 {
			t.Fatalf("%+v, %v", as, err)
		}
		if us := n.term(news.KindCategory, "us"); us.Articles != 2 {
			t.Errorf("us counts %d", us.Articles)
		}
	})
}

func TestFirstRunFillsFeedsAndIsNoNews(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", false)
		old := found("old", "US")
		old.PublishedAt = db.Clock.Now().Add(-48 * time.Hour)
		older := found("older", "US")
		older.PublishedAt = db.Clock.Now().Add(-72 * time.Hour)
		embargoed := found("embargoed", "US")
		embargoed.EmbargoAt = db.Clock.Now().Add(time.Hour)
		n.put(old, older, embargoed)
		n.release()
		if got := n.titles(news.ArticleQuery{}); !slices.Equal(got, []string{"old", "older"}) {
			t.Fatalf("feed %v", got)
		}
		db.Clock.Advance(time.Hour)
		n.release()
		as, err := db.ArticlesBetween(t.Context(), 0, 99, 0)
		if err != nil || len(as) != 1 || as[0].NativeID != "embargoed" {
			t.Fatalf("news %+v, %v", as, err)
		}
	})
}

func TestEditKeepsIdentityAndChangesOnlyItsOwnFeeds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		n.put(found("a", "US"), found("b", "Sports"))
		db.Clock.Advance(time.Minute)
		n.release()
		before, err := db.FeedChanges(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if c := n.put(found("a", "US"), found("b", "Sports")); c.Unchanged != 2 {
			t.Fatalf("%+v", c)
		}
		if same, _ := db.FeedChanges(t.Context(), before.Cursor); same.Cursor != before.Cursor || len(same.TermIDs) != 0 {
			t.Fatalf("nothing changed, but %+v", same)
		}
		edited := found("a", "US")
		edited.Title = "A better title"
		if c := n.put(edited); c.Changed != 1 {
			t.Fatalf("%+v", c)
		}
		after, err := db.FeedChanges(t.Context(), before.Cursor)
		if err != nil || !slices.Equal(after.TermIDs, []int64{n.term(news.KindCategory, "us").ID}) {
			t.Fatalf("%+v, %v", after, err)
		}
		as, _ := db.Articles(t.Context(), news.ArticleQuery{TermIDs: after.TermIDs})
		if len(as) != 1 || as[0].Title != "A better title" || as[0].Seq != 1 || !as[0].UpdatedAt.Equal(db.Clock.Now()) {
			t.Fatalf("%+v", as)
		}
	})
}

func TestTermOnlyChangeMovesTheArticle(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		n.put(found("a", "US", "#Old"))
		db.Clock.Advance(time.Minute)
		n.release()
		if c := n.put(found("a", "Asia")); c.Changed != 1 {
			t.Fatalf("%+v", c)
		}
		us, asia := n.term(news.KindCategory, "us"), n.term(news.KindCategory, "asia")
		if us.Articles != 0 || asia.Articles != 1 || len(n.titles(news.ArticleQuery{TermIDs: []int64{us.ID}})) != 0 {
			t.Fatalf("us %+v asia %+v", us, asia)
		}
	})
}

func TestWithdrawnComesBackUnderItsSeq(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		n.put(found("a", "US"), found("b", "US"))
		db.Clock.Advance(time.Minute)
		n.release()
		if c, err := db.WithdrawArticles(t.Context(), n.id, []string{"a", "unknown"}); c != 1 || err != nil {
			t.Fatal(c, err)
		}
		if got := n.titles(news.ArticleQuery{}); !slices.Equal(got, []string{"b"}) {
			t.Fatalf("%v", got)
		}
		n.put(found("a", "US"))
		as, _ := db.ArticlesBetween(t.Context(), 0, 99, 0)
		if len(as) != 2 || as[0].NativeID != "a" || as[0].Seq != 1 {
			t.Fatalf("%+v", as)
		}
	})
}

func TestExpiryAndEmbargo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		f := found("a", "US")
		f.ExpiresAt = db.Clock.Now().Add(time.Hour)
		e := found("e", "US")
		e.EmbargoAt = db.Clock.Now().Add(2 * time.Hour)
		n.put(f, e)
		db.Clock.Advance(time.Minute)
		n.release()
		if got := n.titles(news.ArticleQuery{}); !slices.Equal(got, []string{"a"}) {
			t.Fatalf("%v", got)
		}
		db.Clock.Advance(time.Hour)
		n.release()
		if got := n.titles(news.ArticleQuery{}); len(got) != 0 {
			t.Fatalf("expired stays: %v", got)
		}
		db.Clock.Advance(time.Hour)
		n.release()
		if got := n.titles(news.ArticleQuery{}); !slices.Equal(got, []string{"e"}) {
			t.Fatalf("%v", got)
		}
	})
}

// What is older than the last look by more than a week is fed, not mailed: a
// file that was broken in the first run, an import. Time away does not count.
func TestOldArticlesAreNoNews(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		dated := func(id string, age time.Duration) news.Found {
			f := found(id, "US")
			f.PublishedAt = db.Clock.Now().Add(-age)
			return f
		}
		const day = 24 * time.Hour
		n.put(dated("mended", 2000*day), dated("yesterday", day))
		if err := db.FinishLook(t.Context(), n.id, news.Look{LastAt: db.Clock.Now()}, false); err != nil {
			t.Fatal(err)
		}
		db.Clock.Advance(30 * day) // we were away
		n.put(dated("while-away", 29*day), dated("imported", 60*day))
		db.Clock.Advance(time.Minute)
		n.release()
		as, err := db.ArticlesBetween(t.Context(), 0, 99, 0)
		var got []string
		for _, a := range as {
			got = append(got, a.NativeID)
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, []string{"while-away", "yesterday"}) || len(n.titles(news.ArticleQuery{})) != 4 {
			t.Fatalf("news %v, %v", got, err)
		}
	})
}

func TestAnEmbargoIsLiftedAndSet(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		later := db.Clock.Now().Add(1000 * time.Hour)
		held := found("a", "US")
		held.EmbargoAt = later
		n.put(held, found("b", "US"))
		db.Clock.Advance(time.Minute)
		n.release()
		if got := n.titles(news.ArticleQuery{}); !slices.Equal(got, []string{"b"}) {
			t.Fatalf("%v", got)
		}
		// Lifted, with nothing else changed.
		if c := n.put(found("a", "US")); c.Changed != 1 {
			t.Fatalf("%+v", c)
		}
		n.release()
		if got := n.titles(news.ArticleQuery{}); !slices.Equal(got, []string{"a", "b"}) {
			t.Fatalf("after the embargo was lifted: %v", got)
		}
		// Withdrawn, and back under an embargo: not out before it, and no news then.
		if _, err := db.WithdrawArticles(t.Context(), n.id, []string{"a"}); err != nil {
			t.Fatal(err)
		}
		n.put(held)
		n.release()
		if got := n.titles(news.ArticleQuery{}); !slices.Equal(got, []string{"b"}) {
			t.Fatalf("out before its embargo: %v", got)
		}
		db.Clock.Set(later)
		n.release()
		a, err := db.Article(t.Context(), 1)
		if err != nil || a.State != news.ArticleReleased || a.Seq != 2 {
			t.Fatalf("%+v, %v", a, err)
		}
	})
}

func TestWhatHasExpiredStaysAway(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		f := found("a", "US")
		f.ExpiresAt = db.Clock.Now().Add(time.Hour)
		n.put(f)
		db.Clock.Advance(time.Minute)
		n.release()
		db.Clock.Advance(time.Hour)
		n.release()
		f.Title = "Edited after its time"
		n.put(f)
		if got := n.titles(news.ArticleQuery{}); len(got) != 0 {
			t.Fatalf("%v", got)
		}
		f.ExpiresAt = time.Time{} // the publisher thought again
		n.put(f)
		if got := n.titles(news.ArticleQuery{}); !slices.Equal(got, []string{"a"}) || n.term(news.KindCategory, "us").Articles != 1 {
			t.Fatalf("%v", got)
		}
		f.ExpiresAt = db.Clock.Now().Add(-time.Minute) // out, and now told that its time is over
		n.put(f)
		if got := n.titles(news.ArticleQuery{}); len(got) != 0 || n.term(news.KindCategory, "us").Articles != 0 {
			t.Fatalf("%v", got)
		}
	})
}

func TestFutureDateIsShownAsFirstSeen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		f := found("a")
		f.PublishedAt = db.Clock.Now().Add(50 * time.Second)
		n.put(f)
		a, err := db.Article(t.Context(), 1)
		if err != nil || !a.PublishedAt.Equal(a.FirstSeenAt) {
			t.Fatalf("%+v, %v", a, err)
		}
	})
}

func TestTermIdentity(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		n.put(found("a", "#R&D", "#C", "#C++", "#C#", "#İstanbul", "#caf\u00e9"),
			found("b", "#R&amp;D", "#c", "#c++", "#istanbul", "#cafe\u0301"))
		terms, err := db.Terms(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var slugs []string
		for _, term := range terms {
			slugs = append(slugs, term.Slug)
		}
		slices.Sort(slugs)
		if diff := cmp.Diff([]string{"c", "cafe", "cplusplus", "csharp", "istanbul", "r-and-d"}, slugs); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRenameKeepsTheTermAndItsPastSlug(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		ref := func(id, parent, slug, name string) news.TermRef {
			return news.TermRef{Kind: news.KindCategory, NativeID: id, ParentNativeID: parent, Slug: slug, Name: name}
		}
		if err := db.StoreTerms(t.Context(), n.id, []news.TermRef{ref("2", "1", "turkey", "Turkey"), ref("1", "", "asia", "Asia")}); err != nil {
			t.Fatal(err)
		}
		f := found("a")
		f.Terms = []news.TermRef{ref("2", "1", "turkey", "Turkey")}
		n.put(f)
		db.Clock.Advance(time.Minute)
		n.release()
		before, _ := db.FeedChanges(t.Context(), 0)
		if err := db.StoreTerms(t.Context(), n.id, []news.TermRef{ref("1", "", "asia", "Asia"), ref("2", "1", "turkiye", "Türkiye")}); err != nil {
			t.Fatal(err)
		}
		again, _ := db.FeedChanges(t.Context(), 0)
		if err := db.StoreTerms(t.Context(), n.id, []news.TermRef{ref("1", "", "asia", "Asia"), ref("2", "1", "turkiye", "Türkiye")}); err != nil {
			t.Fatal(err)
		}
		if same, _ := db.FeedChanges(t.Context(), 0); same.Cursor != again.Cursor {
			t.Error("terms as they were move the change counter")
		}
		old, now := n.term(news.KindCategory, "turkey"), n.term(news.KindCategory, "turkiye")
		if old.ID != now.ID || now.Name != "Türkiye" || old.Slug != "turkiye" {
			t.Fatalf("%+v %+v", old, now)
		}
		after, _ := db.FeedChanges(t.Context(), before.Cursor)
		asia := n.term(news.KindCategory, "asia")
		if now.ParentID != asia.ID || !slices.Contains(after.TermIDs, asia.ID) || !slices.Contains(after.TermIDs, now.ID) {
			t.Fatalf("%+v: the parent's feed carries the child's articles", after)
		}
	})
}

func TestRemovedSourceComesBackAsArchive(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		n.put(found("a", "US"))
		db.Clock.Advance(time.Minute)
		n.release()
		if err := db.RemoveSource(t.Context(), "site"); err != nil {
			t.Fatal(err)
		}
		if got := n.titles(news.ArticleQuery{}); len(got) != 0 {
			t.Fatalf("%v", got)
		}
		again := newNewsroom(t, db, "site", false)
		if again.id != n.id {
			t.Fatalf("source %d became %d", n.id, again.id)
		}
		again.put(found("a", "US"), found("while-away", "US"))
		again.release()
		as, _ := db.ArticlesBetween(t.Context(), 1, 99, 0)
		if len(as) != 0 || len(again.titles(news.ArticleQuery{})) != 2 {
			t.Fatalf("news %+v", as)
		}
	})
}

func TestConcurrentReleasesNumberWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		var fs []news.Found
		for i := range 120 {
			fs = append(fs, found(fmt.Sprintf("n%03d", i), "US"))
		}
		n.put(fs...)
		db.Clock.Advance(time.Minute)
		var wg sync.WaitGroup
		var mu sync.Mutex
		total := 0
		for range 4 {
			wg.Go(func() {
				c, _, err := db.ReleaseDue(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				total += c
			})
		}
		wg.Wait()
		as, err := db.ArticlesBetween(t.Context(), 0, 999, 0)
		if err != nil || total != 120 || len(as) != 120 || as[119].Seq != 120 {
			t.Fatalf("released %d, stored %d, %v", total, len(as), err)
		}
	})
}

func TestKnownArticlesPagesInByteOrder(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		n.put(found("10"), found("9"), found("B"), found("a"), found("é"))
		var got []string
		after := ""
		for {
			page, err := db.KnownArticles(t.Context(), n.id, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range page {
				got = append(got, k.NativeID)
			}
			if len(page) < 2 {
				break
			}
			after = page[1].NativeID
		}
		if diff := cmp.Diff([]string{"10", "9", "B", "a", "é"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHostileTextIsStoredClean(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, "site", true)
		f := found("a\x00b")
		f.Title = "bad \xff bytes \x00 here"
		f.Authors = []news.Author{{Name: "Nul\x00l"}}
		n.put(f)
		n.put(f)
		a, err := db.Article(t.Context(), 1)
		if err != nil || a.Title != "bad \uFFFD bytes  here" || a.NativeID != "ab" {
			t.Fatalf("%+v, %v", a, err)
		}
	})
}

func TestClaimSourceGivesEachLookToOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		newNewsroom(t, db, "one", false)
		newNewsroom(t, db, "two", false)
		names := map[string]int{}
		for range 3 {
			src, ok, err := db.ClaimSource(t.Context(), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				names[src.Name]++
			}
		}
		if diff := cmp.Diff(map[string]int{"one": 1, "two": 1}, names); diff != "" {
			t.Fatal(diff)
		}
		db.Clock.Advance(2 * time.Minute)
		if _, ok, _ := db.ClaimSource(t.Context(), time.Minute); !ok {
			t.Error("a lease that ended keeps its source for ever")
		}
	})
}

func TestSettingsAndKeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		ctx := t.Context()
		one, err := db.Secrets(ctx)
		two, err2 := db.Secrets(ctx)
		if err != nil || err2 != nil || len(one) != 1 || len(one[0].Key) != 32 || cmp.Diff(one, two) != "" {
			t.Fatal(one, two, err, err2)
		}
		if err := db.SetPaused(ctx, true); err != nil {
			t.Fatal(err)
		}
		if p, err := db.Paused(ctx); !p || err != nil {
			t.Fatal(p, err)
		}
		if err := db.AddKey(ctx, news.APIKey{Name: "cms", Scope: news.ScopePublish, Hash: "abc"}); err != nil {
			t.Fatal(err)
		}
		if err := db.AddKey(ctx, news.APIKey{Name: "cms", Scope: news.ScopePublish, Hash: "abd"}); err == nil {
			t.Error("a name was taken twice")
		}
		if k, err := db.KeyByHash(ctx, "abc"); err != nil || k.Name != "cms" || k.LastUsedAt.IsZero() {
			t.Fatal(k, err)
		}
		st, err := db.Status(ctx)
		if err != nil || !st.Paused {
			t.Fatal(st, err)
		}
	})
}
