package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gazetted/internal/news"
)

// maxEventID bounds the identity of an event, which a provider chooses.
const maxEventID = 200

// mailed is whom a bounce is about.
type mailed struct {
	DeliveryID     int64 `db:"id"`
	SubscriberID   int64 `db:"subscriber_id"`
	SubscriptionID int64 `db:"subscription_id"`
}

// RecordBounce keeps an event and does what the policy makes of it, in one
// transaction: a hard bounce or a complaint suppresses the address and ends all
// its subscriptions, enough soft bounces end them without a suppression, an
// unsubscribe ends one. acted tells whether anything followed; an event that is
// known already changes nothing.
//
// news.ErrNotFound if no mail of ours is meant: an unknown delivery or
// subscription, a person who was erased, an address that was never mailed.
func (s *Store) RecordBounce(ctx context.Context, b news.Bounce) (acted bool, err error) {
	if err := checkBounce(b); err != nil {
		return false, err
	}
	signer, err := s.signer(ctx)
	if err != nil {
		return false, err
	}
	err = s.write(ctx, "record bounce", func(t *tx) error {
		acted = false
		who, err := t.mailed(b)
		if err != nil {
			return err
		}
		acted, err = t.recordBounce(signer, s.bounces, b, who)
		return err
	})
	return acted && err == nil, err
}

// recordBounce is RecordBounce about a locked person.
func (t *tx) recordBounce(signer *news.Signer, policy news.BouncePolicy, b news.Bounce, who mailed) (acted bool, err error) {
	at := b.At
	if at.IsZero() {
		at = t.now
	}
	id, err := t.insert(`INSERT INTO bounces (event_id, kind, via, delivery_id, subscriber_id, subscription_id, code, enhanced, diagnostic, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (event_id) DO NOTHING RETURNING id`,
		clean(b.EventID), string(b.Kind), clean(b.Via), who.DeliveryID, who.SubscriberID, who.SubscriptionID, b.Code, clean(b.Enhanced), clean(b.Diagnostic), ms(at))
	if errors.Is(err, news.ErrNotFound) {
		return false, nil // the event is known
	}
	if err != nil {
		return false, err
	}
	effect, err := t.bounceEffect(signer, b, who, policy)
	if err != nil || effect == news.EffectNone {
		return false, err
	}
	_, err = t.exec(`UPDATE bounces SET effect = $1 WHERE id = $2`, string(effect), id)
	return err == nil, err
}

func checkBounce(b news.Bounce) error {
	switch b.Kind {
	case news.BounceHard, news.BounceSoft, news.BounceComplaint, news.BounceUnsubscribe:
	default:
		return &news.FieldError{Field: "kind", Value: string(b.Kind), Want: "hard, soft, complaint or unsubscribe"}
	}
	if b.EventID == "" || len(b.EventID) > maxEventID {
		return &news.FieldError{Field: "event id", Value: b.EventID, Want: "1 to 200 bytes"}
	}
	if b.Via == "" {
		return &news.FieldError{Field: "via", Value: b.Via, Want: "the way it came"}
	}
	return nil
}

// mailed finds and locks the person that b is about.
func (t *tx) mailed(b news.Bounce) (mailed, error) {
	var who mailed
	var err error
	switch {
	case b.DeliveryID != 0:
		err = t.get(&who, `SELECT id, subscriber_id, subscription_id FROM deliveries WHERE id = $1`, b.DeliveryID)
	case b.SubscriptionID != 0:
		err = t.get(&who, `SELECT 0 AS id, subscriber_id, id AS subscription_id FROM subscriptions WHERE id = $1`, b.SubscriptionID)
	default:
		return t.mailedTo(b.Address)
	}
	if err != nil {
		return who, err
	}
	if b.SubscriptionID != 0 {
		who.SubscriptionID = b.SubscriptionID
	}
	return who, t.lockPerson(who.SubscriberID)
}

// mailedTo finds the latest mail that an address may have got: a provider's
// word counts only for somebody whom we have mailed.
func (t *tx) mailedTo(addr news.Address) (mailed, error) {
	var who mailed
	id, err := t.personByKey(addr.Key)
	if err != nil {
		return who, err
	}
	if id == 0 {
		return who, news.ErrNotFound
	}
	err = t.get(&who, `SELECT id, subscriber_id, subscription_id FROM deliveries
		WHERE subscriber_id = $1 AND (state IN ('accepted', 'dot_pending', 'uncertain') OR doubts > 0) ORDER BY id DESC LIMIT 1`, id)
	return who, err
}

