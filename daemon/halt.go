package daemon

import (
	"context"
	"errors"
	"time"

	"gazetted/internal/news"
)

// haltsEvery is how soon it is noticed that sending has stopped, or may go on.
// The stop itself is older: every transaction that sends looks by itself.
const haltsEvery = 5 * time.Second

// lookAtHalt logs why nothing is sent when that changes, and lets a database go
// on that has moved where the operator says that nothing is lost.
func (d *Daemon) lookAtHalt(ctx context.Context) error {
	h, err := d.Store.Halted(ctx)
	if err != nil {
		return err
	}
	if h == news.HaltServer && d.cfg.SynchronousFailover {
		if err := d.Store.AcceptServer(ctx); err != nil {
			return err
		}
		d.log.Warn("the database is on another server: sending goes on, as synchronous_failover says")
		return nil
	}
	if h == d.halt {
		return nil
	}
	switch {
	case h == news.HaltServer || h == news.HaltSchema:
		d.log.Error("sending is stopped", "err", errors.New(h.Explain()))
	case d.halt == news.HaltServer || d.halt == news.HaltSchema:
		d.log.Info("sending is no longer stopped", "status", h.Explain())
	}
	d.halt = h
	return nil
}
