package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"gazetted/internal/news"
)

// Settle stores, in one transaction, what became of attempts and which
// deliveries are about to get their final dot: a connection waits for one
// commit per message, and those that wait at the same time share it.
//
// Outcomes: see RecordOutcomes. Dots: the answer says, in their order, whether
// the dot may be sent. It is false if the delivery is not the caller's to send:
// the lease is over, the reader has left, or sending (all of it, the list, or
// the relay) was paused; then the delivery is handed back. The caller must then
// drop the connection without the dot. After true the mail may have been
// delivered, whatever happens; the lease begins anew.
func (s *Store) Settle(ctx context.Context, outcomes []news.Outcome, dots []news.Dot) ([]bool, error) {
	if len(outcomes)+len(dots) == 0 {
		return nil, nil
	}
	var usual, other []news.Outcome
	for _, o := range outcomes {
		switch {
		case !o.State.Ended() && o.State != news.DeliveryDeferred && o.State != news.DeliveryUncertain:
			return nil, fmt.Errorf("record outcomes: %q is no outcome", o.State)
		case o.State == news.DeliveryAccepted && !o.FreeAttempt && o.Bounce == "":
			usual = append(usual, o)
		default:
			other = append(other, o)
		}
	}
	signer, err := s.signerFor(ctx, other)
	if err != nil {
		return nil, err
	}
	may := make([]bool, len(dots))
	settle := func(t *tx) error {
		if err := t.recordOutcomes(signer, s.bounces, other); err != nil {
			return err
		}
		return t.settleUsual(usual, dots, may)
	}
	if len(other) == 0 {
		err = s.single(ctx, "settle deliveries", settle)
	} else {
		err = s.write(ctx, "settle deliveries", settle)
	}
	return may, err
}

// signerFor is needed only to suppress somebody.
func (s *Store) signerFor(ctx context.Context, outcomes []news.Outcome) (*news.Signer, error) {
	for _, o := range outcomes {
		if o.Bounce == news.BounceHard {
			return s.signer(ctx)
		}
	}
	return nil, nil
}

// settled is a row that the statements below take: in JSON, in arrays, or by itself.
type settled struct {
	ID       int64  `json:"id"`
	Token    string `json:"token"`
	Relay    string `json:"relay"`
	At       int64  `json:"at"`
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Reply    string `json:"reply"`
	State    string `json:"state"` // of an attempt
}

