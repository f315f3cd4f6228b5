package main

import (
	"context"
	"database/sql"
	"net/url"
	"testing"
	"time"

	_ "github.com/lib/pq" // a publisher's database
	"github.com/rogpeppe/go-internal/testscript"

	"gazetted/internal/dbtest"
)

// newsroomCommand makes a publisher's own database ($NEWSROOM) and runs files of
// SQL in it.
func newsroomCommand(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) != 1 {
			ts.Fatalf("usage: newsroom start|FILE.sql")
		}
		if args[0] == "start" {
			u, err := url.Parse(dbtest.PostgresDSN(t))
			ts.Check(err)
			u.RawQuery = url.Values{"sslmode": {"disable"}, "search_path": {u.Query().Get("search_path")}}.Encode()
			ts.Setenv("NEWSROOM", u.String())
			return
		}
		db, err := sql.Open("postgres", ts.Getenv("NEWSROOM"))
		ts.Check(err)
		defer func() { _ = db.Close() }()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, err = db.ExecContext(ctx, ts.ReadFile(args[0]))
		ts.Check(err)
	}
}
