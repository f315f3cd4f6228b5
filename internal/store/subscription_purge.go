package store

import (
	"context"
)

// PurgePending forgets sign-ups that nobody has confirmed in time: the
// subscription and, if that was all there was, the person. Who had followed the
// list before is unsubscribed again instead. It returns how many there were.
func (s *Store) PurgePending(ctx context.Context) (int, error) {
	total := 0
	err := s.write(ctx, "purge pending subscriptions", func(t *tx) error {
		over := ms(t.now.Add(-confirmFor))
		// One whose confirmation is still under way, or was asked for again, stays.
		const stale = `state = 'pending' AND created_at < $1 AND NOT EXISTS (
			SELECT 1 FROM deliveries d WHERE d.subscription_id = subscriptions.id AND d.kind = 'confirm' AND d.created_at >= $1)`
		left, err := t.exec(`UPDATE subscriptions SET state = 'unsubscribed' WHERE confirmed_at > 0 AND `+stale, over)
		if err != nil {
			return err
		}
		gone, err := t.exec(`DELETE FROM subscriptions WHERE confirmed_at = 0 AND `+stale, over)
		if err != nil {
			return err
		}
		total = int(left + gone)
		if gone == 0 {
			return nil
		}
		_, err = t.exec(`DELETE FROM subscribers WHERE created_at < $1 AND NOT EXISTS (SELECT 1 FROM subscriptions p WHERE p.subscriber_id = subscribers.id)`, over)
		return err
	})
	return total, err
}