// settleUsual is recordOutcomes for the usual case, and moves claimed deliveries to
// dot_pending by compare-and-set; it says in may which were.
func (t *tx) settleUsual(accepted []news.Outcome, dots []news.Dot, may []bool) error {
	ended, asking := make([]settled, len(accepted)), make([]settled, len(dots))
	for i, o := range accepted {
		ended[i] = settled{ID: o.DeliveryID, Token: o.Token, Relay: clean(o.Relay), At: ms(o.At), Code: o.Code, Enhanced: clean(o.Enhanced), Reply: clean(o.Reply)}
		if o.At.IsZero() {
			ended[i].At = ms(t.now)
		}
	}
	for i, d := range dots {
		asking[i] = settled{ID: d.DeliveryID, Token: d.Token, Relay: pausedRelay + clean(d.Relay), At: ms(t.lease)}
	}
	suspects, err := t.d.settle(t, ended, asking, may)
	if err != nil {
		return err
	}
	if suspects {
		t.wake(news.WakeOutbox) // the next of its kind may be claimed now
	}
	if !slices.Contains(may, false) {
		return nil
	}
	list, err := encode(asking)
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE deliveries SET state = 'deferred', token = '', next_at = $2, attempts = attempts - 1 FROM `+t.d.settled+` AS o
		WHERE deliveries.id = o.id AND deliveries.token = o.token AND o.token <> '' AND deliveries.state = 'claimed'
			AND (EXISTS (SELECT 1 FROM settings WHERE name = 'paused' AND value = 'true' OR name = o.relay)
				OR EXISTS (SELECT 1 FROM lists l WHERE l.id = deliveries.list_id AND l.paused)`+t.d.orMoved+`)`, list, ms(t.now))
	return err
}

// What SQLite runs for each row. A join with JSON took twice as long. A reply
// often repeats the address: of the erased it is not kept.
const (
	acceptOne = `UPDATE deliveries SET state = 'accepted', token = '', ended_at = $3, relay = $4, code = $5, enhanced = $6,
			reply = CASE WHEN EXISTS (SELECT 1 FROM subscribers s WHERE s.id = subscriber_id) THEN $7 ELSE '' END
		WHERE id = $1 AND token = $2 AND $2 <> '' AND state IN ('claimed', 'dot_pending', 'deferred', 'uncertain')`
	unsuspected = ` AND crashes = 0`
	dotOne      = `UPDATE deliveries SET state = 'dot_pending', next_at = $3 + lease
		WHERE id = $1 AND token = $2 AND $2 <> '' AND state = 'claimed' AND next_at > $3
			AND NOT EXISTS (SELECT 1 FROM settings WHERE name = 'paused' AND value = 'true' OR name = $4)
			AND NOT EXISTS (SELECT 1 FROM lists l WHERE l.id = list_id AND l.paused)`
)

// settleSQLite says whether one of accepted had been in hand at a crash.
func settleSQLite(t *tx, accepted, dots []settled, may []bool) (suspects bool, err error) {
	bind := func(r settled) []any {
		return []any{r.ID, r.Token, r.At, r.Relay, int64(r.Code), r.Enhanced, r.Reply}
	}
	changed := make([]bool, len(accepted))
	if err := t.each(acceptOne+unsuspected, accepted, bind, changed); err != nil {
		return false, err
	}
	if slices.Contains(changed, false) { // of those, and of what is not the caller's any more
		clear(changed)
		if err := t.each(acceptOne, accepted, bind, changed); err != nil {
			return false, err
		}
		suspects = slices.Contains(changed, true)
	}
	return suspects, t.each(dotOne, dots, func(r settled) []any { return []any{r.ID, r.Token, r.At, r.Relay} }, may)
}

// settleQuery calls the function that does the same (see its migration): one
// statement, whose plans PostgreSQL keeps with the connection.
const settleQuery = `SELECT suspects, dots FROM settle_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

func settlePostgres(t *tx, accepted, dots []settled, may []bool) (suspects bool, err error) {
	a, d := columnsOf(accepted), columnsOf(dots)
	var r struct {
		Suspects bool          `db:"suspects"`
		Dots     pq.Int64Array `db:"dots"`
	}
	if err := t.get(&r, settleQuery, ms(t.lease), a.ids, a.tokens, a.ats, a.relays, a.codes, a.enhanced, a.replies, d.ids, d.tokens, d.relays); err != nil {
		return false, err
	}
	for i, one := range dots {
		may[i] = slices.Contains(r.Dots, one.ID)
	}
	return r.Suspects, nil
}

// columns are rows as arrays.
type columns struct {
	ids, ats, codes                   pq.Int64Array
	tokens, relays, enhanced, replies pq.StringArray
}

func columnsOf(rows []settled) (c columns) {
	for _, r := range rows {
		c.ids, c.ats, c.codes = append(c.ids, r.ID), append(c.ats, r.At), append(c.codes, int64(r.Code))
		c.tokens, c.relays = append(c.tokens, r.Token), append(c.relays, r.Relay)
		c.enhanced, c.replies = append(c.enhanced, r.Enhanced), append(c.replies, r.Reply)
	}
	return c
}

// MarkDot is Settle for one dot on a connection to a relay that nobody paused.
func (s *Store) MarkDot(ctx context.Context, deliveryID int64, token string) (bool, error) {
	may, err := s.Settle(ctx, nil, []news.Dot{{DeliveryID: deliveryID, Token: token}})
	return err == nil && may[0], err
}
