package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gazetted/internal/news"
)

// deliveryObject is what the audit log calls a delivery.
func deliveryObject(id int64) string { return fmt.Sprintf("delivery/%d", id) }

// Delivery reads one delivery with what its relays said and what admins did to
// it. None is news.ErrNotFound.
func (s *Store) Delivery(ctx context.Context, id int64) (news.DeliveryHistory, error) {
	var h news.DeliveryHistory
	err := s.read(ctx, fmt.Sprintf("read delivery %d", id), func(t *tx) error {
		var r deliveryRow
		err := t.get(&r, deliverySelect+`WHERE d.id = $1`, id)
		if err != nil {
			return err
		}
		h.Delivery = r.delivery()
		if err := t.get(&h.List, `SELECT name FROM lists WHERE id = $1`, r.ListID); err != nil {
			return err
		}
		if err := t.get(&h.Subject, `SELECT subject FROM variants WHERE id = $1`, r.VariantID); err != nil {
			return err
		}
		if h.Replies, err = t.attempts(h.Delivery); err != nil {
			return err
		}
		h.Log, err = t.log(deliveryObject(id))
		return err
	})
	return h, err
}

// log reads what was done to one object, the oldest first.
func (t *tx) log(object string) ([]news.LogEntry, error) {
	var rows []struct {
		At     int64  `db:"at"`
		Actor  string `db:"actor"`
		Action string `db:"action"`
		Detail string `db:"detail"`
	}
	if err := t.all(&rows, `SELECT at, actor, action, detail FROM audit WHERE object = $1 ORDER BY id`, object); err != nil {
		return nil, err
	}
	out := make([]news.LogEntry, 0, len(rows))
	for _, r := range rows {
		out = append(out, news.LogEntry{At: at(r.At), Actor: r.Actor, Action: r.Action, Detail: r.Detail})
	}
	return out, nil
}

// Uncertain is Deliveries for those that are held because their final reply was
// lost. ResolveUncertain decides about each.
func (s *Store) Uncertain(ctx context.Context, q news.DeliveryQuery) ([]news.Delivery, error) {
	q.State = news.DeliveryUncertain
	return s.Deliveries(ctx, q)
}

// handled is a delivery in the hands of an admin.
type handled struct {
	ID        int64  `db:"id"`
	Kind      string `db:"kind"`
	EditionID int64  `db:"edition_id"`
	State     string `db:"state"`
	ExpiresAt int64  `db:"expires_at"`
	Reader    string `db:"reader"` // state of the subscription; '': the person was erased
}

const handledSelect = `SELECT d.id, d.kind, d.edition_id, d.state, d.expires_at,
	coalesce((SELECT p.state FROM subscriptions p WHERE p.id = d.subscription_id), '') AS reader FROM deliveries d `

// handle locks a delivery, and before it its edition, so that the edition's
// counts are not taken meanwhile.
func (t *tx) handle(id int64) (handled, error) {
	var edition int64
	err := t.get(&edition, `SELECT e.id FROM editions e WHERE e.id = (SELECT d.edition_id FROM deliveries d WHERE d.id = $1)`+t.d.forUpdate, id)
	if err != nil && !errors.Is(err, news.ErrNotFound) { // not found: a confirmation belongs to none
		return handled{}, err
	}
	var r handled
	err = t.get(&r, handledSelect+`WHERE d.id = $1`+t.d.forUpdate, id)
	return r, err
}

// wrongState says what would be right.
func (r handled) wrongState(want string) error {
	return &news.FieldError{Field: "delivery", Value: fmt.Sprint(r.ID), Want: fmt.Sprintf("%s; this one is %s", want, r.State)}
}

// retryable is nil if the delivery may be sent again.
func (r handled) retryable(now time.Time) error {
	switch news.DeliveryState(r.State) {
	case news.DeliveryRefused, news.DeliveryExpired, news.DeliveryQuarantined, news.DeliveryUncertain, news.DeliveryDeferred:
		return r.wanted(now)
	default:
		return r.wrongState("one that is refused, expired, quarantined, uncertain or deferred")
	}
}

// wanted is nil if the reader still waits for it. What they do not is never
// sent: the next claim would end it as suppressed.
func (r handled) wanted(now time.Time) error {
	want := news.SubscriptionActive
	if r.Kind == string(news.VariantConfirm) {
		want = news.SubscriptionPending
		if r.ExpiresAt > 0 && r.ExpiresAt <= ms(now) { // as its link has
			return &news.FieldError{Field: "delivery", Value: fmt.Sprint(r.ID), Want: "a confirmation that has not expired; the reader may sign up again"}
		}
	}
	if r.Reader == string(want) {
		return nil
	}
	return &news.FieldError{Field: "delivery", Value: fmt.Sprint(r.ID), Want: "one whose reader still wants it; this one's is " + cmp.Or(r.Reader, "erased")}
}

