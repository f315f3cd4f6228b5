package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gazetted/internal/news"
)

type variantRow struct {
	ID         int64  `db:"id"`
	EditionID  int64  `db:"edition_id"`
	ListID     int64  `db:"list_id"`
	Kind       string `db:"kind"`
	Language   string `db:"language"`
	Nonce      string `db:"nonce"`
	Subject    string `db:"subject"`
	HTML       string `db:"html"`
	Text       string `db:"text"`
	ArticleIDs string `db:"article_ids"`
	ListName   string `db:"list_name"` // '' was written by an older version
	ListTitle  string `db:"list_title"`
	Sender     string `db:"sender"`
	ReplyTo    string `db:"reply_to"`
	Public     bool   `db:"public"`
}

const variantColumns = `id, edition_id, list_id, kind, language, nonce, subject, html, text, article_ids, list_name, list_title, sender, reply_to, public`

func (r variantRow) variant() (news.Variant, error) {
	v := news.Variant{
		ID: r.ID, EditionID: r.EditionID, ListID: r.ListID, Kind: news.VariantKind(r.Kind), Language: r.Language,
		Nonce: r.Nonce, Subject: r.Subject, HTML: r.HTML, Text: r.Text,
		ListName: r.ListName, ListTitle: r.ListTitle, Sender: r.Sender, ReplyTo: r.ReplyTo, Public: r.Public,
	}
	return v, decode(r.ArticleIDs, &v.ArticleIDs)
}

func newVariantRow(v news.Variant) (variantRow, error) {
	if v.ArticleIDs == nil {
		v.ArticleIDs = []int64{}
	}
	ids, err := encode(v.ArticleIDs)
	return variantRow{
		EditionID: v.EditionID, ListID: v.ListID, Kind: string(v.Kind), Language: v.Language, Nonce: v.Nonce,
		Subject: clean(v.Subject), HTML: clean(v.HTML), Text: clean(v.Text), ArticleIDs: ids,
		ListName: clean(v.ListName), ListTitle: clean(v.ListTitle), Sender: clean(v.Sender), ReplyTo: clean(v.ReplyTo), Public: v.Public,
	}, err
}

const variantInsert = `INSERT INTO variants (edition_id, list_id, kind, language, nonce, subject, html, text, article_ids,
	list_name, list_title, sender, reply_to, public) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) `

func (r variantRow) values() []any {
	return []any{
		r.EditionID, r.ListID, r.Kind, r.Language, r.Nonce, r.Subject, r.HTML, r.Text, r.ArticleIDs, r.ListName, r.ListTitle, r.Sender, r.ReplyTo, r.Public,
	}
}

// insertVariant stores a new rendering. Each variant of an edition has a nonce
// of its own.
func (t *tx) insertVariant(v news.Variant) (int64, error) {
	r, err := newVariantRow(v)
	if err != nil {
		return 0, err
	}
	return t.insert(variantInsert+`RETURNING id`, r.values()...)
}

// upsertVariant finds or stores a rendering that is used again and again, such
// as a list's confirmation. It writes only when something changed: every
// sign-up comes through here.
func (t *tx) upsertVariant(v news.Variant) (int64, error) {
	r, err := newVariantRow(v)
	if err != nil {
		return 0, err
	}
	var have variantRow
	err = t.get(&have, `SELECT `+variantColumns+` FROM variants WHERE edition_id = $1 AND list_id = $2 AND kind = $3 AND nonce = $4`,
		r.EditionID, r.ListID, r.Kind, r.Nonce)
	if err != nil && !errors.Is(err, news.ErrNotFound) {
		return 0, err
	}
	if r.ID = have.ID; r == have {
		return have.ID, nil
	}
	return t.insert(variantInsert+`ON CONFLICT (edition_id, list_id, kind, nonce) DO UPDATE SET language = excluded.language, subject = excluded.subject,
		html = excluded.html, text = excluded.text, article_ids = excluded.article_ids, list_name = excluded.list_name, list_title = excluded.list_title,
		sender = excluded.sender, reply_to = excluded.reply_to, public = excluded.public RETURNING id`, r.values()...)
}

// Variant returns one rendering, without its Group, or news.ErrNotFound.
func (s *Store) Variant(ctx context.Context, id int64) (news.Variant, error) {
	var v news.Variant
	err := s.read(ctx, "read variant", func(t *tx) (err error) {
		v, err = t.variant(id)
		return err
	})
	return v, err
}

func (t *tx) variant(id int64) (news.Variant, error) {
	var r variantRow
	if err := t.get(&r, `SELECT `+variantColumns+` FROM variants WHERE id = $1`, id); err != nil {
		return news.Variant{}, err
	}
	v, err := r.variant()
	if err == nil && v.ListName == "" { // written by an older version that runs beside this one
		l, err := t.listByID(v.ListID)
		if err != nil {
			return v, err
		}
		v.Freeze(&l, "")
	}
	return v, err
}

