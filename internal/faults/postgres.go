package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gazetted/internal/faults/link"
	"gazetted/internal/faults/run"
	"gazetted/internal/faults/sink"
	"gazetted/internal/news"
)

// around runs a job in surroundings of its own (see fault).
type around func(ctx context.Context, o options, j job) result

// onCluster gives a job a PostgreSQL of its own, with these settings, at the far end of a
// cable.
func onCluster(inject func(c *run.Cluster, k *link.Link) injection, settings ...string) around {
	return func(ctx context.Context, o options, j job) (r result) {
		c, err := run.NewCluster(ctx, settings...)
		if errors.Is(err, run.ErrNoPostgres) {
			return result{job: j, leftOut: err.Error()}
		}
		if err != nil {
			return result{job: j, err: err}
		}
		defer func() { r.err = errors.Join(r.err, c.Close()) }()
		o.postgres = c.DSN
		return onLink(func(k *link.Link) injection { return inject(c, k) })(ctx, o, j)
	}
}

// onLink puts a cable between the daemon and PostgreSQL.
func onLink(inject func(k *link.Link) injection) around {
	return func(ctx context.Context, o options, j job) (r result) {
		u, err := url.Parse(o.postgres)
		if err != nil {
			return result{job: j, err: err}
		}
		k, err := link.New(ctx, u.Host)
		if err != nil {
			return result{job: j, err: err}
		}
		defer func() { r.err = errors.Join(r.err, k.Close()) }()
		j.setup.Via, j.inject = k.Addr(), inject(k)
		return j.in(ctx, o, o.postgres)
	}
}

// sending starts a daemon that sends not too fast, and waits until it has sent some.
func sending(ctx context.Context, w *run.World) (*run.Process, error) {
	w.Relay.Set(slowly(5 * time.Millisecond)...)
	p, err := w.Start(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.UntilTaken(ctx, 50); err != nil {
		return nil, err
	}
	// So that the web server has it, and answers it without the database.
	if status, err := p.Get(ctx, "/feeds/all.rss"); err != nil || status != http.StatusOK {
		w.Problem("a feed was answered %d, %v", status, err)
	}
	return p, nil
}

// cutLink is F41: the link is cut so many times.
func cutLink(times int, d time.Duration) func(k *link.Link) injection {
	return func(k *link.Link) injection {
		return func(ctx context.Context, w *run.World) error {
			p, err := sending(ctx, w)
			if err != nil {
				return err
			}
			for range times {
				k.Set(link.Cut)
				w.Injected++
				if err := unreachable(ctx, w, p, d); err != nil {
					return err
				}
				k.Set(link.Pass)
				if err := w.UntilTaken(ctx, w.Relay.Stats().Taken+50); err != nil {
					return err
				}
			}
			return goesOn(ctx, w, p)
		}
	}
}

// silentLink is F41: nothing comes back, and nobody says why.
func silentLink(d time.Duration) func(k *link.Link) injection {
	return func(k *link.Link) injection {
		return func(ctx context.Context, w *run.World) error {
			p, err := sending(ctx, w)
			if err != nil {
				return err
			}
			k.Set(link.Silent)
			w.Injected++
			button, err := unsubscribeLink(ctx, w, 0)
			if err != nil {
				return err
			}
			answered := make(chan int, 1)
			go func() {
				status, _ := p.OneClick(ctx, button) // no answer is 0
				answered <- status
			}()
			if err := quiet(ctx, w, p, d); err != nil {
				return err
			}
			select {
			case status := <-answered:
				if status != http.StatusServiceUnavailable {
					w.Problem("an unsubscription that could not be stored was answered %d", status)
				}
			default:
				w.Problem("an unsubscription was not answered for %s", d)
			}
			k.Set(link.Pass)
			return goesOn(ctx, w, p)
		}
	}
}

// slowLink is F41: what the daemon says comes so much later, for so long.
func slowLink(delay, d time.Duration) func(k *link.Link) injection {
	return func(k *link.Link) injection {
		return func(ctx context.Context, w *run.World) error {
			p, err := sending(ctx, w)
			if err != nil {
				return err
			}
			k.Delay(delay)
			w.Injected++
			for until := time.Now().Add(d); time.Now().Before(until); {
				if err := everyDotIsNoted(ctx, w); err != nil {
					return err
				}
				if err := w.Pass(ctx, 100*time.Millisecond); err != nil {
					return err
				}
			}
			if status, err := p.Get(ctx, "/feeds/all.rss"); err != nil || status != http.StatusOK {
				w.Problem("a feed was answered %d, %v", status, err)
			}
			k.Delay(0)
			return goesOn(ctx, w, p)
		}
	}
}

// noConnections is F41: after a short cut others have taken every connection.
func noConnections(d time.Duration) func(c *run.Cluster, k *link.Link) injection {
	return func(c *run.Cluster, k *link.Link) injection {
		return func(ctx context.Context, w *run.World) error {
			p, err := sending(ctx, w)
			if err != nil {
				return err
			}
			k.Set(link.Cut)
			release, err := c.Exhaust(ctx)
			if err != nil {
				return err
			}
			k.Set(link.Pass)
			w.Injected++
			if err := unreachable(ctx, w, p, d); err != nil {
				return errors.Join(err, release())
			}
			if err := release(); err != nil {
				return err
			}
			return goesOn(ctx, w, p)
		}
	}
}

// readOnly is F41: the name of the primary leads to a standby.
func readOnly(d time.Duration) func(c *run.Cluster, k *link.Link) injection {
	return func(c *run.Cluster, k *link.Link) injection {
		return func(ctx context.Context, w *run.World) (err error) {
			standby, err := c.Standby(ctx, c.Addr)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, standby.Close()) }()
			p, err := sending(ctx, w)
			if err != nil {
				return err
			}
			k.Lead(standby.Addr)
			w.Injected++
			if err := unreachable(ctx, w, p, d); err != nil {
				return err
			}
			if second, err := w.Start(ctx); err == nil || !second.Ended() || second.Code() != 1 || !strings.Contains(err.Error(), "standby") {
				w.Problem("a daemon started on a standby: %v", err)
			}
			k.Lead(c.Addr)
			return goesOn(ctx, w, p)
		}
	}
}