// RetryDelivery makes one delivery due now: one that was refused, has expired,
// was quarantined, or is deferred or uncertain. Message-ID and bytes stay as
// they were. If it was no longer worth sending, it is for another day. A
// delivery that was quarantined is sent alone, and quarantined again if it
// takes the sender down once more. Its edition is under way again.
//
// None is news.ErrNotFound; one in another state, or whose reader has left or is
// suppressed, a *news.FieldError.
func (s *Store) RetryDelivery(ctx context.Context, id int64) error {
	return s.write(ctx, fmt.Sprintf("retry delivery %d", id), func(t *tx) error {
		r, err := t.handle(id)
		if err != nil {
			return err
		}
		if err := r.retryable(t.now); err != nil {
			return err
		}
		return t.retry("retry", []handled{r})
	})
}

// RetryEdition is RetryDelivery for the next limit deliveries of an edition in
// one state, by id. It returns how many are due now, how many were passed over
// because their readers have left, and the id to go on from; 0: that was all.
func (s *Store) RetryEdition(ctx context.Context, editionID int64, state news.DeliveryState, afterID int64, limit int) (retried, left int, next int64, err error) {
	err = s.write(ctx, fmt.Sprintf("retry edition %d", editionID), func(t *tx) error {
		retried, left, next = 0, 0, 0
		var id int64
		if err := t.get(&id, `SELECT e.id FROM editions e WHERE e.id = $1`+t.d.forUpdate, editionID); err != nil {
			return err
		}
		var rows, good []handled
		if err := t.all(&rows, handledSelect+`WHERE d.edition_id = $1 AND d.state = $2 AND d.id > $3 ORDER BY d.id LIMIT $4`+t.d.forUpdate,
			editionID, string(state), afterID, pageSize(limit)); err != nil {
			return err
		}
		for _, r := range rows {
			if r.wanted(t.now) != nil {
				left++
				continue
			}
			if err := r.retryable(t.now); err != nil {
				return err
			}
			good = append(good, r)
		}
		if len(rows) == pageSize(limit) {
			next = rows[len(rows)-1].ID
		}
		retried = len(good)
		return t.retry("retry", good)
	})
	return retried, left, next, err
}

