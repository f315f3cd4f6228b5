package store

import (
	"context"
	"errors"
	"slices"

	"gazetted/internal/news"
)

type subscriberRow struct {
	ID        int64  `db:"id"`
	Address   string `db:"address"`
	Name      string `db:"name"`
	Language  string `db:"language"`
	Zone      string `db:"zone"`
	CreatedAt int64  `db:"created_at"`
}

const subscriberColumns = `id, address, name, language, zone, created_at`

func (r subscriberRow) subscriber() news.Subscriber {
	return news.Subscriber{ID: r.ID, Address: r.Address, Name: r.Name, Language: r.Language, Zone: r.Zone, CreatedAt: at(r.CreatedAt)}
}

// SubscriberByAddress finds a person with all their places on lists, or news.ErrNotFound.
func (s *Store) SubscriberByAddress(ctx context.Context, addr news.Address) (news.SubscriberRow, error) {
	var out news.SubscriberRow
	err := s.read(ctx, "read subscriber "+addr.Spec, func(t *tx) error {
		var r subscriberRow
		if err := t.get(&r, `SELECT `+subscriberColumns+` FROM subscribers WHERE address_key = $1`, addr.Key); err != nil {
			return err
		}
		rows, err := t.withSubscriptions([]subscriberRow{r})
		if err != nil {
			return err
		}
		out = rows[0]
		return nil
	})
	return out, err
}

// Subscribers pages through people by id, each with all their places on
// lists, also those that ended. An unknown list is news.ErrNotFound.
func (s *Store) Subscribers(ctx context.Context, q news.SubscriberQuery) ([]news.SubscriberRow, error) {
	var out []news.SubscriberRow
	err := s.read(ctx, "read subscribers", func(t *tx) error {
		var rows []subscriberRow
		if q.List == "" {
			if err := t.all(&rows, `SELECT `+subscriberColumns+` FROM subscribers WHERE id > $1 ORDER BY id LIMIT $2`, q.AfterID, pageSize(q.Limit)); err != nil {
				return err
			}
		} else {
			l, err := t.listByName(q.List)
			if err != nil {
				return err
			}
			if err := t.all(&rows, `SELECT `+subscriberColumns+` FROM subscribers s WHERE id > $1
				AND EXISTS (SELECT 1 FROM subscriptions p WHERE p.subscriber_id = s.id AND p.list_id = $2)
				ORDER BY id LIMIT $3`, q.AfterID, l.ID, pageSize(q.Limit)); err != nil {
				return err
			}
		}
		var err error
		out, err = t.withSubscriptions(rows)
		return err
	})
	return out, err
}

func (t *tx) withSubscriptions(people []subscriberRow) ([]news.SubscriberRow, error) {
	out := make([]news.SubscriberRow, 0, len(people))
	index := make(map[int64]int, len(people))
	ids := make([]int64, 0, len(people))
	for i, p := range people {
		out = append(out, news.SubscriberRow{Subscriber: p.subscriber(), Subscriptions: []news.Subscription{}})
		index[p.ID] = i
		ids = append(ids, p.ID)
	}
	list, err := encode(ids)
	if err != nil {
		return nil, err
	}
	var rows []subscriptionRow
	if err := t.all(&rows, subscriptionSelect+`WHERE p.subscriber_id `+t.d.inInts("$1")+` ORDER BY p.subscriber_id, p.id`, list); err != nil {
		return nil, err
	}
	for _, r := range rows {
		sub, err := r.subscription()
		if err != nil {
			return nil, err
		}
		row := &out[index[r.SubscriberID]]
		row.Subscriptions = append(row.Subscriptions, sub)
	}
	return out, nil
}

// personByKey locks the person with that address and returns the id; 0: none.
func (t *tx) personByKey(key string) (int64, error) {
	var id int64
	err := t.get(&id, `SELECT id FROM subscribers WHERE address_key = $1`+t.d.forUpdate, key)
	if errors.Is(err, news.ErrNotFound) {
		return 0, nil
	}
	return id, err
}

// lockPerson makes everything that is done to one person one after the other.
// It comes before any lock of their subscriptions and deliveries.
func (t *tx) lockPerson(id int64) error {
	var locked int64
	return t.get(&locked, `SELECT id FROM subscribers WHERE id = $1`+t.d.forUpdate, id)
}

