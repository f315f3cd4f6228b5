package store

import (
	"cmp"
	"fmt"
	"time"

	"gazetted/internal/news"
)

// unknownZone is where people live who did not say: their slots must come at some hour.
const unknownZone = "UTC"

// zoneFor is what a subscription of a person in zone holds on l.
func zoneFor(l news.List, zone string) string {
	if l.Zone != news.ZoneSubscriber {
		return ""
	}
	return cmp.Or(zone, unknownZone)
}

// scheduleZone is the inverse: the zone of the schedule that serves a
// subscription of l with that column.
func scheduleZone(l news.List, zone string) string {
	if l.Zone != news.ZoneSubscriber {
		return l.Zone
	}
	return cmp.Or(zone, unknownZone)
}

type scheduleRow struct {
	ListID        int64  `db:"list_id"`
	Frequency     string `db:"frequency"`
	Zone          string `db:"zone"`
	NextDueAt     int64  `db:"next_due_at"`
	ServedThrough int64  `db:"served_through"`
}

// series is what a schedule belongs to within its list.
type series struct {
	Frequency string `db:"frequency"`
	Zone      string `db:"zone"`
}

// syncSchedules makes the schedules of l what its frequencies, zone and
// audience ask for. One whose cron line and zone are unchanged keeps its next
// slot, so that no edit loses a slot that is due; a series that goes on under
// another zone goes on from where it was.
func (t *tx) syncSchedules(old, l news.List) error {
	want, err := t.wantedSeries(l)
	if err != nil {
		return err
	}
	var have []scheduleRow
	if err := t.all(&have, `SELECT list_id, frequency, zone, next_due_at, served_through FROM schedules WHERE list_id = $1`, l.ID); err != nil {
		return err
	}
	served := map[string]int64{}
	for _, h := range have {
		// The least of all zones: nothing is left out of the archive.
		if v, ok := served[h.Frequency]; !ok || h.ServedThrough < v {
			served[h.Frequency] = h.ServedThrough
		}
		f, ok := l.Frequency(h.Frequency)
		before, _ := old.Frequency(h.Frequency)
		switch w := (series{Frequency: h.Frequency, Zone: h.Zone}); {
		case ok && want[w] && f.Cron == before.Cron:
			delete(want, w)
		case ok && want[w]:
			delete(want, w)
			err = t.setNextDue(h, f.Cron)
		default:
			_, err = t.exec(`DELETE FROM schedules WHERE list_id = $1 AND frequency = $2 AND zone = $3`, l.ID, h.Frequency, h.Zone)
		}
		if err != nil {
			return err
		}
	}
	for w := range want {
		if err := t.addSchedule(l, w, served); err != nil {
			return err
		}
	}
	return nil
}

// wantedSeries lists the schedules that l needs: one per frequency, or, where
// each subscriber's zone counts, one per frequency and zone in use.
func (t *tx) wantedSeries(l news.List) (map[series]bool, error) {
	want := map[series]bool{}
	if l.Zone != news.ZoneSubscriber {
		for _, f := range l.Frequencies {
			want[series{Frequency: f.Name, Zone: l.Zone}] = true
		}
		return want, nil
	}
	var rows []series
	if err := t.all(&rows, `SELECT DISTINCT frequency, zone FROM subscriptions WHERE list_id = $1 AND state = 'active'`, l.ID); err != nil {
		return nil, err
	}
	for _, r := range rows {
		want[r] = true
	}
	return want, nil
}

// ensureSchedule makes the schedule that serves an active subscription with
// this frequency and zone column, if there is none yet.
func (t *tx) ensureSchedule(l news.List, frequency, zone string) error {
	if l.Zone != news.ZoneSubscriber {
		return nil // AddList and SetList made them all
	}
	return t.addSchedule(l, series{Frequency: frequency, Zone: scheduleZone(l, zone)}, nil)
}

// addSchedule begins a series at the Seq that served holds for its frequency,
// or else now: a new series has no past.
func (t *tx) addSchedule(l news.List, w series, served map[string]int64) error {
	f, ok := l.Frequency(w.Frequency)
	if !ok {
		return fmt.Errorf("list %s has no frequency %s: %w", l.Name, w.Frequency, news.ErrNotFound)
	}
	from, ok := served[w.Frequency]
	if !ok {
		var err error
		if from, err = t.seq(); err != nil {
			return err
		}
	}
	due, err := firstDue(f.Cron, w.Zone, t.now)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO schedules (list_id, frequency, zone, next_due_at, served_through, computed_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (list_id, frequency, zone) DO NOTHING`, l.ID, w.Frequency, w.Zone, due, from, ms(t.now))
	return err
}

// setNextDue computes a schedule's next slot anew.
func (t *tx) setNextDue(r scheduleRow, cron string) error {
	due, err := firstDue(cron, r.Zone, t.now)
	if err != nil {
		return err
	}
	return t.storeNextDue(r, due)
}

func (t *tx) storeNextDue(r scheduleRow, due int64) error {
	_, err := t.exec(`UPDATE schedules SET next_due_at = $1, computed_at = $2 WHERE list_id = $3 AND frequency = $4 AND zone = $5`,
		due, ms(t.now), r.ListID, r.Frequency, r.Zone)
	return err
}

// firstDue is the first slot after now as columns hold it; 0, due at any news,
// for a frequency without a cron line.
func firstDue(cron, zone string, now time.Time) (int64, error) {
	if cron == "" {
		return 0, nil
	}
	s, err := news.ParseSchedule(cron)
	if err != nil {
		return 0, err
	}
	return ms(s.NextDue(now, location(zone))), nil
}

// location loads a zone. One that this binary no longer knows is read as UTC:
// a slot at the wrong hour beats none.
func location(zone string) *time.Location {
	loc, err := news.LoadZone("zone", zone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// seq is the Seq of the latest release.
func (t *tx) seq() (int64, error) {
	var v int64
	err := t.get(&v, `SELECT value FROM counters WHERE name = 'seq'`)
	return v, err
}
