package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gazetted/internal/news"
)

const (
	// defaultBatch: see Options.Batch. It keeps SQLite's writer for some 25 ms. Of
	// 5,000 the whole is a tenth faster.
	defaultBatch = 2000
	// groupCost is what beginning a group costs, in deliveries: an edition may
	// have thousands of groups of one reader each. A rough guess.
	groupCost = 20
	// queueLease is how long after its last batch an edition is left to its
	// maker. It may be short: two who queue at once do so in turn, and each
	// batch begins where the last one ended.
	queueLease = 30 * time.Second
)

// QueueDeliveries goes on with an edition that is queueing: it queues the next
// batch of deliveries, each in the transaction that moves its reader's
// ServedThrough, and notes how far it came. So a crash between any two calls
// loses and repeats nothing; whoever takes the edition calls it again. With the
// last batch the edition is closed, and Intended is what its deliveries sum up
// to; or it is done or empty, as for CloseEdition. An edition that is not
// queueing any more comes back as it is; one that is gone with its list is
// news.ErrStale.
//
// People may do anything meanwhile: a batch takes those who are active and
// still in a planned group at that moment. Whoever left is passed over; whoever
// moved to another frequency, or to topics that nobody planned for, keeps their
// ServedThrough and gets these articles with the next edition that serves them.
func (s *Store) QueueDeliveries(ctx context.Context, id int64) (news.Edition, error) {
	var out news.Edition
	err := s.write(ctx, "queue deliveries", func(t *tx) error {
		l, e, err := t.lockEdition(id)
		if err != nil {
			return err
		}
		if out = e; e.State == news.EditionQueueing {
			out, err = t.queue(l, e, s.batch)
		}
		return err
	})
	return out, err
}

// lockEdition locks the list, so that two of its editions queue one after the
// other and the second sees whom the first has served, and the edition.
func (t *tx) lockEdition(id int64) (news.List, news.Edition, error) {
	gone := func(err error) error {
		if errors.Is(err, news.ErrNotFound) { // its list was removed
			return fmt.Errorf("edition %d is gone: %w", id, news.ErrStale)
		}
		return err
	}
	e, err := t.editionByID(id)
	if err != nil {
		return news.List{}, e, gone(err)
	}
	if err := t.lockList(e.ListID); err != nil {
		return news.List{}, e, gone(err)
	}
	var locked int64
	if err := t.get(&locked, `SELECT id FROM editions WHERE id = $1`+t.d.forUpdate, id); err != nil {
		return news.List{}, e, gone(err)
	}
	e, l, err := t.editionAndList(id)
	return l, e, err
}

// waitingGroup is a row of edition_groups.
type waitingGroup struct {
	Position  int   `db:"position"`
	VariantID int64 `db:"variant_id"`
	ExpiresAt int64 `db:"expires_at"`
	AfterID   int64 `db:"after_id"`
	groupRow
}

// groupRow is an AudienceGroup as columns hold it.
type groupRow struct {
	Topics        string `db:"topics"`
	Language      string `db:"language"`
	ServedThrough int64  `db:"served_through"`
}

// queue queues up to limit deliveries of a locked edition, and closes it if
// none are left.
func (t *tx) queue(l news.List, e news.Edition, limit int) (news.Edition, error) {
	for {
		var g waitingGroup
		err := t.get(&g, `SELECT position, variant_id, topics, language, served_through, expires_at, after_id FROM edition_groups
			WHERE edition_id = $1 ORDER BY position LIMIT 1`, e.ID)
		if errors.Is(err, news.ErrNotFound) {
			return t.finishQueue(l, e)
		}
		if err != nil {
			return e, err
		}
		if limit <= 0 {
			_, err := t.exec(`UPDATE editions SET intended = $1, leased_until = $2 WHERE id = $3`, e.Intended, ms(t.lease.Add(queueLease)), e.ID)
			return e, err
		}
		looked, queued, err := t.queueGroup(l, e, g, limit)
		if err != nil {
			return e, err
		}
		limit -= looked + groupCost
		e.Intended += queued
	}
}

// inGroup is the range of subscriptions_audience that holds the rest of a
// group, and its arguments are $1 to $7. Active is enough: an address that is
// suppressed has no active subscription.
const inGroup = `p.list_id = $1 AND p.frequency = $2 AND p.zone = $3 AND p.state = 'active'
	AND p.topics = $4 AND p.language = $5 AND p.served_through = $6 AND p.id > $7`

func batchQuery(d dialect) string {
	return `SELECT count(*) AS looked, coalesce(max(id), 0) AS last FROM (SELECT p.id FROM ` + d.audience + ` WHERE ` + inGroup + ` ORDER BY p.id LIMIT $8) AS batch`
}

