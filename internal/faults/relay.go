package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gazetted/internal/faults/run"
	"gazetted/internal/faults/sink"
	"gazetted/internal/news"
)

// misbehave lets a relay act by rules for one whole edition and demands nothing beyond
// the oracle. lossy names the rules that lose a reply after the relay took the message:
// each time may cost a copy.
func misbehave(lossy string, rules ...sink.Rule) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(rules...)
		p, err := w.Start(ctx)
		if err != nil {
			return err
		}
		files := p.Files()
		if err := w.Finish(ctx); err != nil {
			return err
		}
		if n := p.Files(); n > files+2*w.Connections+20 {
			w.Problem("O7: %d open files at the start, %d at the end", files, n)
		}
		if n := w.WAL(); n > 64<<20 {
			w.Problem("O7: the write-ahead log has %d bytes", n)
		}
		if err := p.Stop(ctx); err != nil {
			return err
		}
		faults := w.Relay.Stats().Faults
		for name, n := range faults {
			w.Injected += n
			if name == lossy {
				w.Bound += n
			}
		}
		for _, r := range rules {
			if faults[r.Name] == 0 {
				w.Problem("O8: %q did not happen", r.Name)
			}
		}
		return nil
	}
}

// and does one injection, then looks closer.
func (i injection) and(look func(ctx context.Context, w *run.World) error) injection {
	return func(ctx context.Context, w *run.World) error {
		if err := i(ctx, w); err != nil {
			return err
		}
		return look(ctx, w)
	}
}

// ledger reads all deliveries of the run's first edition by the command.
func ledger(ctx context.Context, w *run.World) ([]news.Delivery, error) {
	out, err := w.CLI(ctx, "delivery", "ls", "--edition", fmt.Sprint(w.Editions[0]), "--limit", "100000", "--json")
	if err != nil {
		return nil, err
	}
	var all []news.Delivery
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, err
	}
	return all, nil
}

// uncharged demands that every delivery was accepted at the first attempt that counts.
func uncharged(ctx context.Context, w *run.World) error {
	all, err := ledger(ctx, w)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.State != news.DeliveryAccepted || d.Attempts != 1 {
			w.Problem("delivery %d is %s after %d attempts: it was charged for the relay's fault", d.ID, d.State, d.Attempts)
			return nil
		}
	}
	return nil
}

// suppressions reads the addresses that are never mailed again.
func suppressions(ctx context.Context, w *run.World) (map[string]bool, error) {
	out, err := w.CLI(ctx, "suppression", "ls", "--json")
	if err != nil {
		return nil, err
	}
	var all []news.Suppression
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, s := range all {
		found[s.Address] = true
	}
	return found, nil
}

// nobodyBounced demands that no address was given up.
func nobodyBounced(ctx context.Context, w *run.World) error {
	found, err := suppressions(ctx, w)
	if err == nil && len(found) > 0 {
		w.Problem("%d addresses were suppressed", len(found))
	}
	return err
}

// relayDown is F11: at the start, and again in mid-run.
func relayDown(d time.Duration) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(slowly(5 * time.Millisecond)...)
		w.Relay.Down()
		p, err := w.Start(ctx)
		if err != nil {
			return err
		}
		for i := range 2 {
			if i > 0 {
				if err := w.UntilTaken(ctx, 100); err != nil {
					return err
				}
				w.Bound += w.Relay.Down()
			}
			w.Injected++
			if err := w.Pass(ctx, d); err != nil {
				return err
			}
			// For the mails, though not for the breaker, the outage lasts three hours.
			if err := w.Age(ctx, 3*time.Hour, news.DeliveryDeferred); err != nil {
				return err
			}
			if err := w.Relay.Up(); err != nil {
				return err
			}
		}
		if err := conclude(ctx, w, p); err != nil {
			return err
		}
		// Pauses double from 5 s on: of 20 s, three at most, and as much for the second time.
		if n := p.Events("relay takes no mail"); n < 2 || n > 8 {
			w.Problem("the breaker opened %d times", n)
		}
		all, err := ledger(ctx, w)
		if err != nil {
			return err
		}
		charged := 0
		for _, d := range all {
			if d.Attempts > 1 {
				charged++
			}
		}
		if charged > w.Bound { // those whose reply was lost
			w.Problem("%d deliveries were charged for a relay that was down", charged)
		}
		return nil
	}
}

