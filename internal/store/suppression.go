package store

import (
	"context"
	"fmt"

	"gazetted/internal/news"
)

// addressHash is the keyed hash under which an address is suppressed: it
// outlives the address and cannot be tried out without our secret.
func (s *Store) addressHash(ctx context.Context, addr news.Address) (string, error) {
	if addr.Key == "" {
		return "", &news.FieldError{Field: "address", Value: addr.Spec, Want: "an address like ana@example.org"}
	}
	signer, err := s.signer(ctx)
	if err != nil {
		return "", err
	}
	return signer.KeyedHash(addr.Key), nil
}

func (s *Store) signer(ctx context.Context) (*news.Signer, error) {
	secrets, err := s.Secrets(ctx)
	if err != nil {
		return nil, err
	}
	return news.NewSigner(secrets)
}

// Suppress stops all mail to an address for ever, whether it is subscribed or
// not: its subscriptions end (bounced, or unsubscribed for other reasons) and
// what was queued for it is not sent. Since every way onto a list asks the
// suppressions, an active subscription is never a suppressed one, and sending
// need not look again. Suppressing again keeps the later reason; an erased
// address stays erased.
func (s *Store) Suppress(ctx context.Context, addr news.Address, reason news.SuppressionReason, note string) error {
	switch reason {
	case news.SuppressedBounce, news.SuppressedComplaint, news.SuppressedManual:
	default: // an erasure is more: see EraseSubscriber
		return &news.FieldError{Field: "reason", Value: string(reason), Want: "bounce, complaint or manual"}
	}
	hash, err := s.addressHash(ctx, addr)
	if err != nil {
		return err
	}
	return s.write(ctx, "suppress address", func(t *tx) error {
		t.wake(news.WakeLists)
		id, err := t.personByKey(addr.Key)
		if err != nil {
			return err
		}
		if err := t.suppress(hash, addr.Spec, reason, note); err != nil || id == 0 {
			return err
		}
		return t.endSubscriptions(id, reason)
	})
}

// suppress writes the suppression alone.
func (t *tx) suppress(hash, address string, reason news.SuppressionReason, note string) error {
	_, err := t.exec(`INSERT INTO suppressions (address_hash, address, reason, note, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (address_hash) DO UPDATE SET address = excluded.address, reason = excluded.reason, note = excluded.note, at = excluded.at
		WHERE suppressions.reason <> 'erased'`, hash, address, string(reason), clean(note), ms(t.now))
	return err
}

// endSubscriptions takes a locked person off all lists and ends what is queued.
func (t *tx) endSubscriptions(subscriberID int64, reason news.SuppressionReason) error {
	state := news.SubscriptionUnsubscribed
	if reason == news.SuppressedBounce {
		state = news.SubscriptionBounced
	}
	var ids []int64
	if err := t.all(&ids, `UPDATE subscriptions SET state = $1, ended_at = $2
		WHERE subscriber_id = $3 AND state IN ('pending', 'active', 'paused') RETURNING id`, string(state), ms(t.now), subscriberID); err != nil {
		return err
	}
	for _, id := range ids {
		if err := t.trail("system", "suppress", id, string(reason)); err != nil {
			return err
		}
	}
	_, err := t.exec(`UPDATE deliveries SET state = 'suppressed', token = '', ended_at = $1
		WHERE subscriber_id = $2 AND state IN ('pending', 'deferred', 'claimed')`, ms(t.now), subscriberID)
	return err
}

// Unsuppress lets an address be mailed again. It brings back no subscription:
// the person has to ask anew. news.ErrNotFound if it is not suppressed.
func (s *Store) Unsuppress(ctx context.Context, addr news.Address) error {
	hash, err := s.addressHash(ctx, addr)
	if err != nil {
		return err
	}
	return s.write(ctx, "end suppression", func(t *tx) error {
		n, err := t.exec(`DELETE FROM suppressions WHERE address_hash = $1`, hash)
		if err == nil && n == 0 {
			err = news.ErrNotFound
		}
		return err
	})
}

// Suppressions pages through all suppressed addresses by row id, oldest first.
func (s *Store) Suppressions(ctx context.Context, afterID int64, limit int) ([]news.Suppression, error) {
	var out []news.Suppression
	err := s.read(ctx, "read suppressions", func(t *tx) error {
		var rows []struct {
			ID      int64  `db:"id"`
			Address string `db:"address"`
			Reason  string `db:"reason"`
			Note    string `db:"note"`
			At      int64  `db:"at"`
		}
		if err := t.all(&rows, `SELECT id, address, reason, note, at FROM suppressions WHERE id > $1 ORDER BY id LIMIT $2`, afterID, pageSize(limit)); err != nil {
			return err
		}
		out = make([]news.Suppression, 0, len(rows))
		for _, r := range rows {
			out = append(out, news.Suppression{ID: r.ID, Address: r.Address, Reason: news.SuppressionReason(r.Reason), Note: r.Note, At: at(r.At)})
		}
		return nil
	})
	return out, err
}

// suppressed returns which of the hashes are suppressed.
func (t *tx) suppressed(hashes ...string) (map[string]bool, error) {
	list, err := encode(hashes)
	if err != nil {
		return nil, err
	}
	var have []string
	if err := t.all(&have, `SELECT address_hash FROM suppressions WHERE address_hash `+t.d.inTexts("$1"), list); err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(have))
	for _, h := range have {
		out[h] = true
	}
	return out, nil
}

// trail keeps the evidence of what a person chose (GDPR art. 7(1), 7(3)): the
// row itself holds only the latest state.
func (t *tx) trail(actor, action string, subscriptionID int64, detail string) error {
	_, err := t.exec(`INSERT INTO audit (at, actor, action, object, detail) VALUES ($1, $2, $3, $4, $5)`,
		ms(t.now), actor, action, trailObject(subscriptionID), clean(detail))
	return err
}

func trailObject(subscriptionID int64) string { return fmt.Sprintf("subscription/%d", subscriptionID) }
