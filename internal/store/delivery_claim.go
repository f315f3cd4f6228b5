package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"gazetted/internal/news"
)

// maxRounds bounds how many batches one claim looks through when all that is
// due has expired or was left.
const maxRounds = 10

// ClaimDeliveries hands up to limit due deliveries to the caller, in the order
// in which they are to be sent; until lease is over nobody else gets them.
// Their attempt is counted and their next one lies ahead when it returns, so
// that a crash never hammers the relay. The lease must be longer than the wait
// for a reply (10 minutes, RFC 5321 §4.5.3.2.6): it begins anew at MarkDot.
//
// Confirmations come before editions, because somebody waits for them; lists
// share the rest. What has expired, or whose reader has left, is ended here and
// not returned. A delivery that may have been in hand at a crash comes alone, after
// the others, and this process gets the next of them only when that one has its
// outcome: should there be another crash, it is known at which of them. While everything is paused there is nothing to
// claim.
func (s *Store) ClaimDeliveries(ctx context.Context, limit int, lease time.Duration) ([]news.Delivery, error) {
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	var out []news.Delivery
	err = s.write(ctx, "claim deliveries", func(t *tx) error {
		out = nil
		if paused, err := t.paused(); err != nil || paused {
			return err
		}
		behind := ""
		for range maxRounds {
			rows, err := t.dueDeliveries(limit, behind)
			if err != nil || len(rows) == 0 {
				return err
			}
			suspects := false
			if out, suspects, err = t.claim(rows, token, s.leases.owner, lease); err != nil || len(out) > 0 {
				return err
			}
			if suspects {
				behind = clearOnly
			}
		}
		t.wake(news.WakeOutbox) // there may be more behind
		return nil
	})
	return out, err
}

// The queries over deliveries_due, one range of it per list and kind. The probe
// for lists is a sub-select with a limit, which PostgreSQL cannot turn into a
// join: the join would read all that is due of a list to find the next list.
const (
	dueRange      = `d.kind = $1 AND d.state IN ('pending', 'deferred') AND d.next_at <= $2`
	dueListsQuery = `SELECT l.id FROM lists l WHERE NOT l.paused
		AND (SELECT 1 FROM deliveries d WHERE d.list_id = l.id AND ` + dueRange + ` ORDER BY d.next_at LIMIT 1) IS NOT NULL ORDER BY l.id`
	dueQuery = `SELECT ` + deliveryColumns + ` FROM deliveries d WHERE ` + dueRange + ` AND d.list_id = $3`
	dueOrder = ` ORDER BY d.next_at LIMIT $4`
	// clearOnly looks behind deliveries that may have been in hand at a crash.
	clearOnly = ` AND d.crashes = 0`
	// suspectsQuery reads deliveries_leased: no more than couriers hold. What another
	// process holds, alive or not, does not go down with this one.
	suspectsQuery = `SELECT count(*) FROM deliveries d WHERE d.state IN ('claimed', 'dot_pending') AND d.crashes > 0 AND d.token LIKE $1`
)

// suspectInHand tells whether this process holds a delivery that may have been
// in hand at a crash.
func (t *tx) suspectInHand(owner string) (bool, error) {
	var n int
	err := t.get(&n, suspectsQuery, owner+"%")
	return n > 0, err
}

// dueDeliveries locks what is to be claimed next, of one kind. which is a
// further condition.
func (t *tx) dueDeliveries(limit int, which string) ([]deliveryRow, error) {
	for _, kind := range []news.VariantKind{news.VariantConfirm, news.VariantEdition} {
		var lists []int64
		if err := t.all(&lists, dueListsQuery, string(kind), ms(t.now)); err != nil {
			return nil, err
		}
		var out []deliveryRow
		for i, id := range lists {
			share := (limit - len(out) + len(lists) - i - 1) / (len(lists) - i)
			if share <= 0 {
				break
			}
			var rows []deliveryRow
			if err := t.all(&rows, dueQuery+which+dueOrder+t.d.skipLocked, string(kind), ms(t.now), id, share); err != nil {
				return nil, err
			}
			out = append(out, rows...)
		}
		if len(out) > 0 {
			// By id, as they were made: those of one instant come in no order.
			slices.SortFunc(out, func(a, b deliveryRow) int { return cmp.Compare(a.ID, b.ID) })
			return out, nil
		}
	}
	return nil, nil
}

