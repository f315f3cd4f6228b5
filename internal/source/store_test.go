package source_test

import (
	"context"
	"os"
	"path/filepath"
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

func TestPushToStore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		ctx := context.Background()
		if _, err := db.AddSource(ctx, news.Source{Name: "cms", Kind: news.SourcePush}); err != nil {
			t.Fatal(err)
		}
		p := source.NewPush(db, db.Clock.Now)
		body := `{"id":"1","url":"https://news.example.org/1","title":"One","content_html":"<p>Text</p>","categories":[{"id":"c1","name":"Towns"}]}`
		for i, want := range []news.StoreCounts{{New: 1}, {Unchanged: 1}} {
			if got, err := p.Put(ctx, "cms", strings.NewReader(body)); err != nil || got != want {
				t.Errorf("put %d: %+v, %v", i, got, err)
			}
		}
		if a := released(t, db)["One"]; a.Archive || len(a.Categories) != 1 {
			t.Errorf("article %+v", a)
		}
		if err := p.Delete(ctx, "cms", "1"); err != nil {
			t.Error(err)
		}
		if n := len(released(t, db)); n != 0 {
			t.Errorf("%d articles after delete", n)
		}
	})
}
