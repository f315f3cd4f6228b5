package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"gazetted/internal/faults/run"
	"gazetted/internal/faults/sink"
	"gazetted/internal/news"
)

// slowly makes the relay take its time on both sides of the moment at which it takes a
// message, so that a kill often falls there.
func slowly(d time.Duration) []sink.Rule {
	return []sink.Rule{{Name: "slow", Stage: sink.Dot, Delay: d}, {Name: "slow", Stage: sink.Taken, Delay: d}}
}

// finish sends the rest with a daemon that is left alone.
func finish(ctx context.Context, w *run.World) error {
	w.Relay.Set()
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	return conclude(ctx, w, p)
}

// conclude lets a daemon finish, and stops it.
func conclude(ctx context.Context, w *run.World, p *run.Process) error {
	if err := w.Finish(ctx); err != nil {
		return err
	}
	return p.Stop(ctx)
}

// killAtRandom is F1: so many times, 50 to 500 ms after a life has begun to send.
func killAtRandom(times int) injection {
	return func(ctx context.Context, w *run.World) error {
		random := rand.New(rand.NewPCG(1, 2))
		w.Relay.Set(slowly(20 * time.Millisecond)...)
		for range times {
			p, err := w.Start(ctx)
			if err != nil {
				return err
			}
			begun := time.Now()
			if err := w.Until(ctx, "a connection", func() (bool, error) { return w.Relay.Open() > 0 || time.Since(begun) > 3*time.Second, nil }); err != nil {
				return err
			}
			if err := w.Pass(ctx, time.Duration(50+random.IntN(451))*time.Millisecond); err != nil {
				return err
			}
			p.Kill()
			if err := w.AgeLeases(ctx); err != nil {
				return err
			}
		}
		t, err := w.Tally(ctx)
		if err != nil {
			return err
		}
		if t[news.DeliveryPending]+t[news.DeliveryDeferred]+t[news.DeliveryClaimed]+t[news.DeliveryDotPending] == 0 {
			w.Problem("everything was sent before the last kill: some fell on an idle daemon")
		}
		return finish(ctx, w)
	}
}

// phase is one of F2: arrange lets a daemon come to a certain point and stay there.
// Around the dot, and only there, a kill may cost copies.
type phase struct {
	name      string
	aroundDot bool
	arrange   func(ctx context.Context, w *run.World) (p *run.Process, release func() error, err error)
}

// killInPhases is F2.
func killInPhases(rounds int) injection {
	return func(ctx context.Context, w *run.World) error {
		for range rounds {
			for _, ph := range phases() {
				p, release, err := ph.arrange(ctx, w)
				if err != nil {
					return fmt.Errorf("%s: %w", ph.name, err)
				}
				bound := w.Bound
				p.Kill()
				if !ph.aroundDot {
					w.Bound = bound
				}
				if err := release(); err != nil {
					return fmt.Errorf("%s: %w", ph.name, err)
				}
				if err := w.AgeLeases(ctx); err != nil {
					return err
				}
			}
		}
		return finish(ctx, w)
	}
}

func phases() []phase {
	return []phase{
		{"before the claim is committed", false, beforeClaim},
		{"after the claim", false, func(ctx context.Context, w *run.World) (*run.Process, func() error, error) {
			return holdAt(ctx, w, sink.Rule{Stage: sink.Connect, Drop: true})
		}},
		{"after the body", false, afterBody},
		{"after dot_pending, the relay has not taken it", false, func(ctx context.Context, w *run.World) (*run.Process, func() error, error) {
			return holdAt(ctx, w, sink.Rule{Stage: sink.Dot, Drop: true})
		}},
		{"after the relay took it, the reply is not sent", true, func(ctx context.Context, w *run.World) (*run.Process, func() error, error) {
			return holdAt(ctx, w, sink.Rule{Stage: sink.Taken, Drop: true})
		}},
		{"after the reply, before its outcome is committed", true, beforeOutcome},
		{"after the outcome is committed", true, afterOutcome},
	}
}

// holdAt starts a daemon and waits until the relay holds it at the rule's stage.
func holdAt(ctx context.Context, w *run.World, r sink.Rule) (*run.Process, func() error, error) {
	hold := make(chan struct{})
	r.Name, r.Hold = "held", hold
	before := w.Relay.Stats().Faults["held"]
	w.Relay.Set(r)
	release := func() error { close(hold); w.Relay.Set(); return nil }
	p, err := w.Start(ctx)
	if err != nil {
		return p, release, err
	}
	return p, release, w.UntilActed(ctx, "held", before+1)
}

