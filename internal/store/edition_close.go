package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gazetted/internal/news"
)

// minExpiry is how long a delivery is worth sending at least: until the next
// edition or for a day, whichever is later.
const minExpiry = 24 * time.Hour

// CloseEdition freezes an open edition, or does nothing: its articles, its
// variants, and which groups they are for. From then on later edits do not
// reach it. In the same transaction it queues the first deliveries; if that
// were all, the edition comes back as closed, otherwise as queueing: then the
// caller calls QueueDeliveries until it is closed.
//
// news.ErrStale says that the plan is out of date: the edition is not open any
// more, an article was withdrawn, or the audience holds a group that was not
// planned; plan again. The edition may also come back as done, if it has
// articles but no readers; or empty, if it has neither (an empty instant
// edition leaves no row).
func (s *Store) CloseEdition(ctx context.Context, c news.Closing) (news.Edition, error) {
	if err := s.checkAudience(ctx, c); err != nil {
		return c.Edition, err
	}
	var out news.Edition
	err := s.write(ctx, "close edition", func(t *tx) error {
		l, e, err := t.openForClosing(c.Edition.ID)
		if err != nil {
			return err
		}
		if err := t.checkArticles(c); err != nil {
			return err
		}
		t.wake(news.WakeLists)
		if e, err = t.freeze(l, e, c); err != nil {
			return err
		}
		if out, err = t.queue(l, e, s.batch); err == nil && out.Intended > 0 {
			out.Counts = news.DeliveryTally{news.DeliveryPending: out.Intended}
		}
		return err
	})
	return out, err
}

// openForClosing locks an edition that is open.
func (t *tx) openForClosing(id int64) (news.List, news.Edition, error) {
	l, e, err := t.lockEdition(id)
	if err == nil && e.State != news.EditionOpen {
		err = fmt.Errorf("edition %d is %s: %w", id, e.State, news.ErrStale)
	}
	return l, e, err
}

