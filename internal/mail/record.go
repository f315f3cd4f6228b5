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

// How long the recorder waits for company. An outcome alone waits for the next
// dot, which is about to be asked for as long as there is work. A dot waits for
// other connections that are composing or transmitting, until half of them ask:
// while that half is committed the other one works. It waits no longer than a
// commit takes, and a lone connection does not wait.
const (
	outcomeWait = 5 * time.Millisecond
	maxDotWait  = 5 * time.Millisecond
)

// recorder commits for all connections what became of their last messages and
// that the dots of the next ones are coming: those that wait at the same time
// share a transaction. A connection thus waits once per message, and its next
// dot never overtakes its last outcome, which is in the same transaction or in
// one before.
type recorder struct {
	store Store
	tell  func(Event)
	wake  chan struct{} // holds a token when there may be something to commit
	done  chan struct{}

	mu      sync.Mutex
	records []*record
	dots    []*asked
	coming  int           // messages under way that have not come to their dot
	took    time.Duration // by the last commit
	timer   *time.Timer   // makes overdue what waits
	overdue bool
	closed  bool
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
// what was under way, but tries only once more then. Closing ends it.
func newRecorder(ctx context.Context, store Store, tell func(Event)) *recorder {
	r := &recorder{store: store, tell: tell, wake: make(chan struct{}, 1), done: make(chan struct{})}
	r.timer = time.AfterFunc(time.Hour, r.hurry)
	go r.run(ctx)
	return r
}

func (r *recorder) run(ctx context.Context) {
	defer close(r.done)
	defer r.timer.Stop()
	for range r.wake {
		records, dots, closed := r.take()
		if len(records)+len(dots) > 0 {
			began := time.Now()
			err := r.commit(ctx, records, dots)
			r.answer(records, dots, err, time.Since(began))
		} else if closed {
			return
		}
	}
}

// take returns what is to be committed now, if anything is.
func (r *recorder) take() (records []*record, dots []*asked, closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ready() {
		return nil, nil, r.closed
	}
	n := min(len(r.records), maxBatch)
	records, r.records = r.records[:n:n], append([]*record(nil), r.records[n:]...)
	if len(r.records) == 0 { // else a dot could overtake its connection's last outcome
		n = min(len(r.dots), maxBatch)
		dots, r.dots = r.dots[:n:n], append([]*asked(nil), r.dots[n:]...)
	}
	r.timer.Stop()
	if r.overdue = len(r.records)+len(r.dots) > 0; r.overdue || r.closed {
		r.stir()
	}
	return records, dots, r.closed
}

// ready tells whether what waits is worth a commit. The lock is held.
func (r *recorder) ready() bool {
	return r.overdue || r.closed || len(r.records) >= maxBatch || len(r.dots) > 0 && len(r.dots) >= r.coming
}

// answer tells everybody concerned of a commit.
func (r *recorder) answer(records []*record, dots []*asked, err error, took time.Duration) {
	r.mu.Lock()
	r.took = took
	r.mu.Unlock()
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

// stir lets the recorder look. It never blocks.
func (r *recorder) stir() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// hurry is called when something has waited long enough.
func (r *recorder) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.overdue = len(r.records)+len(r.dots) > 0
	r.stir()
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

// begin notes that a message is under way, which may come to its dot: until it
// does, or end is called, other dots wait a little for it.
func (r *recorder) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.coming++
}

// end notes that a message will not come to its dot.
func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.coming--; r.ready() {
		r.stir()
	}
}

// mayDot commits that the final dot of a delivery, which begin was called for,
// is coming and tells whether it may.
func (r *recorder) mayDot(d news.Dot) (bool, error) {
	one := &asked{dot: d, answer: make(chan struct{})}
	r.mu.Lock()
	r.coming--
	r.dots = append(r.dots, one)
	switch {
	case r.ready():
		r.stir()
	case len(r.dots) == 1:
		r.timer.Reset(min(r.took, maxDotWait))
	}
	r.mu.Unlock()
	<-one.answer
	return one.may, one.err
}

// add hands an outcome over and does not wait for it.
func (r *recorder) add(one *record) *record {
	one.stored = make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, one)
	if r.ready() {
		r.stir()
	} else if len(r.records) == 1 && len(r.dots) == 0 {
		r.timer.Reset(outcomeWait)
	}
	return one
}

// close waits until everything handed over is committed or given up.
func (r *recorder) close() {
	r.mu.Lock()
	r.closed = true
	r.stir()
	r.mu.Unlock()
	<-r.done
}
