package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"gazetted/internal/news"
)

// ImportSuppressions suppresses up to 1,000 addresses in one transaction and
// returns how many were not suppressed before. It only ever adds: an address
// that is suppressed keeps its reason, no subscription comes back. Reasons are
// those of Suppress; a zero At is now, a later one too.
func (s *Store) ImportSuppressions(ctx context.Context, all []news.Suppression) (added int, err error) {
	if len(all) > maxImport {
		return 0, fmt.Errorf("import suppressions: %d at once, at most %d", len(all), maxImport)
	}
	signer, err := s.signer(ctx)
	if err != nil {
		return 0, err
	}
	type row struct {
		news.Suppression
		addr news.Address
	}
	rows := make([]row, 0, len(all))
	for _, x := range all {
		switch x.Reason {
		case news.SuppressedBounce, news.SuppressedComplaint, news.SuppressedManual:
		default:
			return 0, &news.FieldError{Field: "reason", Value: string(x.Reason), Want: "bounce, complaint or manual"}
		}
		addr, err := news.ParseAddress("address", x.Address)
		if err != nil {
			return 0, err
		}
		rows = append(rows, row{x, addr})
	}
	// Everybody who locks several people does it in one order.
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.addr.Key, b.addr.Key) })
	err = s.write(ctx, "import suppressions", func(t *tx) error {
		added = 0
		t.wake(news.WakeLists)
		for _, x := range rows {
			id, err := t.personByKey(x.addr.Key)
			if err != nil {
				return err
			}
			since := ms(x.At)
			if since == 0 || since > ms(t.now) {
				since = ms(t.now)
			}
			n, err := t.exec(`INSERT INTO suppressions (address_hash, address, reason, note, at) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (address_hash) DO NOTHING`, signer.KeyedHash(x.addr.Key), x.addr.Spec, string(x.Reason), clean(x.Note), since)
			if err != nil {
				return err
			}
			added += int(n)
			if id == 0 {
				continue
			}
			if err := t.endSubscriptions(id, x.Reason); err != nil {
				return err
			}
		}
		return nil
	})
	return added, err
}

// SuppressionPage returns a page of suppressions, oldest first, and the id to
// go on after; 0: there is no more.
func (s *Store) SuppressionPage(ctx context.Context, afterID int64, limit int) (page []news.Suppression, next int64, err error) {
	err = s.read(ctx, "read suppressions", func(t *tx) error {
		var rows []struct {
			ID      int64  `db:"id"`
			Address string `db:"address"`
			Reason  string `db:"reason"`
			Note    string `db:"note"`
			At      int64  `db:"at"`
		}
		if err := t.all(&rows, `SELECT id, address, reason, note, at FROM suppressions WHERE id > $1 ORDER BY id LIMIT $2`, afterID, pageSize(limit)); err != nil {
			return err
		}
		page, next = make([]news.Suppression, 0, len(rows)), 0
		for _, r := range rows {
			page = append(page, news.Suppression{Address: r.Address, Reason: news.SuppressionReason(r.Reason), Note: r.Note, At: at(r.At)})
			next = r.ID
		}
		return nil
	})
	return page, next, err
}
