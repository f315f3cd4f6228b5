package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gazetted/internal/faults/run"
)

// withNext gives an injection the binary of the next version.
func withNext(inject func(next string) injection) around {
	return func(ctx context.Context, o options, j job) result {
		next, err := o.next()
		if err != nil {
			return result{job: j, err: err}
		}
		j.inject = inject(next)
		return j.in(ctx, o, o.postgres)
	}
}

// upgradeInMidEdition is F10: in mid-sending the daemon is replaced by the next version,
// with a newer schema, and that by the old one again.
func upgradeInMidEdition(next string) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(slowly(10 * time.Millisecond)...)
		old := w.Binary
		before, err := schema(ctx, w)
		if err != nil {
			return err
		}
		for _, binary := range []string{old, next, old, next} {
			w.Binary = binary
			p, err := w.Start(ctx)
			if err != nil {
				return err
			}
			if err := w.UntilTaken(ctx, w.Relay.Stats().Taken+80); err != nil {
				return err
			}
			if err := p.Stop(ctx); err != nil {
				return err
			}
			w.Injected++
		}
		after, err := schema(ctx, w)
		if err != nil {
			return err
		}
		if after != before+1 {
			w.Problem("the schema went from %d to %d", before, after)
		}
		if n := w.Relay.Stats().Half; n > 0 {
			w.Problem("%d messages were cut off within DATA", n)
		}
		return finish(ctx, w)
	}
}

func schema(ctx context.Context, w *run.World) (int64, error) {
	st, err := w.Store.Status(ctx)
	return st.Schema, err
}

// rolling is F43: of two replicas first one, then the other is replaced by the next
// version. Each time there is a slot for both, and mail under way.
func rolling(next string) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(slowly(5 * time.Millisecond)...)
		old := w.Binary
		var running [2]*run.Process
		start := func(i int, binary string) (err error) {
			if running[i] != nil {
				if err := running[i].Stop(ctx); err != nil {
					return err
				}
			}
			w.Binary = binary
			running[i], err = w.Start(ctx)
			return err
		}
		if err := errors.Join(start(0, old), start(1, old)); err != nil {
			return err
		}
		steps := []struct {
			replica int
			binary  string
		}{{0, next}, {1, old}, {1, next}} // an old one that is started anew, on the newer schema, works, too
		for n, step := range steps {
			if err := w.Publish(ctx, 1); err != nil {
				return err
			}
			if err := w.UntilTaken(ctx, n*w.Subscribers+w.Subscribers/3); err != nil {
				return err
			}
			if err := start(step.replica, step.binary); err != nil {
				return fmt.Errorf("replace replica %d: %w", step.replica, err)
			}
			w.Injected++
			if err := errors.Join(w.AllEditions(ctx), w.Finish(ctx)); err != nil {
				return err
			}
		}
		if len(w.Editions) != len(steps) {
			w.Problem("%d slots made %d editions", len(steps), len(w.Editions))
		}
		return errors.Join(running[0].Stop(ctx), running[1].Stop(ctx))
	}
}