func beforeClaim(ctx context.Context, w *run.World) (*run.Process, func() error, error) {
	release, err := w.LockWrites(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := w.Start(ctx)
	if err != nil {
		return p, release, err
	}
	return p, release, w.Pass(ctx, 300*time.Millisecond) // it waits for the lock, which nothing shows
}

// afterBody lets the body come and keeps the daemon from noting its dot.
func afterBody(ctx context.Context, w *run.World) (*run.Process, func() error, error) {
	hold := make(chan struct{})
	before := w.Relay.Stats().Faults
	w.Relay.Set(sink.Rule{Name: "held", Stage: sink.Data, Hold: hold}, sink.Rule{Name: "body", Stage: sink.Body})
	p, err := w.Start(ctx)
	if err != nil {
		return p, nil, err
	}
	if err := w.UntilActed(ctx, "held", before["held"]+1); err != nil {
		return p, nil, err
	}
	release, err := w.LockWrites(ctx)
	if err != nil {
		return p, nil, err
	}
	close(hold)
	if err := w.UntilActed(ctx, "body", before["body"]+1); err != nil {
		return p, release, err
	}
	return p, release, w.Pass(ctx, 50*time.Millisecond) // it waits for the lock, which nothing shows
}

// beforeOutcome lets the reply come and keeps the daemon from recording it.
func beforeOutcome(ctx context.Context, w *run.World) (*run.Process, func() error, error) {
	hold := make(chan struct{})
	before := w.Relay.Stats().Faults["held"]
	w.Relay.Set(sink.Rule{Name: "held", Stage: sink.Taken, Hold: hold})
	p, err := w.Start(ctx)
	if err != nil {
		return p, nil, err
	}
	if err := w.UntilActed(ctx, "held", before+1); err != nil {
		return p, nil, err
	}
	release, err := w.LockWrites(ctx)
	if err != nil {
		return p, nil, err
	}
	close(hold)
	return p, release, w.Pass(ctx, 50*time.Millisecond) // it waits for the lock, which nothing shows
}

func afterOutcome(ctx context.Context, w *run.World) (*run.Process, func() error, error) {
	t, err := w.Tally(ctx)
	if err != nil {
		return nil, nil, err
	}
	before := t[news.DeliveryAccepted]
	w.Relay.Set(slowly(20 * time.Millisecond)...)
	p, err := w.Start(ctx)
	if err != nil {
		return p, nil, err
	}
	err = w.Until(ctx, "a recorded outcome", func() (bool, error) {
		t, err := w.Tally(ctx)
		return t[news.DeliveryAccepted] > before, err
	})
	return p, func() error { return nil }, err
}

// crashLoop is F4: a daemon that dies 0.3 s after each start.
func crashLoop(times int) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(slowly(20 * time.Millisecond)...)
		for range times {
			begun := time.Now()
			p, err := w.Start(ctx)
			if err != nil {
				return err
			}
			if err := w.Pass(ctx, 300*time.Millisecond-time.Since(begun)); err != nil {
				return err
			}
			p.Kill()
			if err := w.AgeLeases(ctx); err != nil {
				return err
			}
		}
		if w.Relay.Stats().Taken == 0 {
			w.Problem("no start made any progress")
		}
		return finish(ctx, w)
	}
}

// terminate is F5: SIGTERM in mid-sending.
func terminate(times int) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(slowly(15 * time.Millisecond)...)
		for range times {
			p, err := w.Start(ctx)
			if err != nil {
				return err
			}
			if err := w.UntilTaken(ctx, w.Relay.Stats().Taken+40); err != nil {
				return err
			}
			if err := p.Stop(ctx); err != nil {
				return err
			}
			w.Injected++
		}
		if err := finish(ctx, w); err != nil {
			return err
		}
		if n := w.Relay.Stats().Half; n > 0 {
			w.Problem("%d messages were cut off within DATA", n)
		}
		return nil
	}
}

// terminateStuck is F5 with a relay that does not answer: after the drain time, or at a
// second SIGTERM, the rest is uncertain and not lost.
func terminateStuck(second bool) injection {
	return func(ctx context.Context, w *run.World) error {
		hold := make(chan struct{})
		defer close(hold)
		w.Relay.Set(sink.Rule{Name: "held", Stage: sink.Taken, Hold: hold})
		p, err := w.Start(ctx)
		if err != nil {
			return err
		}
		if err := w.UntilActed(ctx, "held", w.Connections); err != nil {
			return err
		}
		w.Bound += w.Connections
		w.Injected++
		begun := time.Now()
		if err := p.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if second {
			if err := w.Pass(ctx, time.Second); err != nil {
				return err
			}
			if err := p.Signal(syscall.SIGTERM); err != nil {
				return err
			}
		}
		code, err := p.Wait(ctx)
		if err != nil {
			return err
		}
		if !second && code != 0 {
			w.Problem("it ended with %d", code)
		}
		if took := time.Since(begun); second && took > 10*time.Second {
			w.Problem("a second SIGTERM ended it after %s only", took.Round(time.Second))
		}
		t, err := w.Tally(ctx)
		if err != nil {
			return err
		}
		if n := t[news.DeliveryClaimed]; n > 0 {
			w.Problem("%d deliveries stayed claimed", n)
		}
		if err := w.AgeLeases(ctx); err != nil { // of a daemon that ended at once
			return err
		}
		return finish(ctx, w)
	}
}