// refusals is F14: some recipients do not exist, some are full, some do not want us.
func refusals(ctx context.Context, w *run.World) error {
	replies := map[string]string{
		"r3@": "550 5.1.1 no such user", "r33@": "550 5.1.1 no such user", "r133@": "550 5.1.1 no such user",
		"r5@": "550 5.7.1 not from you", "r55@": "550 5.7.1 not from you", "r155@": "550 5.7.1 not from you", "r77@": "552 5.2.2 full",
	}
	var rules []sink.Rule
	for who, reply := range replies {
		rules = append(rules, sink.Rule{Name: who, Stage: sink.Rcpt, Match: who, Reply: reply})
	}
	if err := misbehave("", rules...)(ctx, w); err != nil {
		return err
	}
	found, err := suppressions(ctx, w)
	if err != nil {
		return err
	}
	if len(found) != 3 || !found[run.Address(3)] || !found[run.Address(33)] || !found[run.Address(133)] {
		w.Problem("suppressed are %v, not the three that do not exist", found)
	}
	all, err := ledger(ctx, w)
	if err != nil {
		return err
	}
	refused := 0
	for _, d := range all {
		if d.State == news.DeliveryRefused {
			refused++
		}
	}
	if refused != len(replies) {
		w.Problem("%d were refused, not %d", refused, len(replies))
	}
	return nil
}

// refuseAll is F15 and the second half of F17: a relay that refuses everything for a
// reason that is not the recipients'. The edition is held back; the relay is mended and
// the daemon restarted, which ends the hold.
func refuseAll(r sink.Rule, mostRefused int) injection {
	return func(ctx context.Context, w *run.World) error {
		r.Name = "refused"
		w.Relay.Set(r)
		p, err := w.Start(ctx)
		if err != nil {
			return err
		}
		if err := w.Until(ctx, "the hold", func() (bool, error) { return p.Events("edition is held back") > 0, nil }); err != nil {
			return err
		}
		if err := w.Pass(ctx, 2*time.Second); err != nil { // nothing more is to happen
			return err
		}
		w.Injected = w.Relay.Stats().Faults["refused"]
		if err := p.Stop(ctx); err != nil {
			return err
		}
		t, err := w.Tally(ctx)
		if err != nil {
			return err
		}
		if n := t[news.DeliveryRefused]; n > mostRefused {
			w.Problem("%d recipients were given up before the edition was held, at most %d were to be expected", n, mostRefused)
		}
		if n := w.Injected; n > 10+2*w.Connections {
			w.Problem("the relay was asked %d times", n)
		}
		if err := finish(ctx, w); err != nil {
			return err
		}
		return nobodyBounced(ctx, w)
	}
}

// held is F18 with `on_uncertain = "hold"`: what was lost waits, and is listed.
func held(ctx context.Context, w *run.World) error {
	out, err := w.CLI(ctx, "delivery", "ls", "--state", "uncertain", "--limit", "100000", "--json")
	if err != nil {
		return err
	}
	var listed []news.Delivery
	if err := json.Unmarshal(out, &listed); err != nil {
		return err
	}
	if len(listed) != w.Injected {
		w.Problem("%d replies were lost, and %d deliveries are listed as uncertain", w.Injected, len(listed))
	}
	w.Bound = 0
	return nil
}

// crowded is F22: the relay takes 5 connections, the daemon would like 10.
func crowded(ctx context.Context, w *run.World) error {
	if err := misbehave("", sink.Rule{Name: "slow", Stage: sink.Dot, Delay: 5 * time.Millisecond})(ctx, w); err != nil {
		return err
	}
	s := w.Relay.Stats()
	w.Injected = s.Faults["too many connections"]
	if w.Injected > 30 || s.Connections > 100 {
		w.Problem("a storm: %d connections, %d of them too many", s.Connections, w.Injected)
	}
	return uncharged(ctx, w)
}

// silence is the other half of F24: the relay's machine says nothing any more, on all
// connections at once. The daemon gives up after its time for a reply, one minute.
func silence(ctx context.Context, w *run.World) error {
	hold := make(chan struct{})
	defer close(hold)
	return misbehave("", sink.Rule{Name: "silent", Stage: sink.Rcpt, Times: w.Connections, Hold: hold, Drop: true})(ctx, w)
}