type deliveryRow struct {
	ID             int64   `db:"id"`
	Kind           string  `db:"kind"`
	EditionID      int64   `db:"edition_id"`
	VariantID      int64   `db:"variant_id"`
	ListID         int64   `db:"list_id"`
	SubscriberID   int64   `db:"subscriber_id"`
	SubscriptionID int64   `db:"subscription_id"`
	State          string  `db:"state"`
	Attempts       int     `db:"attempts"`
	Crashes        int     `db:"crashes"`
	Doubts         int     `db:"doubts"`
	NextAt         int64   `db:"next_at"`
	ExpiresAt      int64   `db:"expires_at"`
	CreatedAt      int64   `db:"created_at"`
	EndedAt        int64   `db:"ended_at"`
	Relay          string  `db:"relay"`
	Code           int     `db:"code"`
	Enhanced       string  `db:"enhanced"`
	Reply          string  `db:"reply"`
	Address        *string `db:"address"` // nil: the person was erased
}

const (
	deliveryColumns = `d.id, d.kind, d.edition_id, d.variant_id, d.list_id, d.subscriber_id, d.subscription_id, d.state, d.attempts, d.crashes, d.doubts,
	d.next_at, d.expires_at, d.created_at, d.ended_at, d.relay, d.code, d.enhanced, d.reply`
	deliverySelect = `SELECT ` + deliveryColumns + `, s.address FROM deliveries d LEFT JOIN subscribers s ON s.id = d.subscriber_id `
)

func (r deliveryRow) delivery() news.Delivery {
	d := news.Delivery{
		ID: r.ID, Kind: news.VariantKind(r.Kind), EditionID: r.EditionID, VariantID: r.VariantID, ListID: r.ListID,
		SubscriberID: r.SubscriberID, SubscriptionID: r.SubscriptionID, State: news.DeliveryState(r.State), Attempts: r.Attempts, Doubts: r.Doubts,
		NextAt: at(r.NextAt), ExpiresAt: at(r.ExpiresAt), CreatedAt: at(r.CreatedAt), EndedAt: at(r.EndedAt),
		Relay: r.Relay, Code: r.Code, Enhanced: r.Enhanced, Reply: r.Reply,
	}
	if d.State.Ended() || d.State == news.DeliveryUncertain { // held: there is no next try
		d.NextAt = time.Time{}
	}
	if r.Address != nil {
		d.Address = *r.Address
	}
	return d
}

// DeliveryView returns a delivery and its rendering, for the page that shows a
// mail as it was sent to one person. Address is empty once the person was
// erased. news.ErrNotFound if there is no such delivery.
func (s *Store) DeliveryView(ctx context.Context, deliveryID int64) (news.Delivery, news.Variant, error) {
	var (
		d news.Delivery
		v news.Variant
	)
	err := s.read(ctx, "read delivery", func(t *tx) error {
		var r deliveryRow
		if err := t.get(&r, deliverySelect+`WHERE d.id = $1`, deliveryID); err != nil {
			return err
		}
		d = r.delivery()
		var err error
		v, err = t.variant(r.VariantID)
		return err
	})
	return d, v, err
}

// Deliveries pages through deliveries by id, with the addresses of people who
// were not erased. Of one edition and state, of one address, and of those in
// doubt it reads one range of an index. An unknown list or address is
// news.ErrNotFound.
func (s *Store) Deliveries(ctx context.Context, q news.DeliveryQuery) ([]news.Delivery, error) {
	var out []news.Delivery
	err := s.read(ctx, "read deliveries", func(t *tx) error {
		where, args, err := t.deliveryFilter(q)
		if err != nil {
			return err
		}
		var rows []deliveryRow
		if err := t.all(&rows, deliverySelect+where+` ORDER BY d.id LIMIT $2`, args...); err != nil {
			return err
		}
		out = make([]news.Delivery, 0, len(rows))
		for _, r := range rows {
			out = append(out, r.delivery())
		}
		return nil
	})
	return out, err
}

// deliveryFilter makes a WHERE of q; $2 is its limit.
func (t *tx) deliveryFilter(q news.DeliveryQuery) (string, []any, error) {
	where, args := `WHERE d.id > $1`, []any{q.AfterID, pageSize(q.Limit)}
	and := func(column string, v any) {
		args = append(args, v)
		where += fmt.Sprintf(` AND d.%s = $%d`, column, len(args))
	}
	if q.EditionID != 0 {
		and("edition_id", q.EditionID)
	}
	if q.State != "" {
		and("state", string(q.State))
	}
	if q.Dead {
		where += ` AND d.state IN ('refused', 'expired', 'quarantined')`
	}
	if q.Doubtful || q.State == news.DeliveryUncertain { // implied by uncertain: for the partial index
		where += ` AND d.doubts > 0`
	}
	if q.List != "" {
		l, err := t.listByName(q.List)
		if err != nil {
			return "", nil, fmt.Errorf("list %s: %w", q.List, err)
		}
		and("list_id", l.ID)
	}
	if q.Address.Key != "" {
		var id int64
		if err := t.get(&id, `SELECT id FROM subscribers WHERE address_key = $1`, q.Address.Key); err != nil {
			return "", nil, fmt.Errorf("subscriber %s: %w", q.Address.Spec, err)
		}
		and("subscriber_id", id)
	}
	return where, args, nil
}
