package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"gazetted/internal/news"
)

// Defaults of a Watcher.
const (
	DefaultWorkers = 4
	// DefaultIdle is how often the store is asked for a due source.
	DefaultIdle = time.Second
	// DefaultLease is how long a look may take before another process may try.
	// Lookers pause long work well before (lookBudget).
	DefaultLease = 10 * time.Minute
	// lookBudget is after how long a first run pauses to let others look.
	lookBudget = 3 * time.Minute
	// MaxBackoff is the longest wait between two looks at a failing source.
	MaxBackoff = time.Hour
)

// Options configures a Watcher.
type Options struct {
	Store  Store
	Client *Client
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Rand gives the jitter, in [0,1); nil: math/rand.
	Rand func() float64
	// Workers is how many sources are looked at at the same time.
	Workers int
	// Idle and Lease: see the defaults.
	Idle  time.Duration
	Lease time.Duration
	// Pace waits between two requests of one look to one host; nil: as long as
	// it is asked to. Tests do not wait.
	Pace func(ctx context.Context, d time.Duration) error
	// Hub, if set, is how the hubs of feeds reach us; nil: feeds are polled only.
	Hub *Hub
	// Events, if set, is told of every look. It is called from several
	// goroutines and must not block.
	Events func(Event)
}

// Event tells of one finished look.
type Event struct {
	Source string // name
	Report Report
	Err    error // nil: the look succeeded
	Took   time.Duration
	NextAt time.Time
	// Activated: the first run has ended with this look.
	Activated bool
}

// Report is what a look brought.
type Report struct {
	Counts news.StoreCounts
	Notes  []string // what could not be used, e.g. "a.md:3: …"; at most 20
}

// Watcher looks at sources when they are due.
type Watcher struct {
	o       Options
	lookers map[news.SourceKind]looker
	hints   *hints
	tables  *pgHints
	wake    chan struct{}

	mu     sync.Mutex
	active map[int64]hint // source id → what was heard while it was being looked at
}

// New makes a Watcher. Options.Store and Options.Client are required.
func New(o Options) *Watcher {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers
	}
	if o.Idle <= 0 {
		o.Idle = DefaultIdle
	}
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	if o.Pace == nil {
		o.Pace = pause
	}
	cleaner := NewCleaner()
	w := &Watcher{o: o, wake: make(chan struct{}, 1), active: make(map[int64]hint)}
	w.hints = newHints(w.hinted)
	w.tables = newPGHints(w.Hint)
	w.lookers = map[news.SourceKind]looker{
		news.SourceFolder:    newFolder(cleaner),
		news.SourceWordPress: newWordPress(cleaner, o.Client),
		news.SourceFeed:      newFeed(cleaner, o.Client, o.Pace),
		news.SourceGhost:     newGhost(cleaner, o.Client),
		news.SourcePage:      newPage(cleaner, o.Client, o.Now, o.Pace),
		news.SourcePostgres:  newPostgres(cleaner),
		news.SourcePush:      pushLooker{},
	}
	return w
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Wake makes Run ask for due sources at once. It never blocks.
func (w *Watcher) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run looks at due sources until ctx ends, then waits for the looks under way
// and returns nil. A failing source, or a store that does not answer, never
// ends it.
func (w *Watcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	hintCtx, stopHints := context.WithCancel(ctx)
	defer stopHints()
	wg.Go(func() { w.hints.run(hintCtx) })
	wg.Go(func() { w.tables.run(hintCtx) })
	wg.Go(func() { w.listenToAll(hintCtx) })
	slots := make(chan struct{}, w.o.Workers)
	timer := time.NewTimer(w.o.Idle)
	defer timer.Stop()
	for {
		w.claimAll(ctx, slots, &wg)
		timer.Reset(w.o.Idle)
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-timer.C:
		}
	}
}

// listenToAll begins to listen to sources that were looked at before this
// process began: the next look may be an hour away. What fails here is made up
// for by the looks.
func (w *Watcher) listenToAll(ctx context.Context) {
	all, err := w.o.Store.Sources(ctx)
	if err != nil {
		return
	}
	for _, src := range all {
		var add chan<- news.Source
		switch {
		case src.ActivatedAt.IsZero():
		case src.Kind == news.SourceFolder:
			add = w.hints.add
		case src.Kind == news.SourcePostgres && src.Settings.Table != nil && src.Settings.Table.Channel != "":
			add = w.tables.add
		}
		if add == nil {
			continue
		}
		select {
		case add <- src:
		case <-ctx.Done():
			return
		}
	}
}

