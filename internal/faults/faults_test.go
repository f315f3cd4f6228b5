package main

import (
	"cmp"
	"os"
	"slices"
	"testing"

	"gazetted/internal/faults/run"
	"gazetted/internal/faults/sink"
)

// TestFaults runs a few faults of the table, small, on both databases. `make faults` runs
// them all.
func TestFaults(t *testing.T) {
	o := options{dir: t.TempDir(), postgres: cmp.Or(os.Getenv("GAZETTED_TEST_POSTGRES"), "postgres://postgres@127.0.0.1:5432/test?sslmode=disable")}
	var err error
	if o.binary, err = run.Build(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	both := []run.Kind{run.SQLite, run.Postgres}
	lossy := sink.Rule{Name: "reply lost", Stage: sink.Taken, Share: 0.05, Drop: true}
	small := []fault{
		{id: "F2", what: "SIGKILL in each phase", on: both, setup: run.Setup{Connections: 2, Subscribers: 150}, inject: killInPhases(1)},
		{id: "F5", what: "SIGTERM in mid-sending", on: both, setup: run.Setup{Subscribers: 150}, inject: terminate(1)},
		{id: "F30", what: "damaged files", on: both[:1], setup: run.Setup{Subscribers: 150}, inject: damaged},
		{id: "F18", what: "accepted, then dropped; hold", on: both, setup: run.Setup{Subscribers: 150, OnUncertain: "hold"}, inject: misbehave(lossy.Name, lossy).and(held)},
	}
	for _, j := range choose(small, o) {
		t.Run(j.id+"/"+string(j.database), func(t *testing.T) {
			t.Parallel()
			if r := j.do(t.Context(), o); !r.passed() {
				t.Error(r.line())
			}
		})
	}
}

// TestTheOracleFindsMutants lets daemons run in which one line is worse than it ought to
// be. They send more than once what nobody recorded: more than is promised, and the run
// must say so.
func TestTheOracleFindsMutants(t *testing.T) {
	for name, m := range map[string]struct {
		file, from, to string
		fault          fault
	}{
		"commits do not wait for the disk": {
			"internal/store/dialect.go", `"synchronous(FULL)"`, `"synchronous(NORMAL)"`,
			fault{id: "F28", inject: powerCut(1), around: traced},
		},
		"outcomes are recorded late": {
			"internal/mail/record.go", `err := r.commit(ctx, records, dots)`,
			`err := r.commit(ctx, nil, dots); go func() { time.Sleep(300 * time.Millisecond); _ = r.commit(ctx, records, nil) }()`,
			fault{id: "F1", inject: killAtRandom(1)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options{dir: t.TempDir()}
			var err error
			if o.binary, err = run.BuildMutant(t.Context(), t.TempDir(), m.file, m.from, m.to); err != nil {
				t.Fatal(err)
			}
			m.fault.setup.Subscribers = 300
			r := job{fault: m.fault, database: run.SQLite}.do(t.Context(), o)
			if r.leftOut != "" {
				t.Skip(r.leftOut)
			}
			if r.err != nil || r.injected != 1 || r.Extra <= r.bound {
				t.Errorf("the oracle saw nothing: %s", r.line())
			}
		})
	}
}

func TestTheTableNamesEveryFaultOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range table() {
		if key := f.id + " " + f.what; seen[key] {
			t.Errorf("%s is there twice", key)
		} else {
			seen[key] = true
		}
		if len(f.on) == 0 || f.inject == nil && f.around == nil {
			t.Errorf("%s %s does nothing", f.id, f.what)
		}
	}
	jobs := choose(table(), options{only: "F33, F37", database: "postgres"})
	if slices.ContainsFunc(jobs, func(j job) bool { return j.id != "F37" || j.database != run.Postgres }) || len(jobs) != 2 {
		t.Errorf("chose %+v", jobs)
	}
}