// bounceEffect does what the policy says to a locked person.
func (t *tx) bounceEffect(signer *news.Signer, b news.Bounce, who mailed, policy news.BouncePolicy) (news.BounceEffect, error) {
	var soft news.SoftBounces
	if b.Kind == news.BounceSoft {
		var err error
		if soft, err = t.softBounces(who.SubscriberID, policy.WithDefaults().Silence); err != nil {
			return news.EffectNone, err
		}
	}
	effect := policy.Effect(b.Kind, soft)
	switch effect {
	case news.EffectSuppressed:
		return effect, t.suppressBounced(signer, b, who)
	case news.EffectBounced:
		t.wake(news.WakeLists)
		return effect, t.endSubscriptions(who.SubscriberID, news.SuppressedBounce)
	case news.EffectUnsubscribed:
		sub, err := t.subscriptionByID(who.SubscriptionID)
		if err != nil {
			return news.EffectNone, err
		}
		changed, err := t.unsubscribe(sub, b.Via)
		if err != nil || !changed {
			effect = news.EffectNone
		}
		return effect, err
	default:
		return news.EffectNone, nil
	}
}

func (t *tx) suppressBounced(signer *news.Signer, b news.Bounce, who mailed) error {
	var r struct {
		Address string `db:"address"`
		Key     string `db:"address_key"`
	}
	if err := t.get(&r, `SELECT address, address_key FROM subscribers WHERE id = $1`, who.SubscriberID); err != nil {
		return err
	}
	reason, note := news.SuppressedBounce, b.Via+": "+b.Enhanced+" "+b.Diagnostic
	switch {
	case b.Kind == news.BounceComplaint:
		reason, note = news.SuppressedComplaint, b.Via
	case b.Via == news.ViaReply:
		note = strings.TrimSpace(fmt.Sprintf("%d %s %s", b.Code, b.Enhanced, b.Diagnostic))
	}
	t.wake(news.WakeLists)
	if err := t.suppress(signer.KeyedHash(r.Key), r.Address, reason, note); err != nil {
		return err
	}
	return t.endSubscriptions(who.SubscriberID, reason)
}

// softBounces counts the mails of a person that bounced softly since one
// arrived: since a relay took it and nothing came back for the time of silence.
// What happened before they last confirmed a subscription is forgiven. What a
// relay said itself counts only if it took the same edition for somebody else:
// one that wants none of our mail for a week must not cost us all readers.
func (t *tx) softBounces(subscriberID int64, silence time.Duration) (news.SoftBounces, error) {
	since, err := t.lastConfirmed(subscriberID)
	if err != nil {
		return news.SoftBounces{}, err
	}
	var arrived int64
	if err := t.get(&arrived, `SELECT coalesce(max(d.ended_at), 0) FROM deliveries d WHERE d.subscriber_id = $1 AND d.state = 'accepted' AND d.ended_at <= $2
		AND NOT EXISTS (SELECT 1 FROM bounces b WHERE b.subscriber_id = $1 AND b.kind IN ('soft', 'hard') AND b.delivery_id = d.id AND b.via <> $3)`,
		subscriberID, ms(t.now.Add(-silence)), news.ViaReply); err != nil {
		return news.SoftBounces{}, err
	}
	var r struct {
		Count int   `db:"count"`
		First int64 `db:"first"`
		Last  int64 `db:"last"`
	}
	err = t.get(&r, `SELECT count(DISTINCT b.delivery_id) AS count, coalesce(min(b.at), 0) AS first, coalesce(max(b.at), 0) AS last
		FROM bounces b WHERE b.subscriber_id = $1 AND b.kind = 'soft' AND b.at > $2 AND (b.via <> $3 OR EXISTS (SELECT 1 FROM deliveries o
			WHERE o.edition_id = (SELECT d.edition_id FROM deliveries d WHERE d.id = b.delivery_id AND d.edition_id > 0) AND o.state = 'accepted'))`,
		subscriberID, max(since, arrived), news.ViaReply)
	return news.SoftBounces{Count: r.Count, First: at(r.First), Last: at(r.Last)}, err
}

