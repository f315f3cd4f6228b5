package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/go-co-op/gocron/v2"
	"golang.org/x/sync/errgroup"

	"gazetted/internal/news"
)

// Intervals of the ticks behind the wakes.
const (
	// releaseEvery bounds how late a Release may be. Looking costs one indexed
	// read and no write.
	releaseEvery = time.Second
	// slotsEvery bounds how late a slot may be.
	slotsEvery = 10 * time.Second
	// purgeEvery forgets sign-ups that nobody has confirmed in time.
	purgeEvery = time.Hour
)

// Run starts all stages and returns when ctx has ended and they have stopped,
// or when one of them cannot go on. Mails that were begun are finished within
// the drain time.
func (d *Daemon) Run(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", d.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", d.cfg.Listen, err)
	}
	d.log.Info("listening", "addr", listener.Addr().String())
	if d.o.Listening != nil {
		d.o.Listening(listener.Addr().String())
	}
	return d.stages(ctx, listener)
}

// stages runs everything. The web server has a context of its own, because it
// answers (unsubscribe links, feeds) until the courier is done.
func (d *Daemon) stages(ctx context.Context, listener net.Listener) error {
	webCtx, stopWeb := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWeb()
	server := make(chan error, 1)
	go func() { server <- d.web.Run(webCtx, listener) }()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return named("watch the database", d.Store.Watch(ctx)) })
	g.Go(func() error { return named("watch sources", d.Watcher.Run(ctx)) })
	g.Go(func() error { return named("send mail", d.Courier.Run(ctx, time.Duration(d.cfg.Drain))) })
	g.Go(func() error { return named("collect bounces", d.collectBounces(ctx)) })
	g.Go(func() error { return named("listen for changes", d.Store.Listen(ctx)) })
	g.Go(func() error { d.checkDKIM(ctx); return nil })
	g.Go(func() error { return named("keep the schedule", d.schedule(ctx)) })
	g.Go(func() error { // a web server that cannot go on ends the others
		select {
		case err := <-server:
			server <- err
			return named("serve HTTP", err)
		case <-ctx.Done():
			return nil
		}
	})
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	stopWeb()
	err = errors.Join(err, named("serve HTTP", <-server))
	d.log.Info("stopped")
	return err
}

func named(stage string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s: %w", stage, err)
}

// schedule lets gocron drive what is due by time, and wakes bring it forward.
// gocron only says when to look: what is due, and that it happens once, is
// decided by rows in the database.
func (d *Daemon) schedule(ctx context.Context) error {
	s, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithClock(newSteadyClock()), gocron.WithStopTimeout(time.Duration(d.cfg.Drain)))
	if err != nil {
		return err
	}
	job := func(name string, every time.Duration, work func(context.Context) error) (gocron.Job, error) {
		return s.NewJob(gocron.DurationJob(every), gocron.NewTask(func() { d.tick(ctx, name, work) }), gocron.WithName(name),
			gocron.WithSingletonMode(gocron.LimitModeReschedule), gocron.WithStartAt(gocron.WithStartImmediately()))
	}
	release, err := job("release", releaseEvery, func(ctx context.Context) error {
		_, err := d.ReleaseAll(ctx)
		return err
	})
	if err != nil {
		return err
	}
	slots, err := job("slots", slotsEvery, func(ctx context.Context) error {
		_, err := d.Editor.Due(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := job("halt", haltsEvery, d.lookAtHalt); err != nil {
		return err
	}
	if _, err := job("purge", purgeEvery, func(ctx context.Context) error {
		_, err := d.Store.PurgePending(ctx)
		return err
	}); err != nil {
		return err
	}
	s.Start()
	d.wakes.run(ctx, func(w news.Wake) {
		switch w {
		case news.WakeSources:
			d.Watcher.Wake()
		case news.WakeArticles:
			d.runNow(release)
		case news.WakeReleased:
			d.web.Wake()
			d.runNow(slots) // instant lists
		case news.WakeLists:
			d.runNow(slots)
		case news.WakeOutbox:
			d.Courier.Wake()
		}
	})
	return s.Shutdown()
}

func (d *Daemon) runNow(j gocron.Job) {
	if err := j.RunNow(); err != nil {
		d.log.Debug("wake came to nothing", "err", err) // the next tick does it
	}
}

// tick does one round of scheduled work. A panic is that round's failure: the
// next one tries again.
func (d *Daemon) tick(ctx context.Context, name string, work func(context.Context) error) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error("scheduled work panicked", "path", name, "err", fmt.Errorf("%v\n%s", p, debug.Stack()))
		}
	}()
	if err := work(ctx); err != nil && ctx.Err() == nil {
		d.log.Error("scheduled work failed", "path", name, "err", err)
	}
}

// ReleaseAll releases every article that is due and returns how many were.
func (d *Daemon) ReleaseAll(ctx context.Context) (int, error) {
	total := 0
	for {
		n, _, err := d.Store.ReleaseDue(ctx)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
		if d.log.Enabled(ctx, -4) {
			d.log.Debug("released", "article", n)
		}
	}
}
