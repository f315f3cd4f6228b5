package store

import "gazetted/internal/news"

// arrival is a checked request of an import on its way onto a list.
type arrival struct {
	request
	result  *news.SubscribeResult
	person  subscriberRow
	id      int64  // of the subscription; 0: there is none yet
	state   string // of that
	one     bool   // it is placed by itself, after the others
	created bool
}

// placeAll is place for many, in a few statements for all who are new to us or to
// the list, and for those about whom nothing is to be changed. The few others
// are placed one by one.
func (t *tx) placeAll(rows []arrival) error {
	if len(rows) == 0 {
		return nil
	}
	known := map[string]bool{}
	var first []*arrival
	for i := range rows {
		r := &rows[i]
		if r.one = known[r.Address.Key]; !r.one { // the second of an address meets what the first has changed
			known[r.Address.Key] = true
			first = append(first, r)
		}
	}
	if err := t.people(first); err != nil {
		return err
	}
	if err := t.addSubscriptions(first); err != nil {
		return err
	}
	for i := range rows {
		if r := &rows[i]; r.one {
			var err error
			if *r.result, err = t.place(r.request); err != nil {
				return err
			}
		}
	}
	return t.report(rows)
}

// person is a row of the JSON that the statements below join with.
type person struct {
	Key      string `json:"address_key"`
	Address  string `json:"address"`
	Name     string `json:"name"`
	Language string `json:"language"`
	Zone     string `json:"zone"`
	ListID   int64  `json:"list_id"`
}

func (d dialect) personRecords() string {
	return d.records("$1", column{"address_key", "text"}, column{"address", "text"}, column{"name", "text"}, column{"language", "text"},
		column{"zone", "text"}, column{"list_id", "bigint"})
}

// people finds or makes the locked subscribers of requests, each of another
// address, and finds their places on the lists.
func (t *tx) people(rows []*arrival) error {
	byKey := make(map[string]*arrival, len(rows))
	all := make([]person, 0, len(rows))
	for _, r := range rows {
		byKey[r.Address.Key] = r
		all = append(all, person{r.Address.Key, r.Address.Spec, news.CleanName(r.Name), r.Language, r.Zone, r.list.ID})
	}
	list, err := encode(all)
	if err != nil {
		return err
	}
	var made []struct {
		subscriberRow
		Key string `db:"address_key"`
	}
	if err := t.all(&made, `INSERT INTO subscribers (address, address_key, name, language, zone, created_at)
		SELECT o.address, o.address_key, o.name, o.language, o.zone, CAST($2 AS BIGINT) FROM `+t.d.personRecords()+` AS o WHERE true
		ON CONFLICT (address_key) DO NOTHING RETURNING `+subscriberColumns+`, address_key`, list, ms(t.now)); err != nil {
		return err
	}
	for _, m := range made {
		byKey[m.Key].person, byKey[m.Key].created = m.subscriberRow, true
	}
	if len(made) == len(rows) {
		return nil
	}
	return t.acquaintances(list, byKey)
}

// acquaintances locks those whom we knew already and tells who has to be placed
// by themselves.
func (t *tx) acquaintances(list string, byKey map[string]*arrival) error {
	var ids []int64
	if err := t.all(&ids, `SELECT s.id FROM subscribers s WHERE s.address_key IN (SELECT o.address_key FROM `+t.d.personRecords()+` AS o)
		ORDER BY s.id`+t.d.forUpdate, list); err != nil {
		return err
	}
	var have []struct {
		subscriberRow
		Key            string `db:"address_key"`
		SubscriptionID int64  `db:"subscription_id"`
		State          string `db:"state"`
	}
	if err := t.all(&have, `SELECT s.id, s.address, s.name, s.language, s.zone, s.created_at, s.address_key,
		coalesce(p.id, 0) AS subscription_id, coalesce(p.state, '') AS state
		FROM `+t.d.personRecords()+` AS o JOIN subscribers s ON s.address_key = o.address_key
		LEFT JOIN subscriptions p ON p.subscriber_id = s.id AND p.list_id = o.list_id`, list); err != nil {
		return err
	}
	for _, h := range have {
		r := byKey[h.Key]
		if r.created {
			continue
		}
		r.person, r.id, r.state = h.subscriberRow, h.SubscriptionID, h.State
		r.one = h.told(r.SubscribeRequest) != h.subscriberRow || h.State == string(news.SubscriptionPending)
	}
	return nil
}