// checkArticles fails with news.ErrStale if an article of the plan was withdrawn.
func (t *tx) checkArticles(c news.Closing) error {
	ids := make([]int64, 0, len(c.Articles))
	for _, a := range c.Articles {
		ids = append(ids, a.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	list, err := encode(ids)
	if err != nil {
		return err
	}
	var released int
	if err := t.get(&released, `SELECT count(*) FROM articles WHERE id `+t.d.inInts("$1")+` AND state = 'released'`, list); err != nil {
		return err
	}
	if released != len(ids) {
		return fmt.Errorf("an article was withdrawn: %w", news.ErrStale)
	}
	return nil
}

// checkAudience fails with news.ErrStale if somebody belongs to a group that
// was not planned. It reads the whole audience, and so does it before the
// transaction that holds SQLite's only writer. Who moves to such a group from
// now on is not lost: the edition leaves them where they are, and the next one
// carries its articles to them.
func (s *Store) checkAudience(ctx context.Context, c news.Closing) error {
	planned := map[groupKey]bool{}
	for _, g := range groupsOf(c) {
		k, err := keyOf(g)
		if err != nil {
			return err
		}
		planned[k] = true
	}
	return s.read(ctx, "close edition", func(t *tx) error {
		e, l, err := t.editionAndList(c.Edition.ID)
		if errors.Is(err, news.ErrNotFound) { // its list was removed
			return fmt.Errorf("edition %d is gone: %w", c.Edition.ID, news.ErrStale)
		}
		if err != nil {
			return err
		}
		now, err := t.audience(l, e)
		if err != nil {
			return err
		}
		for _, g := range now {
			if k, err := keyOf(g); err != nil || !planned[k] {
				return errors.Join(err, fmt.Errorf("the audience changed: %w", news.ErrStale))
			}
		}
		return nil
	})
}

// groupsOf are all groups of a plan: those of its variants, in their order, and
// behind them those for whom there is nothing.
func groupsOf(c news.Closing) []news.AudienceGroup {
	out := make([]news.AudienceGroup, 0, len(c.Variants)+len(c.ServedEmpty))
	for _, v := range c.Variants {
		out = append(out, v.Group)
	}
	return append(out, c.ServedEmpty...)
}

// groupKey is what columns hold of an AudienceGroup.
type groupKey struct {
	topics   string
	language string
	served   int64
}

func keyOf(g news.AudienceGroup) (groupKey, error) {
	topics, err := topicsText(g.Topics)
	return groupKey{topics: topics, language: g.Language, served: g.ServedThrough}, err
}

// freeze keeps the articles as they are now, the variants and their groups.
func (t *tx) freeze(l news.List, e news.Edition, c news.Closing) (news.Edition, error) {
	for i, a := range c.Articles {
		text, err := encode(a)
		if err != nil {
			return e, err
		}
		if _, err := t.exec(`INSERT INTO edition_articles (edition_id, position, article_id, article) VALUES ($1, $2, $3, $4)`,
			e.ID, i+1, a.ID, text); err != nil {
			return e, err
		}
	}
	if err := t.freezeGroups(l, e, c); err != nil {
		return e, err
	}
	if err := t.moveSeries(e.ListID, e.Frequency, e.Zone, e.CutoffSeq); err != nil {
		return e, err
	}
	var err error
	if e.Slug, err = t.archiveSlug(l, e, c); err != nil {
		return e, err
	}
	e.State, e.ClosedAt, e.Subject, e.Articles = news.EditionQueueing, t.closing(c), clean(c.Subject), len(c.Articles)
	if len(c.Articles) == 0 && len(c.Variants) == 0 {
		e.Note = clean(cmp.Or(c.Edition.Note, "nothing new for anybody"))
	}
	_, err = t.exec(`UPDATE editions SET state = 'queueing', note = $1, closed_at = $2, subject = $3, slug = $4, articles = $5 WHERE id = $6`,
		e.Note, ms(e.ClosedAt), e.Subject, e.Slug, e.Articles, e.ID)
	return e, err
}

// freezeGroups stores the variants and whom each of them is for.
func (t *tx) freezeGroups(l news.List, e news.Edition, c news.Closing) error {
	expires, err := t.expiry(e, c)
	if err != nil {
		return err
	}
	for i, g := range groupsOf(c) {
		variant := int64(0)
		if i < len(c.Variants) {
			v := c.Variants[i]
			v.EditionID, v.ListID, v.Kind = e.ID, l.ID, news.VariantEdition
			if v.ListName == "" {
				v.Freeze(&l, "")
			}
			if variant, err = t.insertVariant(v); err != nil {
				return err
			}
		}
		k, err := keyOf(g)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO edition_groups (edition_id, position, variant_id, topics, language, served_through, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`, e.ID, i+1, variant, k.topics, k.language, k.served, expires); err != nil {
			return err
		}
	}
	return nil
}

// closing is the instant of the close, which dates all its messages.
func (t *tx) closing(c news.Closing) time.Time {
	if c.Now.IsZero() {
		return t.now
	}
	return c.Now
}

// expiry is when the deliveries stop being worth sending.
func (t *tx) expiry(e news.Edition, c news.Closing) (int64, error) {
	var next int64
	err := t.get(&next, `SELECT next_due_at FROM schedules WHERE list_id = $1 AND frequency = $2 AND zone = $3`, e.ListID, e.Frequency, e.Zone)
	if err != nil && !errors.Is(err, news.ErrNotFound) { // not found: the frequency was removed meanwhile
		return 0, err
	}
	return max(next, ms(t.closing(c).Add(minExpiry))), nil
}

// archiveSlug returns the slug of the edition's archive page: the one asked for,
// with -2, -3 … behind it if it is taken, or none. A slot that comes round the
// world zone by zone is in the archive once: as the first of its local date.
func (t *tx) archiveSlug(l news.List, e news.Edition, c news.Closing) (string, error) {
	if !l.Public || c.Slug == "" || len(c.Articles) == 0 {
		return "", nil
	}
	if !news.ValidSlug(c.Slug) {
		return "", &news.FieldError{Field: "slug", Value: c.Slug, Want: "a path segment such as 2026-11-22"}
	}
	var near []struct {
		Zone  string `db:"zone"`
		DueAt int64  `db:"due_at"`
	}
	const around = 48 * time.Hour // two zones' clocks are at most 26 hours apart
	if err := t.all(&near, `SELECT zone, due_at FROM editions WHERE list_id = $1 AND frequency = $2 AND zone <> $3 AND slug <> ''
		AND due_at BETWEEN $4 AND $5`, e.ListID, e.Frequency, e.Zone, ms(e.DueAt.Add(-around)), ms(e.DueAt.Add(around))); err != nil {
		return "", err
	}
	day := e.DueAt.In(location(e.Zone)).Format(time.DateOnly)
	for _, n := range near {
		if at(n.DueAt).In(location(n.Zone)).Format(time.DateOnly) == day {
			return "", nil
		}
	}
	slug := c.Slug
	for n := 2; ; n++ {
		var taken int
		if err := t.get(&taken, `SELECT count(*) FROM editions WHERE list_id = $1 AND slug <> '' AND slug = $2`, e.ListID, slug); err != nil {
			return "", err
		}
		if taken == 0 {
			return slug, nil
		}
		slug = fmt.Sprintf("%s-%d", c.Slug, n)
	}
}

// finishable finds closed editions without a delivery on its way: one probe of
// deliveries_edition each (see dueListsQuery). The three states of editions
// stand there for the partial index.
const finishable = `SELECT e.id FROM editions e WHERE e.state IN ('open', 'queueing', 'closed') AND e.state = 'closed'
	AND (SELECT 1 FROM deliveries d WHERE d.edition_id = e.id AND d.state IN ('pending', 'deferred', 'claimed', 'dot_pending', 'uncertain')
		ORDER BY d.state LIMIT 1) IS NULL
	ORDER BY e.id`

// FinishEditions turns closed editions into done ones once every intended
// recipient has an end state; a delivery held as uncertain has none. The counts
// are frozen. An edition whose counts do not balance stays closed, for people
// to see.
func (s *Store) FinishEditions(ctx context.Context) error {
	var ids []int64
	if err := s.read(ctx, "find finished editions", func(t *tx) error { return t.all(&ids, finishable) }); err != nil || len(ids) == 0 {
		return err
	}
	return s.write(ctx, "finish editions", func(t *tx) error {
		for _, id := range ids {
			if err := t.finishEdition(id); err != nil {
				return err
			}
		}
		return nil
	})
}

// finishEdition ends one edition if it is closed and balances. The lock keeps
// an admin from sending one of its deliveries again between count and end.
func (t *tx) finishEdition(id int64) error {
	var e struct {
		State    string `db:"state"`
		Intended int    `db:"intended"`
	}
	err := t.get(&e, `SELECT state, intended FROM editions WHERE id = $1`+t.d.forUpdate, id)
	if errors.Is(err, news.ErrNotFound) || err == nil && e.State != string(news.EditionClosed) {
		return nil // its list was removed, or somebody else was faster
	}
	if err != nil {
		return err
	}
	counts, err := t.tally(id)
	if err != nil {
		return err
	}
	sum, ended := 0, true
	for state, n := range counts {
		sum += n
		ended = ended && state.Ended()
	}
	if sum != e.Intended || !ended {
		return nil
	}
	text, err := encode(counts)
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE editions SET state = 'done', done_at = $1, counts = $2 WHERE id = $3`, ms(t.now), text, id)
	return err
}
