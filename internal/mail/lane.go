package mail

import (
	"errors"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Numbers of lanes. They are guesses, made so that a mistake costs little: a
// domain that defers everything is still tried every few seconds, and one that
// takes mail is back at full speed after a few dozen messages.
const (
	maxLanes    = 10_000 // domains remembered per relay
	slowAfter   = 3      // consecutive deferrals, before pauses begin
	firstGap    = 100 * time.Millisecond
	maxGap      = 5 * time.Second
	spillAfter  = 2 * time.Second  // at least, until what was in the way comes back
	spillWithin = 10 * time.Minute // at most
)

// lanes are the recipient domains as one relay serves them. A domain without
// limits, refusals and messages under way has no lane.
type lanes struct {
	limit  int     // of messages under way
	perSec float64 // 0: no limit
	byName map[string]*lane
}

// lane is one recipient domain.
type lane struct {
	underWay int
	// allowed is how many may be under way: halved when the domain defers,
	// raised by one for each such number of messages that it takes (as TCP does).
	allowed float64
	settle  int // results that belong to what was under way when it was halved
	// After some deferrals in a row there is a gap between attempts.
	deferrals int
	gap       time.Duration
	next      time.Time
	pace      *rate.Limiter // nil: no limit
	spill     time.Time     // when the last message that was in the way comes back
}

func newLanes(r Relay) lanes {
	limit := r.Connections
	if r.DomainConnections > 0 {
		limit = min(limit, r.DomainConnections)
	}
	return lanes{limit: limit, perSec: r.DomainRate, byName: map[string]*lane{}}
}

// domainOf is the lane of an address.
func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// open tells whether a message for domain may be begun now, and if time alone
// keeps it back, for how long.
func (l *lanes) open(domain string, now time.Time) (ok bool, wait time.Duration) {
	d := l.byName[domain]
	if d == nil {
		return true, 0
	}
	if d.underWay >= max(1, int(d.allowed)) {
		return false, 0 // somebody has to come back
	}
	wait = max(d.next.Sub(now), lacking(d.pace, now))
	return wait <= 0, wait
}

// lacking is how long a limit needs until it lets one more through.
func lacking(pace *rate.Limiter, now time.Time) time.Duration {
	if pace == nil {
		return 0
	}
	missing := 1 - pace.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(pace.Limit())*float64(time.Second)) + time.Millisecond
}

// begin notes that a message for domain is under way.
func (l *lanes) begin(domain string, now time.Time) {
	d := l.byName[domain]
	if d == nil {
		l.evict(now)
		d = &lane{allowed: float64(l.limit), pace: newPace(l.perSec)}
		l.byName[domain] = d
	}
	d.underWay++
	d.next = now.Add(d.gap)
	if d.pace != nil {
		d.pace.AllowN(now, 1)
	}
}

// evict makes room: any lane without a message under way may go, first those
// that remember nothing.
func (l *lanes) evict(now time.Time) {
	if len(l.byName) < maxLanes {
		return
	}
	idle := ""
	for name, d := range l.byName {
		if d.underWay > 0 {
			continue
		}
		if l.plain(d, now) {
			delete(l.byName, name)
			return
		}
		idle = name
	}
	delete(l.byName, idle)
}

// plain tells whether a lane is as a new one would be.
func (l *lanes) plain(d *lane, now time.Time) bool {
	return d.underWay == 0 && d.allowed >= float64(l.limit) && d.deferrals == 0 && d.gap == 0 && !d.spill.After(now) &&
		(d.pace == nil || d.pace.TokensAt(now) >= float64(d.pace.Burst()))
}

// signal is what a result says about the recipient's domain.
type signal int

const (
	saysNothing signal = iota
	takesMail
	wantsLess
)

// signalOf reads a result. Greylisting (RFC 6647 §2.6 names 450 and 451 with
// 4.7.1) is about one sender and recipient, not about how much mail comes.
func signalOf(err error, j Judgement) signal {
	switch j.Verdict {
	case Accepted, Refused:
		return takesMail
	case Deferred, RelayFault:
	default:
		return saysNothing
	}
	e, ok := errors.AsType[*ReplyError](err)
	switch {
	case !ok || e.Code/100 != 4:
		return saysNothing
	case e.Stage != StageRcpt && e.Stage != StageData && e.Stage != StageBody && e.Stage != StageDot: // it does not know the recipient yet
		return saysNothing
	case e.Stage == StageRcpt && (e.Code == 450 || e.Code == 451) && e.Enhanced == "4.7.1":
		return saysNothing
	default:
		return wantsLess
	}
}

// end notes that a message is no longer under way and what that tells.
func (l *lanes) end(domain string, s signal, now time.Time) {
	d := l.byName[domain]
	if d == nil {
		return
	}
	d.underWay--
	if d.settle > 0 && s != saysNothing {
		d.settle--
	}
	switch s {
	case takesMail:
		d.deferrals = 0
		if d.gap /= 2; d.gap < firstGap {
			d.gap, d.next = 0, time.Time{}
		}
		d.allowed = min(float64(l.limit), d.allowed+1/d.allowed)
	case wantsLess:
		if d.settle == 0 {
			d.allowed = max(1, d.allowed/2)
			d.settle = d.underWay
		}
		if d.deferrals++; d.deferrals >= slowAfter {
			d.gap = min(max(2*d.gap, firstGap), maxGap)
			d.next = now.Add(d.gap)
		}
	}
	if l.plain(d, now) {
		delete(l.byName, domain)
	}
}

// waiting is how many messages of a domain are worth keeping at hand.
func (l *lanes) waiting(domain string) int {
	d := l.byName[domain]
	if d == nil {
		return 2 * l.limit
	}
	if d.gap > 0 {
		return 2
	}
	keep := max(2, 2*int(d.allowed))
	if d.pace != nil { // what goes until the outbox is looked at again
		keep = max(keep, int(5*d.pace.Limit()))
	}
	return keep
}

// putOff says how long a message that is in others' way should stay away: they
// come back one after the other, at the domain's pace.
func (l *lanes) putOff(domain string, now time.Time) time.Duration {
	d := l.byName[domain]
	if d == nil {
		return spillAfter
	}
	step := max(d.gap, 20*time.Millisecond)
	if d.pace != nil {
		step = max(step, time.Duration(float64(time.Second)/float64(d.pace.Limit())))
	}
	if earliest := now.Add(spillAfter); d.spill.Before(earliest) {
		d.spill = earliest
	}
	if latest := now.Add(spillWithin); d.spill.After(latest) {
		d.spill = latest
	}
	d.spill = d.spill.Add(step)
	return d.spill.Sub(now)
}
