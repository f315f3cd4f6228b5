package store_test

import (
	"strings"
	"testing"

	"gazetted/internal/dbtest"
)

// crowd fills the tables: n readers of the list with id 1 who have been served
// up to Seq 0, and behind them n accepted deliveries of each of editions.
func crowd(t testing.TB, db *dbtest.DB, n, editions int) {
	t.Helper()
	const numbers = `WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1) `
	for _, q := range []string{
		numbers + `INSERT INTO subscribers (address, address_key, name, language, zone, created_at)
			SELECT 'r' || i || '@example.org', 'r' || i || '@example.org', '', '', '', 1 FROM n`,
		`INSERT INTO subscriptions (subscriber_id, list_id, state, frequency, topics, language, zone, served_through, created_at, confirmed_at, ended_at, consent)
			SELECT id, 1, 'active', 'daily', '[]', '', '', 0, 1, 1, 0, '{}' FROM subscribers WHERE id <= $1`,
	} {
		if err := db.Exec(t.Context(), q, n); err != nil {
			t.Fatal(err)
		}
	}
	for e := range editions {
		if err := db.Exec(t.Context(), `INSERT INTO deliveries (kind, edition_id, variant_id, list_id, subscriber_id, subscription_id, state, attempts, next_at, expires_at, created_at, ended_at)
			SELECT 'edition', CAST($1 AS BIGINT), 1, 1, subscriber_id, id, 'accepted', 1, 0, 2, 1, 2 FROM subscriptions`, 1000+e); err != nil {
			t.Fatal(err)
		}
	}
	analyze(t, db)
}

// checkPlans fails for every query that does not go through its index.
func checkPlans(t *testing.T, db *dbtest.DB, when string) {
	t.Helper()
	want := map[string][2]string{ // on SQLite, on PostgreSQL
		"due lists":  {"SEARCH d USING INDEX deliveries_due (list_id=? AND kind=? AND next_at<?)", "using deliveries_due"},
		"due":        {"SEARCH d USING INDEX deliveries_due (list_id=? AND kind=? AND next_at<?)", "using deliveries_due"},
		"leased":     {"USING INDEX deliveries_leased", "deliveries_leased"},
		"finishable": {"SEARCH d USING COVERING INDEX deliveries_edition (edition_id=? AND state=?)", "using deliveries_edition"},
		"audience":   {"SEARCH subscriptions USING COVERING INDEX subscriptions_audience (list_id=? AND frequency=? AND zone=?", "subscriptions_audience"},
		"batch":      {"SEARCH p USING COVERING INDEX subscriptions_audience (list_id=? AND frequency=? AND zone=? AND topics=? AND language=? AND served_through=? AND rowid>?)", "Scan using subscriptions_"},
		"queue":      {"SEARCH p USING INDEX subscriptions_audience (list_id=? AND frequency=? AND zone=? AND topics=? AND language=? AND served_through=? AND rowid>? AND rowid<?)", "Scan using subscriptions_"},
		"move":       {"SEARCH d USING INTEGER PRIMARY KEY (rowid>?)", "using deliveries_pkey"},
		"tally":      {"SEARCH deliveries USING COVERING INDEX deliveries_edition (edition_id=?)", "deliveries_"},
		"oldest":     {"SEARCH d USING COVERING INDEX deliveries_edition (edition_id=? AND state=?)", "deliveries_edition"},
		"accept":     {"SEARCH deliveries USING INTEGER PRIMARY KEY", "Index Scan using deliveries_"},
		"dot":        {"SEARCH deliveries USING INTEGER PRIMARY KEY", "Index Scan using deliveries_"},
		"readers":    {"SEARCH s USING INTEGER PRIMARY KEY", "subscribers_pkey"},
	}
	for name, q := range db.OutboxQueries() {
		plan, err := db.Explain(t.Context(), q)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		step := want[name][0]
		if db.Kind() == "postgres" {
			step = want[name][1]
		}
		if step == "" || !strings.Contains(plan, step) {
			t.Errorf("%s, %s: no %q in\n%s", when, name, step, plan)
		}
		for _, scan := range []string{"SCAN p", "SCAN s", "SCAN deliveries", "Seq Scan on deliveries", "Seq Scan on subscri"} {
			if strings.Contains(strings.ReplaceAll(plan, "SCAN settings", ""), scan) { // of settings there are a handful
				t.Errorf("%s, %s reads a whole table:\n%s", when, name, plan)
			}
		}
	}
}

// The queries of the outbox find their rows through an index, whatever lies
// behind or before them, also when an ANALYZE has turned the plans or has not
// seen the latest million.
func TestPlansOfTheOutbox(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.list(daily("world"))
		crowd(t, w.db, 20_000, 5)
		checkPlans(t, w.db, "all done")
		w.publish("a")
		w.until("2026-03-03T06:00:00Z")
		if es := w.closeDue(); es[0].Intended != 20_000 {
			t.Fatalf("%+v", es)
		}
		checkPlans(t, w.db, "queued")
		analyze(t, w.db)
		checkPlans(t, w.db, "queued and analysed")
	})
}

// analyze lets the planner know what is in our tables. Those of everybody else on
// the server are none of its business.
func analyze(t testing.TB, db *dbtest.DB) {
	t.Helper()
	for _, table := range []string{"subscribers", "subscriptions", "deliveries", "lists", "editions", "articles", "variants"} {
		if err := db.Exec(t.Context(), "ANALYZE "+table); err != nil {
			t.Fatal(err)
		}
	}
}
