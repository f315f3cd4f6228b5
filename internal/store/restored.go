package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"gazetted/internal/news"
)

// restoredMark is the setting 'restored' of a database that comes from a
// backup. Backup writes it into the copy, so that nobody has to remember.
type restoredMark struct {
	BackupAt int64 `json:"backup_at"` // milliseconds; 0: unknown
	Settled  bool  `json:"settled"`   // its numbers were moved on
}

// errNotRestored says that there is nothing to confirm.
var errNotRestored = errors.New("this database was not restored, or that was confirmed already")

// Greet looks whether the database comes from a backup. If so, everything is
// paused, and its numbers are moved on, once: what was given out between the
// backup and its restore must not be given out again, because Message-IDs and
// the links in mails are made of them.
//
// On PostgreSQL a dump that was restored is known by its tables, which are not
// those that a setting names. SQLite has no such sign: only copies by Backup, and those that
// MarkRestored was called for, are known.
func (s *Store) Greet(ctx context.Context) error {
	var gap int64
	if err := s.readGap(&gap); err != nil {
		return err
	}
	fresh := true // the usual case needs no write
	if err := s.read(ctx, "look for a restore", func(t *tx) error {
		m, err := t.restoredMark()
		if err != nil {
			return err
		}
		here, noted, err := t.origin()
		fresh = here != noted || m != nil && !m.Settled
		return err
	}); err != nil || !fresh {
		return err
	}
	return s.write(ctx, "look for a restore", func(t *tx) error {
		m, err := t.restoredMark()
		if err != nil {
			return err
		}
		here, noted, err := t.origin()
		if err != nil {
			return err
		}
		if here != noted {
			if noted != "" {
				m = &restoredMark{}
			}
			if err := t.setting("origin", here); err != nil {
				return err
			}
		}
		if m == nil || m.Settled {
			return nil
		}
		return t.settleRestored(*m, gap)
	})
}

// MarkRestored says that the database comes from a backup that was made, or
// copied back, by other means.
func (s *Store) MarkRestored(ctx context.Context) error {
	var gap int64
	if err := s.readGap(&gap); err != nil {
		return err
	}
	return s.write(ctx, "mark as restored", func(t *tx) error { return t.settleRestored(restoredMark{}, gap) })
}

// readGap draws by how much numbers are moved on: more than are given out
// between two backups, and another one at each restore of the same backup.
func (s *Store) readGap(gap *int64) error {
	var b [4]byte
	if _, err := io.ReadFull(s.rand, b[:]); err != nil {
		return fmt.Errorf("draw a number: %w", err)
	}
	*gap = 100_000_000 + int64(binary.BigEndian.Uint32(b[:]))
	return nil
}

func (t *tx) settleRestored(m restoredMark, gap int64) error {
	for _, q := range t.d.moveOn {
		if _, err := t.exec(q, gap); err != nil {
			return fmt.Errorf("move numbers on: %w", err)
		}
	}
	if _, err := t.exec(`UPDATE counters SET value = value + $1 WHERE name = 'change'`, gap); err != nil {
		return err
	}
	m.Settled = true
	return t.markRestored(m)
}

// markRestored pauses everything until somebody has confirmed.
func (t *tx) markRestored(m restoredMark) error {
	text, err := encode(m)
	if err != nil {
		return err
	}
	if err := t.setting("restored", text); err != nil {
		return err
	}
	t.wake(news.WakeOutbox)
	return t.setting("paused", "true")
}

