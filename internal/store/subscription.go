package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"gazetted/internal/news"
)

type subscriptionRow struct {
	ID            int64  `db:"id"`
	SubscriberID  int64  `db:"subscriber_id"`
	ListID        int64  `db:"list_id"`
	ListName      string `db:"list_name"`
	State         string `db:"state"`
	Frequency     string `db:"frequency"`
	Topics        string `db:"topics"`
	Zone          string `db:"zone"`
	ServedThrough int64  `db:"served_through"`
	CreatedAt     int64  `db:"created_at"`
	ConfirmedAt   int64  `db:"confirmed_at"`
	EndedAt       int64  `db:"ended_at"`
	Consent       string `db:"consent"`
}

const subscriptionSelect = `SELECT p.id, p.subscriber_id, p.list_id, l.name AS list_name, p.state, p.frequency, p.topics, p.zone, p.served_through,
	p.created_at, p.confirmed_at, p.ended_at, p.consent FROM subscriptions p JOIN lists l ON l.id = p.list_id `

func (r subscriptionRow) subscription() (news.Subscription, error) {
	s := news.Subscription{
		ID: r.ID, SubscriberID: r.SubscriberID, ListID: r.ListID, ListName: r.ListName, State: news.SubscriptionState(r.State),
		Frequency: r.Frequency, Zone: r.Zone, ServedThrough: r.ServedThrough,
		CreatedAt: at(r.CreatedAt), ConfirmedAt: at(r.ConfirmedAt), EndedAt: at(r.EndedAt),
	}
	if err := decode(r.Topics, &s.Topics); err != nil {
		return s, err
	}
	return s, decode(r.Consent, &s.Consent)
}

// Limits of confirmation mails to one address over all lists, so that sign-up
// forms cannot be turned against anybody's mailbox.
const (
	confirmPause  = 10 * time.Minute // between two
	confirmPerDay = 3
	confirmEver   = 5 // since the person last confirmed anything
	// confirmFor is how long a confirmation is worth sending, and its link good.
	confirmFor = 7 * 24 * time.Hour
)

// request is a SubscribeRequest that has been checked against its list.
type request struct {
	news.SubscribeRequest
	list     news.List
	topics   string
	hash     string
	imported bool // a list of addresses brings nobody back who left
}

// Subscribe asks for a place on a list. Unless req.Confirmed, the place is
// pending and confirm, the rendered confirmation, is queued with it: to one
// address at most one in ten minutes, three a day and five before it confirms
// anything, over all lists. A person who is on the list already, active or
// paused, is left as they are and gets no mail; one who left starts anew, with
// new consent and from the present Seq. A suppressed address changes nothing.
//
// An unknown list, or, unless req.Confirmed, one that is not public, is
// news.ErrNotFound; a wrong frequency, topic, zone or language is a
// *news.FieldError.
func (s *Store) Subscribe(ctx context.Context, req news.SubscribeRequest, confirm *news.Variant) (news.SubscribeResult, error) {
	hash, err := s.addressHash(ctx, req.Address)
	if err != nil {
		return news.SubscribeResult{}, err
	}
	var res news.SubscribeResult
	err = s.write(ctx, "subscribe to list "+req.List, func(t *tx) error {
		res = news.SubscribeResult{}
		l, err := t.listByName(req.List)
		if err != nil {
			return err
		}
		terms, err := t.currentTopics(req.Topics)
		if err != nil {
			return err
		}
		r, err := checkRequest(req, l, terms)
		if err != nil {
			return err
		}
		r.hash = hash
		suppressed, err := t.suppressed(hash)
		if err != nil {
			return err
		}
		if suppressed[hash] {
			res.Suppressed = true
			return nil
		}
		if res, err = t.place(r); err != nil {
			return err
		}
		if confirm != nil && res.Subscription.State == news.SubscriptionPending {
			res.ConfirmQueued, err = t.queueConfirm(res.Subscription, *confirm)
		}
		return err
	})
	return res, err
}

