package run_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gazetted/internal/faults/run"
	"gazetted/internal/faults/sink"
	"gazetted/internal/news"
)

// TestTheOracleCanFail breaks, one after the other, everything that it looks at.
func TestTheOracleCanFail(t *testing.T) {
	w := sent(t)
	log := func(change func([]sink.Entry) []sink.Entry) func() ([]sink.Entry, func()) {
		return func() ([]sink.Entry, func()) { return change(entries(t, w)), func() {} }
	}
	deliveries, err := w.Store.Deliveries(t.Context(), news.DeliveryQuery{EditionID: w.Editions[0], Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		broken func() (log []sink.Entry, mend func())
		want   string // the beginning of a problem; "": there must be none
	}{
		{"nothing is broken", log(func(e []sink.Entry) []sink.Entry { return e }), ""},
		{"a mail is missing", log(func(e []sink.Entry) []sink.Entry { return e[1:] }), "O2: delivery"},
		{"a copy beyond the bound", log(func(e []sink.Entry) []sink.Entry { return append(e, e[3], e[4]) }), "O4: 2 extra copies, at most 1"},
		{"three copies of one", log(func(e []sink.Entry) []sink.Entry { return append(e, e[3], e[3]) }), "O4: <"},
		{"a copy with other bytes", log(func(e []sink.Entry) []sink.Entry {
			other := e[3]
			other.SHA256 = "0"
			return append(e, other)
		}), "O4: the copies of"},
		{"a mail that nobody knows", log(func(e []sink.Entry) []sink.Entry {
			other := e[3]
			other.MessageID = "<x@faults.example>"
			return append(e, other)
		}), "O2: <x@faults.example>"},
		{"a mail for somebody else", log(func(e []sink.Entry) []sink.Entry { e[0].To = "x@d.example"; return e }), "O2: delivery"},
		{"no fault", func() ([]sink.Entry, func()) {
			w.Injected = 0
			return entries(t, w), func() { w.Injected = 1 }
		}, "O8:"},
		{"a mail after the goodbye", func() ([]sink.Entry, func()) {
			w.Left(deliveries[0], time.Time{})
			return entries(t, w), func() { w.Left(deliveries[0], time.Now()) }
		}, "O5:"},
		{"a ledger that forgets", func() ([]sink.Entry, func()) {
			execute(t, w, `UPDATE deliveries SET state = 'deferred' WHERE id = 5`)
			execute(t, w, `UPDATE editions SET counts = '', state = 'closed'`)
			return entries(t, w), func() {}
		}, "O1: edition 1 intended 60, and 59 have an end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, mend := test.broken()
			defer mend()
			r, err := w.CheckLog(t.Context(), e, true)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" && len(r.Problems) > 0 || test.want != "" && !slices.ContainsFunc(r.Problems, func(p string) bool { return strings.HasPrefix(p, test.want) }) {
				t.Errorf("got  %q\nwant %q", r.Problems, test.want)
			}
		})
	}
	if t.Failed() {
		return
	}
	// And with the forgetful ledger the product does send a mail twice, which shows.
	send(t, w)
	if r, err := w.Check(t.Context(), true); err != nil || r.Extra != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	w.Bound = 0
	if r, err := w.Check(t.Context(), true); err != nil || len(r.Problems) != 1 || !strings.HasPrefix(r.Problems[0], "O4: 1 extra copies, at most 0") {
		t.Errorf("%+v, %v", r, err)
	}
}

// sent is a run that is over.
func sent(t *testing.T) *run.World {
	t.Helper()
	binary, err := run.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := run.New(t.Context(), run.Setup{Binary: binary, Database: run.SQLite, Dir: t.TempDir(), Subscribers: 60})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	send(t, w)
	w.Injected, w.Bound = 1, 1
	return w
}

func send(t *testing.T, w *run.World) {
	t.Helper()
	p, err := w.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, w *run.World) []sink.Entry {
	t.Helper()
	e, err := sink.ReadLog(filepath.Join(w.Dir, "relay.log"))
	if err != nil || len(e) != 60 {
		t.Fatalf("%d entries, %v", len(e), err)
	}
	return e
}

func execute(t *testing.T, w *run.World, q string) {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(w.DSN, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), q); err != nil {
		t.Fatal(err)
	}
}
