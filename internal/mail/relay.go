package mail

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"gazetted/internal/news"
)

// Relay is a Transport with the limits that its operator sets.
type Relay struct {
	Transport Transport
	// Weight is the relay's share of the messages among those that have one. 0:
	// it stands by, and is used when no relay with a weight takes mail and no
	// one before it does.
	Weight int
	// Rate is how many messages are begun per second; 0: no limit.
	Rate float64
	// DomainConnections is how many messages for one recipient domain are under
	// way at once, DomainRate how many are begun per second; 0: no limit of
	// their own. Whatever they are, a domain that answers 4xx or 421 is given
	// less, until it takes mail again.
	DomainConnections int
	DomainRate        float64
	// Connections is how many are open at once; 0: DefaultConnections.
	Connections int
	// MaxMessages go over one connection; 0: DefaultMaxMessages. Relays that
	// allow fewer answer 421, which costs nothing but the reconnection.
	MaxMessages int
	// IdleLimit closes a connection that has nothing to do; 0: DefaultIdleLimit.
	IdleLimit time.Duration
}

// Defaults of Relay. Nothing but caution stands behind the numbers: small
// relays allow 10 to 20 connections and 100 messages on each.
const (
	DefaultConnections = 5
	DefaultMaxMessages = 100
	DefaultIdleLimit   = 10 * time.Second
)

// Numbers of the breaker.
const (
	breakAfter     = 3 // consecutive faults
	firstPause     = 5 * time.Second
	maxPause       = 5 * time.Minute
	configPause    = time.Minute // the operator needs time to mend it
	maxConfigPause = 15 * time.Minute
	limitHolds     = 10 * time.Minute // before one more connection is tried
	pausedLook     = time.Second      // between looks at a paused relay
	failOver       = time.Second      // before a message goes to another relay
)

// health is a Relay with what is known of it. Sending through it needs a slot,
// held as long as the connection, and a permit for each attempt, which the
// breaker refuses while the relay is down.
type health struct {
	Relay
	now    func() time.Time
	random func() float64
	tell   func(Event)

	// The desk's, under its lock.
	share share
	pace  *rate.Limiter // nil: as fast as it goes
	lanes lanes

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a slot may have become free
	limit   int           // of slots; below Connections after a 421 at connecting
	raiseAt time.Time
	slots   int
	conns   int // open connections
	dialing int // not yet open ones
	faults  int // consecutive
	pause   time.Duration
	until   time.Time // open until then; zero: closed
	probing bool
	paused  bool // by the operator

	lastFault string // as Words has it
	faultAt   time.Time
	offer     *news.RelayOffer // nil: not connected to yet
}

func newHealth(r Relay, o *Options) *health {
	if r.Connections <= 0 {
		r.Connections = DefaultConnections
	}
	if r.MaxMessages <= 0 {
		r.MaxMessages = DefaultMaxMessages
	}
	if r.IdleLimit <= 0 {
		r.IdleLimit = DefaultIdleLimit
	}
	return &health{
		Relay: r, now: o.Now, random: o.Rand, tell: o.Events, limit: r.Connections, changed: make(chan struct{}),
		pace: newPace(r.Rate), lanes: newLanes(r),
	}
}

// newPace makes a limit of so many per second, even to a tenth of a second: a
// relay that counts them by the second would not like more at once.
func newPace(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))
}

// readiness says what a relay allows.
type readiness int

const (
	relayDown   readiness = iota // nothing
	relayTrying                  // nothing until the attempt under way has told
	relayProbe                   // one attempt, to see whether it is well again
	relayUp
)

// ready tells what may be tried, and if nothing, how long to wait.
func (h *health) ready() (r readiness, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.paused:
		return relayDown, pausedLook
	case h.until.IsZero():
		return relayUp, 0
	case h.shut() > 0:
		return relayDown, h.shut()
	case h.probing:
		return relayTrying, time.Second
	default:
		return relayProbe, 0
	}
}

// shut is how long the breaker stays open yet. A time longer than any pause
// means that the clock was set back since. The lock is held.
func (h *health) shut() time.Duration {
	d := h.until.Sub(h.now())
	if d > 2*maxConfigPause {
		return 0
	}
	return d
}

// take takes a slot if there is one; else changed is closed when it is worth
// trying again, and retry says when it is in any case.
func (h *health) take() (ok bool, changed <-chan struct{}, retry time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if wait := h.raiseAt.Sub(h.now()); h.limit < h.Connections && (wait <= 0 || wait > 2*limitHolds) {
		h.limit++
		h.raiseAt = h.now().Add(limitHolds)
	}
	if h.slots < h.limit {
		h.slots++
		return true, nil, 0
	}
	return false, h.changed, time.Minute
}

// enter waits for a slot; false if ctx ends.
func (h *health) enter(ctx context.Context) bool {
	for {
		ok, changed, retry := h.take()
		if ok {
			return true
		}
		if !pause(ctx, retry, changed) {
			return false
		}
	}
}

