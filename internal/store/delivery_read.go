package store

import (
	"context"
	"errors"
	"fmt"

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
}

const variantColumns = `id, edition_id, list_id, kind, language, nonce, subject, html, text, article_ids`

func (r variantRow) variant() (news.Variant, error) {
	v := news.Variant{
		ID: r.ID, EditionID: r.EditionID, ListID: r.ListID, Kind: news.VariantKind(r.Kind), Language: r.Language,
		Nonce: r.Nonce, Subject: r.Subject, HTML: r.HTML, Text: r.Text,
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
	}, err
}

// insertVariant stores a new rendering. Each variant of an edition has a nonce
// of its own.
func (t *tx) insertVariant(v news.Variant) (int64, error) {
	r, err := newVariantRow(v)
	if err != nil {
		return 0, err
	}
	return t.insert(`INSERT INTO variants (edition_id, list_id, kind, language, nonce, subject, html, text, article_ids)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`,
		r.EditionID, r.ListID, r.Kind, r.Language, r.Nonce, r.Subject, r.HTML, r.Text, r.ArticleIDs)
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
	return t.insert(`INSERT INTO variants (edition_id, list_id, kind, language, nonce, subject, html, text, article_ids)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (edition_id, list_id, kind, nonce) DO UPDATE SET language = excluded.language, subject = excluded.subject,
			html = excluded.html, text = excluded.text, article_ids = excluded.article_ids
		RETURNING id`,
		r.EditionID, r.ListID, r.Kind, r.Language, r.Nonce, r.Subject, r.HTML, r.Text, r.ArticleIDs)
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
	return r.variant()
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
	deliveryColumns = `d.id, d.kind, d.edition_id, d.variant_id, d.list_id, d.subscriber_id, d.subscription_id, d.state, d.attempts, d.crashes,
	d.next_at, d.expires_at, d.created_at, d.ended_at, d.relay, d.code, d.enhanced, d.reply`
	deliverySelect = `SELECT ` + deliveryColumns + `, s.address FROM deliveries d LEFT JOIN subscribers s ON s.id = d.subscriber_id `
)

func (r deliveryRow) delivery() news.Delivery {
	d := news.Delivery{
		ID: r.ID, Kind: news.VariantKind(r.Kind), EditionID: r.EditionID, VariantID: r.VariantID, ListID: r.ListID,
		SubscriberID: r.SubscriberID, SubscriptionID: r.SubscriptionID, State: news.DeliveryState(r.State), Attempts: r.Attempts,
		NextAt: at(r.NextAt), ExpiresAt: at(r.ExpiresAt), CreatedAt: at(r.CreatedAt), EndedAt: at(r.EndedAt),
		Relay: r.Relay, Code: r.Code, Enhanced: r.Enhanced, Reply: r.Reply,
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
// were not erased. Of one edition and state it reads one range of an index.
func (s *Store) Deliveries(ctx context.Context, q news.DeliveryQuery) ([]news.Delivery, error) {
	where, args := `WHERE d.id > $1`, []any{q.AfterID, pageSize(q.Limit)}
	if q.EditionID != 0 {
		args = append(args, q.EditionID)
		where += fmt.Sprintf(` AND d.edition_id = $%d`, len(args))
	}
	if q.State != "" {
		args = append(args, string(q.State))
		where += fmt.Sprintf(` AND d.state = $%d`, len(args))
	}
	var out []news.Delivery
	err := s.read(ctx, "read deliveries", func(t *tx) error {
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
