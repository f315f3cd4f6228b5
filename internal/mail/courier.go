package mail

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"gazetted/internal/news"
)

// Store is what the courier needs of the store.
type Store interface {
	// ClaimDeliveries commits attempts+1, a token and a lease before it returns.
	ClaimDeliveries(ctx context.Context, limit int, lease time.Duration) ([]news.Delivery, error)
	// PausedRelays names the relays that the operator has paused.
	PausedRelays(ctx context.Context) ([]string, error)
	Variant(ctx context.Context, id int64) (news.Variant, error)
	// Settle commits outcomes, and that the final dots may follow; false: one
	// must not. On an error nothing was stored.
	Settle(ctx context.Context, outcomes []news.Outcome, dots []news.Dot) ([]bool, error)
	// RecoverDeliveries frees what a crash left behind.
	RecoverDeliveries(ctx context.Context) (int, error)
	// FinishEditions marks editions done whose counts balance.
	FinishEditions(ctx context.Context) error
	// ReportRelays keeps how the relays are, for people. Nothing depends on it.
	ReportRelays(ctx context.Context, reports []news.RelayReport) error
}

// Options is all that a Courier is given. Store, Relays, Links, From and Domain
// are needed.
type Options struct {
	Store  Store
	Relays []Relay // with their shares; those without one stand by, in this order
	Links  *news.Links

	From    string // sender of lists that have none: an address or "Name <address>"
	ReplyTo string // where lists have none; empty: answers go to the sender
	Domain  string // our own: of Message-IDs and List-Ids
	Owner   string // address for List-Owner; empty: none
	HelpURL string // for List-Help; empty: none
	// FeedbackSender is the last part of Feedback-ID, 5 to 15 characters that
	// identify the sender to a mailbox provider; empty: no Feedback-ID.
	FeedbackSender string
	// ReturnPath makes the envelope sender; nil: the address of From.
	ReturnPath func(news.Delivery) string
	// Unsubscribe makes the address to unsubscribe by; nil: by HTTPS only.
	Unsubscribe func(news.Delivery) string
	// DKIM signs every message; nil: the relay does, or nobody.
	DKIM *DKIM

	Now    func() time.Time // nil: time.Now
	Rand   func() float64   // 0 to 1, for jitter; nil: math/rand
	Events func(Event)      // called from many goroutines; nil: nobody listens
	// Process names this process in what is kept of the relays: HOST/PID.
	Process string

	Backoff Backoff
	// Lease is how long a claim lasts; 0: 12 minutes. Asking for the dot begins it anew, so
	// it must cover the longer of two waits: in the queue (a quarter of it at
	// most) and for the message, or for the reply to the dot (10 minutes).
	Lease time.Duration
	// Poll is how often the outbox is looked at when nobody calls Wake; 0: 5 s.
	Poll time.Duration
	// Batch is how many deliveries are claimed at once; 0: 20 per connection.
	Batch int
	// HoldAfter consecutive refusals of an edition as such hold it back for
	// HoldFor; 0: 10 and 15 minutes.
	HoldAfter  int
	HoldFor    time.Duration
	MaxBytes   int // of a message; 0: DefaultMaxBytes
	CacheBytes int // for compiled messages; 0: 64 MB
}

// ErrRelayDown says that no relay could be reached.
var ErrRelayDown = errors.New("no relay takes mail now")

// ConfirmExpires is how long the link in a confirmation works.
const ConfirmExpires = 7 * 24 * time.Hour

// Numbers of the courier.
const (
	housekeeping = time.Minute      // between looks for what a crash left
	onceDrain    = 30 * time.Second // for what is open when Once is interrupted
	finishEvery  = 10 * time.Second // between looks for editions that are done
)

// Courier takes deliveries out of the outbox and sends them. Several may run on
// one store, in any number of processes.
type Courier struct {
	o        Options
	fleet    fleet
	workers  int
	holds    *holds
	variants *variants
	wake     chan struct{}

	running sync.Mutex // one Run or Once at a time
}