// person finds or makes the locked subscriber of a request. What a request
// says of a known person is believed as far as it is vouched for: an admin's
// word fills gaps; a form, which anybody can fill in with anybody's address,
// counts only until the person has confirmed something.
func (t *tx) person(req news.SubscribeRequest) (subscriberRow, error) {
	r := subscriberRow{Address: req.Address.Spec, Name: news.CleanName(req.Name), Language: req.Language, Zone: req.Zone, CreatedAt: ms(t.now)}
	id, err := t.insert(`INSERT INTO subscribers (address, address_key, name, language, zone, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (address_key) DO NOTHING RETURNING id`,
		r.Address, req.Address.Key, r.Name, r.Language, r.Zone, r.CreatedAt)
	if err == nil {
		r.ID = id
		return r, nil
	}
	if !errors.Is(err, news.ErrNotFound) {
		return r, err
	}
	var have subscriberRow
	if err := t.get(&have, `SELECT `+subscriberColumns+` FROM subscribers WHERE address_key = $1`+t.d.forUpdate, req.Address.Key); err != nil {
		return r, err
	}
	want := have.told(req)
	if want == have {
		return have, nil
	}
	if !req.Confirmed {
		last, err := t.lastConfirmed(have.ID)
		if err != nil || last > 0 {
			return have, err
		}
	}
	return want, t.setPerson(have, want)
}

// told is the person as a request would have them. Pure.
func (r subscriberRow) told(req news.SubscribeRequest) subscriberRow {
	fill := func(field *string, said string) {
		if said != "" && (!req.Confirmed || *field == "") {
			*field = said
		}
	}
	fill(&r.Name, news.CleanName(req.Name))
	fill(&r.Language, req.Language)
	fill(&r.Zone, req.Zone)
	return r
}

// lastConfirmed is when the person last confirmed a subscription; 0: never.
func (t *tx) lastConfirmed(subscriberID int64) (int64, error) {
	var last int64
	err := t.get(&last, `SELECT coalesce(max(confirmed_at), 0) FROM subscriptions WHERE subscriber_id = $1`, subscriberID)
	return last, err
}

// setPerson stores a person's new name, language and zone, also where
// subscriptions keep copies of them.
func (t *tx) setPerson(have, want subscriberRow) error {
	if _, err := t.exec(`UPDATE subscribers SET name = $1, language = $2, zone = $3 WHERE id = $4`, want.Name, want.Language, want.Zone, want.ID); err != nil {
		return err
	}
	if want.Language != have.Language {
		if _, err := t.exec(`UPDATE subscriptions SET language = $1 WHERE subscriber_id = $2`, want.Language, want.ID); err != nil {
			return err
		}
	}
	if want.Zone == have.Zone {
		return nil
	}
	var moved []struct {
		ListID    int64  `db:"list_id"`
		Frequency string `db:"frequency"`
		Zone      string `db:"zone"`
		State     string `db:"state"`
	}
	zone := zoneFor(news.List{Zone: news.ZoneSubscriber}, want.Zone)
	if err := t.all(&moved, `UPDATE subscriptions SET zone = $1 WHERE subscriber_id = $2 AND list_id IN (SELECT id FROM lists WHERE zone = $3)
		RETURNING list_id, frequency, zone, state`, zone, want.ID, news.ZoneSubscriber); err != nil {
		return err
	}
	for _, m := range moved {
		if m.State != string(news.SubscriptionActive) {
			continue
		}
		l, err := t.listByID(m.ListID)
		if err != nil {
			return err
		}
		if err := t.ensureSchedule(l, m.Frequency, m.Zone); err != nil {
			return err
		}
	}
	return nil
}

// EraseSubscriber deletes a person and all that names them: subscriptions,
// consent, the replies of relays. What is left is a suppression under the keyed
// hash of the address (see news.Signer.KeyedHash), so that no import brings
// them back, and their deliveries as mere counts. A message whose final dot is
// on its way is still recorded. news.ErrNotFound if the address is neither
// subscribed nor suppressed.
func (s *Store) EraseSubscriber(ctx context.Context, addr news.Address, keyedHash string) error {
	return s.write(ctx, "erase subscriber", func(t *tx) error {
		t.wake(news.WakeLists)
		id, err := t.personByKey(addr.Key)
		if err != nil {
			return err
		}
		known, err := t.suppressed(keyedHash)
		if err != nil {
			return err
		}
		if id == 0 && !known[keyedHash] {
			return news.ErrNotFound
		}
		if err := t.suppress(keyedHash, "", news.SuppressedErased, ""); err != nil || id == 0 {
			return err
		}
		return t.erase(id)
	})
}

