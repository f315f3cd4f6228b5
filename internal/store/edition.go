package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"gazetted/internal/news"
)

// maxTaken is how often an edition may be begun before it is given up: making
// it seems to be what takes its makers down. Not a well informed number; it
// must survive a few restarts in a row.
const maxTaken = 10

type editionRow struct {
	ID        int64  `db:"id"`
	ListID    int64  `db:"list_id"`
	ListName  string `db:"list_name"`
	Frequency string `db:"frequency"`
	Zone      string `db:"zone"`
	SlotKey   string `db:"slot_key"`
	DueAt     int64  `db:"due_at"`
	State     string `db:"state"`
	Note      string `db:"note"`
	FromSeq   int64  `db:"from_seq"`
	CutoffSeq int64  `db:"cutoff_seq"`
	Slug      string `db:"slug"`
	Subject   string `db:"subject"`
	ClosedAt  int64  `db:"closed_at"`
	DoneAt    int64  `db:"done_at"`
	Articles  int    `db:"articles"`
	Intended  int    `db:"intended"`
	Counts    string `db:"counts"`
}

const editionSelect = `SELECT e.id, e.list_id, l.name AS list_name, e.frequency, e.zone, e.slot_key, e.due_at, e.state, e.note, e.from_seq, e.cutoff_seq,
	e.slug, e.subject, e.closed_at, e.done_at, e.articles, e.intended, e.counts FROM editions e JOIN lists l ON l.id = e.list_id `

func (r editionRow) edition() news.Edition {
	return news.Edition{
		ID: r.ID, ListID: r.ListID, ListName: r.ListName, Frequency: r.Frequency, Zone: r.Zone, SlotKey: r.SlotKey,
		DueAt: at(r.DueAt), State: news.EditionState(r.State), Note: r.Note, FromSeq: r.FromSeq, CutoffSeq: r.CutoffSeq,
		Slug: r.Slug, Subject: r.Subject, ClosedAt: at(r.ClosedAt), DoneAt: at(r.DoneAt), Articles: r.Articles, Intended: r.Intended,
	}
}

