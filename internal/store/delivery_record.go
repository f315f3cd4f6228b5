package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gazetted/internal/news"
)

// What a delivery may go through before it is quarantined.
const (
	// maxCrashes counts attempts that ended without an outcome.
	maxCrashes = 3
	// maxDoubts counts final dots after which a crash left the reply unknown:
	// with the second there may be two copies already.
	maxDoubts = 2
)

// progress is what sending changes in a delivery.
type progress struct {
	ID           int64  `db:"id"`
	ListID       int64  `db:"list_id"`
	SubscriberID int64  `db:"subscriber_id"`
	Subscription int64  `db:"subscription_id"`
	State        string `db:"state"`
	Token        string `db:"token"`
	Attempts     int    `db:"attempts"`
	Crashes      int    `db:"crashes"`
	Doubts       int    `db:"doubts"`
	NextAt       int64  `db:"next_at"`
	ExpiresAt    int64  `db:"expires_at"`
	EndedAt      int64  `db:"ended_at"`
	Relay        string `db:"relay"`
	Code         int    `db:"code"`
	Enhanced     string `db:"enhanced"`
	Reply        string `db:"reply"`
	Known        bool   `db:"known"` // false: the person was erased
}

const progressSelect = `SELECT d.id, d.list_id, d.subscriber_id, d.subscription_id, d.state, d.token, d.attempts, d.crashes, d.doubts, d.next_at, d.expires_at,
	d.ended_at, d.relay, d.code, d.enhanced, d.reply, EXISTS (SELECT 1 FROM subscribers s WHERE s.id = d.subscriber_id) AS known FROM deliveries d `

func (p *progress) end(state news.DeliveryState, now time.Time) {
	p.State, p.EndedAt, p.Token = string(state), ms(now), ""
}

// RecordOutcomes stores what became of attempts, all in one transaction. An
// outcome counts if its token is still that of the delivery's latest claim,
// even after the lease, as long as nobody has claimed it since: a late truth is
// a truth. Others are passed over.
//
// A delivery that would be tried again only after it expires has expired. One
// whose final reply was lost is sent again or held, as its list says. One that
// ends by a reply about its recipient (Bounce) is a bounce: see RecordBounce.
func (s *Store) RecordOutcomes(ctx context.Context, outcomes []news.Outcome) error {
	_, err := s.Settle(ctx, outcomes, nil)
	return err
}