// unreachable watches a daemon without its database: it sends nothing, does not spin, and
// tells readers to come back.
func unreachable(ctx context.Context, w *run.World, p *run.Process, d time.Duration) error {
	button, err := unsubscribeLink(ctx, w, 0)
	if err != nil {
		return err
	}
	if status, err := p.OneClick(ctx, button); err != nil || status != http.StatusServiceUnavailable {
		w.Problem("an unsubscription that could not be stored was answered %d, %v", status, err)
	}
	return quiet(ctx, w, p, d)
}

// quiet demands that nothing is sent for d, beyond the dots that were already allowed, and
// that the daemon waits rather than computes.
func quiet(ctx context.Context, w *run.World, p *run.Process, d time.Duration) error {
	if err := w.Pass(ctx, 500*time.Millisecond); err != nil { // for the dots on their way
		return err
	}
	taken := w.Relay.Stats().Taken
	before, err := p.CPU()
	if err != nil {
		return err
	}
	if err := w.Pass(ctx, d); err != nil {
		return err
	}
	if n := w.Relay.Stats().Taken - taken; n > 0 {
		w.Problem("%d mails were sent without a database", n)
	}
	if status, err := p.Get(ctx, "/feeds/all.rss"); err != nil || status != http.StatusOK {
		w.Problem("a feed was answered %d, %v", status, err)
	}
	if status, err := p.Get(ctx, "/healthz"); err != nil || status != http.StatusOK {
		w.Problem("the health check was answered %d, %v", status, err)
	}
	after, err := p.CPU()
	if err != nil {
		return err
	}
	if after-before > d/4 {
		w.Problem("it computed for %s of %s", after-before, d)
	}
	return everyDotIsNoted(ctx, w)
}

// everyDotIsNoted demands that the ledger, as the server has it, knows of every mail that
// the relay has taken.
func everyDotIsNoted(ctx context.Context, w *run.World) error {
	taken := w.Relay.Stats().Taken
	t, err := w.Tally(ctx)
	if err != nil {
		return err
	}
	noted := w.Subscribers - t[news.DeliveryPending] - t[news.DeliveryClaimed] - t[news.DeliveryDeferred]
	if taken > noted {
		w.Problem("the relay has %d mails, and the ledger knows of %d", taken, noted)
	}
	return nil
}