// CountIgnoredBounce notes that something came in that was not believed, or
// that needed nothing to be done. No more than a count is kept: a forger could
// fill a disk.
func (s *Store) CountIgnoredBounce(ctx context.Context, via, reason string) error {
	return s.write(ctx, "count ignored bounce", func(t *tx) error {
		_, err := t.exec(`INSERT INTO bounces_ignored (via, reason, count, last_at) VALUES ($1, $2, 1, $3)
			ON CONFLICT (via, reason) DO UPDATE SET count = bounces_ignored.count + 1, last_at = excluded.last_at`, clean(via), clean(reason), ms(t.now))
		return err
	})
}

// Bounces pages through what was recorded, newest first, from before an id
// (0: from the newest).
func (s *Store) Bounces(ctx context.Context, beforeID int64, limit int) ([]news.BounceRecord, error) {
	var out []news.BounceRecord
	err := s.read(ctx, "read bounces", func(t *tx) error {
		var rows []struct {
			ID             int64   `db:"id"`
			EventID        string  `db:"event_id"`
			Kind           string  `db:"kind"`
			Via            string  `db:"via"`
			DeliveryID     int64   `db:"delivery_id"`
			SubscriptionID int64   `db:"subscription_id"`
			Code           int     `db:"code"`
			Enhanced       string  `db:"enhanced"`
			Diagnostic     string  `db:"diagnostic"`
			Effect         string  `db:"effect"`
			At             int64   `db:"at"`
			Address        *string `db:"address"`
		}
		if err := t.all(&rows, `SELECT b.id, b.event_id, b.kind, b.via, b.delivery_id, b.subscription_id, b.code, b.enhanced, b.diagnostic, b.effect, b.at, s.address
			FROM bounces b LEFT JOIN subscribers s ON s.id = b.subscriber_id WHERE b.id < $1 ORDER BY b.id DESC LIMIT $2`, before(beforeID), pageSize(limit)); err != nil {
			return err
		}
		out = make([]news.BounceRecord, 0, len(rows))
		for _, r := range rows {
			rec := news.BounceRecord{ID: r.ID, Effect: news.BounceEffect(r.Effect), Bounce: news.Bounce{
				Kind: news.BounceKind(r.Kind), DeliveryID: r.DeliveryID, SubscriptionID: r.SubscriptionID, Code: r.Code, Enhanced: r.Enhanced,
				Diagnostic: r.Diagnostic, Via: r.Via, EventID: r.EventID, At: at(r.At),
			}}
			if r.Address != nil {
				rec.Recipient = *r.Address
			}
			out = append(out, rec)
		}
		return nil
	})
	return out, err
}

// IgnoredBounces are the counts of what was ignored, by way and reason.
func (s *Store) IgnoredBounces(ctx context.Context) ([]news.IgnoredBounces, error) {
	var out []news.IgnoredBounces
	err := s.read(ctx, "read ignored bounces", func(t *tx) error {
		var rows []struct {
			Via    string `db:"via"`
			Reason string `db:"reason"`
			Count  int    `db:"count"`
			LastAt int64  `db:"last_at"`
		}
		if err := t.all(&rows, `SELECT via, reason, count, last_at FROM bounces_ignored ORDER BY via, reason`); err != nil {
			return err
		}
		out = make([]news.IgnoredBounces, 0, len(rows))
		for _, r := range rows {
			out = append(out, news.IgnoredBounces{Via: r.Via, Reason: r.Reason, Count: r.Count, LastAt: at(r.LastAt)})
		}
		return nil
	})
	return out, err
}

// DeliveriesTo returns the latest mails to an address, newest first: those whose
// Message-ID a report may name. Nobody of that address is an empty answer.
func (s *Store) DeliveriesTo(ctx context.Context, addr news.Address, limit int) ([]news.Delivery, error) {
	var out []news.Delivery
	err := s.read(ctx, "read deliveries", func(t *tx) error {
		var id int64
		err := t.get(&id, `SELECT id FROM subscribers WHERE address_key = $1`, addr.Key)
		if errors.Is(err, news.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		var rows []deliveryRow
		if err := t.all(&rows, deliverySelect+`WHERE d.subscriber_id = $1 ORDER BY d.id DESC LIMIT $2`, id, pageSize(limit)); err != nil {
			return err
		}
		for _, r := range rows {
			out = append(out, r.delivery())
		}
		return nil
	})
	return out, err
}
