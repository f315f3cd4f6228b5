package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"gazetted/internal/news"
)

// group lets concurrent writers of an SQLite file share commits. With
// synchronous=FULL a commit waits for the disk, and there is one writer: while
// it waits, the next transactions gather, and the first of them runs them all
// in one commit, each within a savepoint of its own. A transaction that fails
// undoes only itself.
//
// Differs from PostgreSQL, where each writer has a connection and the server
// joins the commits.
type group struct {
	turn chan struct{} // holds a token while somebody writes
	conn *prepared     // of whoever has the turn
	ran  int           // commits since somebody looked at the length of the log

	mu    sync.Mutex
	queue []*ticket
}

// maxGroup bounds the transactions of one commit: a long one would delay those
// that came first. Not measured beyond "more than connections to relays".
const maxGroup = 64

func newGroup(db *sqlx.DB) *group {
	return &group{turn: make(chan struct{}, 1), conn: newPrepared(db)}
}

// close waits for the transaction under way and closes the connection.
func (g *group) close() error {
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	return g.conn.reset()
}

// ticket is a transaction that waits for its commit.
type ticket struct {
	f     func(*tx) error
	done  chan struct{}
	tried bool // a commit that was to carry it could not be begun
	wakes []news.Wake
	err   error
	fault any // of a panic in f, for the goroutine whose transaction it is
}

// result is for the goroutine that queued the ticket, once done is closed.
func (k *ticket) result() ([]news.Wake, error) {
	if k.fault != nil {
		panic(k.fault)
	}
	return k.wakes, k.err
}

// call runs the transaction. Whoever leads runs those of others, too: their
// panics are not the leader's.
func (k *ticket) call(t *tx) {
	defer func() {
		if k.fault = recover(); k.fault != nil {
			k.err = fmt.Errorf("panic in a transaction: %v", k.fault)
		}
	}()
	k.err = k.f(t)
	k.wakes = t.wakes
}

// errGroupLost says that a transaction was undone because of another one in its
// commit. It did not happen and can be run again.
var errGroupLost = errors.New("the commit was lost to another transaction")

// errPatience says that a transaction has not waited longer for others.
var errPatience = fmt.Errorf("%w: others are writing", news.ErrUnavailable)

// run runs f in a transaction and returns after its commit. ctx, and the
// patience in it, count until the transaction begins: SQLite undoes a whole
// commit when a statement in it is interrupted.
func (g *group) run(ctx context.Context, s *Store, f func(*tx) error) ([]news.Wake, error) {
	k := &ticket{f: f, done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, k)
	g.mu.Unlock()
	var enough <-chan time.Time
	if d, ok := news.Patience(ctx); ok {
		timer := time.NewTimer(d)
		defer timer.Stop()
		enough = timer.C
	}
	for {
		var why error
		select {
		case <-k.done:
			return k.result()
		case g.turn <- struct{}{}:
			// On its own: who asked may lose patience while the lock is waited for.
			go g.lead(context.WithoutCancel(ctx), s)
			// It is this ticket's turn, or that of others before it.
			continue
		case <-ctx.Done():
			why = ctx.Err()
		case <-enough:
			why = errPatience
		}
		if g.leave(k) {
			return nil, why
		}
		<-k.done // somebody has begun it
		return k.result()
	}
}

// leave takes a ticket out of the queue; false: it is not there any more.
func (g *group) leave(k *ticket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range g.queue {
		if q == k {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			return true
		}
	}
	return false
}

// lead runs what is queued in one commit. While it waits for the lock that
// another process holds, tickets may come and go.
func (g *group) lead(ctx context.Context, s *Store) {
	defer func() { <-g.turn }()
	if !g.begin() {
		return
	}
	if err := g.conn.begin(ctx); err != nil {
		settle(g.take(true), err)
		return
	}
	batch := g.take(false)
	settle(batch, s.commitAll(ctx, batch))
}

// begin notes who is waiting for this commit to begin; false: nobody is.
func (g *group) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range g.queue[:min(len(g.queue), maxGroup)] {
		k.tried = true
	}
	return len(g.queue) > 0
}

// take takes the next tickets out of the queue: of a commit that could not be
// begun those that have waited for it all the time.
func (g *group) take(tried bool) []*ticket {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for n < min(len(g.queue), maxGroup) && (!tried || g.queue[n].tried) {
		n++
	}
	batch := g.queue[:n:n]
	g.queue = append([]*ticket(nil), g.queue[n:]...)
	return batch
}

// settle tells the tickets. err is of all that have none of their own.
func settle(batch []*ticket, err error) {
	for _, k := range batch {
		if k.err == nil {
			k.err = err
		}
		close(k.done)
	}
}

// commitAll runs batch in the transaction that was begun. An error is of all
// that have none of their own.
func (s *Store) commitAll(ctx context.Context, batch []*ticket) error {
	p := s.group.conn
	committed := false
	defer func() {
		if !committed {
			p.rollback(ctx)
		}
	}()
	good, single := 0, len(batch) == 1
	for _, k := range batch {
		if err := s.savepoint(ctx, k, single); err != nil {
			return fmt.Errorf("%w: %w", errGroupLost, err)
		}
		if k.err == nil {
			good++
		}
	}
	if good == 0 {
		return nil
	}
	if err := p.commit(ctx); err != nil {
		return err
	}
	committed = true
	if s.group.ran++; s.group.ran >= lookAtLog {
		s.group.ran = 0
		s.checkpoint(ctx)
	}
	return nil
}

// When the log is copied into the database.
const (
	lookAtLog = 16   // commits between looks
	longLog   = 1000 // pages; SQLite's own default
)

// checkpoint copies a long log into the database. SQLite would do it by itself,
// and would tell nobody when it fails: the log would grow on a disk that has
// begun to fail. What was committed is safe in any case. The caller has the turn.
func (s *Store) checkpoint(ctx context.Context) {
	var r struct {
		Busy         int `db:"busy"`
		Log          int `db:"log"`
		Checkpointed int `db:"checkpointed"`
	}
	err := s.group.conn.GetContext(ctx, &r, `PRAGMA wal_checkpoint(NOOP)`)
	if err == nil && r.Log-r.Checkpointed >= longLog {
		err = s.group.conn.GetContext(ctx, &r, `PRAGMA wal_checkpoint(PASSIVE)`)
	}
	_ = s.observe(err) // what has to be done about it, it does
}

// savepoint runs one transaction of a commit, alone (single) without a
// savepoint of its own. The error is of the whole: the savepoint could not be
// set or undone.
func (s *Store) savepoint(ctx context.Context, k *ticket, single bool) error {
	p := s.group.conn
	if !single {
		if _, err := p.ExecContext(ctx, `SAVEPOINT one`); err != nil {
			return err
		}
	}
	k.call(&tx{q: p, ctx: ctx, d: s.d, schema: s.schema, now: s.clock(), lease: s.leases.now()})
	if single {
		return nil
	}
	if k.err != nil {
		if _, err := p.ExecContext(ctx, `ROLLBACK TO one`); err != nil {
			return err
		}
	}
	_, err := p.ExecContext(ctx, `RELEASE one`)
	return err
}
