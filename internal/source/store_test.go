package source_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/source"
)

// These tests drive the watcher over the real store.

func folderSource(t *testing.T, db *dbtest.DB) (dir string, w *source.Watcher) {
	t.Helper()
	dir = t.TempDir()
	client, err := source.NewClient(source.ClientOptions{Now: db.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := db.AddSource(context.Background(), news.Source{Name: "site", Kind: news.SourceFolder, Location: dir,
		Settings: news.SourceSettings{BaseURL: "https://news.example.org/", Settle: news.Duration(30 * time.Second)}}); err != nil {
		t.Fatal(err)
	}
	return dir, source.New(source.Options{Store: db, Client: client, Now: db.Clock.Now})
}

func write(t *testing.T, db *dbtest.DB, p, title, more string) {
	t.Helper()
	text := "---\ntitle: " + title + "\ndate: 2026-03-01\n" + more + "---\nText of " + title + ".\n"
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	at := db.Clock.Now().Add(-time.Minute)
	if err := os.Chtimes(p, at, at); err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, w *source.Watcher) news.StoreCounts {
	t.Helper()
	r, err := w.Look(context.Background(), "site")
	if err != nil {
		t.Fatal(err)
	}
	return r.Counts
}

func released(t *testing.T, db *dbtest.DB) map[string]news.Article {
	t.Helper()
	if _, _, err := db.ReleaseDue(context.Background()); err != nil {
		t.Fatal(err)
	}
	list, err := db.Articles(context.Background(), news.ArticleQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]news.Article)
	for _, a := range list {
		out[a.Title] = a
	}
	return out
}

func TestFolderToStore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		dir, w := folderSource(t, db)
		old, fresh := filepath.Join(dir, "old.md"), filepath.Join(dir, "fresh.md")
		write(t, db, old, "Old", "tags: [quay]\n")
		if got := look(t, w); got.New != 1 {
			t.Fatalf("first run %+v", got)
		}
		if a := released(t, db)["Old"]; !a.Archive || len(a.Tags) != 1 {
			t.Errorf("first run: %+v", a)
		}
		db.Clock.Advance(time.Hour)
		write(t, db, fresh, "Fresh", "categories: [Towns]\n")
		if got := look(t, w); got.New != 1 {
			t.Fatalf("second look %+v", got)
		}
		if _, ok := released(t, db)["Fresh"]; ok {
			t.Error("released before it settled")
		}
		db.Clock.Advance(time.Minute)
		first := released(t, db)["Fresh"]
		if first.Seq == 0 || first.Archive || first.URL != "https://news.example.org/fresh/" {
			t.Errorf("released %+v", first)
		}
		write(t, db, fresh, "Fresh", "draft: true\n")
		if got := look(t, w); got.Withdrawn != 1 {
			t.Errorf("draft %+v", got)
		}
		if _, ok := released(t, db)["Fresh"]; ok {
			t.Error("a draft is in the feeds")
		}
		db.Clock.Advance(time.Hour)
		write(t, db, fresh, "Fresh", "categories: [Towns]\n")
		look(t, w)
		if again := released(t, db)["Fresh"]; again.Seq != first.Seq {
			t.Errorf("published again with Seq %d, had %d: it would be mailed twice", again.Seq, first.Seq)
		}
		db.Clock.Advance(time.Hour)
		if got := look(t, w); got != (news.StoreCounts{}) {
			t.Errorf("nothing changed: %+v", got)
		}
	})
}

func TestWatcherClaims(t *testing.T) {
	db := dbtest.SQLite(t)
	dir, _ := folderSource(t, db)
	write(t, db, filepath.Join(dir, "a.md"), "A", "")
	client, err := source.NewClient(source.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	events := make(chan source.Event, 10)
	w := source.New(source.Options{Store: db, Client: client, Now: db.Clock.Now, Events: func(e source.Event) { events <- e }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	e := <-events
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if e.Source != "site" || e.Err != nil || !e.Activated || e.Report.Counts.New != 1 {
		t.Errorf("event %+v", e)
	}
	src, err := db.SourceByName(context.Background(), "site")
	if err != nil || src.ActivatedAt.IsZero() || !src.Look.NextAt.After(db.Clock.Now()) {
		t.Errorf("source %+v, %v", src, err)
	}
}

func pushSource(t *testing.T, db *dbtest.DB) *source.Push {
	t.Helper()
	if _, err := db.AddSource(context.Background(), news.Source{Name: "cms", Kind: news.SourcePush}); err != nil {
		t.Fatal(err)
	}
	return source.NewPush(db)
}

func TestPushToStore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		ctx := context.Background()
		p := pushSource(t, db)
		body := `{"id":"1","url":"https://news.example.org/1","title":"One","content_html":"<p>Text</p>","categories":[{"id":"c1","name":"Towns"}]}`
		for i, want := range []news.PutOutcome{news.PutNew, news.PutUnchanged} {
			if got, err := p.Put(ctx, "cms", strings.NewReader(body), news.PushOptions{}); err != nil || got.Results[0].Result != want {
				t.Errorf("put %d: %+v, %v", i, got, err)
			}
		}
		if a := released(t, db)["One"]; a.Archive || len(a.Categories) != 1 {
			t.Errorf("article %+v", a)
		}
		if a, err := p.Get(ctx, "cms", "1"); err != nil || a.Title != "One" || len(a.Categories) != 1 || a.ContentHTML == "" {
			t.Errorf("get: %+v, %v", a, err)
		}
		if _, err := p.Delete(ctx, "cms", "1", time.Time{}); err != nil {
			t.Error(err)
		}
		if n := len(released(t, db)); n != 0 {
			t.Errorf("%d articles after delete", n)
		}
	})
}

