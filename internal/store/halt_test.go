package store_test

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// beside runs a statement on a connection of its own.
func beside(t *testing.T, db *dbtest.DB, statement string) {
	t.Helper()
	driver, dsn := "postgres", db.DSN
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path
	}
	raw, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	if _, err := raw.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// confirmable queues a mail.
func confirmable(t *testing.T, db *dbtest.DB) {
	t.Helper()
	if _, err := db.AddList(t.Context(), news.List{Name: "world", Title: "World", Zone: "UTC", Public: true, Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}}}); err != nil {
		t.Fatal(err)
	}
	a, err := news.ParseAddress("address", "ana@reader.example")
	if err != nil {
		t.Fatal(err)
	}
	v := news.Variant{Kind: news.VariantConfirm, Nonce: "00112233aabbccdd", Subject: "Please confirm", HTML: "x", Text: "x"}
	if _, err := db.Subscribe(t.Context(), news.SubscribeRequest{Address: a, List: "world"}, &v); err != nil {
		t.Fatal(err)
	}
}

// The timeline of the server is another one than that which the database knows.
func TestNothingIsSentFromAnotherServer(t *testing.T) {
	t.Parallel()
	for name, was := range map[string]string{
		"a standby took over":    `UPDATE settings SET value = split_part(value, '/', 1) || '/000000FF' WHERE name = 'server'`,
		"the row itself is lost": `DELETE FROM settings WHERE name = 'server'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := dbtest.Postgres(t)
			confirmable(t, db)
			claimed, err := db.ClaimDeliveries(t.Context(), 10, 12*time.Minute)
			if err != nil || len(claimed) != 1 {
				t.Fatal(len(claimed), err)
			}
			beside(t, db, was)
			if may, err := db.MarkDot(t.Context(), claimed[0].ID, claimed[0].Token); may || err != nil {
				t.Fatalf("the dot may be sent: %v, %v", may, err)
			}
			if again, err := db.ClaimDeliveries(t.Context(), 10, 12*time.Minute); len(again) > 0 || err != nil {
				t.Errorf("claimed %d, %v", len(again), err)
			}
			if _, _, err := db.TakeManual(t.Context(), "world", "daily", time.Hour); !errors.Is(err, news.ErrPaused) {
				t.Errorf("an edition by hand: %v", err)
			}
			if st, err := db.Status(t.Context()); err != nil || st.Halt != news.HaltServer || !st.Paused {
				t.Errorf("status %q, %v", st.Halt, err)
			}
			if err := db.SetPaused(t.Context(), false); err != nil { // gazetted resume
				t.Fatal(err)
			}
			if h, err := db.Halted(t.Context()); h != "" || err != nil {
				t.Errorf("after resume %q, %v", h, err)
			}
			if again, err := db.ClaimDeliveries(t.Context(), 10, 12*time.Minute); len(again) != 1 || err != nil {
				t.Errorf("after resume claimed %d, %v", len(again), err)
			}
		})
	}
}

// A dump that was read into another cluster brings its row along.
func TestNothingIsSentFromAnotherCluster(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	confirmable(t, db)
	beside(t, db, `UPDATE settings SET value = '1/' || split_part(value, '/', 2) WHERE name = 'server'`)
	if claimed, err := db.ClaimDeliveries(t.Context(), 10, 12*time.Minute); len(claimed) > 0 || err != nil {
		t.Errorf("claimed %d, %v", len(claimed), err)
	}
	if err := db.AcceptServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if claimed, err := db.ClaimDeliveries(t.Context(), 10, 12*time.Minute); len(claimed) != 1 || err != nil {
		t.Errorf("claimed %d, %v", len(claimed), err)
	}
}

// A newer version has migrated. Its steps say whether this one may go on.
func TestANewerSchemaIsWorkedWithIfItAllows(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		confirmable(t, db)
		have, _, err := db.Schema(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		insert := `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`
		beside(t, db, insert)
		if err := errors.Join(db.CheckSchema(t.Context()), db.Migrate(t.Context())); err != nil {
			t.Errorf("schema 9999 over %d, which allows it: %v", have, err)
		}
		if claimed, err := db.ClaimDeliveries(t.Context(), 10, 12*time.Minute); len(claimed) != 1 || err != nil {
			t.Errorf("claimed %d, %v", len(claimed), err)
		}

		beside(t, db, `UPDATE settings SET value = '9999' WHERE name = 'oldest_schema'`)
		for _, err := range []error{db.CheckSchema(t.Context()), db.Migrate(t.Context())} {
			if !errors.Is(err, store.ErrNewerSchema) {
				t.Errorf("schema 9999, which does not allow it: %v", err)
			}
		}
		// A daemon that was running already stops, too, and a resume does not help.
		if err := db.SetPaused(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if claimed, err := db.ClaimDeliveries(t.Context(), 10, 12*time.Minute); len(claimed) > 0 || err != nil {
			t.Errorf("claimed %d, %v", len(claimed), err)
		}
		if h, err := db.Halted(t.Context()); h != news.HaltSchema || err != nil {
			t.Errorf("halted by %q, %v", h, err)
		}
	})
}

func TestDoubtsNameWhatIsOff(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		dsn := db.DSN
		if db.Kind() == "postgres" {
			dsn += "&synchronous_commit=off"
		}
		s, err := store.Open(t.Context(), dsn, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		doubts, err := s.Doubts(t.Context())
		if err != nil || slices.Contains(doubts, "synchronous_commit") != (db.Kind() == "postgres") {
			t.Errorf("%v, %v", doubts, err)
		}
	})
}
