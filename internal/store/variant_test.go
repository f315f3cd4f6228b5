package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/store"
	"gazetted/migrations"
)

// What a mail says of its list is kept when it is rendered, and stays as it is
// when the list changes.
func TestVariantsKeepTheirList(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		e, _ := mailing(w, 1, nil)
		l, err := w.db.ListByName(t.Context(), e.ListName)
		if err != nil {
			t.Fatal(err)
		}
		before, err := w.db.Variant(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if before.ListName != l.Name || before.ListTitle != l.Title || before.Sender != l.From || before.ReplyTo != l.ReplyTo || before.Public != l.Public {
			t.Errorf("%+v of %+v", before, l)
		}
		l.Title, l.From, l.ReplyTo, l.Public = "Other", "other@example.com", "desk@example.com", !l.Public
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		after, err := w.db.Variant(t.Context(), 1)
		if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%+v became %+v, %v", before, after, err)
		}
	})
}

// A sign-up after the list has changed has a confirmation of its own; that of
// an earlier one stays as it is.
func TestConfirmationsKeepTheirList(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		_, _ = mailing(w, 1, nil)
		lists, err := w.db.Lists(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l := lists[0]
		l.Public = true
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		ask := func(address, nonce string) {
			t.Helper()
			addr, err := news.ParseAddress("address", address)
			if err != nil {
				t.Fatal(err)
			}
			v := news.Variant{Kind: news.VariantConfirm, Language: "en", Nonce: nonce, Subject: "Please confirm", HTML: "<p>", Text: "-"}
			if res, err := w.db.Subscribe(t.Context(), news.SubscribeRequest{Address: addr, List: l.Name}, &v); err != nil || !res.ConfirmQueued {
				t.Fatalf("%+v, %v", res, err)
			}
		}
		ask("a@example.net", "nonce-a")
		l.From = "new@example.com"
		if err := w.db.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		ask("b@example.net", "nonce-b")
		a, errA := w.db.Variant(t.Context(), 2)
		b, errB := w.db.Variant(t.Context(), 3)
		if errA != nil || errB != nil || a.Sender == "new@example.com" || b.Sender != "new@example.com" {
			t.Errorf("senders %q and %q, %v, %v", a.Sender, b.Sender, errA, errB)
		}
	})
}

// oldDatabase is one that the first version made, with an edition on its way.
func oldDatabase(t *testing.T, driver, source string, dialect goose.Dialect, steps fs.FS) {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p, err := goose.NewProvider(dialect, db, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO lists (name, title, description, language, zone, sender, reply_to, template, filter, frequencies, public, paused, catch_up, max_late, on_uncertain, created_at)
			VALUES ('world', 'World', '', 'en', 'UTC', 'World <world@example.org>', 'desk@example.org', 'default', '[]', '[{"name":"daily","cron":"0 7 * * *"}]', TRUE, FALSE, 'one', 1, 'resend', 1)`,
		`INSERT INTO variants (edition_id, list_id, kind, language, nonce, subject, html, text, article_ids) VALUES (0, 1, 'confirm', 'en', 'n', 's', 'h', 't', '[]')`,
	} {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMailsOfAnOlderVersionKeepTheListThatTheyHave(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, dsn string) {
		t.Helper()
		s, err := store.Open(t.Context(), dsn, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		l, err := s.ListByName(t.Context(), "world")
		if err != nil {
			t.Fatal(err)
		}
		l.From, l.Title = "other@example.com", "Other"
		if err := s.SetList(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		v, err := s.Variant(t.Context(), 1)
		if err != nil || v.ListName != "world" || v.ListTitle != "World" || v.Sender != "World <world@example.org>" || v.ReplyTo != "desk@example.org" || !v.Public {
			t.Errorf("%+v, %v", v, err)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "old.db")
		oldDatabase(t, "sqlite", "file:"+path, goose.DialectSQLite3, migrations.SQLite())
		check(t, "sqlite:"+path)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		dsn := dbtest.PostgresDSN(t)
		oldDatabase(t, "postgres", strings.Replace(dsn, "postgresql://", "postgres://", 1), goose.DialectPostgres, migrations.Postgres())
		check(t, dsn)
	})
}
