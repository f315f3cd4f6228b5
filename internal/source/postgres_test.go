package source_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/source"
	_ "github.com/lib/pq" // the publisher's database
)

// newsroom is a publisher's own database, watched over the real store.
type newsroom struct {
	*sql.DB
	t *testing.T
	w *source.Watcher
}

func newNewsroom(t *testing.T, db *dbtest.DB, schema string, change func(*news.Source)) *newsroom {
	t.Helper()
	dsn := dbtest.PostgresDSN(t)
	raw, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	n := &newsroom{DB: raw, t: t}
	n.run(schema)
	client, err := source.NewClient(source.ClientOptions{Now: db.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery, u.Fragment = url.Values{"sslmode": {"disable"}, "search_path": {u.Query().Get("search_path")}}.Encode(), "articles"
	src := news.Source{Name: "site", Kind: news.SourcePostgres, Location: u.String(),
		Settings: news.SourceSettings{BaseURL: "https://news.example.org/", Table: &news.SourceTable{Name: "articles"}}}
	if change != nil {
		change(&src)
	}
	if _, err := db.AddSource(context.Background(), src); err != nil {
		t.Fatal(err)
	}
	n.w = source.New(source.Options{Store: db, Client: client, Now: db.Clock.Now})
	return n
}

func (n *newsroom) run(query string, args ...any) {
	n.t.Helper()
	if _, err := n.ExecContext(context.Background(), query, args...); err != nil {
		n.t.Fatal(err)
	}
}

const articlesTable = `CREATE TABLE articles (id bigserial PRIMARY KEY, url text NOT NULL, title text NOT NULL, html text, status text NOT NULL DEFAULT 'published',
	published_at timestamptz NOT NULL DEFAULT '2026-03-01T10:00:00Z', updated_at timestamptz, categories text[], tags text, author text, image text)`

func TestPostgresFirstRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, articlesTable, nil)
		n.run(`INSERT INTO articles (url, title, html, categories, tags, author, image, published_at) VALUES
			('a/quay', 'Quay &amp; pier', '<p>The quay <a href="/x">opens</a>.</p><script>x</script>', '{World,"R&D, labs"}', 'Ports, Ships', 'Ines, of the Gazette', '/q.jpg', '2026-03-01 12:00:00+03'),
			('https://other.example.org/b', 'Whole address', '<p>Text</p>', NULL, NULL, NULL, NULL, '2026-03-01 12:00:00')`)
		n.run(`INSERT INTO articles (url, title, status) SELECT 'd/' || g, 'Draft', 'draft' FROM generate_series(1, 20) g`)
		n.run(`INSERT INTO articles (url, title) SELECT 'm/' || g, 'Many' FROM generate_series(1, 6000) g`)
		if got := look(t, n.w); got.New != 6002 {
			t.Fatalf("first run %+v", got)
		}
		if _, _, err := db.ReleaseDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		p, err := db.SourceByName(t.Context(), "site")
		if err != nil {
			t.Fatal(err)
		}
		a, err := db.ArticleByNativeID(t.Context(), p.ID, "1")
		if err != nil {
			t.Fatal(err)
		}
		if !a.Archive || a.Title != "Quay & pier" || a.URL != "https://news.example.org/a/quay" || a.ContentHTML != `<p>The quay <a href="https://news.example.org/x">opens</a>.</p>` ||
			!a.PublishedAt.Equal(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)) || a.Image == nil || a.Image.URL != "https://news.example.org/q.jpg" {
			t.Errorf("article %+v", a)
		}
		var terms []string
		for _, x := range slices.Concat(a.Categories, a.Tags) {
			terms = append(terms, x.Name)
		}
		if !slices.Equal(terms, []string{"World", "R&D, labs", "Ports", "Ships"}) || len(a.Authors) != 1 || a.Authors[0].Name != "Ines, of the Gazette" {
			t.Errorf("terms %q, authors %+v", terms, a.Authors)
		}
		db.Clock.Advance(time.Minute)
		if got := look(t, n.w); got != (news.StoreCounts{}) {
			t.Errorf("nothing changed: %+v", got)
		}
	})
}

