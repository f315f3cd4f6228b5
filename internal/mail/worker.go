package mail

import (
	"errors"
	"fmt"
	"time"

	"gazetted/internal/news"
)

// worker sends one delivery after the other over one connection to its relay.
type worker struct {
	*shift
	relay   *health
	inside  bool    // holds a slot of the relay
	session Session // nil: not connected
	probe   bool    // the message under way is the breaker's
	sent    int     // messages over this session
	pending *record // outcome of the last dot on this session
	buf     []byte
}

// run works until soft ends.
func (w *worker) run() {
	defer w.leave()
	for {
		if !w.inside {
			if w.inside = w.relay.enter(w.soft); !w.inside {
				return
			}
		}
		j, ok := w.next()
		if !ok {
			return
		}
		w.desk.done(w.relay, j, w.serve(j))
	}
}

// next waits for a job. A connection without one is closed after a while.
func (w *worker) next() (job, bool) {
	began := time.Now()
	for w.soft.Err() == nil {
		idle := time.Duration(0)
		if w.session != nil {
			idle = max(w.relay.IdleLimit-time.Since(began), time.Millisecond)
		}
		j, ok, away := w.desk.next(w.soft, w.relay, idle)
		for _, s := range away {
			w.giveBack(s.job.delivery, s.next, nil)
		}
		switch {
		case ok:
			return j, true
		case len(away) == 0 && w.soft.Err() == nil:
			w.hangUp(true)
		}
	}
	return job{}, false
}

// serve brings one delivery as far as it comes, and ends the breaker's permit
// that came with it.
func (w *worker) serve(j job) signal {
	d := j.delivery
	w.probe = j.probe
	now := w.o.Now()
	age := now.Sub(j.claimed)
	switch until := w.holds.held(&d); {
	case w.soft.Err() != nil:
		w.giveBack(d, now, nil)
	case !d.ExpiresAt.IsZero() && !now.Before(d.ExpiresAt):
		w.settle(d, news.Outcome{State: news.DeliveryExpired}, 0)
	case !until.IsZero():
		w.giveBack(d, until, nil)
	// What waited too long in the queue may not end within its lease.
	case age < 0 || age > w.o.Lease/4:
		w.giveBack(d, now, nil)
	default:
		return w.send(d)
	}
	w.relay.spoilt(w.probe)
	return saysNothing
}

// send composes d and sends it. It returns what that tells of the recipient's
// domain.
func (w *worker) send(d news.Delivery) signal {
	w.recorder.begin()
	m, err := w.compose(w.hard, &d, w.buf)
	if err != nil {
		w.recorder.end()
		w.relay.spoilt(w.probe)
		w.uncomposed(d, err)
		return saysNothing
	}
	w.buf = m.bytes
	began := w.o.Now()
	if err = w.begin(m); err != nil {
		w.recorder.end()
	}
	if errors.Is(err, errShut) {
		_, wait := w.relay.ready()
		w.relay.spoilt(w.probe)
		w.giveBack(d, w.o.Now().Add(max(wait, failOver)), nil)
		w.leave()
		return saysNothing
	}
	if err == nil {
		if ours, err := w.markDot(d); !ours {
			w.dotless(d, err)
			return saysNothing
		}
		err = w.session.Dot(w.hard)
		w.sent++
	}
	return w.conclude(d, err, w.o.Now().Sub(began))
}

// dotless ends a message whose dot must not follow.
func (w *worker) dotless(d news.Delivery, err error) {
	w.relay.good()
	w.hangUp(false)
	if err != nil {
		w.giveBack(d, w.o.Now().Add(time.Minute), err)
		return
	}
	w.o.Events(Event{Kind: EventTokenLost, Relay: w.relay.Transport.Name(), Delivery: d})
	w.open.Done()
}

// begin connects if needed and sends everything but the dot. A connection that
// the relay had closed meanwhile is replaced once: that is nobody's fault.
func (w *worker) begin(m composed) error {
	for reused := w.session != nil; ; reused = false {
		if w.session == nil {
			if err := w.connect(); err != nil {
				return err
			}
		}
		err := w.session.Begin(w.hard, m.envelope, m.bytes)
		e, ok := errors.AsType[*ReplyError](err)
		if !reused || !ok || e.Stage != StageMail || e.Code != 0 && e.Code != 421 || w.cutOff() {
			return err
		}
		w.hangUp(false)
	}
}

// markDot asks whether the dot may follow. The answer comes after the outcome of
// this connection's last dot, which was handed over before, is committed.
func (w *worker) markDot(d news.Delivery) (bool, error) {
	ok, err := w.recorder.mayDot(news.Dot{DeliveryID: d.ID, Token: d.Token, Relay: w.relay.Transport.Name()})
	if err != nil {
		return false, fmt.Errorf("mark dot: %w", err)
	}
	if err := w.pending.wait(); err != nil {
		return false, fmt.Errorf("record the last outcome: %w", err)
	}
	w.pending = nil
	return ok, nil
}

