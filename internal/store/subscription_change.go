package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"gazetted/internal/news"
)

// Confirm makes a pending subscription active, from the present Seq on: what
// was published before is never mailed. clientIP, shortened, completes the
// consent. Confirming again changes nothing; whoever left meanwhile gets
// news.ErrToken, an unknown subscription is news.ErrNotFound.
func (s *Store) Confirm(ctx context.Context, subscriptionID int64, clientIP string) (news.Subscription, error) {
	var out news.Subscription
	err := s.write(ctx, "confirm subscription", func(t *tx) error {
		sub, err := t.lockedSubscription(subscriptionID)
		if err != nil {
			return err
		}
		switch out = sub; sub.State {
		case news.SubscriptionActive, news.SubscriptionPaused:
			return nil
		case news.SubscriptionPending:
		default:
			return news.ErrToken
		}
		sub.Consent.ConfirmedAt, sub.Consent.ConfirmIP = t.now, clean(clientIP)
		consent, err := encode(sub.Consent)
		if err != nil {
			return err
		}
		seq, err := t.seq()
		if err != nil {
			return err
		}
		l, err := t.listByID(sub.ListID)
		if err != nil {
			return err
		}
		t.wake(news.WakeLists)
		if _, err := t.exec(`UPDATE subscriptions SET state = 'active', served_through = $1, confirmed_at = $2, ended_at = 0, consent = $3 WHERE id = $4`,
			seq, ms(t.now), consent, sub.ID); err != nil {
			return err
		}
		if err := t.ensureSchedule(l, sub.Frequency, sub.Zone); err != nil {
			return err
		}
		out, err = t.subscriptionByID(sub.ID)
		return err
	})
	if err != nil {
		return news.Subscription{}, err
	}
	return out, nil
}

// Unsubscribe ends a subscription; reason is kept for the record. After it
// returned no message of the list gets its final dot: what was queued, and what
// a courier holds but has not finished, is suppressed, so that the courier's
// MarkDot fails. Unsubscribing again changes nothing. An unknown subscription
// is news.ErrNotFound.
func (s *Store) Unsubscribe(ctx context.Context, subscriptionID int64, reason string) (news.Subscription, error) {
	var out news.Subscription
	err := s.write(ctx, "unsubscribe", func(t *tx) error {
		sub, err := t.lockedSubscription(subscriptionID)
		if err != nil {
			return err
		}
		if _, err := t.unsubscribe(sub, reason); err != nil {
			return err
		}
		out, err = t.subscriptionByID(sub.ID)
		return err
	})
	return out, err
}

// unsubscribe ends a locked subscription; false: it had ended so already.
func (t *tx) unsubscribe(sub news.Subscription, reason string) (bool, error) {
	if sub.State == news.SubscriptionUnsubscribed {
		return false, nil
	}
	t.wake(news.WakeLists)
	if _, err := t.exec(`UPDATE subscriptions SET state = 'unsubscribed', ended_at = $1 WHERE id = $2`, ms(t.now), sub.ID); err != nil {
		return false, err
	}
	if err := t.trail("subscriber", "unsubscribe", sub.ID, reason); err != nil {
		return false, err
	}
	_, err := t.exec(`UPDATE deliveries SET state = 'suppressed', token = '', ended_at = $1
		WHERE subscriber_id = $2 AND subscription_id = $3 AND state IN ('pending', 'deferred', 'claimed')`, ms(t.now), sub.SubscriberID, sub.ID)
	return err == nil, err
}

// SetPreferences changes what a subscriber may change. How far they have been
// served stays, so that a switch of frequency, topics or zone, or a pause,
// loses and repeats nothing. An ended subscription is news.ErrStale, an unknown
// one news.ErrNotFound, a wrong value a *news.FieldError.
func (s *Store) SetPreferences(ctx context.Context, subscriptionID int64, p news.Preferences) error {
	if err := checkZone(p.Zone); err != nil {
		return err
	}
	if err := checkLanguage(p.Language); err != nil {
		return err
	}
	return s.write(ctx, "set preferences", func(t *tx) error {
		sub, err := t.lockedSubscription(subscriptionID)
		if err != nil {
			return err
		}
		switch sub.State {
		case news.SubscriptionUnsubscribed, news.SubscriptionBounced:
			return news.ErrStale
		case news.SubscriptionActive, news.SubscriptionPaused:
			sub.State = news.SubscriptionActive
			if p.Paused {
				sub.State = news.SubscriptionPaused
			}
		}
		t.wake(news.WakeLists)
		if err := t.setPreferredPerson(sub.SubscriberID, p); err != nil {
			return err
		}
		return t.setPreferredPlace(sub, p)
	})
}

func (t *tx) setPreferredPerson(subscriberID int64, p news.Preferences) error {
	var have subscriberRow
	if err := t.get(&have, `SELECT `+subscriberColumns+` FROM subscribers WHERE id = $1`, subscriberID); err != nil {
		return err
	}
	want := have
	want.Zone, want.Language = cmp.Or(p.Zone, have.Zone), cmp.Or(p.Language, have.Language)
	if p.Name != nil {
		want.Name = news.CleanName(*p.Name)
	}
	if want == have {
		return nil
	}
	return t.setPerson(have, want)
}

func (t *tx) setPreferredPlace(sub news.Subscription, p news.Preferences) error {
	l, err := t.listByID(sub.ListID)
	if err != nil {
		return err
	}
	frequency, err := frequencyOf(l, cmp.Or(p.Frequency, sub.Frequency))
	if err != nil {
		return err
	}
	terms, err := t.currentTopics(p.Topics)
	if err != nil {
		return err
	}
	topics, err := checkTopics(p.Topics, terms)
	if err != nil {
		return err
	}
	var zone string
	if err := t.get(&zone, `UPDATE subscriptions SET state = $1, frequency = $2, topics = $3 WHERE id = $4 RETURNING zone`,
		string(sub.State), frequency, topics, sub.ID); err != nil {
		return err
	}
	if err := t.trail("subscriber", "preferences", sub.ID, fmt.Sprintf("%s %s %s", sub.State, frequency, topics)); err != nil {
		return err
	}
	if sub.State == news.SubscriptionPaused {
		return t.takeBack(sub)
	}
	if sub.State != news.SubscriptionActive {
		return nil
	}
	return t.ensureSchedule(l, frequency, zone)
}

// takeBack ends the mails that wait for a subscriber who pauses, and puts the
// subscription back to before them: their articles come after the pause.
func (t *tx) takeBack(sub news.Subscription) error {
	var from []int64
	if err := t.all(&from, `UPDATE deliveries SET state = 'suppressed', token = '', ended_at = $1, reply = 'paused by the subscriber'
		WHERE subscriber_id = $2 AND subscription_id = $3 AND kind = 'edition' AND state IN ('pending', 'deferred', 'claimed') RETURNING served_from`,
		ms(t.now), sub.SubscriberID, sub.ID); err != nil || len(from) == 0 {
		return err
	}
	_, err := t.exec(`UPDATE subscriptions SET served_through = $1 WHERE id = $2 AND served_through > $1`, slices.Min(from), sub.ID)
	return err
}
