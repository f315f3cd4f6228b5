package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gazetted/internal/faults/run"
)

// fault is one line of the table.
type fault struct {
	id     string
	what   string // how it is injected
	on     []run.Kind
	setup  run.Setup
	large  int // subscribers with --large; 0: as in setup
	inject injection
	// around, if set, runs the job in surroundings of its own.
	around func(ctx context.Context, o options, j job) result
}

// injection does a fault to a world, counts it there, and lets the mails come to an end.
type injection func(ctx context.Context, w *run.World) error

// limit is how long one run may take, and largeLimit one with hundreds of thousands of
// subscribers. It is far more than any needs.
const (
	limit      = 6 * time.Minute
	largeLimit = time.Hour
	largeFrom  = 200_000
)

// job is a fault on one database.
type job struct {
	fault
	database run.Kind
}

// result is what became of a job.
type result struct {
	job
	run.Report
	injected, bound int
	took            time.Duration
	err             error  // the run could not be made
	leftOut         string // why it was not made
}

func (j job) do(ctx context.Context, o options) result {
	if j.around != nil {
		return j.around(ctx, o, j)
	}
	return j.in(ctx, o, o.postgres)
}

// in runs a job with PostgreSQL at that DSN.
func (j job) in(ctx context.Context, o options, postgres string) result {
	dir := filepath.Join(o.dir, strings.ToLower(j.id)+"-"+string(j.database))
	dir, err := fresh(dir)
	if err != nil {
		return result{job: j, err: err}
	}
	s := j.setup
	s.Binary, s.Database, s.BaseDSN, s.Dir = o.binary, j.database, postgres, dir
	s.Relay.Seed = 7
	if o.large && j.large > 0 {
		s.Subscribers = j.large
	}
	return j.make(ctx, s)
}

// fresh makes the folder, with another name if it is taken.
func fresh(dir string) (string, error) {
	for i := 2; ; i++ {
		err := os.Mkdir(dir, 0o700)
		if err == nil || !errors.Is(err, os.ErrExist) {
			return dir, err
		}
		dir = fmt.Sprintf("%s-%d", strings.TrimSuffix(dir, fmt.Sprintf("-%d", i-1)), i)
	}
}

// make runs a job with this set-up.
func (j job) make(ctx context.Context, s run.Setup) (r result) {
	r.job = j
	within, judgedWithin := limit, time.Minute
	if s.Subscribers >= largeFrom {
		within, judgedWithin = largeLimit, 10*time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	begun := time.Now()
	defer func() { r.took = time.Since(begun) }()
	w, err := run.New(ctx, s)
	if err != nil {
		r.err = err
		return r
	}
	defer func() { r.err = errors.Join(r.err, w.Close()) }()
	r.err = j.inject(ctx, w)
	// What went wrong may show in the ledger, too.
	judging, cancel2 := context.WithTimeout(context.WithoutCancel(ctx), judgedWithin)
	defer cancel2()
	var judged error
	r.Report, judged = w.Check(judging, true)
	r.err = errors.Join(r.err, judged)
	r.injected, r.bound = w.Injected, w.Bound
	return r
}

func (r result) passed() bool { return r.leftOut != "" || len(r.problems()) == 0 }

// problems are all reasons of a failure.
func (r result) problems() []string {
	out := r.Problems
	if r.err != nil {
		out = append([]string{r.err.Error()}, out...)
	}
	return out
}

func (r result) verdict() string {
	switch {
	case r.leftOut != "":
		return "left out: " + r.leftOut
	case r.passed():
		return "pass"
	default:
		return "FAIL"
	}
}

// others are the ends other than accepted.
func (r result) others() string {
	var parts []string
	for _, end := range []struct {
		n    int
		name string
	}{{r.Refused, "refused"}, {r.Suppressed, "suppressed"}, {r.Expired, "expired"}, {r.Quarantined, "quarantined"}, {r.Delivered, "of them delivered"}, {r.Held, "held"}} {
		if end.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", end.n, end.name))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// line is the result for people who watch.
func (r result) line() string {
	line := fmt.Sprintf("%-4s %-8s %-60s injected %d, accepted %d of %d, lost %d, extra %d of %d, %s: %s", r.id, r.database, r.what,
		r.injected, r.Accepted, r.Intended, r.Lost, r.Extra, r.bound, r.took.Round(time.Second), r.verdict())
	for _, p := range r.problems() {
		line += "\n       " + p
	}
	return line
}