// connect makes the session.
func (w *worker) connect() error {
	if !w.relay.opening(w.hard, w.probe) {
		return errShut
	}
	s, err := w.relay.Transport.Open(w.hard)
	w.relay.opened(err == nil)
	if err == nil {
		w.session, w.sent = s, 0
		w.relay.offered(s)
	}
	return err
}

// conclude turns the result of an attempt into an outcome.
func (w *worker) conclude(d news.Delivery, err error, took time.Duration) signal {
	j := Judge(err)
	o := news.Outcome{Relay: w.relay.Transport.Name()}
	describe(&o, err)
	now := w.o.Now()
	retry := now.Add(w.o.Backoff.After(d.Attempts, w.o.Rand()))
	switch j.Verdict {
	case Accepted:
		o.State = news.DeliveryAccepted
		said := w.session.Receipt()
		o.Code, o.Enhanced, o.Reply = said.Code, said.Enhanced, said.Text
		w.holds.good(&d)
	case Deferred:
		o.State, o.NextAt = news.DeliveryDeferred, retry
		// It ends here: the recipient's server would not have it for so long.
		if !d.ExpiresAt.IsZero() && !retry.Before(d.ExpiresAt) {
			o.Bounce = j.Bounce.kind()
		}
	case Refused:
		o.State, o.Bounce = news.DeliveryRefused, j.Bounce.kind()
		if j.Bounce == BounceContent || j.Bounce == BouncePolicy {
			w.hold(d, err, false)
		}
	case SenderFault:
		o.State, o.NextAt, o.FreeAttempt = news.DeliveryDeferred, now.Add(w.o.Backoff.After(1, w.o.Rand())), true
		w.hold(d, err, false)
	case Uncertain:
		o.State, o.NextAt = news.DeliveryUncertain, retry
	case RelayFault, ConfigFault:
		o.State, o.NextAt, o.FreeAttempt = news.DeliveryDeferred, now, true
		if !w.cutOff() {
			o.NextAt = w.relay.bad(err, j.Verdict == ConfigFault)
			if soon := now.Add(failOver); soon.Before(o.NextAt) && w.fleet.another(w.relay) {
				o.NextAt = soon
			}
		}
		// A message at which the connection breaks again and again must not be
		// tried for ever at full speed.
		if e, ok := errors.AsType[*ReplyError](err); ok && e.Stage == StageBody && e.Code == 0 && !w.cutOff() {
			o.NextAt, o.FreeAttempt = retry, false
		}
	}
	switch {
	case w.cutOff():
		w.relay.spoilt(w.probe)
	case j.Verdict == RelayFault || j.Verdict == ConfigFault:
	case j.Verdict == Uncertain:
		w.relay.bad(err, false)
	default:
		w.relay.good()
	}
	w.pending = w.settle(d, o, took)
	w.afterwards(j)
	if w.cutOff() {
		return saysNothing
	}
	return signalOf(err, j)
}

// afterwards keeps the connection if it is of use. After a fault the slot is
// left, too: there may be fewer than there were.
func (w *worker) afterwards(j Judgement) {
	if w.session != nil && (!w.session.Usable() || j.Verdict == ConfigFault) {
		w.hangUp(false)
	}
	if w.session != nil && w.sent >= w.relay.MaxMessages {
		w.hangUp(true)
	}
	if j.Verdict == RelayFault || j.Verdict == ConfigFault || j.Verdict == Uncertain {
		w.leave()
	}
}

// uncomposed decides about a delivery for which there is no message.
func (w *worker) uncomposed(d news.Delivery, err error) {
	now := w.o.Now()
	if _, ok := errors.AsType[errCompile](err); ok {
		w.giveBack(d, w.hold(d, err, true), err)
		return
	}
	if errors.Is(err, errRecipient) {
		o := news.Outcome{State: news.DeliveryRefused}
		describe(&o, err)
		w.settle(d, o, 0)
		return
	}
	w.o.Events(Event{Kind: EventStore, Err: err, Delivery: d})
	w.giveBack(d, now.Add(time.Minute), err)
}

// hold counts a refusal of the edition as such and returns when to try again.
func (w *worker) hold(d news.Delivery, err error, atOnce bool) time.Time {
	until, held := w.holds.bad(&d, atOnce)
	if held {
		w.o.Events(Event{Kind: EventHeld, Delivery: d, Until: until, Err: err})
	}
	return until
}

// cutOff tells that time is up: what fails now is not the relay's fault.
func (w *worker) cutOff() bool { return w.hard.Err() != nil }

// hangUp ends the session: politely, or so that nothing begun is delivered.
func (w *worker) hangUp(politely bool) {
	if w.session == nil {
		return
	}
	if politely {
		w.session.Quit()
	} else {
		w.session.Abort()
	}
	w.session = nil
	w.relay.closed()
}

// leave ends the session and gives the slot back.
func (w *worker) leave() {
	if !w.inside {
		return
	}
	w.hangUp(true)
	w.relay.leave()
	w.inside = false
}
