package mail

import (
	"context"
	"slices"
	"sync"
	"time"
)

// desk holds what was claimed until a connection takes it. It decides who may:
// by the relays' health, shares and pace, and by what the recipient's domain
// takes. A message that cannot go yet keeps nobody else waiting.
type desk struct {
	relays fleet
	wall   func() time.Time // for what is written down
	// Paces are kept by a clock that nobody sets: were they kept by the wall's, a
	// step back would close a domain for as long.
	now    func() time.Time
	room   int  // for jobs
	spills bool // gives back what is in the way

	mu      sync.Mutex
	jobs    []job         // in the order of their claim
	changed chan struct{} // nil: nobody waits
	low     chan struct{} // closed when only enough jobs are left; nil: nobody waits
	enough  int
	spiltAt time.Time
}

func newDesk(relays fleet, wall func() time.Time, room int, spills bool) *desk {
	return &desk{relays: relays, wall: wall, now: time.Now, room: room, spills: spills}
}

// share is how a relay stands in its share of the messages.
type share struct {
	given  float64 // messages, divided by the weight
	taken  int     // messages
	behind bool    // it cannot keep up: the others do not wait for it
}

// Numbers of shares.
const (
	// patience is how long a relay is waited for when it is its turn. It only
	// bites where a relay is slower than four messages a second.
	patience = 250 * time.Millisecond
	// maxLag is how many messages a relay makes up for that was down or slow.
	maxLag = 20
	// spillEvery bounds the claims that come to nothing because of a domain
	// that takes little of what waits for it.
	spillEvery = 250 * time.Millisecond
)

// put adds jobs. There has to be room.
func (d *desk) put(jobs []job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.jobs = append(d.jobs, jobs...)
	d.stir()
}

// stir wakes everybody who waits. The lock is held.
func (d *desk) stir() {
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
	if d.low != nil && len(d.jobs) <= d.enough {
		d.lower()
	}
}

// lower wakes who waits for more room. The lock is held.
func (d *desk) lower() {
	if d.low != nil {
		close(d.low)
		d.low = nil
	}
}

// watch returns what the next stir closes. The lock is held.
func (d *desk) watch() <-chan struct{} {
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return d.changed
}

// waiting returns how many jobs there are, and what is closed when that changes.
func (d *desk) waiting() (int, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.jobs), d.watch()
}

// above tells whether there are more than enough jobs, and returns what is
// closed when there may not be any more, or a relay has said something unusual.
// One goroutine may wait so; it is not woken for each message.
func (d *desk) above(enough int) (bool, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.enough = enough
	if d.low == nil {
		d.low = make(chan struct{})
	}
	return len(d.jobs) > enough, d.low
}

// drain takes all jobs away.
func (d *desk) drain() []job {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.jobs
	if d.jobs = nil; len(out) > 0 {
		d.stir()
	}
	return out
}

// spilt is a job that is in the way of others, and when it should come back.
type spilt struct {
	job  job
	next time.Time
}

// next waits for a job for h and returns it with a permit of h's breaker. It
// gives up when ctx ends or idle (0: never) is over: then there is none. Jobs that
// are in the way of others come instead; they are to be given back.
func (d *desk) next(ctx context.Context, h *health, idle time.Duration) (j job, ok bool, away []spilt) {
	a := d.look(h)
	if a.ok || len(a.away) > 0 || ctx.Err() != nil {
		return a.job, a.ok, a.away
	}
	var tooLong <-chan time.Time
	if idle > 0 {
		timer := time.NewTimer(idle)
		defer timer.Stop()
		tooLong = timer.C
	}
	var late *time.Timer // runs as long as it is another relay's turn
	taken := 0           // by h, when that began
	defer func() { stopTimer(late) }()
	for ; ctx.Err() == nil; a = d.look(h) {
		if a.ok || len(a.away) > 0 {
			return a.job, a.ok, a.away
		}
		var passOver <-chan time.Time
		if a.turn && (late == nil || a.taken != taken) { // h goes on: over another connection
			stopTimer(late)
			late, taken = time.NewTimer(patience), a.taken
		} else if !a.turn {
			stopTimer(late)
			late = nil
		}
		if late != nil {
			passOver = late.C
		}
		again := time.NewTimer(max(a.wait, time.Millisecond))
		select {
		case <-a.changed:
		case <-again.C:
		case <-passOver:
			d.passOver(h, taken)
			late = nil
		case <-tooLong:
			stopTimer(again)
			return job{}, false, nil
		case <-ctx.Done():
		}
		stopTimer(again)
	}
	return job{}, false, nil
}

