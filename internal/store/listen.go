package store

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/lib/pq"

	"gazetted/internal/news"
)

// Intervals of Listen.
const (
	// lookEvery is how soon a change made by another process is noticed on SQLite.
	lookEvery = 500 * time.Millisecond
	// pingEvery finds a dead LISTEN connection, whose notifications are lost.
	pingEvery = 30 * time.Second
	// relistenEvery is how long one that was refused waits.
	relistenEvery = 30 * time.Second
)

// Listen passes on what other processes change (the CLI, other replicas) as
// wakes, until ctx ends. What it misses is found by polling: a wake only saves
// waiting.
func (s *Store) Listen(ctx context.Context) error {
	if s.d.name == "postgres" {
		return s.listenPostgres(ctx)
	}
	return s.listenSQLite(ctx)
}

func allWakes() []news.Wake {
	return []news.Wake{news.WakeSources, news.WakeArticles, news.WakeReleased, news.WakeLists, news.WakeOutbox}
}

// listenSQLite watches PRAGMA data_version, which moves on one connection when
// any other has committed. It does not tell what changed, so all are woken.
func (s *Store) listenSQLite(ctx context.Context) error {
	conn, err := s.reader.Connx(ctx)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() { _ = conn.Close() }()
	file, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := int64(-1)
	for {
		var version int64
		if err := conn.GetContext(ctx, &version, `PRAGMA data_version`); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("listen: %w", err)
		}
		if last >= 0 && version != last {
			for _, w := range allWakes() {
				s.wake(w)
			}
		}
		last = version
		// Whoever moves a file away under a running daemon has it write into the
		// old one, which nobody will read again.
		if now, err := os.Stat(s.path); err != nil || !os.SameFile(file, now) {
			return s.fail(fmt.Errorf("%s was removed or replaced while in use", s.path))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Store) listenPostgres(ctx context.Context) error {
	l := pq.NewDialListener(postgresDialer(), s.dsn, time.Second, time.Minute, nil)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	// Listen waits for the first connection; Close, above, ends the wait. A
	// server that does not let us listen (a standby) may be another one later:
	// until then there is polling.
	for l.Listen(channel) != nil && ctx.Err() == nil {
		if !wait(ctx, relistenEvery) {
			return nil
		}
	}
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	pinging := make(chan struct{}, 1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case n, ok := <-l.Notify:
			switch {
			case !ok:
				return nil
			case n == nil: // reconnected: anything may have been missed
				for _, w := range allWakes() {
					s.wake(w)
				}
			default:
				s.wake(news.Wake(n.Extra))
			}
		case <-ping.C:
			// In its own goroutine: in a network black hole Ping blocks. The
			// listener's Close ends it.
			select {
			case pinging <- struct{}{}:
				go func() { _ = l.Ping(); <-pinging }()
			default:
			}
		}
	}
}

// wait returns true after d, and false once ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