// queueGroup serves up to limit readers of a group, and notes how far it came.
// looked is how many there were.
func (t *tx) queueGroup(l news.List, e news.Edition, g waitingGroup, limit int) (looked, queued int, err error) {
	group := []any{l.ID, e.Frequency, audienceZone(l, e), g.Topics, g.Language, g.ServedThrough, g.AfterID}
	var batch struct {
		Looked int   `db:"looked"`
		Last   int64 `db:"last"`
	}
	if err := t.get(&batch, batchQuery(t.d), append(group, limit)...); err != nil {
		return 0, 0, err
	}
	switch {
	case batch.Looked == 0 || g.ServedThrough >= e.CutoffSeq:
		batch.Looked = 0
	case g.VariantID == 0:
		_, err = t.exec(`UPDATE `+t.d.audience+` SET served_through = $9 WHERE `+inGroup+` AND p.id <= $8`, append(group, batch.Last, e.CutoffSeq)...)
	default:
		queued, err = t.queueBatch(e, g, group, batch.Last)
	}
	if err != nil {
		return 0, 0, err
	}
	if batch.Looked < limit {
		_, err = t.exec(`DELETE FROM edition_groups WHERE edition_id = $1 AND position = $2`, e.ID, g.Position)
	} else {
		_, err = t.exec(`UPDATE edition_groups SET after_id = $1 WHERE edition_id = $2 AND position = $3`, batch.Last, e.ID, g.Position)
	}
	return batch.Looked, queued, err
}

// queueQuery queues what batchQuery found. Reading locks each subscription, so
// that a pause at the same moment comes before or after. Whoever has a delivery
// of the edition already took it back by a pause and came again: the next
// edition serves them. next_at 0 is due at once, even if the clock is set back
// now.
func queueQuery(d dialect) string {
	return `INSERT INTO deliveries (kind, edition_id, variant_id, list_id, subscriber_id, subscription_id, state, served_from, next_at, expires_at, created_at)
		SELECT 'edition', CAST($9 AS BIGINT), CAST($10 AS BIGINT), p.list_id, p.subscriber_id, p.id, 'pending', p.served_through, 0, CAST($11 AS BIGINT), CAST($12 AS BIGINT)
		FROM ` + d.audience + ` WHERE ` + inGroup + ` AND p.id <= $8 ORDER BY p.id` + d.forUpdate + ` ON CONFLICT DO NOTHING`
}

// moveQuery serves exactly those who have got a delivery by queueQuery. The plus
// keeps databases from reading all deliveries of the edition by another index;
// the range of subscriptions keeps PostgreSQL, whose statistics are older than
// the deliveries, from reading all of them to find a batch.
const moveQuery = `UPDATE subscriptions SET served_through = $1 FROM deliveries d
	WHERE d.id > $2 AND +d.edition_id = $3 AND d.subscription_id = subscriptions.id AND subscriptions.served_through < $1
	AND subscriptions.id > $4 AND subscriptions.id <= $5`

// queueBatch queues the deliveries of one batch and moves their readers forward.
func (t *tx) queueBatch(e news.Edition, g waitingGroup, group []any, last int64) (int, error) {
	var before int64 // greater than the id of any delivery that is not of this batch
	if err := t.get(&before, `SELECT coalesce(max(id), 0) FROM deliveries`); err != nil {
		return 0, err
	}
	n, err := t.exec(queueQuery(t.d), append(group, last, e.ID, g.VariantID, g.ExpiresAt, ms(e.ClosedAt))...)
	if err != nil || n == 0 {
		return 0, err
	}
	t.wake(news.WakeOutbox)
	_, err = t.exec(moveQuery, e.CutoffSeq, before, e.ID, g.AfterID, last)
	return int(n), err
}

// finishQueue ends the queueing of an edition: there is nobody left.
func (t *tx) finishQueue(l news.List, e news.Edition) (news.Edition, error) {
	t.wake(news.WakeLists) // its series may begin another one
	var variants int
	if err := t.get(&variants, `SELECT count(*) FROM variants WHERE edition_id = $1`, e.ID); err != nil {
		return e, err
	}
	counts := ""
	switch {
	case e.Articles == 0 && variants == 0:
		if f, ok := l.Frequency(e.Frequency); ok && f.Cron == "" && e.SlotKey == news.InstantKey(e.CutoffSeq) {
			e.State = news.EditionEmpty
			_, err := t.exec(`DELETE FROM editions WHERE id = $1`, e.ID)
			return e, err
		}
		e.State, e.DoneAt = news.EditionEmpty, e.ClosedAt
	case e.Intended == 0:
		e.State, e.DoneAt, counts = news.EditionDone, e.ClosedAt, "{}"
	default:
		e.State = news.EditionClosed
	}
	_, err := t.exec(`UPDATE editions SET state = $1, done_at = $2, intended = $3, counts = $4, leased_until = 0 WHERE id = $5`,
		string(e.State), ms(e.DoneAt), e.Intended, counts, e.ID)
	return e, err
}