// A row whose transaction began before others and commits after a look has a
// lower sequence number and an older timestamp than what was seen.
func TestWatch_38_LateCommit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, articlesTable, nil)
		n.run(`INSERT INTO articles (url, title) VALUES ('1', 'First')`)
		look(t, n.w)
		slow, err := n.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := slow.ExecContext(t.Context(), `INSERT INTO articles (url, title, published_at, updated_at) VALUES ('2', 'Late', '2026-03-02T08:00:00Z', '2026-03-02T08:00:00Z')`); err != nil {
			t.Fatal(err)
		}
		n.run(`INSERT INTO articles (url, title, published_at, updated_at) VALUES ('3', 'Quick', '2026-03-02T08:30:00Z', '2026-03-02T08:30:00Z')`)
		db.Clock.Advance(time.Minute)
		if got := look(t, n.w); got.New != 1 {
			t.Fatalf("before the commit: %+v", got)
		}
		if err := slow.Commit(); err != nil {
			t.Fatal(err)
		}
		db.Clock.Advance(time.Minute)
		if got := look(t, n.w); got.New != 1 {
			t.Errorf("after the commit: %+v, want the late row", got)
		}
		db.Clock.Advance(time.Minute)
		all := released(t, db)
		if late := all["Late"]; late.Seq == 0 || late.Archive || len(all) != 3 {
			t.Errorf("%+v of %d", late, len(all))
		}
	})
}

// What is done to a row is seen, whether the application keeps updated_at or not.
func TestWatch_19_PostgresChanges(t *testing.T) {
	view := articlesTable + `; ALTER TABLE articles RENAME TO base; CREATE VIEW articles AS SELECT * FROM base`
	bare := articlesTable + `; ALTER TABLE articles RENAME TO base; CREATE VIEW articles AS SELECT id, url, title, html, tags FROM base`
	for _, tt := range []struct {
		name, schema, query string
		want                func(news.Article) bool
	}{
		{"title", articlesTable, `UPDATE articles SET title = 'New'`, func(a news.Article) bool { return a.Title == "New" }},
		{"tags alone", articlesTable, `UPDATE articles SET tags = 'Other'`, func(a news.Article) bool { return a.Tags[0].Name == "Other" }},
		{"tags of a view", view, `UPDATE base SET tags = 'Other'`, func(a news.Article) bool { return a.Tags[0].Name == "Other" }},
		{"text of a view with updated_at", view, `UPDATE base SET html = '<p>New</p>', updated_at = now()`, func(a news.Article) bool { return a.ContentHTML == "<p>New</p>" }},
		{"text of a view without", bare, `UPDATE base SET html = '<p>New</p>'`, func(a news.Article) bool { return a.ContentHTML == "<p>New</p>" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := dbtest.SQLite(t)
			n := newNewsroom(t, db, tt.schema, nil)
			into := "articles"
			if tt.schema != articlesTable {
				into = "base"
			}
			n.run(`INSERT INTO ` + into + ` (url, title, html, tags) VALUES ('1', 'Old', '<p>Old</p>', 'Ports')`)
			look(t, n.w)
			n.run(tt.query)
			db.Clock.Advance(time.Minute)
			if got := look(t, n.w); got.Changed != 1 {
				t.Errorf("%+v", got)
			}
			for _, a := range released(t, db) {
				if !tt.want(a) {
					t.Errorf("article %+v", a)
				}
			}
		})
	}
}

func TestWatch_20_PostgresRemovals(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		n := newNewsroom(t, db, articlesTable, nil)
		n.run(`INSERT INTO articles (url, title) SELECT g::text, 'T' || g FROM generate_series(1, 40) g`)
		look(t, n.w)
		n.run(`DELETE FROM articles WHERE id = 1`)
		n.run(`UPDATE articles SET status = 'draft' WHERE id = 2`)
		if got := look(t, n.w); got.Withdrawn != 2 || len(released(t, db)) != 38 {
			t.Errorf("%+v", got)
		}
		n.run(`UPDATE articles SET status = 'PUBLISHED' WHERE id = 2`)
		if got := look(t, n.w); got.Changed != 1 || len(released(t, db)) != 39 {
			t.Errorf("back again: %+v", got)
		}
		n.run(`DELETE FROM articles WHERE id < 30`)
		_, err := n.w.Look(t.Context(), "site")
		var held *source.HeldError
		if !errors.As(err, &held) || len(released(t, db)) != 39 {
			t.Errorf("a great loss: %v", err)
		}
		n.run(`TRUNCATE articles`)
		if _, err = n.w.Look(t.Context(), "site"); err == nil || len(released(t, db)) != 39 {
			t.Errorf("an empty table: %v", err)
		}
		if _, err := n.w.Accept(t.Context(), "site"); err != nil || len(released(t, db)) != 0 {
			t.Errorf("accepted: %v", err)
		}
	})
}