// recordOutcomes stores any outcomes; signer is needed if one of them suppresses.
func (t *tx) recordOutcomes(signer *news.Signer, policy news.BouncePolicy, outcomes []news.Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	byID := make(map[int64]news.Outcome, len(outcomes))
	for _, o := range outcomes {
		byID[o.DeliveryID] = o
	}
	if err := t.lockBounced(byID); err != nil {
		return err
	}
	rows, err := t.progressOf(byID)
	if err != nil {
		return err
	}
	hold, err := t.holdingLists()
	if err != nil {
		return err
	}
	changed := make([]progress, 0, len(rows))
	var attempts []settled
	for _, p := range rows {
		o := byID[p.ID]
		if o.Token == "" || o.Token != p.Token || news.DeliveryState(p.State).Ended() {
			continue
		}
		if p.Crashes > 0 {
			t.wake(news.WakeOutbox) // the next of its kind may be claimed now
		}
		p = p.after(o, hold[p.ListID], t.now)
		if changed = append(changed, p); worthKeeping(o) {
			attempts = append(attempts, p.attempt(o, t.now))
		}
	}
	if err := t.storeProgress(changed); err != nil {
		return err
	}
	if err := t.storeAttempts(attempts); err != nil {
		return err
	}
	for _, p := range changed {
		if o := byID[p.ID]; p.Known && p.bounced(o) {
			if err := t.bounceReply(signer, policy, p, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// after is p once o is known. Pure.
func (p progress) after(o news.Outcome, hold bool, now time.Time) progress {
	if !o.At.IsZero() {
		now = o.At
	}
	p.Relay, p.Code, p.Enhanced, p.Reply, p.Token = clean(o.Relay), o.Code, clean(o.Enhanced), clean(o.Reply), ""
	if !p.Known { // a reply often repeats the address
		p.Reply = ""
	}
	if o.FreeAttempt {
		p.Attempts = max(0, p.Attempts-1)
	}
	if o.State.Ended() {
		p.end(o.State, now)
		return p
	}
	p.State, p.NextAt = string(news.DeliveryDeferred), ms(o.NextAt)
	if o.NextAt.IsZero() {
		p.NextAt = ms(now)
	}
	if o.State == news.DeliveryUncertain {
		p.Crashes++
		p.Doubts++
		switch {
		case hold:
			p.State = string(news.DeliveryUncertain)
			return p
		case p.Crashes >= maxCrashes:
			p.end(news.DeliveryQuarantined, now)
			return p
		}
	}
	if p.ExpiresAt > 0 && p.NextAt >= p.ExpiresAt {
		p.end(news.DeliveryExpired, now)
	}
	return p
}

// lockBounced locks the people whose subscriptions may end by it, before
// any of their deliveries: the order in which everybody locks.
func (t *tx) lockBounced(byID map[int64]news.Outcome) error {
	ids := []int64{}
	for id, o := range byID {
		if o.Bounce != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	list, err := encode(ids)
	if err != nil {
		return err
	}
	var people []int64
	return t.all(&people, `SELECT s.id FROM subscribers s WHERE s.id IN (SELECT d.subscriber_id FROM deliveries d WHERE d.id `+t.d.inInts("$1")+`)
		ORDER BY s.id`+t.d.forUpdate, list)
}

func (t *tx) progressOf(byID map[int64]news.Outcome) ([]progress, error) {
	ids := make([]int64, 0, len(byID))
	for id := range byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	list, err := encode(ids)
	if err != nil {
		return nil, err
	}
	var rows []progress
	err = t.all(&rows, progressSelect+`WHERE d.id `+t.d.inInts("$1")+` ORDER BY d.id`+t.d.forUpdate, list)
	return rows, err
}

// holdingLists are the lists that never risk a second copy.
func (t *tx) holdingLists() (map[int64]bool, error) {
	var ids []int64
	if err := t.all(&ids, `SELECT id FROM lists WHERE on_uncertain = 'hold'`); err != nil {
		return nil, err
	}
	out := make(map[int64]bool, len(ids))
	for _, id := range ids {
		out[id] = true
	}
	return out, nil
}

// bounced tells whether p has ended by a reply about its recipient.
func (p progress) bounced(o news.Outcome) bool {
	return o.Bounce != "" && (p.State == string(news.DeliveryRefused) || p.State == string(news.DeliveryExpired))
}

// bounceReply records a relay's last word about a recipient as a bounce. A mail
// that is tried again and refused again is one.
func (t *tx) bounceReply(signer *news.Signer, policy news.BouncePolicy, p progress, o news.Outcome) error {
	_, err := t.recordBounce(signer, policy, news.Bounce{
		Kind: o.Bounce, DeliveryID: p.ID, SubscriptionID: p.Subscription, Code: p.Code, Enhanced: p.Enhanced, Diagnostic: cutReply(p.Reply),
		Via: news.ViaReply, EventID: fmt.Sprintf("%s:%d", news.ViaReply, p.ID), At: at(p.EndedAt),
	}, mailed{DeliveryID: p.ID, SubscriberID: p.SubscriberID, SubscriptionID: p.Subscription})
	return err
}

// storeChunk is how many rows one UPDATE takes. Of 500, SQLite took most of
// its time to read the statement.
const storeChunk = 100

// storeProgress writes all rows in a few statements. The casts tell PostgreSQL
// the types of a VALUES list; the names column1 … are those of both databases.
// The list of ids says once more which rows are meant, because SQLite, after an
// ANALYZE, looks up each of a million deliveries in a long VALUES list.
func (t *tx) storeProgress(all []progress) error {
	for rows := range slices.Chunk(all, storeChunk) {
		var values strings.Builder
		args := make([]any, 0, 12*len(rows)+1)
		ids := make([]int64, 0, len(rows))
		for i, p := range rows {
			if i > 0 {
				values.WriteString(", ")
			}
			n := len(args)
			fmt.Fprintf(&values, `(CAST($%d AS BIGINT), CAST($%d AS TEXT), CAST($%d AS TEXT), CAST($%d AS BIGINT), CAST($%d AS BIGINT), CAST($%d AS BIGINT),
				CAST($%d AS BIGINT), CAST($%d AS BIGINT), CAST($%d AS TEXT), CAST($%d AS BIGINT), CAST($%d AS TEXT), CAST($%d AS TEXT))`,
				n+1, n+2, n+3, n+4, n+5, n+6, n+7, n+8, n+9, n+10, n+11, n+12)
			args = append(args, p.ID, p.State, p.Token, p.Attempts, p.Crashes, p.Doubts, p.NextAt, p.EndedAt, p.Relay, p.Code, p.Enhanced, p.Reply)
			ids = append(ids, p.ID)
		}
		list, err := encode(ids)
		if err != nil {
			return err
		}
		args = append(args, list)
		if _, err := t.exec(`UPDATE deliveries SET state = o.column2, token = o.column3, attempts = o.column4, crashes = o.column5, doubts = o.column6,
			next_at = o.column7, ended_at = o.column8, relay = o.column9, code = o.column10, enhanced = o.column11, reply = o.column12
			FROM (VALUES `+values.String()+`) AS o WHERE deliveries.id = o.column1 AND deliveries.id `+t.d.inInts(fmt.Sprintf("$%d", len(args))), args...); err != nil {
			return err
		}
	}
	return nil
}

// leasedQuery reads all of deliveries_leased: no more than couriers hold. What
// ends further ahead than its lease lasts was claimed before the shared clock was
// set back.
const leasedQuery = progressSelect + `WHERE d.state IN ('claimed', 'dot_pending') AND (d.next_at <= $1 OR d.next_at > CAST($2 AS BIGINT) + d.lease)
	ORDER BY d.id`

// RecoverDeliveries gives back what was claimed by somebody who did not return
// within the lease, and reports how many. What had not come to the final dot is
// due again at once. What had is uncertain: it is sent again or held, as its
// list says. A delivery that was in hand at three crashes, or whose dot was
// sent twice, is quarantined.
func (s *Store) RecoverDeliveries(ctx context.Context) (int, error) {
	if err := s.followClocks(ctx); err != nil {
		return 0, err
	}
	over, ahead := s.leases.trust()
	if !over {
		return 0, nil
	}
	n := 0
	err := s.write(ctx, "recover deliveries", func(t *tx) error {
		var rows []progress
		limit := int64(math.MaxInt32) * 1000 // no lease
		if ahead {
			limit = ms(t.lease.Add(clockSlack))
		}
		if err := t.all(&rows, leasedQuery+t.d.skipLocked, ms(t.lease), limit); err != nil {
			return err
		}
		if n = len(rows); n == 0 {
			return nil
		}
		hold, err := t.holdingLists()
		if err != nil {
			return err
		}
		together := map[string]int{}
		for _, p := range rows {
			if p.State == string(news.DeliveryClaimed) {
				together[p.Token]++
			}
		}
		var attempts []settled
		for i, p := range rows {
			alone := together[p.Token] == 1
			rows[i] = p.recovered(alone, hold[p.ListID], t.now)
			if alone || p.State == string(news.DeliveryDotPending) {
				attempts = append(attempts, p.lost(t.now))
			}
		}
		t.wake(news.WakeOutbox)
		if err := t.storeProgress(rows); err != nil {
			return err
		}
		return t.storeAttempts(attempts)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// recovered is p after its courier was lost. Pure. Which of the deliveries of one
// claim were in hand, one per connection, and which waited, is written
// nowhere: that would be one commit more per message. So each that is left
// comes under suspicion, which makes it come alone from now on (see claim), and
// only one that was alone is charged with an attempt: whoever was in hand at the
// first of three crashes is found at the third, and whoever only waited can be
// taken for it only after two more crashes with it alone in hand. The token
// stays: should the courier be alive after all, it may still tell what happened.
func (p progress) recovered(alone, hold bool, now time.Time) progress {
	p.NextAt = ms(now)
	p.Crashes++
	if p.State == string(news.DeliveryClaimed) && !alone {
		p.Attempts = max(0, p.Attempts-1)
	}
	if p.State == string(news.DeliveryDotPending) {
		p.Doubts++
		p.Relay, p.Code, p.Enhanced, p.Reply = "", 0, "", lostAtDot
		if hold {
			p.State = string(news.DeliveryUncertain)
			return p
		}
	}
	p.State = string(news.DeliveryDeferred)
	if p.Crashes >= maxCrashes || p.Doubts >= maxDoubts {
		p.end(news.DeliveryQuarantined, now)
	}
	return p
}

// What stands in place of the reply that nobody read.
const (
	lostAtDot  = "the sender was lost between the final dot and its reply"
	lostBefore = "the sender was lost before the final dot"
)

// lost is the attempt of a delivery whose courier did not come back.
func (p progress) lost(now time.Time) settled {
	if p.State == string(news.DeliveryDotPending) {
		return settled{ID: p.ID, At: ms(now), State: string(news.DeliveryUncertain), Reply: lostAtDot}
	}
	return settled{ID: p.ID, At: ms(now), State: string(news.DeliveryDeferred), Reply: lostBefore}
}
