package store

import (
	"context"

	"gazetted/internal/news"
)

// Status reads the state of the whole in one moment.
func (s *Store) Status(ctx context.Context) (news.Status, error) {
	schema, _, err := s.Schema(ctx)
	if err != nil {
		return news.Status{}, err
	}
	st := news.Status{Schema: schema, Outbox: news.OutboxState{Counts: news.DeliveryTally{}}}
	err = s.read(ctx, "read status", func(t *tx) error {
		var r struct {
			Articles    int   `db:"articles"`
			Waiting     int   `db:"waiting"`
			LastSeq     int64 `db:"last_seq"`
			Sources     int   `db:"sources"`
			Failing     int   `db:"failing"`
			Lists       int   `db:"lists"`
			Subscribers int   `db:"subscribers"`
			Active      int   `db:"active"`
			Open        int   `db:"open"`
			Failed      int   `db:"failed"`
			NextSlot    int64 `db:"next_slot"`
		}
		if err := t.get(&r, `SELECT
			(SELECT count(*) FROM articles WHERE state = 'released') AS articles,
			(SELECT count(*) FROM articles WHERE state = 'waiting') AS waiting,
			(SELECT value FROM counters WHERE name = 'seq') AS last_seq,
			(SELECT count(*) FROM sources WHERE removed_at = 0) AS sources,
			(SELECT count(*) FROM sources WHERE removed_at = 0 AND failures > 0) AS failing,
			(SELECT count(*) FROM lists) AS lists,
			(SELECT count(*) FROM subscribers) AS subscribers,
			(SELECT count(*) FROM subscriptions WHERE state = 'active') AS active,
			(SELECT count(*) FROM editions WHERE state IN ('open', 'queueing', 'closed')) AS open,
			(SELECT count(*) FROM editions f WHERE f.state = 'failed' AND NOT EXISTS (SELECT 1 FROM editions e
				WHERE e.list_id = f.list_id AND e.frequency = f.frequency AND e.zone = f.zone AND e.cutoff_seq >= f.cutoff_seq AND e.id <> f.id
				AND e.state IN ('queueing', 'closed', 'done', 'empty'))) AS failed,
			(SELECT coalesce(min(next_due_at), 0) FROM schedules WHERE next_due_at > 0) AS next_slot`); err != nil {
			return err
		}
		st.Articles, st.Waiting, st.LastSeq, st.Sources, st.Failing = r.Articles, r.Waiting, r.LastSeq, r.Sources, r.Failing
		st.Lists, st.Subscribers, st.Active, st.OpenEditions, st.FailedEditions = r.Lists, r.Subscribers, r.Active, r.Open, r.Failed
		st.NextSlot = at(r.NextSlot)
		if err := t.outbox(&st.Outbox); err != nil {
			return err
		}
		if st.Restored, err = t.restored(); err != nil {
			return err
		}
		return t.pauses(&st)
	})
	return st, err
}

// Pauses reads all that an operator may have stopped, and counts nothing.
func (s *Store) Pauses(ctx context.Context) (all bool, lists, relays []string, err error) {
	var st news.Status
	err = s.read(ctx, "read pauses", func(t *tx) error { return t.pauses(&st) })
	return st.Paused, st.PausedLists, st.PausedRelays, err
}

// oldestQuery: the deliveries of an edition are as old as its close.
const oldestQuery = `SELECT coalesce(min(w.at), 0) FROM (
		SELECT min(e.closed_at) AS at FROM editions e WHERE e.state IN ('open', 'queueing', 'closed')
			AND (SELECT 1 FROM deliveries d WHERE d.edition_id = e.id AND d.state IN ('pending', 'deferred', 'claimed', 'dot_pending') ORDER BY d.state LIMIT 1) IS NOT NULL
		UNION ALL SELECT min(d.created_at) FROM deliveries d WHERE d.edition_id = 0 AND d.state IN ('pending', 'deferred', 'claimed', 'dot_pending')) AS w`

// outbox counts all deliveries that there are, and finds the oldest that waits.
// It reads those of editions under way, and confirmations, which belong to no
// edition (0); what is done was counted when it ended. So it does not slow as
// millions of ended deliveries gather.
func (t *tx) outbox(o *news.OutboxState) error {
	var under []int64
	if err := t.all(&under, `SELECT id FROM editions WHERE state IN ('open', 'queueing', 'closed')`); err != nil {
		return err
	}
	for _, id := range append(under, 0) {
		counts, err := t.tally(id)
		if err != nil {
			return err
		}
		for state, n := range counts {
			o.Counts[state] += n
		}
	}
	var frozen []string
	if err := t.all(&frozen, `SELECT counts FROM editions WHERE state = 'done' AND intended > 0`); err != nil {
		return err
	}
	for _, text := range frozen {
		var counts news.DeliveryTally
		if err := decode(text, &counts); err != nil {
			return err
		}
		for state, n := range counts {
			o.Counts[state] += n
		}
	}
	var oldest int64
	if err := t.get(&oldest, oldestQuery); err != nil {
		return err
	}
	o.Oldest = at(oldest)
	return nil
}

// pauses reads all that an operator may have stopped.
func (t *tx) pauses(st *news.Status) (err error) {
	if st.Halt, err = t.halted(); err != nil {
		return err
	}
	st.Paused = st.Halt != ""
	if err := t.all(&st.PausedLists, `SELECT name FROM lists WHERE paused ORDER BY name`); err != nil {
		return err
	}
	st.PausedRelays, err = t.pausedRelays()
	return err
}
