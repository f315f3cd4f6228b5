package mail

import (
	"context"
	"sync"
	"time"

	"gazetted/internal/news"
)

// maxBatch bounds how many outcomes are committed at once.
const maxBatch = 500

// recorder commits outcomes for all connections, those that wait at the same
// time in one transaction.
type recorder struct {
	store Store
	tell  func(Event)
	in    chan *record
	done  chan struct{}
}

// record is one outcome on its way into the store.
type record struct {
	delivery news.Delivery
	outcome  news.Outcome
	took     time.Duration
	open     *sync.WaitGroup // counts deliveries that are claimed and not recorded
	stored   chan struct{}   // closed when it is committed, or given up
	err      error           // set before stored is closed
}

// wait returns when the record is committed. A nil record is.
func (r *record) wait() error {
	if r == nil {
		return nil
	}
	<-r.stored
	return r.err
}

// newRecorder starts a recorder. It works on when ctx ends, for the outcomes of
// what was under way, but tries only once more then. Closing in ends it.
func newRecorder(ctx context.Context, store Store, tell func(Event), connections int) *recorder {
	r := &recorder{store: store, tell: tell, in: make(chan *record, 2*connections), done: make(chan struct{})}
	go r.run(ctx)
	return r
}

func (r *recorder) run(ctx context.Context) {
	defer close(r.done)
	for first := range r.in {
		batch := []*record{first}
	collect:
		for len(batch) < maxBatch {
			select {
			case next, ok := <-r.in:
				if !ok {
					break collect
				}
				batch = append(batch, next)
			default:
				break collect
			}
		}
		err := r.commit(ctx, batch)
		for _, one := range batch {
			one.err = err
			close(one.stored)
			if err == nil {
				r.tell(Event{Kind: EventAttempt, Relay: one.outcome.Relay, Delivery: one.delivery, Outcome: one.outcome, Took: one.took})
			}
			one.open.Done()
		}
	}
}

// commit tries until it succeeds or ctx has ended: meanwhile every connection
// waits before its next dot, so that nothing is sent that cannot be recorded.
func (r *recorder) commit(ctx context.Context, batch []*record) error {
	outcomes := make([]news.Outcome, len(batch))
	for i, one := range batch {
		outcomes[i] = one.outcome
	}
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		last := ctx.Err() != nil
		// What happened has to be written down also when the time to send is over.
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		err := r.store.RecordOutcomes(attempt, outcomes)
		cancel()
		if err == nil {
			return nil
		}
		r.tell(Event{Kind: EventStore, Err: err})
		if last {
			return err
		}
		pause(ctx, wait, nil)
	}
}

// add hands an outcome over and does not wait for it.
func (r *recorder) add(one *record) *record {
	one.stored = make(chan struct{})
	r.in <- one
	return one
}

// close waits until everything handed over is committed or given up.
func (r *recorder) close() {
	close(r.in)
	<-r.done
}
