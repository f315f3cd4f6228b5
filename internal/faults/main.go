// Faults runs the table of faults of docs/reliability.md: for each, it lets the real
// binary send an edition to a scripted relay, does to it what the fault says, and judges
// the ledger against the relay's log.
//
//	go run ./internal/faults [--only F1,F2] [--database sqlite] [--jobs 3] [--dir DIR] [--large]
//
// PostgreSQL is the one that GAZETTED_TEST_POSTGRES names: `make faults` sets it. The
// table goes to standard output; the exit code is 1 if any verdict is a failure. It
// needs no root.
//
// table_*.go are the list, one line per fault; the other files are how each is injected.
// Package sink is the relay, package run the set-up and the oracle.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"gazetted/internal/faults/run"
)

// options are the flags.
type options struct {
	only, database, dir string
	binary              string
	jobs                int
	inNamespace, large  bool
	postgres            string
	next                func() (string, error) // builds the next version, once
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(start(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func start(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.only, "only", "", "comma-separated `FAULTS` such as F1,F18")
	flags.StringVar(&o.database, "database", "", "only sqlite, or only postgres")
	flags.StringVar(&o.dir, "dir", "", "keep every run's files in `DIR`")
	flags.StringVar(&o.binary, "binary", "", "a gazetted that is built already")
	flags.IntVar(&o.jobs, "jobs", 3, "runs at once: most of their time they wait")
	flags.BoolVar(&o.large, "large", false, "a million subscribers where the fan-out is the matter: takes some ten minutes and 2 GB of disk")
	flags.BoolVar(&o.inNamespace, "in-namespace", false, "used by itself")
	if flags.Parse(args) != nil {
		return 2
	}
	o.postgres = cmp.Or(os.Getenv("GAZETTED_TEST_POSTGRES"), "postgres://postgres@127.0.0.1:5432/test?sslmode=disable")
	failed, err := runAll(ctx, o, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "faults: %v\n", err)
		return 1
	}
	if failed > 0 {
		fmt.Fprintf(stderr, "faults: %d of the runs failed\n", failed)
		return 1
	}
	return 0
}

// runAll runs the table and prints it.
func runAll(ctx context.Context, o options, stdout, stderr io.Writer) (failed int, err error) {
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "gazetted-faults-"); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	} else if o.dir, err = filepath.Abs(o.dir); err != nil {
		return 0, err
	} else if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return 0, err
	}
	if o.binary == "" {
		if o.binary, err = run.Build(ctx, o.dir); err != nil {
			return 0, err
		}
	}
	chosen := choose(table(), o)
	if len(chosen) == 0 {
		return 0, fmt.Errorf("no fault is called %q", o.only)
	}
	o.next = sync.OnceValues(func() (string, error) { return run.BuildNext(ctx, o.dir) })
	begun := time.Now()
	results := make([]result, len(chosen))
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, o.jobs))
	for i, f := range chosen {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			results[i] = f.do(ctx, o)
			fmt.Fprintln(stderr, results[i].line())
		})
	}
	wg.Wait()
	for _, r := range results {
		if !r.passed() {
			failed++
		}
	}
	return failed, errors.Join(ctx.Err(), printTable(stdout, results, time.Since(begun)))
}

// choose makes one job per fault and database.
func choose(all []fault, o options) []job {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(o.only, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	var out []job
	for _, f := range all {
		if o.only != "" && !wanted[f.id] {
			continue
		}
		for _, db := range f.on {
			if o.database == "" || o.database == string(db) {
				out = append(out, job{fault: f, database: db})
			}
		}
	}
	return out
}

func printTable(w io.Writer, results []result, took time.Duration) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "fault\twhat\tdatabase\tinjected\tintended\taccepted\tother ends\tlost\textra\tbound\ttook\tverdict")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%s\t%s\n", r.id, r.what, r.database, r.injected, r.Intended, r.Accepted,
			r.others(), r.Lost, r.Extra, r.bound, r.took.Round(time.Second), r.verdict())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		for _, p := range r.problems() {
			fmt.Fprintf(w, "\n%s %s: %s", r.id, r.database, p)
		}
	}
	_, err := fmt.Fprintf(w, "\n%d runs in %s\n", len(results), took.Round(time.Second))
	return err
}