// checkRequest finds a person's mistakes before anything is stored.
func checkRequest(req news.SubscribeRequest, l news.List, terms map[news.Topic]news.Topic) (request, error) {
	r := request{SubscribeRequest: req, list: l}
	if !l.Public && !req.Confirmed {
		return r, news.ErrNotFound // a private list does not even show that it exists
	}
	var err error
	if r.Frequency, err = frequencyOf(l, req.Frequency); err != nil {
		return r, err
	}
	if r.topics, err = checkTopics(req.Topics, terms); err != nil {
		return r, err
	}
	if err := checkZone(req.Zone); err != nil {
		return r, err
	}
	return r, checkLanguage(req.Language)
}

// frequencyOf returns the frequency that name means: the list's first for "".
func frequencyOf(l news.List, name string) (string, error) {
	if name == "" {
		return l.Frequencies[0].Name, nil
	}
	if _, ok := l.Frequency(name); ok {
		return name, nil
	}
	names := make([]string, 0, len(l.Frequencies))
	for _, f := range l.Frequencies {
		names = append(names, f.Name)
	}
	return "", &news.FieldError{Field: "frequency", Value: name, Want: "one of " + strings.Join(names, ", ")}
}

// checkTopics returns the text for the column; terms is from currentTopics.
func checkTopics(topics []news.Topic, terms map[news.Topic]news.Topic) (string, error) {
	out := make([]news.Topic, 0, len(topics))
	for _, topic := range topics {
		if _, err := news.ParseTopic(string(topic)); err != nil {
			return "", err
		}
		now, ok := terms[topic]
		if !ok {
			return "", &news.FieldError{Field: "topic", Value: string(topic), Want: "a category or tag that has been published"}
		}
		out = append(out, now)
	}
	return topicsText(out)
}

// place makes or renews the subscription of a checked request.
func (t *tx) place(r request) (news.SubscribeResult, error) {
	var res news.SubscribeResult
	person, err := t.person(r.SubscribeRequest)
	if err != nil {
		return res, err
	}
	var have subscriptionRow
	err = t.get(&have, subscriptionSelect+`WHERE p.subscriber_id = $1 AND p.list_id = $2`, person.ID, r.list.ID)
	res.Created = errors.Is(err, news.ErrNotFound)
	if err != nil && !res.Created {
		return res, err
	}
	id := have.ID
	switch state := news.SubscriptionState(have.State); {
	case res.Created:
		id, err = t.addSubscription(r, person)
	case state == news.SubscriptionActive || state == news.SubscriptionPaused:
		// They are on the list; nobody else's form changes how.
	case state != news.SubscriptionPending && r.imported:
		// They left.
	default:
		err = t.renewSubscription(r, person, have)
	}
	if err != nil {
		return res, err
	}
	res.Subscription, err = t.subscriptionByID(id)
	return res, err
}

// opened is the state, the instant of confirmation and the consent with which
// a place begins.
func (t *tx) opened(r request) (state news.SubscriptionState, confirmedAt int64, consent string, err error) {
	c := r.Consent
	if c.RequestedAt.IsZero() {
		c.RequestedAt = t.now
	}
	c.Source, c.Form = clean(c.Source), clean(c.Form)
	state = news.SubscriptionPending
	if r.Confirmed {
		state, confirmedAt = news.SubscriptionActive, ms(t.now)
		if c.ConfirmedAt.IsZero() {
			c.ConfirmedAt = t.now
		}
	}
	consent, err = encode(c)
	return state, confirmedAt, consent, err
}

func (t *tx) addSubscription(r request, person subscriberRow) (int64, error) {
	state, confirmedAt, consent, err := t.opened(r)
	if err != nil {
		return 0, err
	}
	seq, err := t.seq()
	if err != nil {
		return 0, err
	}
	t.wake(news.WakeLists)
	zone := zoneFor(r.list, person.Zone)
	id, err := t.insert(`INSERT INTO subscriptions (subscriber_id, list_id, state, frequency, topics, language, zone, served_through, created_at, confirmed_at, ended_at, consent)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11) RETURNING id`,
		person.ID, r.list.ID, string(state), r.Frequency, r.topics, person.Language, zone, seq, ms(t.now), confirmedAt, consent)
	if err != nil || state != news.SubscriptionActive {
		return id, err
	}
	return id, t.ensureSchedule(r.list, r.Frequency, zone)
}