// Ids of every kind that can be paged through, names that need quotes, and
// rows that cannot be used.
func TestPostgresMapping(t *testing.T) {
	for name, tt := range map[string]struct {
		schema string
		change func(*news.Source)
		new    int
		notes  []string
		field  string // of the fault
	}{
		"uuid":                             {`CREATE TABLE articles (id uuid, url text, title text); INSERT INTO articles SELECT gen_random_uuid(), g::text, 'T' FROM generate_series(1, 5500) g`, nil, 5500, nil, ""},
		"text in another order than bytes": {`CREATE TABLE articles (id text, url text, title text); INSERT INTO articles SELECT chr(65 + g % 60) || g, g::text, 'T' FROM generate_series(1, 5500) g`, nil, 5500, nil, ""},
		"numeric":                          {`CREATE TABLE articles (id numeric(20), url text, title text); INSERT INTO articles VALUES (12345678901234567890, 'x', 'T')`, nil, 1, nil, ""},
		"no id":                            {`CREATE TABLE articles (id jsonb, url text, title text)`, nil, 0, nil, "column id"},
		"no title":                         {`CREATE TABLE articles (id int, url text)`, nil, 0, nil, "column title"},
		"mapped to nothing":                {articlesTable, func(s *news.Source) { s.Settings.Table.Columns = map[string]string{"html": "body"} }, 0, nil, "column html"},
		"quotes": {`CREATE SCHEMA "x.y"; DROP SCHEMA "x.y"; CREATE TABLE "select; --" ("ID ""1""" int, "Url" text, "order" text, "Body'" text); INSERT INTO "select; --" VALUES (1, 'x', 'T', '# Hi')`, func(s *news.Source) {
			s.Settings.Table = &news.SourceTable{Name: `select; --`, Columns: map[string]string{"id": `ID "1"`, "url": "Url", "title": "order", "markdown": "Body'"}}
		}, 1, nil, ""},
		"injected": {articlesTable, func(s *news.Source) {
			s.Settings.Table.Columns = map[string]string{"html": `html" FROM articles; DROP TABLE articles; --`}
		}, 0, nil, "column html"},
		"own values of status": {articlesTable + `; INSERT INTO articles (url, title, status) VALUES ('1', 'T', '3'), ('2', 'T', 'published')`, func(s *news.Source) {
			s.Settings.Table.Published = []string{"3"}
		}, 1, nil, ""},
		"no status": {articlesTable + `; INSERT INTO articles (url, title, status) VALUES ('1', 'T', '3'), ('2', 'T', 'published')`, func(s *news.Source) {
			s.Settings.Table.Columns = map[string]string{"status": "-"}
		}, 2, nil, ""},
		"rows of no use": {`CREATE TABLE articles (id int, url text, title text, published_at text); INSERT INTO articles VALUES
			(1, 'javascript:x', 'T', NULL), (2, '//evil.example/x', 'T', NULL), (3, NULL, 'T', NULL), (4, 'ok', 'T', 'yesterday'), (5, 'ok', NULL, '2026-03-01 10:00:00'), (NULL, 'x', 'T', NULL)`,
			nil, 1, []string{"row 1: url", "row 2: url", "row 3: url: there is none", `row 4: published_at: "yesterday"`}, ""},
		"paths without a base": {articlesTable + `; INSERT INTO articles (url, title) VALUES ('x', 'T')`, func(s *news.Source) { s.Settings.BaseURL = "" }, 0, []string{"--base-url"}, ""},
		"JSON lists":           {`CREATE TABLE articles (id int, url text, title text, tags jsonb, author json); INSERT INTO articles VALUES (1, 'x', 'T', '["a", {"name": "b"}]', '[{"name": "Ana"}]')`, nil, 1, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := dbtest.SQLite(t)
			n := newNewsroom(t, db, tt.schema, tt.change)
			r, err := n.w.Look(t.Context(), "site")
			var field *news.FieldError
			if errors.As(err, &field) != (tt.field != "") || field != nil && field.Field != tt.field {
				t.Fatalf("%v, want a fault of %q", err, tt.field)
			}
			if tt.field == "" && err != nil {
				t.Fatal(err)
			}
			if r.Counts.New != tt.new {
				t.Errorf("%+v, want %d new", r.Counts, tt.new)
			}
			for _, want := range tt.notes {
				if !slices.ContainsFunc(r.Notes, func(s string) bool { return strings.Contains(s, want) }) {
					t.Errorf("no note %q in %q", want, r.Notes)
				}
			}
		})
	}
}