// reader is who a delivery goes to, read in the transaction of the claim.
type reader struct {
	ID      int64  `db:"id"`
	State   string `db:"state"`
	Address string `db:"address"`
	Name    string `db:"name"`
}

// readersQuery finds the people of subscriptions. CROSS JOIN keeps SQLite, after an
// ANALYZE, from reading all subscribers to find a few.
const readersQuery = `SELECT p.id, p.state, s.address, s.name FROM subscriptions p CROSS JOIN subscribers s
	WHERE s.id = p.subscriber_id AND p.id `

func (t *tx) readers(rows []deliveryRow) (map[int64]reader, error) {
	ids := make([]int64, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.SubscriptionID)
	}
	list, err := encode(ids)
	if err != nil {
		return nil, err
	}
	var have []reader
	if err := t.all(&have, readersQuery+t.d.inInts("$1"), list); err != nil {
		return nil, err
	}
	out := make(map[int64]reader, len(have))
	for _, r := range have {
		out[r.ID] = r
	}
	return out, nil
}

// claim takes those of rows that may be sent now and ends those that need not
// be. waiting: there are only such as have to wait for one that is in hand.
func (t *tx) claim(rows []deliveryRow, token, owner string, lease time.Duration) (out []news.Delivery, waiting bool, err error) {
	readers, err := t.readers(rows)
	if err != nil {
		return nil, false, err
	}
	var (
		expired, left    []int64
		clear, suspected []deliveryRow
	)
	for _, r := range rows {
		wanted := news.SubscriptionActive
		if r.Kind == string(news.VariantConfirm) {
			wanted = news.SubscriptionPending
		}
		switch {
		case r.ExpiresAt > 0 && r.ExpiresAt <= ms(t.now):
			expired = append(expired, r.ID)
		case readers[r.SubscriptionID].State != string(wanted):
			left = append(left, r.ID)
		case r.Crashes > 0:
			suspected = append(suspected, r)
		default:
			clear = append(clear, r)
		}
	}
	if err := t.endDeliveries(news.DeliveryExpired, expired); err != nil {
		return nil, false, err
	}
	if err := t.endDeliveries(news.DeliverySuppressed, left); err != nil {
		return nil, false, err
	}
	if len(clear) == 0 && len(suspected) > 0 {
		if waiting, err = t.suspectInHand(owner); err != nil || waiting {
			return nil, waiting, err
		}
		// Those who were least often in hand at a crash first: one that brings down
		// every process must not keep the innocent waiting.
		clear = []deliveryRow{slices.MinFunc(suspected, func(a, b deliveryRow) int {
			return cmp.Or(cmp.Compare(a.Crashes, b.Crashes), cmp.Compare(a.NextAt, b.NextAt), cmp.Compare(a.ID, b.ID))
		})}
	}
	out, err = t.take(clear, readers, token, lease)
	return out, false, err
}

// endDeliveries ends deliveries that nobody holds.
func (t *tx) endDeliveries(state news.DeliveryState, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := encode(ids)
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE deliveries SET state = $1, token = '', ended_at = $2 WHERE id `+t.d.inInts("$3"), string(state), ms(t.now), list)
	return err
}

// take claims rows under one token.
func (t *tx) take(rows []deliveryRow, readers map[int64]reader, token string, lease time.Duration) ([]news.Delivery, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	until := t.lease.Add(lease)
	ids := make([]int64, 0, len(rows))
	out := make([]news.Delivery, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.ID)
		d := r.delivery()
		d.State, d.Token, d.NextAt = news.DeliveryClaimed, token, until
		d.Attempts++
		d.Address = readers[r.SubscriptionID].Address
		if d.Kind != news.VariantConfirm { // a stranger may have put the name into the form
			d.Name = readers[r.SubscriptionID].Name
		}
		out = append(out, d)
	}
	list, err := encode(ids)
	if err != nil {
		return nil, err
	}
	_, err = t.exec(`UPDATE deliveries SET state = 'claimed', token = $1, attempts = attempts + 1, next_at = $2, lease = $3 WHERE id `+t.d.inInts("$4"),
		token, ms(until), lease.Milliseconds(), list)
	return out, err
}
