package store

import (
	"strings"
	"time"

	"gazetted/internal/news"
)

const (
	// keptAttempts is how many of a delivery's attempts are kept: with back-off
	// more than a day of them.
	keptAttempts = 10
	// maxReply bounds a kept reply, in bytes. A line of a reply has at most 512
	// (RFC 5321 §4.5.3.1.5).
	maxReply = 500
)

// attempt is a row of delivery_attempts.
type attempt struct {
	Number   int    `db:"number"`
	At       int64  `db:"at"`
	Relay    string `db:"relay"`
	State    string `db:"state"`
	Code     int    `db:"code"`
	Enhanced string `db:"enhanced"`
	Reply    string `db:"reply"`
}

func (r attempt) attempt() news.Attempt {
	return news.Attempt{
		Number: r.Number, At: at(r.At), Relay: r.Relay, State: news.DeliveryState(r.State), Code: r.Code, Enhanced: r.Enhanced, Reply: r.Reply,
	}
}

// attempt is what o says of the attempt after which p stands where it does.
func (p progress) attempt(o news.Outcome, now time.Time) settled {
	if !o.At.IsZero() {
		now = o.At
	}
	return settled{ID: p.ID, At: ms(now), Relay: p.Relay, State: string(o.State), Code: p.Code, Enhanced: p.Enhanced, Reply: cutReply(p.Reply)}
}

// worthKeeping tells whether o goes into the attempts. What was accepted stands
// in the delivery itself, so that the usual case costs nothing; what was given
// back before it met a relay was no attempt.
func worthKeeping(o news.Outcome) bool {
	return o.Relay != "" && o.State != news.DeliveryAccepted
}

// cutReply shortens s to maxReply bytes without breaking a character.
func cutReply(s string) string {
	if len(s) <= maxReply {
		return s
	}
	return strings.ToValidUTF8(s[:maxReply], "")
}

// storeAttempts keeps attempts of deliveries that this transaction has locked,
// one of each, and lets the oldest of those with too many go.
func (t *tx) storeAttempts(all []settled) error {
	if len(all) == 0 {
		return nil
	}
	list, err := encode(all)
	if err != nil {
		return err
	}
	var many []int64
	var stored []struct {
		ID     int64 `db:"delivery_id"`
		Number int   `db:"number"`
	}
	if err := t.all(&stored, `INSERT INTO delivery_attempts (delivery_id, number, at, relay, state, code, enhanced, reply)
		SELECT o.id, 1 + coalesce((SELECT max(a.number) FROM delivery_attempts a WHERE a.delivery_id = o.id), 0),
			o.at, o.relay, o.state, o.code, o.enhanced, o.reply
		FROM `+t.d.settled+` AS o RETURNING delivery_id, number`, list); err != nil {
		return err
	}
	for _, r := range stored {
		if r.Number > keptAttempts {
			many = append(many, r.ID)
		}
	}
	if len(many) == 0 {
		return nil
	}
	if list, err = encode(many); err != nil {
		return err
	}
	_, err = t.exec(`DELETE FROM delivery_attempts WHERE delivery_id `+t.d.inInts("$1")+`
		AND number <= (SELECT max(a.number) FROM delivery_attempts a WHERE a.delivery_id = delivery_attempts.delivery_id) - $2`, list, keptAttempts)
	return err
}

// attempts reads what is kept of a delivery's attempts, the oldest first. The
// one that was accepted stands in the delivery; one that an admin settled has
// no relay.
func (t *tx) attempts(d news.Delivery) ([]news.Attempt, error) {
	var rows []attempt
	if err := t.all(&rows, `SELECT number, at, relay, state, code, enhanced, reply FROM delivery_attempts
		WHERE delivery_id = $1 ORDER BY number`, d.ID); err != nil {
		return nil, err
	}
	out := make([]news.Attempt, 0, len(rows)+1)
	last := 0
	for _, r := range rows {
		out = append(out, r.attempt())
		last = r.Number
	}
	if d.State == news.DeliveryAccepted && d.Relay != "" {
		out = append(out, news.Attempt{
			Number: last + 1, At: d.EndedAt, Relay: d.Relay, State: d.State, Code: d.Code, Enhanced: d.Enhanced, Reply: cutReply(d.Reply),
		})
	}
	return out, nil
}