func TestPostgresLocation(t *testing.T) {
	table := &news.SourceTable{Name: "articles"}
	for location, ok := range map[string]bool{
		"postgres://reader@db.example.org/cms": true, "postgresql://reader@db.example.org:5433/cms?sslmode=verify-full#articles": true,
		"postgres:///cms?host=/run/postgresql": true, "postgres://reader:canary@db.example.org/cms": false, "postgres://db.example.org/cms?password=canary": false,
		"postgres://db.example.org/cms?sslinline=true": false, "postgres://db.example.org": false, "https://db.example.org/cms": false, "host=db password=canary": false, "": false,
	} {
		s := news.Source{Name: "site", Kind: news.SourcePostgres, Location: location, Settings: news.SourceSettings{Poll: news.Duration(time.Minute), Table: table}}
		err := s.Validate()
		if (err == nil) != ok {
			t.Errorf("%s: %v", location, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the password is shown: %v", err)
		}
	}
}

// A password that does not fit, a server that is not there: failures without
// the password in them, and nothing is withdrawn.
func TestWatch_21_PostgresFailures(t *testing.T) {
	db := dbtest.SQLite(t)
	n := newNewsroom(t, db, articlesTable+`; INSERT INTO articles (url, title) VALUES ('1', 'T')`, nil)
	look(t, n.w)
	src, err := db.SourceByName(t.Context(), "site")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetSourceSecret(t.Context(), "site", news.Hide("canary")); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*url.URL){
		"no server":   func(u *url.URL) { u.Host = "127.0.0.1:1" },
		"no database": func(u *url.URL) { u.Path = "/none" },
		"no role":     func(u *url.URL) { u.User = url.User("nobody_of_that_name") },
		"no table":    func(u *url.URL) { u.RawQuery = "sslmode=disable&search_path=none" },
	} {
		u, err := url.Parse(src.Location)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		if err := db.MoveSource(t.Context(), src.ID, u.String()); err != nil {
			t.Fatal(err)
		}
		if _, err = n.w.Look(t.Context(), "site"); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(released(t, db)) != 1 {
		t.Error("something was withdrawn")
	}
}

// The trigger that is printed makes the watcher look at once; looks write nothing.
func TestWatch_37_PostgresNotify(t *testing.T) {
	db := dbtest.Postgres(t)
	n := newNewsroom(t, db, articlesTable, func(s *news.Source) {
		s.Settings.Poll, s.Settings.Table.Channel = news.Duration(time.Hour), "gazetted_"+strings.ToLower(t.Name())
	})
	src, err := db.SourceByName(t.Context(), "site")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may be installed again
		n.run(source.TriggerSQL(src))
	}
	client, err := source.NewClient(source.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	events := make(chan source.Event, 100)
	w := source.New(source.Options{Store: db, Client: client, Now: time.Now, Events: func(e source.Event) { events <- e }})
	db.Clock.Set(time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	wait := func(what string, ok func(source.Event) bool) {
		t.Helper()
		for {
			select {
			case e := <-events:
				if e.Err != nil {
					t.Fatal(e.Err)
				}
				if ok(e) {
					return
				}
			case <-tick.C:
				db.Clock.Set(time.Now())
			case <-deadline:
				t.Fatalf("%s: not in time", what)
			}
		}
	}
	wait("the first run", func(e source.Event) bool { return e.Activated })
	wait("the look when listening began", func(source.Event) bool { return true })
	for i := range 3 {
		n.run(fmt.Sprintf(`INSERT INTO articles (url, title) VALUES ('%d', 'T')`, i))
		wait("a new row", func(e source.Event) bool { return e.Report.Counts.New == 1 })
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
