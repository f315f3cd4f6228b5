package store

import (
	"context"
	"fmt"
	"slices"

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
	err = s.write(ctx, "settle deliveries", func(t *tx) error {
		if err := t.recordOutcomes(signer, s.bounces, other); err != nil {
			return err
		}
		if err := t.recordAccepted(usual); err != nil {
			return err
		}
		return t.markDots(dots, may)
	})
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

// settled is a row of the JSON that the statements below join with.
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

// recordAccepted is recordOutcomes for the usual case, in one statement.
func (t *tx) recordAccepted(outcomes []news.Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	rows := make([]settled, len(outcomes))
	for i, o := range outcomes {
		rows[i] = settled{ID: o.DeliveryID, Token: o.Token, Relay: clean(o.Relay), At: ms(o.At), Code: o.Code, Enhanced: clean(o.Enhanced), Reply: clean(o.Reply)}
		if o.At.IsZero() {
			rows[i].At = ms(t.now)
		}
	}
	list, err := encode(rows)
	if err != nil {
		return err
	}
	var crashes []int
	if err := t.all(&crashes, acceptQuery(t.d), list); err != nil {
		return err
	}
	if slices.ContainsFunc(crashes, func(n int) bool { return n > 0 }) {
		t.wake(news.WakeOutbox) // the next of its kind may be claimed now
	}
	return nil
}

// acceptQuery: a reply often repeats the address: of the erased it is not kept.
func acceptQuery(d dialect) string {
	return `UPDATE deliveries SET state = 'accepted', token = '', ended_at = o.at, relay = o.relay, code = o.code, enhanced = o.enhanced,
			reply = CASE WHEN EXISTS (SELECT 1 FROM subscribers s WHERE s.id = deliveries.subscriber_id) THEN o.reply ELSE '' END
		FROM ` + d.settled + ` AS o
		WHERE deliveries.id = o.id AND deliveries.token = o.token AND o.token <> ''
			AND deliveries.state IN ('claimed', 'dot_pending', 'deferred', 'uncertain')
		RETURNING deliveries.crashes`
}

// What the statements about dots have in common.
const dotOurs = ` WHERE deliveries.id = o.id AND deliveries.token = o.token AND o.token <> '' AND deliveries.state = 'claimed'`

func dotPaused(d dialect) string {
	return `(EXISTS (SELECT 1 FROM settings WHERE name = 'paused' AND value = 'true' OR name = o.relay)
		OR EXISTS (SELECT 1 FROM lists l WHERE l.id = deliveries.list_id AND l.paused)` + d.orMoved + `)`
}

func dotQuery(d dialect) string {
	return `UPDATE deliveries SET state = 'dot_pending', next_at = o.at + deliveries.lease FROM ` + d.settled + ` AS o` +
		dotOurs + ` AND deliveries.next_at > o.at AND NOT ` + dotPaused(d) + ` RETURNING deliveries.id`
}

// markDots moves claimed deliveries to dot_pending by compare-and-set, and says
// in may which were.
func (t *tx) markDots(dots []news.Dot, may []bool) error {
	if len(dots) == 0 {
		return nil
	}
	rows := make([]settled, len(dots))
	for i, d := range dots {
		rows[i] = settled{ID: d.DeliveryID, Token: d.Token, Relay: pausedRelay + clean(d.Relay), At: ms(t.lease)}
	}
	list, err := encode(rows)
	if err != nil {
		return err
	}
	var marked []int64
	if err := t.all(&marked, dotQuery(t.d), list); err != nil {
		return err
	}
	in := make(map[int64]bool, len(marked))
	for _, id := range marked {
		in[id] = true
	}
	for i, d := range dots {
		may[i] = in[d.DeliveryID]
	}
	if len(marked) == len(dots) {
		return nil
	}
	_, err = t.exec(`UPDATE deliveries SET state = 'deferred', token = '', next_at = $2, attempts = attempts - 1 FROM `+t.d.settled+` AS o`+
		dotOurs+` AND `+dotPaused(t.d), list, ms(t.now))
	return err
}

// MarkDot is Settle for one dot on a connection to a relay that nobody paused.
func (s *Store) MarkDot(ctx context.Context, deliveryID int64, token string) (bool, error) {
	may, err := s.Settle(ctx, nil, []news.Dot{{DeliveryID: deliveryID, Token: token}})
	return err == nil && may[0], err
}
