package store

import (
	"cmp"
	"context"
	"time"

	"gazetted/internal/news"
)

type listRow struct {
	ID          int64  `db:"id"`
	Name        string `db:"name"`
	Title       string `db:"title"`
	Description string `db:"description"`
	Language    string `db:"language"`
	Zone        string `db:"zone"`
	Sender      string `db:"sender"`
	ReplyTo     string `db:"reply_to"`
	Template    string `db:"template"`
	Filter      string `db:"filter"`
	Frequencies string `db:"frequencies"`
	Public      bool   `db:"public"`
	Paused      bool   `db:"paused"`
	CatchUp     string `db:"catch_up"`
	MaxLate     int64  `db:"max_late"`
	OnUncertain string `db:"on_uncertain"`
	CreatedAt   int64  `db:"created_at"`
}

const listColumns = `id, name, title, description, language, zone, sender, reply_to, template, filter, frequencies,
	public, paused, catch_up, max_late, on_uncertain, created_at`

func (r listRow) list() (news.List, error) {
	l := news.List{
		ID: r.ID, Name: r.Name, Title: r.Title, Description: r.Description, Language: r.Language, Zone: r.Zone,
		From: r.Sender, ReplyTo: r.ReplyTo, Template: r.Template, Public: r.Public, Paused: r.Paused,
		CatchUp: news.CatchUp(r.CatchUp), MaxLate: news.Duration(time.Duration(r.MaxLate) * time.Millisecond),
		OnUncertain: news.OnUncertain(r.OnUncertain), CreatedAt: at(r.CreatedAt),
	}
	if err := decode(r.Filter, &l.Filter); err != nil {
		return l, err
	}
	return l, decode(r.Frequencies, &l.Frequencies)
}

// newListRow checks l and fills what it leaves open.
func newListRow(l news.List) (listRow, error) {
	l.Language = cmp.Or(l.Language, "en")
	l.Template = cmp.Or(l.Template, "default")
	l.CatchUp = cmp.Or(l.CatchUp, news.CatchUpOne)
	l.MaxLate = cmp.Or(l.MaxLate, news.DefaultMaxLate)
	l.OnUncertain = cmp.Or(l.OnUncertain, news.UncertainResend)
	if err := l.Validate(); err != nil {
		return listRow{}, err
	}
	if err := checkListChoices(l); err != nil {
		return listRow{}, err
	}
	filter, err := topicsText(l.Filter)
	if err != nil {
		return listRow{}, err
	}
	frequencies, err := encode(l.Frequencies)
	if err != nil {
		return listRow{}, err
	}
	return listRow{
		ID: l.ID, Name: l.Name, Title: clean(l.Title), Description: clean(l.Description), Language: l.Language, Zone: l.Zone,
		Sender: clean(l.From), ReplyTo: clean(l.ReplyTo), Template: l.Template, Filter: filter, Frequencies: frequencies,
		Public: l.Public, Paused: l.Paused, CatchUp: string(l.CatchUp), MaxLate: time.Duration(l.MaxLate).Milliseconds(),
		OnUncertain: string(l.OnUncertain),
	}, nil
}

// checkListChoices checks what List.Validate leaves to the store.
func checkListChoices(l news.List) error {
	if err := news.ValidateName("template", l.Template); err != nil {
		return err
	}
	if err := checkLanguage(l.Language); err != nil {
		return err
	}
	if l.ReplyTo != "" {
		if _, _, err := news.ParseSender("reply_to", l.ReplyTo); err != nil {
			return err
		}
	}
	if l.CatchUp != news.CatchUpOne && l.CatchUp != news.CatchUpAll && l.CatchUp != news.CatchUpSkip {
		return &news.FieldError{Field: "catch_up", Value: string(l.CatchUp), Want: "one, all or skip"}
	}
	if l.MaxLate < 0 {
		return &news.FieldError{Field: "max_late", Value: l.MaxLate.String(), Want: "a duration such as 24h"}
	}
	if l.OnUncertain != news.UncertainResend && l.OnUncertain != news.UncertainHold {
		return &news.FieldError{Field: "on_uncertain", Value: string(l.OnUncertain), Want: "resend or hold"}
	}
	return nil
}

// AddList stores a new list, with defaults for what l leaves open: language en,
// template default, catch-up one, a day of lateness, resend when uncertain. A
// taken name is news.ErrExists, a mistake a *news.FieldError.
func (s *Store) AddList(ctx context.Context, l news.List) (news.List, error) {
	r, err := newListRow(l)
	if err != nil {
		return news.List{}, err
	}
	err = s.write(ctx, "add list "+l.Name, func(t *tx) error {
		t.wake(news.WakeLists)
		r.CreatedAt = ms(t.now)
		r.ID, err = t.insert(`INSERT INTO lists (name, title, description, language, zone, sender, reply_to, template, filter, frequencies,
			public, paused, catch_up, max_late, on_uncertain, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING id`,
			r.Name, r.Title, r.Description, r.Language, r.Zone, r.Sender, r.ReplyTo, r.Template, r.Filter, r.Frequencies,
			r.Public, r.Paused, r.CatchUp, r.MaxLate, r.OnUncertain, r.CreatedAt)
		if err != nil {
			return err
		}
		if l, err = r.list(); err != nil {
			return err
		}
		return t.syncSchedules(news.List{}, l)
	})
	if err != nil {
		return news.List{}, err
	}
	return l, nil
}