// goesOn demands that the daemon has survived and sends the rest by itself.
func goesOn(ctx context.Context, w *run.World, p *run.Process) error {
	w.Relay.Set()
	if p.Ended() {
		w.Problem("the daemon ended with %d", p.Code())
		return finish(ctx, w)
	}
	return conclude(ctx, w, p)
}

// behindPgBouncer gives a job a PostgreSQL of its own behind PgBouncer in transaction mode.
func behindPgBouncer(inject func(b *run.Bouncer) injection) around {
	return func(ctx context.Context, o options, j job) (r result) {
		c, err := run.NewCluster(ctx)
		if errors.Is(err, run.ErrNoPostgres) {
			return result{job: j, leftOut: err.Error()}
		}
		if err != nil {
			return result{job: j, err: err}
		}
		defer func() { r.err = errors.Join(r.err, c.Close()) }()
		b, err := c.Bouncer(ctx)
		if errors.Is(err, run.ErrNoBouncer) {
			return result{job: j, leftOut: err.Error()}
		}
		if err != nil {
			return result{job: j, err: err}
		}
		defer func() { r.err = errors.Join(r.err, b.Close()) }()
		j.setup.Via, j.inject = b.Addr, inject(b)
		return j.in(ctx, o, c.DSN+"&search_path=public")
	}
}

// pooled is F42: two replicas, and slots that are due for both at once. Nobody hears a
// notification. In the first edition sending is paused and resumed, in the others the pooler
// is killed and started again.
func pooled(editions int) func(b *run.Bouncer) injection {
	return func(b *run.Bouncer) injection {
		return func(ctx context.Context, w *run.World) error {
			w.Relay.Set(slowly(5 * time.Millisecond)...)
			one, err := w.Start(ctx)
			if err != nil {
				return err
			}
			two, err := w.Start(ctx)
			if err != nil {
				return err
			}
			for n := range editions {
				if err := w.Publish(ctx, 1); err != nil {
					return err
				}
				if err := w.UntilTaken(ctx, n*w.Subscribers+w.Subscribers/3); err != nil {
					return err
				}
				disturb := b.Restart
				if n == 0 {
					disturb = func(ctx context.Context) error { return pauseAWhile(ctx, w) }
				}
				if err := disturb(ctx); err != nil {
					return err
				}
				w.Injected++
				if err := errors.Join(w.AllEditions(ctx), w.Finish(ctx)); err != nil {
					return err
				}
			}
			if len(w.Editions) != editions {
				w.Problem("%d slots made %d editions", editions, len(w.Editions))
			}
			return errors.Join(one.Stop(ctx), two.Stop(ctx))
		}
	}
}

// pauseAWhile pauses by the command, and demands that no dot follows.
func pauseAWhile(ctx context.Context, w *run.World) error {
	if _, err := w.CLI(ctx, "pause"); err != nil {
		return err
	}
	if err := w.Pass(ctx, 500*time.Millisecond); err != nil { // for the dots on their way
		return err
	}
	taken := w.Relay.Stats().Taken
	if err := w.Pass(ctx, 2*time.Second); err != nil {
		return err
	}
	if n := w.Relay.Stats().Taken - taken; n > 0 {
		w.Problem("%d mails were sent while paused", n)
	}
	_, err := w.CLI(ctx, "resume")
	return err
}

// killPostgres is F39.
func killPostgres(times int) around {
	return onCluster(func(cluster *run.Cluster, _ *link.Link) injection {
		return func(ctx context.Context, w *run.World) error {
			w.Relay.Set(sink.Rule{Name: "slow", Stage: sink.Dot, Delay: 10 * time.Millisecond})
			p, err := w.Start(ctx)
			if err != nil {
				return err
			}
			for range times {
				if err := w.UntilTaken(ctx, w.Relay.Stats().Taken+100); err != nil {
					return err
				}
				if err := cluster.Kill(); err != nil {
					return err
				}
				w.Injected++
				w.Bound += w.Connections
				if err := w.Pass(ctx, 2*time.Second); err != nil {
					return err
				}
				if err := cluster.Start(ctx); err != nil {
					return err
				}
			}
			return goesOn(ctx, w, p)
		}
	})
}
