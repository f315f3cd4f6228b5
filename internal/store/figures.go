package store

import (
	"context"

	"gazetted/internal/news"
)

// MailFigures counts what came back and what is late, for metrics. It reads
// small tables, and of deliveries one range of an index.
func (s *Store) MailFigures(ctx context.Context) (news.MailFigures, error) {
	var f news.MailFigures
	err := s.read(ctx, "read mail figures", func(t *tx) error {
		var bounces []struct {
			Kind string `db:"kind"`
			Via  string `db:"via"`
			N    int    `db:"n"`
		}
		if err := t.all(&bounces, `SELECT kind, via, count(*) AS n FROM bounces GROUP BY kind, via ORDER BY kind, via`); err != nil {
			return err
		}
		for _, b := range bounces {
			f.Bounces = append(f.Bounces, news.BounceFigure{Kind: news.BounceKind(b.Kind), Via: b.Via, Count: b.N})
		}
		var reasons []struct {
			Reason string `db:"reason"`
			N      int    `db:"n"`
		}
		if err := t.all(&reasons, `SELECT reason, count(*) AS n FROM suppressions GROUP BY reason ORDER BY reason`); err != nil {
			return err
		}
		f.Suppressions = map[news.SuppressionReason]int{}
		for _, r := range reasons {
			f.Suppressions[news.SuppressionReason(r.Reason)] = r.N
		}
		var r struct {
			Doubtful int   `db:"doubtful"`
			OldestAt int64 `db:"oldest_at"`
		}
		if err := t.get(&r, `SELECT (SELECT count(*) FROM deliveries WHERE doubts > 0) AS doubtful,
			(SELECT coalesce(min(due_at), 0) FROM editions WHERE state IN ('open', 'closed')) AS oldest_at`); err != nil {
			return err
		}
		f.Doubtful, f.OldestEdition = r.Doubtful, at(r.OldestAt)
		return nil
	})
	if err != nil {
		return f, err
	}
	f.Ignored, err = s.IgnoredBounces(ctx)
	return f, err
}