// SetList changes the list of that name; the name itself, being part of URLs
// and of List-Id, stays. Subscriptions of a frequency that is no more move to
// the list's first one and keep their place. An edition that is already being
// made is not changed. No such list is news.ErrNotFound.
func (s *Store) SetList(ctx context.Context, l news.List) error {
	r, err := newListRow(l)
	if err != nil {
		return err
	}
	return s.write(ctx, "set list "+l.Name, func(t *tx) error {
		t.wake(news.WakeLists)
		if !l.Paused {
			t.wake(news.WakeOutbox) // what waited for the end of a pause
		}
		old, err := t.listByName(l.Name)
		if err != nil {
			return err
		}
		if err := t.lockList(old.ID); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE lists SET title = $1, description = $2, language = $3, zone = $4, sender = $5, reply_to = $6, template = $7,
			filter = $8, frequencies = $9, public = $10, paused = $11, catch_up = $12, max_late = $13, on_uncertain = $14 WHERE id = $15`,
			r.Title, r.Description, r.Language, r.Zone, r.Sender, r.ReplyTo, r.Template,
			r.Filter, r.Frequencies, r.Public, r.Paused, r.CatchUp, r.MaxLate, r.OnUncertain, old.ID); err != nil {
			return err
		}
		r.ID = old.ID
		now, err := r.list()
		if err != nil {
			return err
		}
		if err := t.moveSubscriptions(old, now); err != nil {
			return err
		}
		return t.syncSchedules(old, now)
	})
}

// moveSubscriptions brings a list's subscriptions in line with its frequencies
// and with whose zone counts.
func (t *tx) moveSubscriptions(old, l news.List) error {
	names := make([]string, 0, len(l.Frequencies))
	for _, f := range l.Frequencies {
		names = append(names, f.Name)
	}
	known, err := encode(names)
	if err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE subscriptions SET frequency = $1 WHERE list_id = $2 AND NOT (frequency `+t.d.inTexts("$3")+`)`,
		names[0], l.ID, known); err != nil {
		return err
	}
	if (old.Zone == news.ZoneSubscriber) == (l.Zone == news.ZoneSubscriber) {
		return nil
	}
	if l.Zone != news.ZoneSubscriber {
		_, err := t.exec(`UPDATE subscriptions SET zone = '' WHERE list_id = $1`, l.ID)
		return err
	}
	_, err = t.exec(`UPDATE subscriptions SET zone = coalesce(nullif((SELECT s.zone FROM subscribers s WHERE s.id = subscriptions.subscriber_id), ''), $1)
		WHERE list_id = $2`, unknownZone, l.ID)
	return err
}

// RemoveList deletes a list with its subscriptions, editions and deliveries;
// what a courier holds at this moment fails its last check and is not sent. No
// such list is news.ErrNotFound.
func (s *Store) RemoveList(ctx context.Context, name string) error {
	return s.write(ctx, "remove list "+name, func(t *tx) error {
		t.wake(news.WakeLists)
		l, err := t.listByName(name)
		if err != nil {
			return err
		}
		if err := t.lockList(l.ID); err != nil { // nothing is queued for it any more
			return err
		}
		// Deliveries have no foreign key: see the schema.
		if _, err := t.exec(`DELETE FROM delivery_attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE list_id = $1)`, l.ID); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM deliveries WHERE list_id = $1`, l.ID); err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM lists WHERE id = $1`, l.ID)
		return err
	})
}

// Lists returns all lists by name.
func (s *Store) Lists(ctx context.Context) ([]news.List, error) {
	var out []news.List
	err := s.read(ctx, "read lists", func(t *tx) error {
		var rows []listRow
		if err := t.all(&rows, `SELECT `+listColumns+` FROM lists ORDER BY name`); err != nil {
			return err
		}
		out = make([]news.List, 0, len(rows))
		for _, r := range rows {
			l, err := r.list()
			if err != nil {
				return err
			}
			out = append(out, l)
		}
		return nil
	})
	return out, err
}

// ListByName returns one list, or news.ErrNotFound.
func (s *Store) ListByName(ctx context.Context, name string) (news.List, error) {
	var l news.List
	err := s.read(ctx, "read list "+name, func(t *tx) (err error) {
		l, err = t.listByName(name)
		return err
	})
	return l, err
}

func (t *tx) listByName(name string) (news.List, error) {
	var r listRow
	if err := t.get(&r, `SELECT `+listColumns+` FROM lists WHERE name = $1`, name); err != nil {
		return news.List{}, err
	}
	return r.list()
}

func (t *tx) listByID(id int64) (news.List, error) {
	var r listRow
	if err := t.get(&r, `SELECT `+listColumns+` FROM lists WHERE id = $1`, id); err != nil {
		return news.List{}, err
	}
	return r.list()
}

// lockList makes this transaction the only one that closes an edition of the
// list or changes it. An UPDATE that touches no key takes the weaker lock that
// lets new subscriptions (whose foreign key shares the row) go on.
func (t *tx) lockList(id int64) error {
	n, err := t.exec(`UPDATE lists SET paused = paused WHERE id = $1`, id)
	if err == nil && n == 0 {
		err = news.ErrNotFound
	}
	return err
}