// renewSubscription starts a place anew that is pending or has ended. The old
// consent goes to the trail. confirmed_at stays that of the last confirmation
// until there is a new one: the limits of confirmation mails count from it.
func (t *tx) renewSubscription(r request, person subscriberRow, have subscriptionRow) error {
	state, confirmedAt, consent, err := t.opened(r)
	if err != nil {
		return err
	}
	seq, err := t.seq()
	if err != nil {
		return err
	}
	if have.State != string(news.SubscriptionPending) {
		if err := t.trail("subscriber", "resubscribe", have.ID, have.Consent); err != nil {
			return err
		}
	}
	t.wake(news.WakeLists)
	zone := zoneFor(r.list, person.Zone)
	if _, err := t.exec(`UPDATE subscriptions SET state = $1, frequency = $2, topics = $3, language = $4, zone = $5, served_through = $6,
		confirmed_at = $7, ended_at = 0, consent = $8 WHERE id = $9`,
		string(state), r.Frequency, r.topics, person.Language, zone, seq, max(confirmedAt, have.ConfirmedAt), consent, have.ID); err != nil {
		return err
	}
	if state != news.SubscriptionActive {
		return nil
	}
	return t.ensureSchedule(r.list, r.Frequency, zone)
}

// queueConfirm puts a confirmation into the outbox unless the address has had
// its share. The person is locked, so that two forms at once count each other.
func (t *tx) queueConfirm(sub news.Subscription, v news.Variant) (bool, error) {
	last, err := t.lastConfirmed(sub.SubscriberID)
	if err != nil {
		return false, err
	}
	var had struct {
		Lately int `db:"lately"`
		Today  int `db:"today"`
		Ever   int `db:"ever"`
	}
	if err := t.get(&had, `SELECT count(CASE WHEN created_at > $1 THEN 1 END) AS lately, count(CASE WHEN created_at > $2 THEN 1 END) AS today,
		count(CASE WHEN created_at > $3 THEN 1 END) AS ever FROM deliveries WHERE subscriber_id = $4 AND kind = 'confirm'`,
		ms(t.now.Add(-confirmPause)), ms(t.now.Add(-24*time.Hour)), last, sub.SubscriberID); err != nil {
		return false, err
	}
	if had.Lately > 0 || had.Today >= confirmPerDay || had.Ever >= confirmEver {
		return false, nil
	}
	v.EditionID, v.ListID, v.Kind = 0, sub.ListID, news.VariantConfirm
	if v.ListName == "" {
		l, err := t.listByID(sub.ListID)
		if err != nil {
			return false, err
		}
		v.Freeze(&l, "")
	}
	id, err := t.upsertVariant(v)
	if err != nil {
		return false, err
	}
	t.wake(news.WakeOutbox)
	_, err = t.exec(`INSERT INTO deliveries (kind, edition_id, variant_id, list_id, subscriber_id, subscription_id, state, next_at, expires_at, created_at)
		VALUES ('confirm', 0, $1, $2, $3, $4, 'pending', 0, $6, $5)`,
		id, sub.ListID, sub.SubscriberID, sub.ID, ms(t.now), ms(t.now.Add(confirmFor)))
	return err == nil, err
}

// Subscription reads a subscription with its person and its list, or news.ErrNotFound.
func (s *Store) Subscription(ctx context.Context, id int64) (news.Subscription, news.Subscriber, news.List, error) {
	var (
		sub    news.Subscription
		person subscriberRow
		l      news.List
	)
	err := s.read(ctx, "read subscription", func(t *tx) (err error) {
		if sub, err = t.subscriptionByID(id); err != nil {
			return err
		}
		if err = t.get(&person, `SELECT `+subscriberColumns+` FROM subscribers WHERE id = $1`, sub.SubscriberID); err != nil {
			return err
		}
		l, err = t.listByID(sub.ListID)
		return err
	})
	return sub, person.subscriber(), l, err
}

func (t *tx) subscriptionByID(id int64) (news.Subscription, error) {
	var r subscriptionRow
	if err := t.get(&r, subscriptionSelect+`WHERE p.id = $1`, id); err != nil {
		return news.Subscription{}, err
	}
	return r.subscription()
}

// lockedSubscription reads a subscription after its person was locked.
func (t *tx) lockedSubscription(id int64) (news.Subscription, error) {
	sub, err := t.subscriptionByID(id)
	if err != nil {
		return sub, err
	}
	if err := t.lockPerson(sub.SubscriberID); err != nil {
		return sub, err
	}
	return t.subscriptionByID(id)
}
