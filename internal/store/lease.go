package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"gazetted/internal/news"
)

// leaseClock is the clock by which leases end. Setting a wall clock does not
// move it: a lease given before a step of 30 days is not over after it, and one
// given before a step of two hours back does not last two hours longer.
//
// It begins, at Open, with what the shared clock shows: the machine's on
// SQLite, the server's on PostgreSQL, so that replicas agree whatever their own
// clocks show. Then it goes on with the time that really passes. When the
// shared clock was set since, or this process stood still without knowing
// (Go's monotonic clock does not run while a machine is suspended), the two
// part, and the processes of one database would not agree any more: see
// followClocks.
type leaseClock struct {
	steady func() time.Duration
	owner  string // begins every token of this process

	mu     sync.Mutex
	zero   time.Time     // what the lease clock showed at steady's zero
	wall   time.Time     // the same of the wall clock, when it was last looked at
	wary   time.Duration // until then, on steady, other processes may not have followed a step yet
	strict time.Duration // until then others' leases are not ended at all
}

const (
	// clockSlack is how far the lease clock and the shared one may be apart: more
	// than the answer of a slow database takes, and much less than a lease is longer
	// than the wait that it covers.
	clockSlack = 5 * time.Second
	// maxLease is longer than any lease of an edition or a look.
	maxLease = time.Hour
	// followWithin is how soon every process has noticed a step: couriers look once a minute.
	followWithin = 2 * time.Minute
)

func newLeaseClock(steady func() time.Duration, random io.Reader) (*leaseClock, error) {
	if steady == nil {
		start := time.Now()
		steady = func() time.Duration { return time.Since(start) }
	}
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("make token: %w", err)
	}
	return &leaseClock{steady: steady, owner: hex.EncodeToString(b[:])}, nil
}

// begin sets the clock for the first time.
func (c *leaseClock) begin(shared, wall time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.steady()
	c.zero, c.wall, c.wary = shared.Add(-at), wall.Add(-at), at+followWithin
}

func (c *leaseClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.zero.Add(c.steady()).Truncate(time.Millisecond)
}

// parted tells how far the shared clock is ahead of this one, and by how much
// the wall clock was set back since it was last looked at.
func (c *leaseClock) parted(shared, wall time.Time) (ahead, back time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.steady()
	return shared.Sub(c.zero.Add(at)), c.wall.Add(at).Sub(wall)
}

// follow puts the clock to shared, unless that is zero, and remembers the wall
// clock. undo forgets all that.
func (c *leaseClock) follow(shared, wall time.Time) (undo func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.steady()
	zero, before, strict, wary := c.zero, c.wall, c.strict, c.wary
	c.wall = wall.Add(-at)
	if !shared.IsZero() {
		c.zero, c.strict, c.wary = shared.Add(-at), at+followWithin, at+followWithin
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.zero, c.wall, c.strict, c.wary = zero, before, strict, wary
	}
}

// trust tells whether leases of other processes may be ended, and whether those
// that end too far ahead may be.
func (c *leaseClock) trust() (over, ahead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.steady()
	return at >= c.strict, at >= c.wary
}

// sharedClock reads the clock that all processes of this database can read.
func (s *Store) sharedClock(ctx context.Context) (time.Time, error) {
	switch {
	case s.shared != nil:
		return s.shared(), nil
	case s.d.clock == "":
		return s.now(), nil
	}
	var v int64
	if err := s.reader.GetContext(ctx, &v, s.d.clock); err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return at(v), nil
}

// moveLeases takes along, by ahead, what this process holds. Editions and looks do
// not tell whose they are: whoever comes first moves them all. That
// may be wrong, which costs making an edition, of which one is closed, or looking at
// a source twice.
func (t *tx) moveLeases(now time.Time, ahead time.Duration, owner string) error {
	if _, err := t.exec(`UPDATE deliveries SET next_at = next_at + $1 WHERE state IN ('claimed', 'dot_pending') AND token LIKE $2`,
		ahead.Milliseconds(), owner+"%"); err != nil {
		return err
	}
	for _, held := range []string{`editions SET leased_until = leased_until + $1 WHERE state IN ('open', 'queueing', 'closed')`, `sources SET leased_until = leased_until + $1 WHERE removed_at = 0`} {
		if _, err := t.exec(`UPDATE `+held+` AND leased_until > $2 AND leased_until < $3`, ahead.Milliseconds(), ms(now), ms(now.Add(maxLease))); err != nil {
			return err
		}
	}
	return nil
}

// bringForward mends what would wait so much longer because the wall clock was set
// back: next attempts, and articles that settle. An embargo stays: it
// is an instant, not a wait. Replicas on one machine bring forward once each, which may
// end a wait early.
func (t *tx) bringForward(back time.Duration) error {
	if _, err := t.exec(`UPDATE deliveries SET next_at = CASE WHEN next_at - $1 > $2 THEN next_at - $1 ELSE $2 END
		WHERE state IN ('pending', 'deferred') AND next_at > $2`, back.Milliseconds(), ms(t.now)); err != nil {
		return err
	}
	sources, err := t.sources()
	if err != nil {
		return err
	}
	for _, src := range sources {
		if _, err := t.exec(`UPDATE articles SET release_at = release_at - $1 WHERE source_id = $2 AND state = 'waiting'
			AND first_seen_at > $3 AND release_at = first_seen_at + $4`,
			back.Milliseconds(), src.ID, ms(t.now), time.Duration(src.Settings.Settle).Milliseconds()); err != nil {
			return err
		}
	}
	return nil
}

// followClocks goes after the shared clock if it was set, and takes the
// deliveries that this process holds along: their leases end as long from now
// as before. For a while it then ends nobody else's lease, so that every other
// process can do the same. What waits for its next attempt is brought forward
// if the wall clock was set back: it would wait so much longer.
//
// What is left: a process that begins within followWithin of a step, or stands
// still for so long after one, may take the leases of another as over. The other
// cannot send a dot with them any more; a dot that it had sent already can be
// repeated, so at most one extra copy per connection that was open. On
// PostgreSQL a claim under way on another connection at that moment
// may keep the old end; it is then tried later.
func (s *Store) followClocks(ctx context.Context) error {
	shared, err := s.sharedClock(ctx)
	if err != nil {
		return err
	}
	ahead, back := s.leases.parted(shared, s.clock())
	if ahead.Abs() <= clockSlack {
		ahead, shared = 0, time.Time{}
	}
	if ahead == 0 && back.Abs() <= clockSlack {
		return nil
	}
	before := s.leases.now()
	undo := func() {}
	err = s.write(ctx, "follow the clock", func(t *tx) error {
		if ahead != 0 {
			if err := t.moveLeases(before, ahead, s.leases.owner); err != nil {
				return err
			}
		}
		if back > clockSlack {
			if err := t.bringForward(back); err != nil {
				return err
			}
			t.wake(news.WakeArticles)
			t.wake(news.WakeOutbox)
		}
		// Within the transaction: on SQLite no claim comes between.
		undo()
		undo = s.leases.follow(shared, t.now)
		return nil
	})
	if err != nil {
		undo()
	}
	return err
}