// claimAll starts looks until nothing is due or every worker is busy.
func (w *Watcher) claimAll(ctx context.Context, slots chan struct{}, wg *sync.WaitGroup) {
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		default:
			return // a finishing look wakes us
		}
		src, ok, err := w.o.Store.ClaimSource(ctx, w.o.Lease)
		if err != nil || !ok {
			<-slots
			if err != nil && ctx.Err() == nil {
				w.tell(Event{Err: fmt.Errorf("claim source: %w", err)})
			}
			return
		}
		wg.Go(func() {
			defer func() {
				<-slots
				w.Wake()
			}()
			_, _ = w.lookAt(ctx, src, false) // told through Events
		})
	}
}

// Look looks at a source now, whether due or not: `gazetted source poll`.
func (w *Watcher) Look(ctx context.Context, sourceName string) (Report, error) {
	return w.lookNow(ctx, sourceName, false)
}

// Accept looks at a source and believes what it finds, even if most of its
// articles have gone or go by other names: the operator's answer to a
// *HeldError or an *IdentityError.
func (w *Watcher) Accept(ctx context.Context, sourceName string) (Report, error) {
	return w.lookNow(ctx, sourceName, true)
}

// restLooks is how often lookNow looks again at files that may still be growing.
const restLooks = 3

// lookNow repeats while the looker has more to fetch (a long first run), and
// waits a little for files that were written a moment ago.
func (w *Watcher) lookNow(ctx context.Context, sourceName string, accept bool) (Report, error) {
	var all Report
	for rests := 0; ; {
		src, err := w.o.Store.SourceByName(ctx, sourceName)
		if err != nil {
			return all, fmt.Errorf("look at source: %w", err)
		}
		done, err := w.lookAt(ctx, src, accept)
		all.Counts.Add(done.report.Counts)
		all.Notes = done.report.Notes
		switch {
		case err != nil:
			return all, err
		case done.more:
		case done.rest > 0 && rests < restLooks:
			rests++
			select {
			case <-ctx.Done():
				return all, ctx.Err()
			case <-time.After(done.rest):
			}
		default:
			return all, nil
		}
	}
}

type lookResult struct {
	report Report
	more   bool          // the looker wants to go on at once
	rest   time.Duration // after which it can say more; 0: it has said all
}

// lookAt runs one look and records its outcome. The error is the look's.
func (w *Watcher) lookAt(ctx context.Context, src news.Source, accept bool) (lookResult, error) {
	started := w.o.Now()
	w.begin(src.ID)
	j := &job{src: src, store: w.o.Store, now: w.o.Now, started: started, accept: accept}
	out, err := w.guarded(ctx, j)
	if err == nil {
		err = j.flush(ctx)
	}
	now := w.o.Now()
	heard := w.end(src.ID)
	look := news.Look{LastAt: now, Notes: j.notes.list(), Cursor: out.cursor}
	stopped := err != nil && ctx.Err() != nil
	switch {
	case stopped: // no failure of the source
		look = src.Look
		look.NextAt = now
	case err != nil:
		look.Err = oneLine(err.Error(), 500)
		look.Failures = src.Look.Failures + 1
		look.NextAt = now.Add(w.wait(src, err, look.Failures))
		look.Cursor = orElse(out.cursor, src.Look.Cursor)
		if status := (*StatusError)(nil); errors.As(err, &status) && status.Code == http.StatusGone {
			// Gone for good (RFC 9110 §15.5.11): the operator is told, the server left alone.
			look.NextAt = news.Never()
		}
	case heard == hintNow:
		look.NextAt = now
	case heard == hintSoon:
		look.NextAt = now.Add(HintGap)
	case out.again > 0:
		look.NextAt = now.Add(out.again)
	default:
		look.NextAt = now.Add(w.jitter(time.Duration(src.Settings.Poll)))
	}
	activate := err == nil && out.complete && src.ActivatedAt.IsZero()
	// The lease must end even when we are being stopped.
	finishCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if out.moved != "" && err == nil {
		look.Notes = append(look.Notes, oneLine(fmt.Sprintf("moved from %s to %s, where permanent redirects led", src.Location, out.moved), maxNote))
		err = w.o.Store.MoveSource(finishCtx, src.ID, out.moved)
	}
	if ferr := w.o.Store.FinishLook(finishCtx, src.ID, look, activate); ferr != nil {
		err = errors.Join(err, fmt.Errorf("finish look: %w", ferr))
	}
	if err == nil {
		err = w.keepHub(ctx, src, out.hub)
	}
	if err == nil {
		switch src.Kind {
		case news.SourceFolder:
			w.hints.watch(src)
		case news.SourcePostgres:
			w.tables.watch(src)
		default:
		}
	}
	res := lookResult{report: Report{Counts: j.counts, Notes: look.Notes}}
	if err == nil && !out.complete && out.again > 0 {
		if res.more = out.again < time.Second; !res.more && out.again < 2*settleFile {
			res.rest = out.again
		}
	}
	if err != nil {
		err = fmt.Errorf("look at source %s: %w", src.Name, err)
	}
	if stopped {
		return res, err // nothing that anybody must know
	}
	w.tell(Event{Source: src.Name, Report: res.report, Err: err, Took: now.Sub(started), NextAt: look.NextAt, Activated: activate && err == nil})
	return res, err
}

