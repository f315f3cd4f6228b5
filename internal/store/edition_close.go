package store

import (
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

// CloseEdition freezes an open edition and queues its deliveries, or neither:
// the articles, the variants, one delivery for every active subscriber of a
// variant's group, the new ServedThrough of everybody it serves (those of
// ServedEmpty without a mail) and of its schedule. From then on later edits do
// not reach it and no other edition of the list carries its articles to the
// same people.
//
// news.ErrStale says that the plan is out of date: the edition is not open any
// more, an article was withdrawn, or the audience holds a group that was not
// planned; plan again. The edition comes back as closed; done, if it has
// articles but no readers; or empty, if it has neither (an empty instant
// edition leaves no row).
//
// Its cost is that of a few statements per group, whatever the number of
// subscribers.
func (s *Store) CloseEdition(ctx context.Context, c news.Closing) (news.Edition, error) {
	var out news.Edition
	err := s.write(ctx, "close edition", func(t *tx) error {
		l, e, err := t.openForClosing(c.Edition.ID)
		if err != nil {
			return err
		}
		if err := t.checkPlan(l, e, c); err != nil {
			return err
		}
		t.wake(news.WakeLists)
		if len(c.Articles) == 0 && len(c.Variants) == 0 {
			out, err = t.closeEmpty(l, e, c)
			return err
		}
		if err := t.freeze(e.ID, c.Articles); err != nil {
			return err
		}
		if e.Intended, err = t.fanOut(l, e, c); err != nil {
			return err
		}
		out, err = t.finishClose(l, e, c)
		return err
	})
	return out, err
}

// openForClosing locks the list, so that two of its editions close one after
// the other and the second sees whom the first has served, and the edition.
func (t *tx) openForClosing(id int64) (news.List, news.Edition, error) {
	e, err := t.editionByID(id)
	if errors.Is(err, news.ErrNotFound) { // its list was removed
		return news.List{}, e, fmt.Errorf("edition %d is gone: %w", id, news.ErrStale)
	}
	if err != nil {
		return news.List{}, e, err
	}
	if err := t.lockList(e.ListID); err != nil {
		return news.List{}, e, err
	}
	var state string
	if err := t.get(&state, `SELECT state FROM editions WHERE id = $1`+t.d.forUpdate, id); err != nil {
		return news.List{}, e, err
	}
	if state != string(news.EditionOpen) {
		return news.List{}, e, fmt.Errorf("edition %d is %s: %w", id, state, news.ErrStale)
	}
	l, err := t.listByID(e.ListID)
	return l, e, err
}

// checkPlan compares what was planned with what is now.
func (t *tx) checkPlan(l news.List, e news.Edition, c news.Closing) error {
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
	planned := map[groupKey]bool{}
	for _, v := range c.Variants {
		k, err := keyOf(v.Group)
		if err != nil {
			return err
		}
		planned[k] = true
	}
	for _, g := range c.ServedEmpty {
		k, err := keyOf(g)
		if err != nil {
			return err
		}
		planned[k] = true
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

// freeze keeps the articles as they are now.
func (t *tx) freeze(editionID int64, articles []news.Article) error {
	for i, a := range articles {
		text, err := encode(a)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO edition_articles (edition_id, position, article_id, article) VALUES ($1, $2, $3, $4)`,
			editionID, i+1, a.ID, text); err != nil {
			return err
		}
	}
	return nil
}

// fanOut stores the variants, queues one delivery per recipient and moves
// everybody forward. It returns the number of recipients.
func (t *tx) fanOut(l news.List, e news.Edition, c news.Closing) (int, error) {
	expires, err := t.expiry(e, c)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, v := range c.Variants {
		v.EditionID, v.ListID, v.Kind = e.ID, l.ID, news.VariantEdition
		if v.ListName == "" {
			v.Freeze(&l, "")
		}
		id, err := t.insertVariant(v)
		if err != nil {
			return 0, err
		}
		k, err := keyOf(v.Group)
		if err != nil {
			return 0, err
		}
		// Active is enough: an address that is suppressed has no active subscription.
		// next_at 0 is due at once, even if the clock is set back now.
		n, err := t.exec(`INSERT INTO deliveries (kind, edition_id, variant_id, list_id, subscriber_id, subscription_id, state, served_from, next_at, expires_at, created_at)
			SELECT 'edition', CAST($1 AS BIGINT), CAST($2 AS BIGINT), p.list_id, p.subscriber_id, p.id, 'pending', p.served_through, 0, CAST($4 AS BIGINT), CAST($3 AS BIGINT)
			FROM subscriptions p WHERE p.list_id = $5 AND p.frequency = $6 AND p.zone = $7 AND p.state = 'active'
			AND p.topics = $8 AND p.language = $9 AND p.served_through = $10 AND p.served_through < $11`,
			e.ID, id, ms(t.closing(c)), expires, l.ID, e.Frequency, audienceZone(l, e), k.topics, k.language, k.served, e.CutoffSeq)
		if err != nil {
			return 0, err
		}
		total += n
	}
	// Exactly those who have a delivery: on PostgreSQL somebody may have joined
	// one of the groups between the two statements.
	if _, err := t.exec(`UPDATE subscriptions SET served_through = $1 FROM deliveries d
		WHERE d.edition_id = $2 AND d.subscription_id = subscriptions.id AND served_through < $1`, e.CutoffSeq, e.ID); err != nil {
		return 0, err
	}
	return int(total), t.serveEmpty(l, e, c)
}

// serveEmpty moves those for whom there was nothing.
func (t *tx) serveEmpty(l news.List, e news.Edition, c news.Closing) error {
	for _, g := range c.ServedEmpty {
		k, err := keyOf(g)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE subscriptions SET served_through = $1 WHERE list_id = $2 AND frequency = $3 AND zone = $4 AND state = 'active'
			AND topics = $5 AND language = $6 AND served_through = $7 AND served_through < $1`,
			e.CutoffSeq, l.ID, e.Frequency, audienceZone(l, e), k.topics, k.language, k.served); err != nil {
			return err
		}
	}
	return t.moveSeries(e.ListID, e.Frequency, e.Zone, e.CutoffSeq)
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

func (t *tx) closeEmpty(l news.List, e news.Edition, c news.Closing) (news.Edition, error) {
	if err := t.serveEmpty(l, e, c); err != nil {
		return e, err
	}
	e.State, e.Note = news.EditionEmpty, c.Edition.Note
	if e.Note == "" {
		e.Note = "nothing new for anybody"
	}
	if f, ok := l.Frequency(e.Frequency); ok && f.Cron == "" && e.SlotKey == news.InstantKey(e.CutoffSeq) {
		_, err := t.exec(`DELETE FROM editions WHERE id = $1`, e.ID)
		return e, err
	}
	e.ClosedAt, e.DoneAt = t.closing(c), t.closing(c)
	_, err := t.exec(`UPDATE editions SET state = 'empty', note = $1, leased_until = 0, closed_at = $2, done_at = $2 WHERE id = $3`,
		clean(e.Note), ms(e.ClosedAt), e.ID)
	return e, err
}

func (t *tx) finishClose(l news.List, e news.Edition, c news.Closing) (news.Edition, error) {
	var err error
	if e.Slug, err = t.archiveSlug(l, e, c); err != nil {
		return e, err
	}
	e.State, e.ClosedAt, e.Subject, e.Articles = news.EditionClosed, t.closing(c), clean(c.Subject), len(c.Articles)
	counts := ""
	if e.Intended == 0 {
		e.State, e.DoneAt, counts = news.EditionDone, e.ClosedAt, "{}"
	} else {
		e.Counts = news.DeliveryTally{news.DeliveryPending: e.Intended}
		t.wake(news.WakeOutbox)
	}
	_, err = t.exec(`UPDATE editions SET state = $1, closed_at = $2, done_at = $3, subject = $4, slug = $5, articles = $6, intended = $7, counts = $8,
		leased_until = 0 WHERE id = $9`,
		string(e.State), ms(e.ClosedAt), ms(e.DoneAt), e.Subject, e.Slug, e.Articles, e.Intended, counts, e.ID)
	return e, err
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
// deliveries_edition each (see dueListsQuery). The two states of editions stand
// there for the partial index.
const finishable = `SELECT e.id FROM editions e WHERE e.state IN ('open', 'closed') AND e.state = 'closed'
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