func (t *tx) erase(subscriberID int64) error {
	if _, err := t.exec(`UPDATE deliveries SET state = 'suppressed', token = '', ended_at = $1
		WHERE subscriber_id = $2 AND state IN ('pending', 'deferred', 'claimed', 'uncertain')`, ms(t.now), subscriberID); err != nil {
		return err
	}
	// A relay's reply often repeats the address.
	if _, err := t.exec(`UPDATE deliveries SET reply = '' WHERE subscriber_id = $1 AND reply <> ''`, subscriberID); err != nil {
		return err
	}
	for _, q := range []string{
		`UPDATE delivery_attempts SET reply = '' WHERE delivery_id IN (SELECT id FROM deliveries WHERE subscriber_id = $1)`,
		`DELETE FROM audit WHERE object IN (SELECT 'delivery/' || id FROM deliveries WHERE subscriber_id = $1)`, // an admin's reason may name them
	} {
		if _, err := t.exec(q, subscriberID); err != nil {
			return err
		}
	}
	if _, err := t.exec(`UPDATE bounces SET diagnostic = '' WHERE subscriber_id = $1`, subscriberID); err != nil {
		return err
	}
	var ids []int64
	if err := t.all(&ids, `SELECT id FROM subscriptions WHERE subscriber_id = $1`, subscriberID); err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := t.exec(`DELETE FROM audit WHERE object = $1`, trailObject(id)); err != nil {
			return err
		}
	}
	_, err := t.exec(`DELETE FROM subscribers WHERE id = $1`, subscriberID)
	return err
}

// maxLanguage bounds a language tag (RFC 5646 §4.4.1 asks for room for 35).
const maxLanguage = 35

// checkLanguage accepts what has the shape of a language tag; "" means unknown.
func checkLanguage(tag string) error {
	ok := len(tag) <= maxLanguage && (tag == "" || tag[0] != '-' && tag[len(tag)-1] != '-')
	for i := range len(tag) {
		c := tag[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return &news.FieldError{Field: "language", Value: tag, Want: "a language tag such as en or pt-BR"}
	}
	return nil
}

// checkZone accepts an IANA zone; "" means unknown.
func checkZone(zone string) error {
	if zone == "" {
		return nil
	}
	_, err := news.LoadZone("zone", zone)
	return err
}

// topicsText is how columns hold topics: equal choices are equal text.
func topicsText(topics []news.Topic) (string, error) {
	texts := make([]string, len(topics))
	for i, topic := range topics {
		texts[i] = string(topic)
	}
	sorted, err := news.CleanTopics(texts)
	if err != nil {
		return "", err
	}
	if sorted == nil {
		sorted = []news.Topic{}
	}
	return encode(sorted)
}

// currentTopics finds what the terms that topics name are called now: past
// slugs lead to their term. A topic without a term is missing in the answer.
func (t *tx) currentTopics(topics []news.Topic) (map[news.Topic]news.Topic, error) {
	out := make(map[news.Topic]news.Topic, len(topics))
	for _, kind := range []news.TermKind{news.KindCategory, news.KindTag} {
		slugs := []string{}
		for _, topic := range topics {
			if k, slug := topic.Split(); k == kind {
				slugs = append(slugs, slug)
			}
		}
		if len(slugs) == 0 {
			continue
		}
		slices.Sort(slugs)
		list, err := encode(slices.Compact(slugs))
		if err != nil {
			return nil, err
		}
		var rows []struct {
			Asked string `db:"asked"`
			Slug  string `db:"slug"`
		}
		if err := t.all(&rows, `SELECT s.slug AS asked, t.slug AS slug FROM term_slugs s JOIN terms t ON t.id = s.term_id
			WHERE s.kind = $1 AND s.slug `+t.d.inTexts("$2")+`
			UNION ALL SELECT a.slug AS asked, t.slug AS slug FROM terms a JOIN terms t ON t.id = CASE WHEN a.alias_of > 0 THEN a.alias_of ELSE a.id END
			WHERE a.kind = $1 AND a.slug `+t.d.inTexts("$2"), string(kind), list); err != nil {
			return nil, err
		}
		for _, r := range rows {
			out[news.Topic(string(kind)+":"+r.Asked)] = news.Topic(string(kind) + ":" + r.Slug)
		}
	}
	return out, nil
}
