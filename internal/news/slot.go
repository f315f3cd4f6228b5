package news

import (
	"fmt"
	"strconv"
	"time"
)

// SlotGrace is how late a slot may be taken and still count as on time, for
// lists that skip what they missed. It covers the interval of polling and a
// restart for an upgrade; the number is a choice, not a measurement.
const SlotGrace = 10 * time.Minute

// maxMissed bounds the count of missed slots, so that a minutely schedule after
// a month of downtime costs no more than a daily one. The note then says "at least".
const maxMissed = 100

// SlotPlan says what to do with a cron schedule whose time has come.
type SlotPlan struct {
	DueAt  time.Time // the slot to serve: the latest that has passed
	Key    string    // of that slot; see Slot.Key
	Missed int       // slots before it that passed unserved; at most 100 are counted
	Next   time.Time // the first slot strictly after now
	// Skip tells that the slot is recorded and not mailed: what it would have
	// carried is left to the next one.
	Skip bool
	// Past tells that a later slot has passed, too, and gets an edition of its own: this
	// one carries only what had been released by DueAt.
	Past bool
	Note string // why it is skipped, or how many slots it stands for; for people
}

// PlanSlot decides about a slot due at due (≤ now) of a schedule that runs in
// loc. All slots up to now collapse into the latest, because an edition always
// carries everything since the one before; lateness is measured from that
// latest slot, so that a long downtime does not cost the slot it ended in. A list
// that catches up with all of them gets them one by one, unless they are very many.
func PlanSlot(s *Schedule, loc *time.Location, l *List, due, now time.Time) SlotPlan {
	if l.CatchUp == CatchUpAll {
		if p, ok := planEach(s, loc, l, due, now); ok {
			return p
		}
	}
	p := SlotPlan{DueAt: due.UTC()}
	for p.Missed < maxMissed {
		next, ok := s.Next(p.DueAt, loc)
		if !ok || next.After(now) {
			break
		}
		p.DueAt = next
		p.Missed++
	}
	counted := p.Missed < maxMissed
	if !counted {
		p.DueAt = s.latest(p.DueAt, now, loc)
	}
	p.Key = SlotKey(p.DueAt)
	p.Next = s.NextDue(now, loc)
	late := now.Sub(p.DueAt).Truncate(time.Second)
	switch {
	case late > time.Duration(l.MaxLate):
		p.Skip, p.Note = true, fmt.Sprintf("skipped: %v late, and the list allows %v", late, l.MaxLate)
	case l.CatchUp == CatchUpSkip && late > SlotGrace:
		p.Skip, p.Note = true, fmt.Sprintf("skipped: %v late, and the list skips what it missed", late)
	case !counted:
		p.Note = fmt.Sprintf("covers at least %d missed slots", p.Missed)
	case p.Missed == 1:
		p.Note = "covers 1 missed slot"
	case p.Missed > 1:
		p.Note = fmt.Sprintf("covers %d missed slots", p.Missed)
	}
	return p
}

// planEach is PlanSlot for one of several slots that passed; ok is false if it is
// the only one, or of more than can be caught up with one by one.
func planEach(s *Schedule, loc *time.Location, l *List, due, now time.Time) (p SlotPlan, ok bool) {
	p = SlotPlan{DueAt: due.UTC(), Key: SlotKey(due), Past: true}
	at := p.DueAt
	for behind := 0; ; behind++ {
		next, more := s.Next(at, loc)
		if !more || next.After(now) {
			ok = behind > 0
			break
		}
		if behind == maxMissed {
			return p, false
		}
		if at = next; behind == 0 {
			p.Next = next
		}
	}
	late := now.Sub(p.DueAt).Truncate(time.Second)
	if p.Note = fmt.Sprintf("catches up, %v late", late); late > time.Duration(l.MaxLate) {
		p.Skip, p.Note = true, fmt.Sprintf("skipped: %v late, and the list allows %v", late, l.MaxLate)
	}
	return p, ok
}

// NextDue is Next for what must have an answer: a schedule that never fires
// again (ParseSchedule refuses those) is due when the search ends.
func (s *Schedule) NextDue(now time.Time, loc *time.Location) time.Time {
	if next, ok := s.Next(now, loc); ok {
		return next
	}
	return now.AddDate(searchYears, 0, 0).UTC()
}

// latest returns the last instant ≤ now at which s fires, from being one. It
// looks back in widening windows, so that the distance does not matter.
func (s *Schedule) latest(from, now time.Time, loc *time.Location) time.Time {
	const day = 24 * time.Hour
	for _, back := range [...]time.Duration{time.Hour, day, 32 * day, now.Sub(from)} {
		start := now.Add(-back)
		if start.Before(from) {
			start = from
		}
		last := time.Time{}
		for at, ok := s.Next(start, loc); ok && !at.After(now); at, ok = s.Next(at, loc) {
			last = at
		}
		if !last.IsZero() {
			return last
		}
	}
	return from
}

// SlotKey is the Slot.Key of a cron slot: its instant in RFC 3339, UTC.
func SlotKey(due time.Time) string { return due.UTC().Format(time.RFC3339) }

// InstantKey is the Slot.Key of an instant edition with news up to cutoffSeq.
func InstantKey(cutoffSeq int64) string { return "seq:" + strconv.FormatInt(cutoffSeq, 10) }

// ManualKey is the Slot.Key of the nth edition that was asked for at an instant.
func ManualKey(at time.Time, n int) string {
	key := "manual:" + strconv.FormatInt(at.UnixMilli(), 10)
	if n > 1 {
		key += "-" + strconv.Itoa(n)
	}
	return key
}