// subscription is a row of the JSON that the statement below inserts.
type subscription struct {
	SubscriberID int64  `json:"subscriber_id"`
	ListID       int64  `json:"list_id"`
	State        string `json:"state"`
	Frequency    string `json:"frequency"`
	Topics       string `json:"topics"`
	Language     string `json:"language"`
	Zone         string `json:"zone"`
	ConfirmedAt  int64  `json:"confirmed_at"`
	Consent      string `json:"consent"`
}

// addSubscriptions is addSubscription for all who have no place on their list
// yet.
func (t *tx) addSubscriptions(rows []*arrival) error {
	seq, err := t.seq()
	if err != nil {
		return err
	}
	var add []subscription
	by := map[int64]*arrival{} // subscriber → who; each has one request here
	for _, r := range rows {
		if r.id != 0 || r.one {
			continue
		}
		state, confirmedAt, consent, err := t.opened(r.request)
		if err != nil {
			return err
		}
		r.state = string(state)
		by[r.person.ID] = r
		add = append(add, subscription{r.person.ID, r.list.ID, r.state, r.Frequency, r.topics, r.person.Language, zoneFor(r.list, r.person.Zone), confirmedAt, consent})
	}
	if len(add) == 0 {
		return nil
	}
	t.wake(news.WakeLists)
	list, err := encode(add)
	if err != nil {
		return err
	}
	var made []struct {
		ID           int64 `db:"id"`
		SubscriberID int64 `db:"subscriber_id"`
	}
	if err := t.all(&made, `INSERT INTO subscriptions
		(subscriber_id, list_id, state, frequency, topics, language, zone, served_through, created_at, confirmed_at, ended_at, consent)
		SELECT o.subscriber_id, o.list_id, o.state, o.frequency, o.topics, o.language, o.zone, CAST($2 AS BIGINT), CAST($3 AS BIGINT), o.confirmed_at, 0, o.consent
		FROM `+t.d.records("$1", column{"subscriber_id", "bigint"}, column{"list_id", "bigint"}, column{"state", "text"}, column{"frequency", "text"},
		column{"topics", "text"}, column{"language", "text"}, column{"zone", "text"}, column{"confirmed_at", "bigint"}, column{"consent", "text"})+` AS o
		RETURNING id, subscriber_id`, list, seq, ms(t.now)); err != nil {
		return err
	}
	for _, m := range made {
		by[m.SubscriberID].id = m.ID
		by[m.SubscriberID].result.Created = true
	}
	return t.ensureSchedules(add, by)
}

// ensureSchedules is ensureSchedule for new subscriptions.
func (t *tx) ensureSchedules(add []subscription, by map[int64]*arrival) error {
	type needed struct {
		list            int64
		frequency, zone string
	}
	seen := map[needed]bool{}
	for _, s := range add {
		n := needed{s.ListID, s.Frequency, s.Zone}
		if s.State != string(news.SubscriptionActive) || seen[n] {
			continue
		}
		seen[n] = true
		if err := t.ensureSchedule(by[s.SubscriberID].list, s.Frequency, s.Zone); err != nil {
			return err
		}
	}
	return nil
}

// report reads what became of all that were not placed by themselves.
func (t *tx) report(rows []arrival) error {
	var ids []int64
	for _, r := range rows {
		if !r.one {
			ids = append(ids, r.id)
		}
	}
	list, err := encode(ids)
	if err != nil {
		return err
	}
	var have []subscriptionRow
	if err := t.all(&have, subscriptionSelect+`WHERE p.id `+t.d.inInts("$1"), list); err != nil {
		return err
	}
	byID := make(map[int64]news.Subscription, len(have))
	for _, h := range have {
		if byID[h.ID], err = h.subscription(); err != nil {
			return err
		}
	}
	for _, r := range rows {
		if !r.one {
			r.result.Subscription = byID[r.id]
		}
	}
	return nil
}