// guarded runs the looker; a panic in it (a parser's, most likely) is a
// failure of this look only.
func (w *Watcher) guarded(ctx context.Context, j *job) (out outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a fault of ours, please report it: %v", r)
		}
	}()
	l, ok := w.lookers[j.src.Kind]
	if !ok {
		return outcome{again: MaxBackoff}, fmt.Errorf("sources of kind %s cannot be watched yet", j.src.Kind)
	}
	return l.look(ctx, j)
}

// wait is the time until the next try after a failure: twice as long with each
// failure, at most MaxBackoff, but not before the server's Retry-After.
func (w *Watcher) wait(src news.Source, err error, failures int) time.Duration {
	poll := max(time.Duration(src.Settings.Poll), news.MinPoll)
	if as[*HeldError](err) != nil || as[*IdentityError](err) != nil {
		return w.jitter(poll) // the source itself is well
	}
	wait := poll
	for i := 1; i < failures && wait < MaxBackoff; i++ {
		wait *= 2
	}
	wait = w.jitter(min(wait, max(MaxBackoff, poll)))
	var status *StatusError
	if errors.As(err, &status) {
		wait = max(wait, status.RetryAfter)
	}
	return wait
}

// jitter spreads d by a tenth in both directions, so that sources added
// together do not stay together.
func (w *Watcher) jitter(d time.Duration) time.Duration {
	d = max(d, news.MinPoll)
	return d + time.Duration((w.o.Rand()-0.5)*0.2*float64(d))
}

func (w *Watcher) tell(e Event) {
	if w.o.Events != nil {
		w.o.Events(e)
	}
}

// hint is what was heard of a source while it was being looked at.
type hint int

const (
	noHint   hint = iota
	hintSoon      // look again after HintGap
	hintNow       // look again at once
)

func (w *Watcher) begin(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[id] = noHint
}

// end tells what was heard while the source was being looked at: what it was
// about may have been missed.
func (w *Watcher) end(id int64) hint {
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := w.active[id]
	delete(w.active, id)
	return heard
}

// whileLooking notes a hint if the source is being looked at.
func (w *Watcher) whileLooking(id int64, h hint) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	heard, looking := w.active[id]
	if looking {
		w.active[id] = max(heard, h)
	}
	return looking
}

// HintGap is the least time between two looks that others have asked for.
const HintGap = 2 * time.Second

// Hint says that there may be something new at a source: it is looked at soon,
// but not more often than once in HintGap, however often it is said.
func (w *Watcher) Hint(ctx context.Context, src news.Source) error {
	if w.whileLooking(src.ID, hintSoon) {
		return nil
	}
	if err := w.o.Store.PollSoon(ctx, src.ID, HintGap); err != nil {
		return fmt.Errorf("hint at source %s: %w", src.Name, err)
	}
	w.Wake()
	return nil
}

// hinted is called when a source seems to have changed. It reports false once
// the source is no more.
func (w *Watcher) hinted(ctx context.Context, id int64, name string) bool {
	if w.whileLooking(id, hintNow) {
		return true
	}
	err := w.o.Store.PollNow(ctx, name)
	if errors.Is(err, news.ErrNotFound) {
		return false
	}
	w.Wake() // after any other error too: the sweep comes anyway
	return true
}