// New checks o and fills in defaults.
func New(o Options) (*Courier, error) {
	if o.Store == nil || o.Links == nil || len(o.Relays) == 0 {
		return nil, errors.New("make courier: store, links and a relay are needed")
	}
	if _, _, err := news.ParseSender("from", o.From); err != nil {
		return nil, fmt.Errorf("make courier: %w", err)
	}
	if _, err := news.ParseAddress("domain", "a@"+o.Domain); err != nil {
		return nil, fmt.Errorf("make courier: %w", &news.FieldError{Field: "domain", Value: o.Domain, Want: "a domain name such as news.example.org"})
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	c := &Courier{wake: make(chan struct{}, 1)}
	for _, r := range o.Relays {
		h := newHealth(r, &o)
		c.fleet = append(c.fleet, h)
		c.workers += h.Connections
	}
	setDefault(&o.Lease, 12*time.Minute)
	setDefault(&o.Poll, 5*time.Second)
	setDefault(&o.HoldFor, 15*time.Minute)
	setDefault(&o.Batch, 20*c.workers)
	setDefault(&o.HoldAfter, 10)
	setDefault(&o.CacheBytes, 64<<20)
	c.o = o
	c.holds = newHolds(o.HoldAfter, o.HoldFor, o.Now)
	c.variants = newVariants(o.Store, o.CacheBytes)
	return c, nil
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Wake says that deliveries may be waiting. It never blocks and is only a hint.
func (c *Courier) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends. Then it claims nothing more, gives back what has
// not been begun, and lets open transactions end within drain; what is still
// open then is cut off: before its dot it is tried again, after it is uncertain.
func (c *Courier) Run(ctx context.Context, drain time.Duration) error {
	_, err := c.run(ctx, drain, false)
	return err
}

// Once sends everything that is due now and returns how many deliveries went
// to which state. What was given back because of the relay counts as deferred.
// ErrRelayDown if that is why it stopped.
func (c *Courier) Once(ctx context.Context) (news.DeliveryTally, error) {
	return c.run(ctx, onceDrain, true)
}

// shift is one Run or Once at work.
type shift struct {
	*Courier
	soft     context.Context // ends: begin nothing more
	hard     context.Context // ends: cut off what is under way
	desk     *desk
	recorder *recorder
	reporter *reporter
	open     sync.WaitGroup // claimed and not yet recorded
	dirty    bool           // outcomes may have ended an edition

	mu    sync.Mutex
	tally news.DeliveryTally
}

// job is a claimed delivery.
type job struct {
	delivery news.Delivery
	domain   string // of the recipient
	claimed  time.Time
	probe    bool // the breaker lets this one through, to see
}

func (c *Courier) run(ctx context.Context, drain time.Duration, once bool) (news.DeliveryTally, error) {
	c.running.Lock()
	defer c.running.Unlock()
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stopTimer := context.AfterFunc(ctx, func() {
		if pause(hard, drain, nil) {
			cut()
		}
	})
	defer stopTimer()
	soft, stop := context.WithCancel(ctx)
	defer stop()

	s := &shift{Courier: c, soft: soft, hard: hard, desk: newDesk(c.fleet, c.o.Now, c.o.Batch, !once), tally: news.DeliveryTally{}}
	s.reporter = newReporter(s)
	s.recorder = newRecorder(hard, c.o.Store, s.recorded)
	var workers sync.WaitGroup
	for _, h := range c.fleet {
		for range h.Connections {
			workers.Go(func() { (&worker{shift: s, relay: h}).run() })
		}
	}
	var reports sync.WaitGroup
	reports.Go(func() { s.reporter.run(soft) })
	err := s.dispatch(once)
	stop()
	s.giveBackQueue(c.o.Now()) // at once: who ends us may not wait for the workers
	workers.Wait()
	reports.Wait()
	s.giveBackQueue(c.o.Now())
	s.recorder.close()
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if ferr := c.o.Store.FinishEditions(final); ferr != nil {
		err = errors.Join(err, fmt.Errorf("finish editions: %w", ferr))
	}
	s.reporter.report(final, true)
	return s.tally, err
}

// recorded counts what the recorder reports, and passes it on.
func (s *shift) recorded(e Event) {
	if e.Kind == EventAttempt {
		s.mu.Lock()
		s.tally[e.Outcome.State]++
		s.dirty = true
		s.mu.Unlock()
		s.reporter.count(e.Relay, e.Outcome.State)
	}
	s.o.Events(e)
}

// dispatch claims what is due and hands it to the workers, until soft ends or,
// with once, nothing is due any more.
func (s *shift) dispatch(once bool) error {
	var kept, finished time.Time
	failures := 0
	for s.soft.Err() == nil {
		now := s.o.Now()
		if age := now.Sub(kept); kept.IsZero() || age < 0 || age >= housekeeping {
			kept = now
			s.recover()
		}
		s.readPauses()
		ready, wait := s.fleet.ready()
		if ready == relayDown {
			s.giveBackQueue(now.Add(wait))
			if once {
				return ErrRelayDown
			}
			pause(s.soft, min(wait, s.o.Poll), s.wake) // the operator may pause or resume a relay meanwhile
			continue
		}
		if ready == relayTrying {
			_, changed := s.desk.waiting()
			pause(s.soft, wait, changed)
			continue
		}
		n, err := s.claim(ready)
		switch {
		case err != nil && once:
			return err
		case err != nil:
			failures++
			s.o.Events(Event{Kind: EventStore, Err: err})
			pause(s.soft, min(time.Duration(failures)*time.Second, 30*time.Second), nil)
			continue
		case n > 0:
			failures = 0
			s.room(ready)
			continue
		}
		failures = 0
		if once && s.drained() {
			return nil
		}
		if age := now.Sub(finished); age < 0 || age >= finishEvery {
			finished = now
			s.finish()
		}
		if !once {
			pause(s.soft, s.o.Poll, s.wake)
		}
	}
	return nil
}

// recover frees what a crash left, ours or another's.
func (s *shift) recover() {
	n, err := s.o.Store.RecoverDeliveries(s.soft)
	if err != nil && s.soft.Err() == nil {
		s.o.Events(Event{Kind: EventStore, Err: fmt.Errorf("recover deliveries: %w", err)})
	}
	if n > 0 {
		s.o.Events(Event{Kind: EventRecovered, Count: n})
	}
}

// readPauses hands on which relays the operator has paused. If the store cannot
// tell, they stay as they are.
func (s *shift) readPauses() {
	names, err := s.o.Store.PausedRelays(s.soft)
	if err != nil {
		if s.soft.Err() == nil {
			s.o.Events(Event{Kind: EventStore, Err: fmt.Errorf("read paused relays: %w", err)})
		}
		return
	}
	for _, h := range s.fleet {
		h.setPaused(slices.Contains(names, h.Transport.Name()))
	}
}

// claim takes as many deliveries as there is room for, and only one when the
// breaker lets one attempt through. Paused work is no work.
func (s *shift) claim(ready readiness) (int, error) {
	held, _ := s.desk.waiting()
	limit := s.o.Batch - held
	if ready == relayProbe {
		limit = 1
	}
	deliveries, err := s.o.Store.ClaimDeliveries(s.soft, limit, s.o.Lease)
	if errors.Is(err, news.ErrPaused) || s.soft.Err() != nil && err != nil {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("claim deliveries: %w", err)
	}
	now := s.o.Now()
	jobs := make([]job, len(deliveries))
	for i, d := range deliveries {
		jobs[i] = job{delivery: d, domain: domainOf(d.Address), claimed: now}
	}
	s.open.Add(len(jobs))
	s.desk.put(jobs)
	return len(deliveries), nil
}

// room waits until the desk is half empty, so that claims are worth their
// commit; after a single claim, until it is taken up.
func (s *shift) room(ready readiness) {
	enough := s.o.Batch / 2
	if ready == relayProbe {
		enough = 0
	}
	for s.soft.Err() == nil {
		more, low := s.desk.above(enough)
		if now, _ := s.fleet.ready(); now != ready || !more {
			return
		}
		pause(s.soft, time.Second, low)
	}
}

// drained waits for what is under way and tells whether the outbox was empty
// all the while.
func (s *shift) drained() bool {
	done := make(chan struct{})
	go func() { s.open.Wait(); close(done) }()
	for open := true; open; {
		_, changed := s.desk.waiting()
		if ready, wait := s.fleet.ready(); ready == relayDown { // nobody will take what lies there
			s.giveBackQueue(s.o.Now().Add(wait))
		}
		again := time.NewTimer(time.Second)
		select {
		case <-done:
			open = false
		case <-s.hard.Done():
			again.Stop()
			return true
		case <-changed:
		case <-again.C:
		}
		again.Stop()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	again := s.dirty
	s.dirty = false
	return !again
}

// finish asks the store for editions that are done, if anything has ended.
func (s *shift) finish() {
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = false
	s.mu.Unlock()
	if !dirty {
		return
	}
	if err := s.o.Store.FinishEditions(s.soft); err != nil && s.soft.Err() == nil {
		s.o.Events(Event{Kind: EventStore, Err: fmt.Errorf("finish editions: %w", err)})
	}
}

// giveBackQueue returns what nobody has begun.
func (s *shift) giveBackQueue(next time.Time) {
	for _, j := range s.desk.drain() {
		s.giveBack(j.delivery, next, nil)
	}
}

// giveBack returns a delivery that is not charged for the attempt.
func (s *shift) giveBack(d news.Delivery, next time.Time, why error) {
	o := news.Outcome{State: news.DeliveryDeferred, NextAt: next, FreeAttempt: true}
	describe(&o, why)
	s.settle(d, o, 0)
}

// settle hands an outcome to the recorder.
func (s *shift) settle(d news.Delivery, o news.Outcome, took time.Duration) *record {
	o.DeliveryID, o.Token, o.At = d.ID, d.Token, s.o.Now()
	return s.recorder.add(&record{delivery: d, outcome: o, took: took, open: &s.open})
}

// describe keeps what the relay said, or what happened instead.
func describe(o *news.Outcome, err error) {
	if err == nil {
		return
	}
	if e, ok := errors.AsType[*ReplyError](err); ok && e.Code != 0 {
		o.Code, o.Enhanced, o.Reply = e.Code, e.Enhanced, e.Text
		return
	}
	o.Reply = cleanLine(err.Error(), 300)
}