func stopTimer(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// answer is what the desk says to a connection that asks for work.
type answer struct {
	job     job
	ok      bool
	away    []spilt
	changed <-chan struct{} // worth asking again
	wait    time.Duration   // and after that time in any case
	turn    bool            // another relay's turn is what is waited for
	taken   int             // by the relay that asks
}

// look finds the first job that may go through h now.
func (d *desk) look(h *health) (a answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() {
		if !a.ok && len(a.away) == 0 {
			a.changed = d.watch()
		}
	}()
	a.wait, a.taken = time.Minute, h.share.taken
	if len(d.jobs) == 0 {
		return a
	}
	now := d.now()
	if r, wait := h.ready(); r <= relayTrying {
		a.wait = wait
		return a
	}
	mine, turn := d.entitled(h)
	if !mine || !turn {
		a.wait, a.turn = pausedLook, mine
		return a
	}
	if wait := lacking(h.pace, now); wait > 0 {
		a.wait = wait
		return a
	}
	for i, j := range d.jobs {
		ok, wait := h.lanes.open(j.domain, now)
		if !ok {
			if wait > 0 {
				a.wait = min(a.wait, wait)
			}
			continue
		}
		if ok, j.probe = h.permit(); !ok { // somebody else is trying whether it is well again
			a.wait = time.Second
			return a
		}
		d.jobs = slices.Delete(d.jobs, i, i+1)
		d.account(h, now, j.domain)
		a.job, a.ok = j, true
		return a
	}
	a.away = d.spill(h, now)
	a.wait = min(a.wait, time.Second)
	return a
}

// entitled tells whether messages are h's to send at all, and whether it is its
// turn. The lock is held.
func (d *desk) entitled(h *health) (mine, turn bool) {
	var first *health // that stands by and takes mail
	weighted := false
	turn = true
	for _, o := range d.relays {
		r, _ := o.ready()
		switch {
		case r <= relayTrying:
		case o.Weight == 0 && first == nil:
			first = o
		case o.Weight > 0:
			weighted = true
			if o != h && r == relayUp && !o.share.behind && o.share.given < h.share.given {
				turn = false
			}
		}
	}
	if weighted {
		return h.Weight > 0, turn
	}
	return h == first, true
}

// account notes that h takes a message. The lock is held.
func (d *desk) account(h *health, now time.Time, domain string) {
	h.lanes.begin(domain, now)
	if h.pace != nil {
		h.pace.AllowN(now, 1)
	}
	h.share.taken++
	if h.Weight > 0 {
		h.share.given += 1 / float64(h.Weight)
		caughtUp := true
		for _, o := range d.relays {
			if o == h || o.Weight == 0 {
				continue
			}
			if !o.share.behind && o.share.given > h.share.given {
				caughtUp = false
			}
			// Nobody makes up for more than a few messages: a relay that comes
			// back would be flooded.
			o.share.given = max(o.share.given, h.share.given-maxLag/float64(o.Weight))
		}
		h.share.behind = h.share.behind && !caughtUp
	}
	d.stir()
}

// passOver notes that those whose turn it was have not come, while h, which
// has taken so many messages, could do nothing.
func (d *desk) passOver(h *health, taken int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.share.taken != taken {
		return
	}
	for _, o := range d.relays {
		if o != h && o.Weight > 0 && o.share.given < h.share.given {
			o.share.behind = true
		}
	}
}

// spill takes away the jobs of domains that have more than enough waiting, if
// nothing can go while others may wait behind them in the outbox. The lock is
// held.
func (d *desk) spill(h *health, now time.Time) (away []spilt) {
	if since := now.Sub(d.spiltAt); !d.spills || len(d.jobs) <= d.room/2 || since >= 0 && since < spillEvery {
		return nil
	}
	d.spiltAt = now
	kept := map[string]int{}
	d.jobs = slices.DeleteFunc(d.jobs, func(j job) bool {
		if kept[j.domain]++; kept[j.domain] <= h.lanes.waiting(j.domain) {
			return false
		}
		away = append(away, spilt{job: j, next: d.wall().Add(h.lanes.putOff(j.domain, now))})
		return true
	})
	if len(away) > 0 {
		d.stir()
	}
	return away
}

// done ends what next began.
func (d *desk) done(h *health, j job, s signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h.lanes.end(j.domain, s, d.now())
	if s != takesMail {
		d.lower()
	}
	d.stir()
}
