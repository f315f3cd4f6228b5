package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

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

// run runs f in a transaction and returns after its commit. ctx counts until
// the transaction begins: SQLite undoes a whole commit when a statement in it
// is interrupted.
func (g *group) run(ctx context.Context, s *Store, f func(*tx) error) ([]news.Wake, error) {
	k := &ticket{f: f, done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, k)
	g.mu.Unlock()
	for {
		select {
		case <-k.done:
			return k.result()
		case <-ctx.Done():
			if g.leave(k) {
				return nil, ctx.Err()
			}
			<-k.done // somebody has begun it
			return k.result()
		case g.turn <- struct{}{}:
			g.lead(context.WithoutCancel(ctx), s)
		}
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

// lead runs what is queued in one commit.
func (g *group) lead(ctx context.Context, s *Store) {
	defer func() { <-g.turn }()
	g.mu.Lock()
	n := min(len(g.queue), maxGroup)
	batch := g.queue[:n:n]
	g.queue = append([]*ticket(nil), g.queue[n:]...)
	g.mu.Unlock()
	if n == 0 {
		return
	}
	if err := s.commitAll(ctx, batch); err != nil {
		for _, k := range batch {
			if k.err == nil {
				k.err = err
			}
		}
	}
	for _, k := range batch {
		close(k.done)
	}
}

// commitAll runs batch in one transaction. An error is of all that have none
// of their own.
func (s *Store) commitAll(ctx context.Context, batch []*ticket) error {
	p := s.group.conn
	if err := p.begin(ctx); err != nil {
		return err
	}
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
	return nil
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
	k.call(&tx{q: p, ctx: ctx, d: s.d, now: s.clock(), lease: s.leases.now()})
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