// stopAndGo is F6: SIGSTOP, and SIGCONT after d.
func stopAndGo(d time.Duration) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(slowly(10 * time.Millisecond)...)
		p, err := w.Start(ctx)
		if err != nil {
			return err
		}
		if err := w.UntilTaken(ctx, 50); err != nil {
			return err
		}
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		w.Injected++
		if err := w.Pass(ctx, d); err != nil {
			return err
		}
		if err := p.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		w.Relay.Set()
		return conclude(ctx, w, p)
	}
}

// stallOneOfTwo is F7: one of two replicas stops beyond its lease.
func stallOneOfTwo(ctx context.Context, w *run.World) error {
	w.Relay.Set(slowly(10 * time.Millisecond)...)
	a, err := w.Start(ctx)
	if err != nil {
		return err
	}
	b, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.UntilTaken(ctx, 100); err != nil {
		return err
	}
	if err := a.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	w.Injected++
	w.Bound += w.Connections
	held, err := onlyLeased(ctx, w)
	if err != nil {
		return err
	}
	if held == 0 {
		return errors.New("the stopped replica held nothing")
	}
	if err := w.AgeLeases(ctx); err != nil { // only the stopped one holds any
		return err
	}
	if err := w.Finish(ctx); err != nil { // the other looks for such leases every minute
		return err
	}
	taken := w.Relay.Stats().Taken
	if err := a.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	if err := w.Pass(ctx, 3*time.Second); err != nil { // nothing is to happen
		return err
	}
	// A dot that it had noted before it was stopped may have been on its way.
	if n := w.Relay.Stats().Taken - taken; n > w.Connections {
		w.Problem("the replica that came back sent %d stale mails", n)
	}
	return errors.Join(a.Stop(ctx), b.Stop(ctx))
}

// onlyLeased waits until nothing moves any more, and returns how much is leased.
func onlyLeased(ctx context.Context, w *run.World) (int, error) {
	var leased, taken int
	since := time.Now()
	err := w.Until(ctx, "the other replica's end", func() (bool, error) {
		t, err := w.Tally(ctx)
		if err != nil {
			return false, err
		}
		n := w.Relay.Stats().Taken
		if n != taken || t[news.DeliveryPending]+t[news.DeliveryDeferred] > 0 {
			taken, since = n, time.Now()
		}
		leased = t[news.DeliveryClaimed] + t[news.DeliveryDotPending]
		return time.Since(since) > 3*time.Second, w.Pass(ctx, 50*time.Millisecond)
	})
	return leased, err
}

// poison is F9: one message that nobody can send. Either the relay drops the connection
// at its dot, or the daemon dies with it in hand.
const poison = "r7@"

func poisonedRelay(ctx context.Context, w *run.World) error {
	w.Relay.Set(sink.Rule{Name: "dropped at the dot", Stage: sink.Dot, Match: poison, Drop: true})
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := conclude(ctx, w, p); err != nil {
		return err
	}
	w.Injected = w.Relay.Stats().Faults["dropped at the dot"]
	return quarantined(ctx, w)
}

func poisonedDaemon(ctx context.Context, w *run.World) error {
	for range 8 {
		done, err := dieOfPoison(ctx, w)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	return quarantined(ctx, w)
}

// dieOfPoison runs a daemon until it has the message in hand, or has sent all others.
func dieOfPoison(ctx context.Context, w *run.World) (done bool, err error) {
	hold := make(chan struct{})
	defer close(hold)
	before := w.Relay.Stats().Faults["in hand"]
	w.Relay.Set(sink.Rule{Name: "in hand", Stage: sink.Rcpt, Match: poison, Hold: hold, Drop: true})
	p, err := w.Start(ctx)
	if err != nil {
		return false, err
	}
	err = w.Until(ctx, "the poison", func() (bool, error) {
		t, err := w.Tally(ctx)
		done = t[news.DeliveryQuarantined] > 0 && t[news.DeliveryQuarantined]+t[news.DeliveryAccepted] == w.Subscribers
		return done || w.Relay.Stats().Faults["in hand"] > before, err
	})
	if err != nil {
		return false, err
	}
	if done {
		return true, p.Stop(ctx)
	}
	p.Kill()
	return false, w.AgeLeases(ctx)
}

// quarantined demands that exactly the poisonous delivery is, after three times, however
// many were in hand with it, and that the command shows it.
func quarantined(ctx context.Context, w *run.World) error {
	out, err := w.CLI(ctx, "delivery", "ls", "--state", "quarantined", "--json")
	if err != nil {
		return err
	}
	var shown []news.Delivery
	if err := json.Unmarshal(out, &shown); err != nil {
		return err
	}
	if len(shown) != 1 || shown[0].Address != run.Address(7) {
		w.Problem("the command shows %d quarantined deliveries: %s", len(shown), out)
	}
	if w.Injected != 3 {
		w.Problem("it was tried %d times", w.Injected)
	}
	return nil
}
