package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gazetted/internal/news"
)

// clockBack is how far a clock may fall behind the one that computed a slot
// before that slot is computed anew: replicas' clocks differ by less.
const clockBack = time.Minute

// maxSlots bounds the slots that one call passes over as skipped or without
// readers; the next call goes on.
const maxSlots = 1000

// maxManual bounds the search for a free key of a manual edition.
const maxManual = 100

// TakeSlot gives the caller the next edition to make: one whose maker did not
// come back within its lease (open, or queueing if it was frozen already), or
// else the new, open edition of a slot that is due.
// Nobody else gets it until lease is over. ok is false if there is nothing to
// do, also while all sending or the list is paused.
//
// A slot's edition exists once: its row is unique by (list, frequency, zone,
// slot) and is made in the transaction that moves the schedule on, so that
// crashes, replicas and clocks that jump back make no second one. Slots that
// passed unserved collapse into the latest, or come one by one (see news.PlanSlot); one that is too
// late is recorded as skipped and leaves its articles to the next.
func (s *Store) TakeSlot(ctx context.Context, lease time.Duration) (news.Edition, news.List, bool, error) {
	var (
		e news.Edition
		l news.List
	)
	err := s.write(ctx, "take slot", func(t *tx) error {
		e, l = news.Edition{}, news.List{}
		if paused, err := t.paused(); err != nil || paused {
			return err
		}
		id, err := t.resumeEdition(lease)
		if err == nil && id == 0 {
			id, err = t.openSlot(lease)
		}
		if err != nil || id == 0 {
			return err
		}
		e, l, err = t.editionAndList(id)
		return err
	})
	return e, l, err == nil && e.ID != 0, err
}

