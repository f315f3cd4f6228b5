package store

import (
	"context"

	"gazetted/internal/news"
)

// HubLease reads a source's subscription at a WebSub hub; a zero one if it has none.
func (s *Store) HubLease(ctx context.Context, sourceID int64) (news.HubLease, error) {
	var out news.HubLease
	err := s.read(ctx, "read hub", func(t *tx) error {
		var rows []struct {
			Hub       string `db:"hub"`
			Topic     string `db:"topic"`
			Callback  string `db:"callback"`
			AskedAt   int64  `db:"asked_at"`
			LeaseFrom int64  `db:"lease_from"`
			LeaseTo   int64  `db:"lease_to"`
			Error     string `db:"error"`
		}
		if err := t.all(&rows, `SELECT hub, topic, callback, asked_at, lease_from, lease_to, error FROM source_hubs WHERE source_id = $1`, sourceID); err != nil {
			return err
		}
		for _, r := range rows {
			out = news.HubLease{Hub: r.Hub, Topic: r.Topic, Callback: r.Callback, AskedAt: at(r.AskedAt), From: at(r.LeaseFrom), To: at(r.LeaseTo), Err: r.Error}
		}
		return nil
	})
	return out, err
}

// AskHub registers that a hub is about to be asked, or how that went wrong. A
// lease of the same hub, topic and callback stays until it ends.
func (s *Store) AskHub(ctx context.Context, sourceID int64, l news.HubLease) error {
	return s.write(ctx, "register hub", func(t *tx) error {
		_, err := t.exec(`INSERT INTO source_hubs (source_id, hub, topic, callback, asked_at, error) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (source_id) DO UPDATE SET asked_at = excluded.asked_at, error = excluded.error,
				lease_from = CASE WHEN source_hubs.hub = excluded.hub AND source_hubs.topic = excluded.topic AND source_hubs.callback = excluded.callback
					THEN source_hubs.lease_from ELSE 0 END,
				lease_to = CASE WHEN source_hubs.hub = excluded.hub AND source_hubs.topic = excluded.topic AND source_hubs.callback = excluded.callback
					THEN source_hubs.lease_to ELSE 0 END,
				hub = excluded.hub, topic = excluded.topic, callback = excluded.callback`,
			sourceID, clean(l.Hub), clean(l.Topic), clean(l.Callback), ms(l.AskedAt), clean(l.Err))
		return err
	})
}

// GrantHub records the lease that a hub has granted for a topic we asked for.
// One that nobody asked for is news.ErrNotFound.
func (s *Store) GrantHub(ctx context.Context, sourceID int64, l news.HubLease) error {
	return s.write(ctx, "record hub", func(t *tx) error {
		n, err := t.exec(`UPDATE source_hubs SET lease_from = $1, lease_to = $2, error = $3 WHERE source_id = $4 AND topic = $5`,
			ms(l.From), ms(l.To), clean(l.Err), sourceID, clean(l.Topic))
		if err == nil && n == 0 {
			err = news.ErrNotFound
		}
		return err
	})
}