func (t *tx) setting(name, value string) error {
	_, err := t.exec(`INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// restoredMark is nil for a database that needs no confirmation.
func (t *tx) restoredMark() (*restoredMark, error) {
	var text string
	if err := t.get(&text, `SELECT value FROM settings WHERE name = 'restored'`); err != nil {
		if errors.Is(err, news.ErrNotFound) {
			return nil, nil
		}
		return nil, err
	}
	m := new(restoredMark)
	return m, decode(text, m)
}

// origin is what this database is, and what it was when that was noted.
func (t *tx) origin() (here, noted string, err error) {
	if t.d.origin == "" {
		return "", "", nil
	}
	if err := t.get(&here, t.d.origin); err != nil {
		return "", "", err
	}
	if err = t.get(&noted, `SELECT value FROM settings WHERE name = 'origin'`); errors.Is(err, news.ErrNotFound) {
		err = nil
	}
	return here, noted, err
}

// Open deliveries, as a backup knows them.
const openDeliveries = `('pending', 'deferred', 'claimed', 'dot_pending')`

// restored is nil for a database that needs no confirmation.
func (t *tx) restored() (*news.Restored, error) {
	m, err := t.restoredMark()
	if err != nil || m == nil {
		return nil, err
	}
	r := &news.Restored{BackupAt: at(m.BackupAt), Passed: []news.PassedSlot{}, Unseen: []string{}}
	if err := t.get(&r.OpenEditions, `SELECT count(*) FROM editions WHERE state IN ('open', 'queueing', 'closed')`); err != nil {
		return nil, err
	}
	if err := t.get(&r.OpenDeliveries, `SELECT count(*) FROM deliveries WHERE state IN `+openDeliveries); err != nil {
		return nil, err
	}
	if err := t.all(&r.Unseen, `SELECT name FROM sources WHERE removed_at = 0 AND kind <> 'push' AND last_at <= $1 ORDER BY name`, m.BackupAt); err != nil {
		return nil, err
	}
	due, err := t.passed()
	for _, d := range due {
		plan := news.PlanSlot(d.schedule, location(d.Zone), &d.list, at(d.NextDueAt), t.now)
		r.Passed = append(r.Passed, news.PassedSlot{
			List: d.list.Name, Frequency: d.Frequency, Zone: d.Zone, First: at(d.NextDueAt), Last: plan.DueAt, Slots: plan.Missed + 1,
		})
	}
	return r, err
}

// passedSchedule is a schedule with a slot in the past.
type passedSchedule struct {
	scheduleRow
	list     news.List
	schedule *news.Schedule
}

func (t *tx) passed() ([]passedSchedule, error) {
	var rows []scheduleRow
	if err := t.all(&rows, `SELECT list_id, frequency, zone, next_due_at, served_through FROM schedules
		WHERE next_due_at > 0 AND next_due_at <= $1 ORDER BY next_due_at, list_id, frequency, zone`, ms(t.now)); err != nil {
		return nil, err
	}
	out := make([]passedSchedule, 0, len(rows))
	for _, r := range rows {
		l, err := t.listByID(r.ListID)
		if err != nil {
			return nil, err
		}
		f, _ := l.Frequency(r.Frequency)
		s, err := news.ParseSchedule(f.Cron)
		if err != nil {
			return nil, err
		}
		out = append(out, passedSchedule{scheduleRow: r, list: l, schedule: s})
	}
	return out, nil
}

// ConfirmRestored lets a restored database send again, all as how says or
// nothing.
func (s *Store) ConfirmRestored(ctx context.Context, how news.AfterRestore) error {
	if err := s.Greet(ctx); err != nil { // nothing may have run on it yet
		return err
	}
	return s.write(ctx, "confirm the restore", func(t *tx) error {
		m, err := t.restoredMark()
		if err != nil {
			return err
		}
		if m == nil {
			return errNotRestored
		}
		if how.HoldOpen {
			if err := t.holdOpen(); err != nil {
				return err
			}
		}
		if how.SkipSlots {
			if err := t.skipPassed(); err != nil {
				return err
			}
		}
		if _, err := t.exec(`DELETE FROM settings WHERE name IN ('restored', 'paused')`); err != nil {
			return err
		}
		if err := t.acceptServer(); err != nil { // that of the copy
			return err
		}
		if _, err := t.exec(`INSERT INTO audit (at, actor, action, object, detail) VALUES ($1, 'admin', 'restore', 'database', $2)`, ms(t.now),
			fmt.Sprintf("backup of %s, hold open %v, skip slots %v", at(m.BackupAt).Format(time.RFC3339), how.HoldOpen, how.SkipSlots)); err != nil {
			return err
		}
		t.wake(news.WakeLists)
		t.wake(news.WakeOutbox)
		return nil
	})
}

// openInBackup stands in place of the relay's reply.
const openInBackup = "open in the restored backup: perhaps sent since"

// holdOpen makes every open mail an uncertain one that waits for the operator.
// An edition that was not frozen yet is given up, and one whose mails were not
// all queued queues no more: for those readers its articles stay news.
func (t *tx) holdOpen() error {
	if _, err := t.exec(`UPDATE deliveries SET state = 'uncertain', token = '', doubts = doubts + 1, relay = '', code = 0, enhanced = '', reply = $1
		WHERE state IN `+openDeliveries, openInBackup); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM edition_groups WHERE edition_id IN (SELECT id FROM editions WHERE state = 'queueing')`); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE editions SET state = 'skipped', leased_until = 0, note = $1 WHERE state = 'open'`, openInBackup)
	return err
}

// skipPassed takes everything that is known by now for mailed.
func (t *tx) skipPassed() error {
	due, err := t.passed()
	if err != nil {
		return err
	}
	for _, d := range due {
		f, _ := d.list.Frequency(d.Frequency)
		if err := t.setNextDue(d.scheduleRow, f.Cron); err != nil {
			return err
		}
	}
	seq, err := t.seq()
	if err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE schedules SET served_through = $1 WHERE served_through < $1`, seq); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE subscriptions SET served_through = $1 WHERE state = 'active' AND served_through < $1`, seq); err != nil {
		return err
	}
	_, err = t.exec(`UPDATE articles SET archive = $1 WHERE state = 'waiting' AND published_at <= $2`, true, ms(t.now))
	return err
}
