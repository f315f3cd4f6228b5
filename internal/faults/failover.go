package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"gazetted/internal/faults/link"
	"gazetted/internal/faults/run"
	"gazetted/internal/news"
)

// pair is a primary and its standby, with a cable between them.
type pair struct {
	primary, standby *run.Cluster
	cable            *link.Link
}

// onPair gives a job a pair; the daemon's DSN names both.
func onPair(synchronous bool, inject func(p *pair) injection) around {
	return func(ctx context.Context, o options, j job) (r result) {
		primary, err := run.NewCluster(ctx)
		if errors.Is(err, run.ErrNoPostgres) {
			return result{job: j, leftOut: err.Error()}
		}
		if err != nil {
			return result{job: j, err: err}
		}
		defer func() { r.err = errors.Join(r.err, primary.Close()) }()
		cable, err := link.New(ctx, primary.Addr)
		if err != nil {
			return result{job: j, err: err}
		}
		defer func() { r.err = errors.Join(r.err, cable.Close()) }()
		standby, err := primary.Standby(ctx, cable.Addr())
		if err != nil {
			return result{job: j, err: err}
		}
		defer func() { r.err = errors.Join(r.err, standby.Close()) }()
		if synchronous {
			if err := primary.Synchronise(ctx); err != nil {
				return result{job: j, err: err}
			}
		}
		j.inject = inject(&pair{primary, standby, cable})
		return j.in(ctx, o, run.PairDSN(primary, standby))
	}
}

// failOver kills the primary in mid-sending and promotes the standby.
func (p *pair) failOver(ctx context.Context, w *run.World) error {
	if err := p.primary.Kill(); err != nil {
		return err
	}
	w.Injected++
	if err := w.Pass(ctx, time.Second); err != nil {
		return err
	}
	return p.standby.Promote(ctx)
}

// toSynchronous is F40: nothing is lost, and sending goes on by itself. Before, the standby
// is out of reach for a while: no commit returns, and so no dot leaves.
func toSynchronous(p *pair) injection {
	return func(ctx context.Context, w *run.World) error {
		d, err := sending(ctx, w)
		if err != nil {
			return err
		}
		p.cable.Set(link.Silent)
		if err := quiet(ctx, w, d, 3*time.Second); err != nil {
			return err
		}
		p.cable.Set(link.Pass)
		if err := w.UntilTaken(ctx, w.Relay.Stats().Taken+50); err != nil {
			return err
		}
		w.Bound += w.Connections
		if err := p.failOver(ctx, w); err != nil {
			return err
		}
		return goesOn(ctx, w, d)
	}
}

// toAsynchronous is F40: what the standby has not got is lost. The daemon, and one that is
// started anew, send nothing until somebody says resume.
func toAsynchronous(p *pair) injection {
	return func(ctx context.Context, w *run.World) error {
		d, err := sending(ctx, w)
		if err != nil {
			return err
		}
		p.cable.Set(link.Silent)
		if err := w.UntilTaken(ctx, w.Relay.Stats().Taken+100); err != nil {
			return err
		}
		if err := p.failOver(ctx, w); err != nil {
			return err
		}
		if err := stopped(ctx, w, d); err != nil {
			return err
		}
		if err := d.Stop(ctx); err != nil {
			return err
		}
		if d, err = w.Start(ctx); err != nil {
			return err
		}
		if err := stopped(ctx, w, d); err != nil {
			return err
		}
		// What is lost is not known to have been sent, and is sent again.
		t, err := w.Tally(ctx)
		if err != nil {
			return err
		}
		lost := w.Relay.Stats().Taken - t[news.DeliveryAccepted]
		if lost < 50 {
			w.Problem("only %d mails were lost from the ledger: this was no asynchronous fail-over", lost)
		}
		w.Bound += lost
		// Claims whose outcomes are lost: nobody holds them any more.
		if err := w.AgeLeases(ctx); err != nil {
			return err
		}
		if _, err := w.CLI(ctx, "resume"); err != nil {
			return err
		}
		return goesOn(ctx, w, d)
	}
}

// stopped demands that nothing is sent, that the command says why, and that readers are
// served all the same.
func stopped(ctx context.Context, w *run.World, d *run.Process) error {
	if err := w.Pass(ctx, 500*time.Millisecond); err != nil { // for the dots on their way
		return err
	}
	taken := w.Relay.Stats().Taken
	if err := w.Until(ctx, "the word in the log", func() (bool, error) { return d.Events("sending is stopped") > 0, nil }); err != nil {
		return err
	}
	if err := w.Pass(ctx, 3*time.Second); err != nil {
		return err
	}
	if n := w.Relay.Stats().Taken - taken; n > 0 {
		w.Problem("%d mails were sent after the fail-over", n)
	}
	out, err := w.CLI(ctx, "status", "--json")
	if err != nil {
		return err
	}
	var st news.Status
	if err := json.Unmarshal(out, &st); err != nil {
		return err
	}
	if st.Halt != news.HaltServer {
		w.Problem("status says %q", st.Halt)
	}
	if status, err := d.Get(ctx, "/readyz"); err != nil || status != http.StatusOK {
		w.Problem("readiness was answered %d, %v", status, err)
	}
	return nil
}
