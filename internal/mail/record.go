package mail

import (
	"context"
	"errors"
	"sync"
	"time"

	"gazetted/internal/news"
)

// maxBatch bounds how much is committed at once.
const maxBatch = 500

// recorder commits for all connections what became of their last messages and
// that the dots of the next ones are coming, in the order in which they ask:
// those that wait at the same time share a transaction. A connection thus waits
// once per message, and its next dot never overtakes its last outcome.
type recorder struct {
	store Store
	tell  func(Event)
	in    chan entry
	done  chan struct{}
}

// entry is one of the two.
type entry struct {
	outcome *record
	dot     *asked
}

// asked is a connection that waits for leave to send a dot.
type asked struct {
	dot    news.Dot
	may    bool
	err    error
	answer chan struct{} // closed when may and err are set
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
	r := &recorder{store: store, tell: tell, in: make(chan entry, 2*connections), done: make(chan struct{})}
	go r.run(ctx)
	return r
}

func (r *recorder) run(ctx context.Context) {
	defer close(r.done)
	for first := range r.in {
		var records []*record
		var dots []*asked
		take := func(e entry) {
			if e.dot != nil {
				dots = append(dots, e.dot)
			} else {
				records = append(records, e.outcome)
			}
		}
		take(first)
	collect:
		for len(records)+len(dots) < maxBatch {
			select {
			case next, ok := <-r.in:
				if !ok {
					break collect
				}
				take(next)
			default:
				break collect
			}
		}
		err := r.commit(ctx, records, dots)
		for _, one := range dots {
			close(one.answer)
		}
		for _, one := range records {
			one.err = err
			close(one.stored)
			if err == nil {
				r.tell(Event{Kind: EventAttempt, Relay: one.outcome.Relay, Delivery: one.delivery, Outcome: one.outcome, Took: one.took})
			}
			one.open.Done()
		}
	}
}

// commit stores outcomes and dots together. If that fails, it tries until the
// outcomes are stored or ctx has ended: meanwhile every connection waits before
// its next dot, so that nothing is sent that cannot be recorded. Then the dots
// ask once more; who is refused because the store fails drops the connection.
func (r *recorder) commit(ctx context.Context, records []*record, dots []*asked) error {
	outcomes := make([]news.Outcome, len(records))
	for i, one := range records {
		outcomes[i] = one.outcome
	}
	err := r.settle(outcomes, dots)
	if err == nil || len(outcomes) == 0 || errors.Is(err, news.ErrFault) {
		return err
	}
	for wait := time.Second; err != nil; wait = min(2*wait, 30*time.Second) {
		pause(ctx, wait, nil)
		last := ctx.Err() != nil
		if err = r.settle(outcomes, nil); err != nil && (last || errors.Is(err, news.ErrFault)) {
			return err
		}
	}
	if len(dots) > 0 {
		_ = r.settle(nil, dots) // each dot has the error
	}
	return nil
}

// settle makes one attempt, and notes its result in dots. What happened has to
// be written down also when the time to send is over.
func (r *recorder) settle(outcomes []news.Outcome, dots []*asked) error {
	asking := make([]news.Dot, len(dots))
	for i, one := range dots {
		asking[i] = one.dot
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	may, err := r.store.Settle(ctx, outcomes, asking)
	for i, one := range dots {
		if one.err = err; err == nil {
			one.may = may[i]
		}
	}
	if err != nil {
		r.tell(Event{Kind: EventStore, Err: err})
	}
	return err
}

// mayDot commits that the final dot of a delivery is coming and tells whether
// it may.
func (r *recorder) mayDot(d news.Dot) (bool, error) {
	one := &asked{dot: d, answer: make(chan struct{})}
	r.in <- entry{dot: one}
	<-one.answer
	return one.may, one.err
}

// add hands an outcome over and does not wait for it.
func (r *recorder) add(one *record) *record {
	one.stored = make(chan struct{})
	r.in <- entry{outcome: one}
	return one
}

// close waits until everything handed over is committed or given up.
func (r *recorder) close() {
	close(r.in)
	<-r.done
}