func (t *tx) openSlot(lease time.Duration) (int64, error) {
	if err := t.recomputeSlots(); err != nil {
		return 0, err
	}
	cutoff, err := t.seq()
	if err != nil {
		return 0, err
	}
	for range maxSlots {
		r, err := t.dueSchedule(cutoff)
		if errors.Is(err, news.ErrNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if id, err := t.serve(r, cutoff, lease); err != nil || id != 0 {
			return id, err
		}
	}
	return 0, nil
}

// dueSchedule locks the schedule whose slot has been due for longest: a cron
// slot that has come, or, at 0, an instant one with news that no edition has
// tried yet. A series with an edition that is being made waits for it: both
// would carry the same articles.
func (t *tx) dueSchedule(cutoff int64) (scheduleRow, error) {
	var r scheduleRow
	err := t.get(&r, `SELECT s.list_id, s.frequency, s.zone, s.next_due_at, s.served_through FROM schedules s
		WHERE s.next_due_at <= $1 AND (s.next_due_at > 0 OR s.served_through < $2)
		AND s.list_id IN (SELECT id FROM lists WHERE NOT paused)
		AND NOT EXISTS (SELECT 1 FROM editions e WHERE e.list_id = s.list_id AND e.frequency = s.frequency AND e.zone = s.zone AND e.state IN ('open', 'queueing'))
		AND NOT EXISTS (SELECT 1 FROM editions e WHERE s.next_due_at = 0 AND e.list_id = s.list_id AND e.frequency = s.frequency AND e.zone = s.zone AND e.slot_key = $3)
		ORDER BY s.next_due_at, s.list_id, s.frequency, s.zone LIMIT 1`+t.d.skipLocked,
		ms(t.now), cutoff, news.InstantKey(cutoff))
	return r, err
}

// serve opens the edition of a due schedule and moves the schedule on. 0 means
// that there is none to be made.
func (t *tx) serve(r scheduleRow, cutoff int64, lease time.Duration) (int64, error) {
	l, err := t.listByID(r.ListID)
	if err != nil {
		return 0, err
	}
	f, ok := l.Frequency(r.Frequency)
	if !ok {
		return 0, fmt.Errorf("list %s has a schedule but no frequency %s", l.Name, r.Frequency)
	}
	plan := news.SlotPlan{DueAt: t.now, Key: news.InstantKey(cutoff)}
	if f.Cron != "" {
		s, err := news.ParseSchedule(f.Cron)
		if err != nil {
			return 0, err
		}
		plan = news.PlanSlot(s, location(r.Zone), &l, at(r.NextDueAt), t.now)
	}
	if plan.Past {
		if cutoff, err = t.releasedBy(plan.DueAt, r.ServedThrough); err != nil {
			return 0, err
		}
	}
	if err := t.storeNextDue(r, ms(plan.Next)); err != nil {
		return 0, err
	}
	// Where each subscriber's zone counts, a zone in which nobody lives any more
	// makes no edition, and its series does not fall behind.
	if served, err := t.serves(l, r); err != nil {
		return 0, err
	} else if !served {
		return 0, t.moveSeries(r.ListID, r.Frequency, r.Zone, cutoff)
	}
	o := opening{key: plan.Key, due: plan.DueAt, cutoff: cutoff, note: plan.Note, state: news.EditionOpen, lease: lease}
	if plan.Skip {
		o.state, o.lease = news.EditionSkipped, 0
	}
	id, err := t.insertEdition(r, o)
	if plan.Skip {
		id = 0
	}
	return id, err
}

// releasedBy is the Seq of the latest release up to an instant, and from if there was none since.
func (t *tx) releasedBy(instant time.Time, from int64) (int64, error) {
	var v int64
	err := t.get(&v, `SELECT coalesce(max(seq), 0) FROM articles WHERE seq > $1 AND released_at <= $2`, from, ms(instant))
	return max(v, from), err
}

// serves tells whether an edition of this series has, or may get, a reader.
func (t *tx) serves(l news.List, r scheduleRow) (bool, error) {
	if l.Zone != news.ZoneSubscriber {
		return true, nil // it may be read in the archive
	}
	var n int
	err := t.get(&n, `SELECT count(*) FROM (SELECT 1 FROM subscriptions
		WHERE list_id = $1 AND frequency = $2 AND zone = $3 AND state = 'active' LIMIT 1) AS one`, r.ListID, r.Frequency, r.Zone)
	return n > 0, err
}

// moveSeries notes up to where a series has been served, never backwards.
func (t *tx) moveSeries(listID int64, frequency, zone string, cutoff int64) error {
	_, err := t.exec(`UPDATE schedules SET served_through = $1 WHERE list_id = $2 AND frequency = $3 AND zone = $4 AND served_through < $1`,
		cutoff, listID, frequency, zone)
	return err
}

// opening is what a new edition starts with.
type opening struct {
	key, note string
	due       time.Time
	cutoff    int64
	state     news.EditionState
	lease     time.Duration
}

// insertEdition returns 0 if the slot, or another one of its series, is taken.
func (t *tx) insertEdition(r scheduleRow, o opening) (int64, error) {
	leased := int64(0)
	if o.lease > 0 {
		leased = ms(t.lease.Add(o.lease))
	}
	id, err := t.insert(`INSERT INTO editions (list_id, frequency, zone, slot_key, due_at, state, note, from_seq, cutoff_seq, leased_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING id`,
		r.ListID, r.Frequency, r.Zone, o.key, ms(o.due), string(o.state), o.note, r.ServedThrough, o.cutoff, leased)
	if errors.Is(err, news.ErrNotFound) {
		return 0, nil
	}
	return id, err
}

// recomputeSlots mends schedules after the clock was set back: what was
// computed while it was ahead may lie far off. A slot that came between the step
// and now counts. Slots that were already taken are not taken again, their
// keys being unique.
func (t *tx) recomputeSlots() error {
	var rows []scheduleRow
	if err := t.all(&rows, `SELECT list_id, frequency, zone, next_due_at, served_through FROM schedules
		WHERE next_due_at > 0 AND computed_at > $1`, ms(t.now.Add(clockBack))); err != nil {
		return err
	}
	for _, r := range rows {
		l, err := t.listByID(r.ListID)
		if err != nil {
			return err
		}
		f, ok := l.Frequency(r.Frequency)
		if !ok {
			continue
		}
		due, err := firstDue(f.Cron, r.Zone, t.now.Add(-clockBack))
		if err == nil {
			err = t.storeNextDue(r, due)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TakeManual opens an edition outside the schedule, with everything since the
// series' last one: one edition per zone that has readers. An empty frequency
// is the list's first. It returns news.ErrNotFound without such a list,
// news.ErrPaused while the list or everything is paused, and news.ErrExists
// while another edition of the series is being made.
func (s *Store) TakeManual(ctx context.Context, list, frequency string, lease time.Duration) ([]news.Edition, news.List, error) {
	var (
		out []news.Edition
		l   news.List
	)
	err := s.write(ctx, "take manual edition of "+list, func(t *tx) error {
		out = nil
		var rows []scheduleRow
		var err error
		if l, rows, err = t.manualSeries(list, frequency); err != nil {
			return err
		}
		cutoff, err := t.seq()
		if err != nil {
			return err
		}
		for _, r := range rows {
			if served, err := t.serves(l, r); err != nil {
				return err
			} else if !served {
				continue
			}
			id, err := t.openManual(r, cutoff, lease)
			if err != nil {
				return err
			}
			e, _, err := t.editionAndList(id)
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	return out, l, err
}

// manualSeries locks the schedules of a list's frequency.
func (t *tx) manualSeries(list, frequency string) (news.List, []scheduleRow, error) {
	l, err := t.listByName(list)
	if err != nil {
		return l, nil, err
	}
	paused, err := t.paused()
	if err != nil {
		return l, nil, err
	}
	if paused || l.Paused {
		return l, nil, news.ErrPaused
	}
	if frequency, err = frequencyOf(l, frequency); err != nil {
		return l, nil, err
	}
	var rows []scheduleRow
	err = t.all(&rows, `SELECT list_id, frequency, zone, next_due_at, served_through FROM schedules
		WHERE list_id = $1 AND frequency = $2 ORDER BY zone`+t.d.forUpdate, l.ID, frequency)
	return l, rows, err
}

func (t *tx) openManual(r scheduleRow, cutoff int64, lease time.Duration) (int64, error) {
	var open int
	if err := t.get(&open, `SELECT count(*) FROM editions WHERE list_id = $1 AND frequency = $2 AND zone = $3 AND state IN ('open', 'queueing')`,
		r.ListID, r.Frequency, r.Zone); err != nil {
		return 0, err
	}
	if open > 0 {
		return 0, fmt.Errorf("an edition of %s in %s is being made: %w", r.Frequency, r.Zone, news.ErrExists)
	}
	for n := 1; n <= maxManual; n++ {
		o := opening{key: news.ManualKey(t.now, n), due: t.now, cutoff: cutoff, state: news.EditionOpen, lease: lease}
		if id, err := t.insertEdition(r, o); err != nil || id != 0 {
			return id, err
		}
	}
	return 0, fmt.Errorf("%d editions of %s asked for at one instant: %w", maxManual, r.Frequency, news.ErrExists)
}
