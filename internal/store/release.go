package store

import (
	"context"
	"time"

	"gazetted/internal/news"
)

// ReleaseDue releases up to 500 articles whose time has come: each gets its
// Seq, in the order of publication, and enters the feeds. Articles past their
// expiry are withdrawn. next is when to call again; zero: nothing waits.
//
// Replicas may call it at the same time: the counter's row is locked first, so
// Seqs become visible in order and a reader who sees Seq n has seen all before.
func (s *Store) ReleaseDue(ctx context.Context) (n int, next time.Time, err error) {
	due, next, err := s.nextRelease(ctx)
	if err != nil || !due {
		return 0, next, err
	}
	err = s.write(ctx, "release articles", func(t *tx) error {
		if _, err := t.bump("seq", 0); err != nil {
			return err
		}
		touched := touchedTerms{}
		expired, err := t.expire(touched)
		if err != nil {
			return err
		}
		if n, err = t.release(touched); err != nil {
			return err
		}
		return t.feedsChanged(touched, n+expired > 0)
	})
	if err != nil {
		return 0, time.Time{}, err
	}
	_, next, err = s.nextRelease(ctx)
	return n, next, err
}

// nextRelease looks, without a write, when something is to be released or withdrawn.
func (s *Store) nextRelease(ctx context.Context) (due bool, next time.Time, err error) {
	err = s.read(ctx, "find articles to release", func(t *tx) error {
		var v int64
		if err := t.get(&v, `SELECT coalesce(min(at), 0) FROM (
			SELECT min(release_at) AS at FROM articles WHERE state = 'waiting'
			UNION ALL SELECT min(expires_at) FROM articles WHERE expires_at > 0 AND state <> 'withdrawn') AS soon`); err != nil {
			return err
		}
		next = at(v)
		due = v != 0 && v <= ms(t.now)
		return nil
	})
	return due, next, err
}

func (t *tx) release(touched touchedTerms) (int, error) {
	var rows []struct {
		ID          int64 `db:"id"`
		PublishedAt int64 `db:"published_at"`
		Archive     bool  `db:"archive"`
	}
	// ReleaseAt first: a limit must not put a later release before an earlier one.
	if err := t.all(&rows, `SELECT id, published_at, archive FROM articles WHERE state = 'waiting' AND release_at <= $1
		ORDER BY release_at, published_at, id LIMIT $2`, ms(t.now), maxBatch); err != nil || len(rows) == 0 {
		return 0, err
	}
	last, err := t.bump("seq", int64(len(rows)))
	if err != nil {
		return 0, err
	}
	seq := last - int64(len(rows))
	for _, r := range rows {
		seq++
		listed := ms(t.now)
		if r.Archive {
			listed = r.PublishedAt
		}
		if _, err := t.exec(`UPDATE articles SET state = 'released', seq = CASE WHEN seq > 0 THEN seq ELSE $1 END, released_at = $2, listed_at = $3
			WHERE id = $4`, seq, ms(t.now), listed, r.ID); err != nil {
			return 0, err
		}
		if err := t.list(r.ID, listed, seq, touched); err != nil {
			return 0, err
		}
	}
	t.wake(news.WakeReleased)
	return len(rows), nil
}

// expire withdraws articles whose time is over.
func (t *tx) expire(touched touchedTerms) (int, error) {
	var ids []int64
	if err := t.all(&ids, `SELECT id FROM articles WHERE expires_at > 0 AND expires_at <= $1 AND state <> 'withdrawn'
		ORDER BY expires_at LIMIT $2`, ms(t.now), maxBatch); err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := t.withdraw(id, touched); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}