// Versions of one article, and its removal, leave the same behind in whatever
// order they arrive, and however often.
func TestWatch_37_PushDoesNotDependOnOrder(t *testing.T) {
	put := func(n int, title string) string {
		return fmt.Sprintf(`{"id":"1","url":"https://news.example.org/1","title":%q,"published_at":"2026-03-01T00:00:00Z","updated_at":"2026-03-01T0%d:00:00Z"}`, title, n)
	}
	first, second, third := put(1, "First"), put(2, "Second"), put(3, "Third")
	gone := func(n int) string { return fmt.Sprintf("2026-03-01T0%d:30:00Z", n) }
	cases := []struct {
		name  string
		calls []string // bodies, and instants of a removal
		want  string   // the title that is left; "": withdrawn
	}{
		{"in order", []string{first, second, third}, "Third"},
		{"backwards", []string{third, second, first}, "Third"},
		{"repeated", []string{first, third, first, third, second}, "Third"},
		{"removed last", []string{first, second, gone(2)}, ""},
		{"removal repeated", []string{first, gone(1), gone(1)}, ""},
		{"removal overtakes an edit", []string{first, gone(2), second}, ""},
		{"removal overtakes everything", []string{gone(2), second, first}, ""},
		{"published again after its removal", []string{gone(2), third, second}, "Third"},
		{"late removal of an earlier version", []string{first, third, gone(2)}, "Third"},
	}
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		ctx := context.Background()
		p := pushSource(t, db)
		for n, tt := range cases {
			id := strconv.Itoa(n + 1)
			for _, call := range tt.calls {
				if at, err := time.Parse(time.RFC3339, call); err == nil {
					if _, err := p.Delete(ctx, "cms", id, at); err != nil {
						t.Fatal(err)
					}
					continue
				}
				call = strings.Replace(call, `"id":"1"`, `"id":"`+id+`"`, 1)
				if report, err := p.Put(ctx, "cms", strings.NewReader(call), news.PushOptions{}); err != nil || report.Refused > 0 {
					t.Fatal(report, err)
				}
			}
			if _, _, err := db.ReleaseDue(ctx); err != nil {
				t.Fatal(err)
			}
			a, err := p.Get(ctx, "cms", id)
			if err != nil && !errors.Is(err, news.ErrNotFound) {
				t.Fatal(err)
			}
			if out := a.State == news.ArticleReleased; out != (tt.want != "") || out && (a.Title != tt.want || a.Archive || a.Seq == 0) {
				t.Errorf("%s: left is %q (%s, archive %v), want %q", tt.name, a.Title, a.State, a.Archive, tt.want)
			}
		}
	})
}

// A batch is stored whole, and sent again changes nothing.
func TestWatch_37_BatchIsIdempotent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		ctx := context.Background()
		p := pushSource(t, db)
		const n = 1000 // several transactions
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "{\"id\":\"%d\",\"url\":\"https://news.example.org/%d\",\"title\":\"Title %d\",\"content_html\":\"<p>Text</p>\",\"tags\":[\"T%d\"]}\n", i, i, i, i%50)
		}
		for _, want := range []news.PushReport{{New: n}, {Unchanged: n}} {
			got, err := p.Put(ctx, "cms", strings.NewReader(b.String()), news.PushOptions{Lines: true})
			if err != nil || got.New != want.New || got.Unchanged != want.Unchanged || len(got.Results) != n {
				t.Fatalf("%d new, %d unchanged, %v", got.New, got.Unchanged, err)
			}
		}
	})
}