// setPaused stops or resumes the relay: what is under way ends.
func (h *health) setPaused(paused bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paused = paused
}

// leave gives a slot back.
func (h *health) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slots--
	h.stir()
}

// permit asks the breaker for one attempt, and says whether it is the one by
// which it will know. Every permit is answered by good, bad or spoilt.
func (h *health) permit() (ok, probe bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.paused {
		return false, false
	}
	if h.until.IsZero() {
		return true, false
	}
	if h.shut() > 0 || h.probing {
		return false, false
	}
	h.probing = true
	return true, true
}

// errShut says that the breaker opened before a connection was tried.
var errShut = errors.New("the relay is down")

// opening waits for leave to connect: while there is no connection at all, one
// after the other, so that a relay that is down is not tried by everybody at
// once, and one that takes only a few is told apart from it. False: the breaker
// opened meanwhile, or ctx ended.
func (h *health) opening(ctx context.Context, probe bool) bool {
	for {
		h.mu.Lock()
		shut := h.paused || !h.until.IsZero() && !probe
		if shut || h.conns > 0 || h.dialing == 0 {
			if !shut {
				h.dialing++
			}
			h.mu.Unlock()
			return !shut
		}
		changed := h.changed
		h.mu.Unlock()
		if !pause(ctx, time.Minute, changed) {
			return false
		}
	}
}

// opened ends what opening began.
func (h *health) opened(ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialing--
	if ok {
		h.conns++
	}
	h.stir()
}

// closed notes that a connection has ended.
func (h *health) closed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns--
	h.stir()
}

// stir wakes those who wait for a slot or for leave to connect. The lock is held.
func (h *health) stir() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// spoilt ends a permit that said nothing about the relay.
func (h *health) spoilt(probe bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.probing = h.probing && !probe
}

// good: the relay answers.
func (h *health) good() {
	h.mu.Lock()
	down := !h.until.IsZero()
	h.faults, h.pause, h.until, h.probing = 0, 0, time.Time{}, false
	h.mu.Unlock()
	if down {
		h.tell(Event{Kind: EventRelayUp, Relay: h.Transport.Name()})
	}
}

// bad records a relay or configuration fault and returns the instant before
// which trying again is useless.
func (h *health) bad(err error, config bool) time.Time {
	kind := EventRelayFault
	if config {
		kind = EventConfigFault
	}
	h.tell(Event{Kind: kind, Relay: h.Transport.Name(), Err: err})
	h.mu.Lock()
	now := h.now()
	h.lastFault, h.faultAt = Words(err), now
	if n := h.crowded(err); n > 0 {
		h.limit, h.raiseAt, h.probing = n, now.Add(limitHolds), false
		h.mu.Unlock()
		h.tell(Event{Kind: EventRelayLimit, Relay: h.Transport.Name(), Count: n})
		return now.Add(h.spread(time.Second))
	}
	h.faults++
	if !config && h.faults < breakAfter && h.until.IsZero() {
		h.mu.Unlock()
		return now.Add(h.spread(firstPause))
	}
	if !h.until.IsZero() && !h.probing { // others were under way when it opened
		until := h.until
		h.mu.Unlock()
		return until
	}
	first, limit := firstPause, maxPause
	if config {
		first, limit = configPause, maxConfigPause
	}
	h.pause = min(max(2*h.pause, first), limit)
	h.until, h.probing = now.Add(h.spread(h.pause)), false
	until := h.until
	h.mu.Unlock()
	h.tell(Event{Kind: EventRelayDown, Relay: h.Transport.Name(), Until: until, Err: err})
	return until
}

// crowded tells a limit on connections from a relay that is down: it turns one
// away while others are served. It returns how many may be tried from now on:
// all but this one. The lock is held.
func (h *health) crowded(err error) int {
	e, ok := errors.AsType[*ReplyError](err)
	if ok && e.Code == 421 && (e.Stage == StageConnect || e.Stage == StageHello) {
		return min(h.conns, 1) * max(1, min(h.limit, h.slots)-1)
	}
	return 0
}

func (h *health) spread(d time.Duration) time.Duration {
	return d + time.Duration(float64(d)/4*h.random())
}

// fleet is all relays, in the order in which they are preferred.
type fleet []*health

// ready is what the best relay allows; the shortest wait if all are down.
func (f fleet) ready() (best readiness, wait time.Duration) {
	for i, h := range f {
		r, w := h.ready()
		if best = max(best, r); i == 0 || w < wait {
			wait = w
		}
	}
	if best > relayTrying {
		return best, 0
	}
	return best, wait
}

// another tells whether a relay other than h is up.
func (f fleet) another(h *health) bool {
	for _, o := range f {
		if r, _ := o.ready(); o != h && r == relayUp {
			return true
		}
	}
	return false
}

// pause waits for d, or until one of the channels says so; false if ctx ended.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(max(d, time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