// resumeEdition takes over an edition whose maker did not come back: its lease
// ended, or ends so far ahead that it was given before the shared clock was set
// back. One that is open is planned anew (one that two make is closed by one),
// and given up after maxTaken times; one that is queueing goes on where it was,
// and is never given up. 0: none.
func (t *tx) resumeEdition(lease time.Duration) (int64, error) {
	for {
		var r struct {
			ID    int64  `db:"id"`
			State string `db:"state"`
			Taken int    `db:"taken"`
		}
		// The three states stand there for the partial index.
		err := t.get(&r, `SELECT e.id, e.state, e.taken FROM editions e WHERE e.state IN ('open', 'queueing', 'closed') AND e.state <> 'closed'
			AND (e.leased_until <= $1 OR e.leased_until > $2) AND e.list_id IN (SELECT id FROM lists WHERE NOT paused)
			ORDER BY e.id LIMIT 1`+t.d.skipLocked, ms(t.lease), ms(t.lease.Add(2*lease)))
		if errors.Is(err, news.ErrNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if r.State == string(news.EditionQueueing) {
			_, err := t.exec(`UPDATE editions SET leased_until = $1, taken = taken + 1 WHERE id = $2`, ms(t.lease.Add(min(lease, queueLease))), r.ID)
			return r.ID, err
		}
		if r.Taken < maxTaken {
			_, err := t.exec(`UPDATE editions SET leased_until = $1, taken = taken + 1 WHERE id = $2`, ms(t.lease.Add(lease)), r.ID)
			return r.ID, err
		}
		note := fmt.Sprintf("given up: begun %d times, and nobody came back", r.Taken)
		if _, err := t.exec(`UPDATE editions SET state = 'failed', leased_until = 0, note = $1 WHERE id = $2`, note, r.ID); err != nil {
			return 0, err
		}
	}
}

// ReturnEdition gives back an edition that is open or queueing, so that the next
// TakeSlot finds it without waiting for the end of its lease: its maker was
// asked to stop. It counts as not begun.
func (s *Store) ReturnEdition(ctx context.Context, id int64) error {
	return s.write(ctx, "return edition", func(t *tx) error {
		_, err := t.exec(`UPDATE editions SET leased_until = 0, taken = taken - 1 WHERE id = $1 AND state IN ('open', 'queueing') AND leased_until > 0`, id)
		if err == nil {
			t.wake(news.WakeLists)
		}
		return err
	})
}

func (t *tx) editionByID(id int64) (news.Edition, error) {
	var r editionRow
	if err := t.get(&r, editionSelect+`WHERE e.id = $1`, id); err != nil {
		return news.Edition{}, err
	}
	return r.edition(), nil
}

func (t *tx) editionAndList(id int64) (news.Edition, news.List, error) {
	e, err := t.editionByID(id)
	if err != nil {
		return e, news.List{}, err
	}
	l, err := t.listByID(e.ListID)
	return e, l, err
}

// Audience groups the active subscribers that e would serve: those of its
// list, frequency and zone who have not been served up to its cutoff. Whoever
// joined after the cutoff is not among them. It reads only ListID, Frequency,
// Zone and CutoffSeq of e.
func (s *Store) Audience(ctx context.Context, e news.Edition) ([]news.AudienceGroup, error) {
	var out []news.AudienceGroup
	err := s.read(ctx, "read audience", func(t *tx) error {
		l, err := t.listByID(e.ListID)
		if err != nil {
			return err
		}
		out, err = t.audience(l, e)
		return err
	})
	return out, err
}

// audienceQuery is one range of subscriptions_audience, which holds every
// column that is used.
const audienceQuery = `SELECT topics, served_through, language, count(*) AS n FROM subscriptions
	WHERE list_id = $1 AND frequency = $2 AND zone = $3 AND state = 'active' AND served_through < $4
	GROUP BY topics, language, served_through ORDER BY topics, language, served_through`

func (t *tx) audience(l news.List, e news.Edition) ([]news.AudienceGroup, error) {
	var rows []struct {
		Topics        string `db:"topics"`
		ServedThrough int64  `db:"served_through"`
		Language      string `db:"language"`
		N             int    `db:"n"`
	}
	if err := t.all(&rows, audienceQuery,
		l.ID, e.Frequency, audienceZone(l, e), e.CutoffSeq); err != nil {
		return nil, err
	}
	out := make([]news.AudienceGroup, 0, len(rows))
	for _, r := range rows {
		g := news.AudienceGroup{ServedThrough: r.ServedThrough, Language: r.Language, Subscribers: r.N}
		if err := decode(r.Topics, &g.Topics); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

// audienceZone is the zone column of the subscriptions that e serves.
func audienceZone(l news.List, e news.Edition) string {
	if l.Zone == news.ZoneSubscriber {
		return e.Zone
	}
	return ""
}

// FailEdition gives an open edition up; note tells people why. Nobody has been
// served, so the next slot carries its articles. An edition that is not open
// any more is news.ErrStale.
func (s *Store) FailEdition(ctx context.Context, id int64, note string) error {
	return s.write(ctx, "fail edition", func(t *tx) error {
		n, err := t.exec(`UPDATE editions SET state = 'failed', leased_until = 0, note = $1 WHERE id = $2 AND state = 'open'`, clean(note), id)
		if err != nil || n > 0 {
			return err
		}
		if _, err := t.editionByID(id); err != nil {
			return err
		}
		return news.ErrStale
	})
}

// ReopenEdition lets the caller make an edition that has failed. None is
// news.ErrNotFound, one that has not failed a *news.FieldError; news.ErrExists
// says that another edition of its series is being made, news.ErrPaused that
// the list or everything is paused.
func (s *Store) ReopenEdition(ctx context.Context, id int64, lease time.Duration) (news.Edition, news.List, error) {
	var (
		e news.Edition
		l news.List
	)
	err := s.write(ctx, fmt.Sprintf("reopen edition %d", id), func(t *tx) (err error) {
		if e, l, err = t.editionAndList(id); err != nil {
			return err
		}
		if paused, err := t.paused(); err != nil || paused || l.Paused {
			return errors.Join(err, news.ErrPaused)
		}
		n, err := t.exec(`UPDATE editions SET state = 'open', note = '', taken = 1, leased_until = $1 WHERE id = $2 AND state = 'failed'`, ms(t.lease.Add(lease)), id)
		if err != nil { // of the unique key: see editions_open
			return err
		}
		if n == 0 {
			return &news.FieldError{Field: "edition", Value: fmt.Sprint(id), Want: fmt.Sprintf("one that has failed; this one is %s", e.State)}
		}
		e, err = t.editionByID(id)
		return err
	})
	return e, l, err
}

// Edition returns one edition with the counts of its deliveries, or news.ErrNotFound.
func (s *Store) Edition(ctx context.Context, id int64) (news.Edition, error) {
	var e news.Edition
	err := s.read(ctx, "read edition", func(t *tx) error {
		out, err := t.editions(`WHERE e.id = $1`, id)
		if err == nil && len(out) == 0 {
			err = news.ErrNotFound
		}
		if err == nil {
			e = out[0]
		}
		return err
	})
	return e, err
}

// Editions pages through the editions of a list (all lists: ""), the newest
// first, with the counts of their deliveries. beforeID 0 begins with the
// newest. An unknown list is news.ErrNotFound.
func (s *Store) Editions(ctx context.Context, listName string, beforeID int64, limit int) ([]news.Edition, error) {
	var out []news.Edition
	err := s.read(ctx, "read editions", func(t *tx) error {
		var listID int64
		if listName != "" {
			l, err := t.listByName(listName)
			if err != nil {
				return err
			}
			listID = l.ID
		}
		var err error
		out, err = t.editions(`WHERE (CAST($1 AS BIGINT) = 0 OR e.list_id = $1) AND e.id < $2 ORDER BY e.id DESC LIMIT $3`, listID, before(beforeID), pageSize(limit))
		return err
	})
	return out, err
}

// ArchiveEditions pages through the public archive of a list, the newest
// first. A list that is not public has none.
func (s *Store) ArchiveEditions(ctx context.Context, listID, beforeID int64, limit int) ([]news.Edition, error) {
	var out []news.Edition
	err := s.read(ctx, "read archive", func(t *tx) error {
		var rows []editionRow
		if err := t.all(&rows, editionSelect+`WHERE e.list_id = $1 AND l.public AND e.slug <> '' AND e.id < $2
			ORDER BY e.id DESC LIMIT $3`, listID, before(beforeID), pageSize(limit)); err != nil {
			return err
		}
		for _, r := range rows {
			out = append(out, r.edition())
		}
		return nil
	})
	return out, err
}

// ArchiveEdition finds an edition in the public archive of a list by its slug.
// None, or a list that is not public, is news.ErrNotFound.
func (s *Store) ArchiveEdition(ctx context.Context, listID int64, slug string) (news.Edition, error) {
	var e news.Edition
	err := s.read(ctx, "read archived edition", func(t *tx) error {
		var r editionRow
		if err := t.get(&r, editionSelect+`WHERE e.list_id = $1 AND l.public AND e.slug <> '' AND e.slug = $2`, listID, slug); err != nil {
			return err
		}
		e = r.edition()
		return nil
	})
	return e, err
}

// EditionArticles returns what an edition carried as it was when the edition
// closed, in its order. Later edits and withdrawals do not show.
func (s *Store) EditionArticles(ctx context.Context, id int64) ([]news.Article, error) {
	var out []news.Article
	err := s.read(ctx, "read frozen articles", func(t *tx) error {
		var rows []string
		if err := t.all(&rows, `SELECT article FROM edition_articles WHERE edition_id = $1 ORDER BY position`, id); err != nil {
			return err
		}
		out = make([]news.Article, len(rows))
		for i, text := range rows {
			if err := decode(text, &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// editions reads editions with their counts.
func (t *tx) editions(where string, args ...any) ([]news.Edition, error) {
	var rows []editionRow
	if err := t.all(&rows, editionSelect+where, args...); err != nil {
		return nil, err
	}
	out := make([]news.Edition, 0, len(rows))
	for _, r := range rows {
		e := r.edition()
		var err error
		switch {
		case r.Counts != "": // done: they do not change any more
			err = decode(r.Counts, &e.Counts)
		case e.Intended > 0:
			e.Counts, err = t.tally(r.ID)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

const tallyQuery = `SELECT state, count(*) AS n FROM deliveries WHERE edition_id = $1 GROUP BY state`

// tally counts an edition's deliveries by state.
func (t *tx) tally(editionID int64) (news.DeliveryTally, error) {
	var rows []struct {
		State string `db:"state"`
		N     int    `db:"n"`
	}
	if err := t.all(&rows, tallyQuery, editionID); err != nil {
		return nil, err
	}
	out := make(news.DeliveryTally, len(rows))
	for _, r := range rows {
		out[news.DeliveryState(r.State)] = r.N
	}
	return out, nil
}

// defaultPage is the size of a page where the caller does not say.
const defaultPage = 100

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return limit
}

// before makes a page that begins at 0 begin with the newest row.
func before(id int64) int64 {
	if id <= 0 {
		return math.MaxInt64
	}
	return id
}