// retry makes locked deliveries of one locked edition due. A token stays: until
// somebody claims the delivery, a courier that was thought lost may still tell
// what happened.
func (t *tx) retry(action string, rows []handled) error {
	if len(rows) == 0 {
		return nil
	}
	ids := make([]int64, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	list, err := encode(ids)
	if err != nil {
		return err
	}
	if _, err := t.exec(`INSERT INTO audit (at, actor, action, object, detail)
		SELECT CAST($1 AS BIGINT), 'admin', CAST($2 AS TEXT), 'delivery/' || d.id, 'was ' || d.state FROM deliveries d WHERE d.id `+t.d.inInts("$3")+` ORDER BY d.id`,
		ms(t.now), action, list); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE deliveries SET state = 'deferred', next_at = $1, ended_at = 0,
		expires_at = CASE WHEN kind = 'edition' AND expires_at < $2 THEN CAST($2 AS BIGINT) ELSE expires_at END,
		crashes = CASE WHEN crashes >= $3 THEN CAST($3 AS BIGINT) - 1 ELSE crashes END
		WHERE id `+t.d.inInts("$4"), ms(t.now), ms(t.now.Add(minExpiry)), maxCrashes, list); err != nil {
		return err
	}
	t.wake(news.WakeOutbox)
	if rows[0].EditionID == 0 {
		return nil
	}
	_, err = t.exec(`UPDATE editions SET state = 'closed', done_at = 0, counts = '' WHERE id = $1 AND state = 'done'`, rows[0].EditionID)
	return err
}

// FailDelivery gives up a delivery that waits or is held: it is refused for
// that reason, which is needed. What a courier has in hand fails its last check
// and is not sent; once the final dot may be on its way, nothing can be failed.
//
// None is news.ErrNotFound; one that has ended, or awaits the reply to its dot,
// a *news.FieldError.
func (s *Store) FailDelivery(ctx context.Context, id int64, reason string) error {
	why, err := failReason(reason)
	if err != nil {
		return err
	}
	return s.write(ctx, fmt.Sprintf("fail delivery %d", id), func(t *tx) error {
		r, err := t.handle(id)
		if err != nil {
			return err
		}
		if err := r.failable(); err != nil {
			return err
		}
		return t.settle(r, news.DeliveryRefused, "fail", why)
	})
}

// failReason stands in place of a reply.
func failReason(reason string) (string, error) {
	if reason = strings.TrimSpace(clean(reason)); reason == "" {
		return "", &news.FieldError{Field: "reason", Value: reason, Want: "a few words for whoever looks at it later"}
	}
	return cutReply("given up by an admin: " + reason), nil
}

// failable is nil if the delivery can be given up.
func (r handled) failable() error {
	switch news.DeliveryState(r.State) {
	case news.DeliveryPending, news.DeliveryClaimed, news.DeliveryDeferred, news.DeliveryUncertain:
		return nil
	case news.DeliveryDotPending:
		return r.wrongState("one that can still be stopped")
	default:
		return r.wrongState("one that has not ended")
	}
}

// FailDeliveries is FailDelivery for the next limit deliveries of an edition in
// one state. It returns how many were given up; fewer than limit: that was all.
func (s *Store) FailDeliveries(ctx context.Context, editionID int64, state news.DeliveryState, reason string, limit int) (failed int, err error) {
	why, err := failReason(reason)
	if err != nil {
		return 0, err
	}
	err = s.write(ctx, fmt.Sprintf("fail deliveries of edition %d", editionID), func(t *tx) error {
		failed = 0
		var id int64
		if err := t.get(&id, `SELECT e.id FROM editions e WHERE e.id = $1`+t.d.forUpdate, editionID); err != nil {
			return err
		}
		var rows []handled
		if err := t.all(&rows, handledSelect+`WHERE d.edition_id = $1 AND d.state = $2 ORDER BY d.id LIMIT $3`+t.d.forUpdate,
			editionID, string(state), pageSize(limit)); err != nil {
			return err
		}
		for _, r := range rows {
			if err := r.failable(); err != nil {
				return err
			}
		}
		failed = len(rows)
		return t.settleAll(rows, news.DeliveryRefused, "fail", why)
	})
	return failed, err
}

// ResolveUncertain decides about a delivery that is held because its final
// reply was lost: it was delivered, and counts as accepted; or it is sent again
// now, with the same Message-ID, perhaps for the second time. None is
// news.ErrNotFound; one that is not uncertain a *news.FieldError.
func (s *Store) ResolveUncertain(ctx context.Context, id int64, delivered bool) error {
	return s.write(ctx, fmt.Sprintf("resolve delivery %d", id), func(t *tx) error {
		r, err := t.handle(id)
		if err != nil {
			return err
		}
		if r.State != string(news.DeliveryUncertain) {
			return r.wrongState("one that is uncertain")
		}
		if delivered {
			return t.settle(r, news.DeliveryAccepted, "resolve", "delivered, says an admin")
		}
		if err := r.retryable(t.now); err != nil {
			return err
		}
		return t.retry("resend", []handled{r})
	})
}

// settle ends a locked delivery by an admin's word.
func (t *tx) settle(r handled, state news.DeliveryState, action, why string) error {
	return t.settleAll([]handled{r}, state, action, why)
}

// settleAll is settle for deliveries of one edition. No relay is named: none has
// said it.
func (t *tx) settleAll(rows []handled, state news.DeliveryState, action, why string) error {
	if len(rows) == 0 {
		return nil
	}
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	list, err := encode(ids)
	if err != nil {
		return err
	}
	if _, err := t.exec(`INSERT INTO audit (at, actor, action, object, detail)
		SELECT CAST($1 AS BIGINT), 'admin', CAST($2 AS TEXT), 'delivery/' || d.id, 'was ' || d.state || CAST($3 AS TEXT)
		FROM deliveries d WHERE d.id `+t.d.inInts("$4")+` ORDER BY d.id`, ms(t.now), action, "; "+why, list); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE deliveries SET state = $1, token = '', ended_at = $2, relay = '', code = 0, enhanced = '', reply = $3
		WHERE id `+t.d.inInts("$4"), string(state), ms(t.now), why, list); err != nil {
		return err
	}
	return t.finishEdition(rows[0].EditionID)
}

// paceOver is the stretch of time over which speed is measured.
const paceOver = time.Minute

// Pace measures how fast an edition goes out. It looks at every delivery of the
// edition that has ended. No such edition is news.ErrNotFound.
func (s *Store) Pace(ctx context.Context, editionID int64) (news.Pace, error) {
	var p news.Pace
	err := s.read(ctx, "measure edition", func(t *tx) error {
		e, err := t.editionByID(editionID)
		if err != nil {
			return err
		}
		counts, err := t.tally(editionID)
		if err != nil {
			return err
		}
		for state, n := range counts {
			if !state.Ended() && state != news.DeliveryUncertain {
				p.Waiting += n
			}
		}
		over := paceOver
		if age := t.now.Sub(e.ClosedAt); age > 0 {
			over = max(min(over, age), time.Second)
		}
		var ended int
		if err := t.get(&ended, `SELECT count(*) FROM deliveries WHERE edition_id = $1
			AND state IN ('accepted', 'refused', 'suppressed', 'expired', 'quarantined') AND ended_at > $2`, editionID, ms(t.now.Add(-over))); err != nil {
			return err
		}
		p.PerSecond = float64(ended) / over.Seconds()
		if ended > 0 && p.Waiting > 0 {
			p.Left = news.Duration(time.Duration(float64(p.Waiting) / p.PerSecond * float64(time.Second)).Round(time.Second))
		}
		return nil
	})
	return p, err
}
