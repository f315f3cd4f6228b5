package store_test

import (
	"context"
	"database/sql"
	"net/url"
	"sync"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/faults/pooler"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// pooled returns a DSN that leads to the server through a pooler in transaction mode.
func pooled(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pooler.New(t.Context(), u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	u.Host = p.Addr()
	return u.String()
}

// The pooler of the tests is of use only if it takes what a session keeps.
func TestThePoolerOfTheTestsForgets(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("postgres", pooled(t, dbtest.PostgresDSN(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	var got string
	if _, err := db.ExecContext(t.Context(), `SET application_name = 'mine'`); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), `SHOW application_name`).Scan(&got); err != nil || got == "mine" {
		t.Errorf("a setting outlived its transaction: %q, %v", got, err)
	}
}

// Behind a pooler replicas migrate together, and work is claimed, noted and recorded.
func TestBehindAPooler(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := pooled(t, dbtest.PostgresDSN(t))
	stores := make([]*store.Store, 3)
	var all sync.WaitGroup
	for i := range stores {
		s, err := store.Open(ctx, dsn, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		stores[i] = s
		all.Go(func() {
			if err := s.Migrate(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := stores[0]
	if _, err := s.AddList(ctx, news.List{Name: "world", Title: "World", Zone: "UTC", Public: true, Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}}}); err != nil {
		t.Fatal(err)
	}
	a, err := news.ParseAddress("address", "ana@reader.example")
	if err != nil {
		t.Fatal(err)
	}
	v := news.Variant{Kind: news.VariantConfirm, Nonce: "00112233aabbccdd", Subject: "Please confirm", HTML: "x", Text: "x"}
	if _, err := s.Subscribe(ctx, news.SubscribeRequest{Address: a, List: "world"}, &v); err != nil {
		t.Fatal(err)
	}
	var claimed []news.Delivery
	for _, s := range stores {
		got, err := s.ClaimDeliveries(ctx, 10, 12*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		claimed = append(claimed, got...)
	}
	if len(claimed) != 1 {
		t.Fatalf("claimed %d times", len(claimed))
	}
	d := claimed[0]
	if may, err := s.MarkDot(ctx, d.ID, d.Token); err != nil || !may {
		t.Fatal(may, err)
	}
	if err := s.RecordOutcomes(ctx, []news.Outcome{{DeliveryID: d.ID, Token: d.Token, State: news.DeliveryAccepted}}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Delivery(ctx, d.ID)
	if err != nil || got.State != news.DeliveryAccepted {
		t.Errorf("%+v, %v", got.State, err)
	}
}

// A pooler never brings a notification: that is no error.
func TestListenBehindAPoolerIsQuiet(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	s, err := store.Open(t.Context(), pooled(t, db.DSN), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Listen(ctx) }()
	for i := range 20 {
		if err := s.SetPaused(ctx, i%2 == 0); err != nil {
			t.Error(err)
		}
	}
	select {
	case err := <-done:
		t.Errorf("it has ended: %v", err)
		done <- err
	default:
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
