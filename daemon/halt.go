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

// warn tells what an operator may not know of the database.
func (d *Daemon) warn(ctx context.Context) error {
	doubts, err := d.Store.Doubts(ctx)
	if err != nil {
		return err
	}
	for _, name := range doubts {
		d.log.Warn("the database may forget mails when its server crashes, and they are sent again: a setting of PostgreSQL is off", "status", name)
	}
	have, want, err := d.Store.Schema(ctx)
	if err == nil && have > want {
		d.log.Info("the database was brought up by a newer version, and made to work with this one, too")
	}
	return err
}

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
	case h == news.HaltServer || h == news.HaltSchema || h == news.HaltRestored:
		d.log.Error("sending is stopped", "err", errors.New(h.Explain()))
	case d.halt == news.HaltServer || d.halt == news.HaltSchema || d.halt == news.HaltRestored:
		d.log.Info("sending is no longer stopped", "status", h.Explain())
	}
	d.halt = h
	return nil
}
