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
			NextSlot    int64 `db:"next_slot"`
			Oldest      int64 `db:"oldest"`
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
			(SELECT coalesce(min(next_due_at), 0) FROM schedules WHERE next_due_at > 0) AS next_slot,
			(SELECT coalesce(min(created_at), 0) FROM deliveries WHERE state IN ('pending', 'deferred', 'claimed', 'dot_pending')) AS oldest`); err != nil {
			return err
		}
		st.Articles, st.Waiting, st.LastSeq, st.Sources, st.Failing = r.Articles, r.Waiting, r.LastSeq, r.Sources, r.Failing
		st.Lists, st.Subscribers, st.Active, st.OpenEditions = r.Lists, r.Subscribers, r.Active, r.Open
		st.NextSlot, st.Outbox.Oldest = at(r.NextSlot), at(r.Oldest)
		var tally []struct {
			State string `db:"state"`
			N     int    `db:"n"`
		}
		if err := t.all(&tally, `SELECT state, count(*) AS n FROM deliveries GROUP BY state`); err != nil {
			return err
		}
		for _, c := range tally {
			st.Outbox.Counts[news.DeliveryState(c.State)] = c.N
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

// pauses reads all that an operator may have stopped.
func (t *tx) pauses(st *news.Status) (err error) {
	if st.Paused, err = t.paused(); err != nil {
		return err
	}
	if err := t.all(&st.PausedLists, `SELECT name FROM lists WHERE paused ORDER BY name`); err != nil {
		return err
	}
	st.PausedRelays, err = t.pausedRelays()
	return err
}
