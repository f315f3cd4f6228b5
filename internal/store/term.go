package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"gazetted/internal/news"
)

type termRow struct {
	ID       int64  `db:"id"`
	Kind     string `db:"kind"`
	Slug     string `db:"slug"`
	Name     string `db:"name"`
	ParentID int64  `db:"parent_id"`
	Articles int    `db:"articles"`
	Gone     string `db:"gone"`
}

const termColumns = `id, kind, slug, name, parent_id, articles, gone`

func (r termRow) term() news.Term {
	return news.Term{
		ID: r.ID, Kind: news.TermKind(r.Kind), Slug: r.Slug, Name: r.Name, ParentID: r.ParentID, Articles: r.Articles, Gone: news.TermGone(r.Gone),
	}
}

// Terms lists all categories and tags by kind and name, with the number of
// released articles of each.
func (s *Store) Terms(ctx context.Context) ([]news.Term, error) {
	var out []news.Term
	err := s.read(ctx, "list terms", func(t *tx) error {
		var rows []termRow
		if err := t.all(&rows, `SELECT `+termColumns+` FROM terms WHERE alias_of = 0 ORDER BY kind, folded`); err != nil {
			return err
		}
		out = make([]news.Term, len(rows))
		for i, r := range rows {
			out[i] = r.term()
		}
		return nil
	})
	return out, err
}

// TermBySlug finds a term by its slug, a past slug, or that of an alias: compare
// Slug to tell. None is news.ErrNotFound.
func (s *Store) TermBySlug(ctx context.Context, kind news.TermKind, slug string) (news.Term, error) {
	var r termRow
	err := s.read(ctx, "read term", func(t *tx) error {
		var err error
		r, err = t.termBySlug(kind, slug)
		return err
	})
	return r.term(), err
}

func (t *tx) termBySlug(kind news.TermKind, slug string) (termRow, error) {
	var r termRow
	err := t.get(&r, `SELECT `+termColumns+` FROM terms WHERE id = (
			SELECT CASE WHEN alias_of > 0 THEN alias_of ELSE id END FROM terms WHERE kind = $1 AND slug = $2
			UNION ALL SELECT term_id FROM term_slugs WHERE kind = $1 AND slug = $2
			LIMIT 1)`, string(kind), slug)
	return r, err
}

// StoreTerms learns terms of a source: new ones, new names and slugs of known
// ones (their past slugs keep leading to them), new parents. What the operator
// has fixed stays. A ref without a native id is passed over, and so is one that
// is KnownOnly and not known.
func (s *Store) StoreTerms(ctx context.Context, sourceID int64, refs []news.TermRef) error {
	return s.write(ctx, "store terms", func(t *tx) error {
		touched := touchedTerms{}
		for _, ref := range refs {
			if use, err := t.learns(sourceID, ref); err != nil {
				return err
			} else if !use {
				continue
			}
			id, err := t.resolveTerm(sourceID, ref, touched)
			if err != nil {
				return err
			}
			if err := t.renameTerm(sourceID, id, ref, touched); err != nil {
				return err
			}
		}
		for _, ref := range refs {
			if err := t.reparentTerm(sourceID, ref, touched); err != nil {
				return err
			}
		}
		return t.feedsChanged(touched, len(touched) > 0)
	})
}

// learns tells whether StoreTerms has a use for ref.
func (t *tx) learns(sourceID int64, ref news.TermRef) (bool, error) {
	if ref.NativeID == "" || !ref.KnownOnly {
		return ref.NativeID != "", nil
	}
	var n int
	err := t.get(&n, `SELECT count(*) FROM source_terms WHERE source_id = $1 AND kind = $2 AND native_id = $3`, sourceID, string(ref.Kind), ref.NativeID)
	return n > 0, err
}

// resolveTerm finds the term that ref names: by the source's id of it, by the
// identity of its name, or as a new one.
func (t *tx) resolveTerm(sourceID int64, ref news.TermRef, touched touchedTerms) (int64, error) {
	if ref.NativeID != "" {
		var ids []int64
		err := t.all(&ids, `SELECT term_id FROM source_terms WHERE source_id = $1 AND kind = $2 AND native_id = $3`, sourceID, string(ref.Kind), ref.NativeID)
		if err != nil {
			return 0, err
		}
		if len(ids) > 0 {
			return ids[0], nil
		}
	}
	id, err := t.termByName(ref, touched)
	if err != nil || ref.NativeID == "" {
		return id, err
	}
	_, err = t.exec(`INSERT INTO source_terms (source_id, kind, native_id, term_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (source_id, kind, native_id) DO NOTHING`, sourceID, string(ref.Kind), ref.NativeID, id)
	return id, err
}

func (t *tx) termByName(ref news.TermRef, touched touchedTerms) (int64, error) {
	folded := news.FoldName(ref.Name)
	var ids []int64
	if ref.Kind == news.KindAny {
		var kinds []string
		if err := t.all(&kinds, `SELECT kind FROM terms WHERE kind IN ('category', 'tag') AND folded = $1 ORDER BY kind`, folded); err != nil {
			return 0, err
		}
		ref.Kind = news.KindCategory
		if len(kinds) > 0 {
			ref.Kind = news.TermKind(kinds[0])
		}
	}
	if err := t.all(&ids, `SELECT CASE WHEN alias_of > 0 THEN alias_of ELSE id END FROM terms WHERE kind = $1 AND folded = $2`,
		string(ref.Kind), folded); err != nil {
		return 0, err
	}
	if len(ids) > 0 {
		return ids[0], nil
	}
	slug, err := t.freeSlug(ref, 0)
	if err != nil {
		return 0, err
	}
	// Another replica may have made the same term since: then that one is it.
	id, err := t.insert(`INSERT INTO terms (kind, slug, name, folded) VALUES ($1, $2, $3, $4)
		ON CONFLICT (kind, folded) DO UPDATE SET folded = excluded.folded RETURNING id`, string(ref.Kind), slug, clean(ref.Name), clean(folded))
	if err == nil {
		touched[id] += 0
	}
	return id, err
}

// freeSlug returns the slug that ref asks for, or one with -2, -3 … behind it
// when another term than own has it now or had it in the past.
func (t *tx) freeSlug(ref news.TermRef, own int64) (string, error) {
	base := ref.Slug
	if !news.ValidSlug(base) {
		base = news.Slugify(ref.Name)
	}
	if !news.ValidSlug(base) {
		sum := sha256.Sum256([]byte(news.FoldName(ref.Name)))
		base = string(ref.Kind) + "-" + hex.EncodeToString(sum[:4])
	}
	for n := 1; ; n++ {
		slug := base
		if n > 1 {
			slug = fmt.Sprintf("%s-%d", base, n)
		}
		var taken int
		if err := t.get(&taken, `SELECT (SELECT count(*) FROM terms WHERE kind = $1 AND slug = $2 AND id <> $3) +
			(SELECT count(*) FROM term_slugs WHERE kind = $1 AND slug = $2 AND term_id <> $3)`, string(ref.Kind), slug, own); err != nil {
			return "", err
		}
		if taken == 0 {
			return slug, nil
		}
	}
}

// ruled tells whether the operator has taken the term out of its source's hands:
// by choosing the column fixed themselves, or by merging it into another.
func (t *tx) ruled(sourceID, id int64, ref news.TermRef, fixed string) (bool, error) {
	var n int
	err := t.get(&n, `SELECT (SELECT count(*) FROM terms WHERE id = $1 AND `+fixed+` = 1)
		+ (SELECT count(*) FROM source_terms WHERE source_id = $2 AND kind = $3 AND native_id = $4 AND merged = 1)`,
		id, sourceID, string(ref.Kind), ref.NativeID)
	return n > 0, err
}

// renameTerm gives the term the name and slug that its source uses now.
func (t *tx) renameTerm(sourceID, id int64, ref news.TermRef, touched touchedTerms) error {
	if ruled, err := t.ruled(sourceID, id, ref, "fixed_name"); err != nil || ruled {
		return err
	}
	var r termRow
	if err := t.get(&r, `SELECT `+termColumns+` FROM terms WHERE id = $1`, id); err != nil {
		return err
	}
	if r.Gone == string(news.GoneAtSource) {
		if _, err := t.exec(`UPDATE terms SET gone = '' WHERE id = $1`, id); err != nil {
			return err
		}
		touched[id] += 0
	}
	name := clean(ref.Name)
	if name != "" && name != r.Name {
		// A name that another term has already stays with that term.
		n, err := t.exec(`UPDATE terms SET name = $1, folded = $2 WHERE id = $3
			AND NOT EXISTS (SELECT 1 FROM terms o WHERE o.kind = $4 AND o.folded = $2 AND o.id <> $3)`, name, clean(news.FoldName(name)), id, r.Kind)
		if err != nil {
			return err
		}
		if n > 0 {
			touched[id] += 0
		}
	}
	if ref.Slug == r.Slug || !news.ValidSlug(ref.Slug) {
		return nil
	}
	slug, err := t.freeSlug(ref, id)
	if err != nil || slug == r.Slug || slug != ref.Slug {
		return err
	}
	touched[id] += 0
	return t.moveSlug(r, slug)
}

// moveSlug gives a term a slug that is free or its own in the past; the present
// one leads to it from now on.
func (t *tx) moveSlug(r termRow, slug string) error {
	if _, err := t.exec(`DELETE FROM term_slugs WHERE kind = $1 AND slug = $2`, r.Kind, slug); err != nil {
		return err
	}
	if _, err := t.exec(`INSERT INTO term_slugs (kind, slug, term_id) VALUES ($1, $2, $3) ON CONFLICT (kind, slug) DO UPDATE SET term_id = excluded.term_id`,
		r.Kind, r.Slug, r.ID); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE terms SET slug = $1 WHERE id = $2`, slug, r.ID); err != nil {
		return err
	}
	return t.moveTopic(news.TermKind(r.Kind), r.Slug, slug)
}

func (t *tx) reparentTerm(sourceID int64, ref news.TermRef, touched touchedTerms) error {
	if ref.NativeID == "" || ref.Kind != news.KindCategory {
		return nil
	}
	var parent int64
	if ref.ParentNativeID != "" {
		var ids []int64
		if err := t.all(&ids, `SELECT term_id FROM source_terms WHERE source_id = $1 AND kind = $2 AND native_id = $3`,
			sourceID, string(ref.Kind), ref.ParentNativeID); err != nil {
			return err
		}
		if len(ids) > 0 {
			parent = ids[0]
		}
	}
	var own []int64
	if err := t.all(&own, `SELECT term_id FROM source_terms WHERE source_id = $1 AND kind = $2 AND native_id = $3`,
		sourceID, string(ref.Kind), ref.NativeID); err != nil || len(own) == 0 || own[0] == parent {
		return err
	}
	if ruled, err := t.ruled(sourceID, own[0], ref, "fixed_parent"); err != nil || ruled {
		return err
	}
	return t.moveParent(own[0], parent, touched)
}

// moveParent puts a category below another one, or, with 0, at the top.
func (t *tx) moveParent(id, parent int64, touched touchedTerms) error {
	var was int64
	if err := t.get(&was, `SELECT parent_id FROM terms WHERE id = $1`, id); err != nil || was == parent {
		return err
	}
	// Both the old and the new parents' feeds change: feedsChanged adds the new ones.
	if err := t.addAncestors(id, touched); err != nil {
		return err
	}
	touched[id] += 0
	_, err := t.exec(`UPDATE terms SET parent_id = $1 WHERE id = $2`, parent, id)
	return err
}

// touchedTerms collects terms whose feed changed, with the change in the
// number of released articles.
type touchedTerms map[int64]int

// addAncestors marks the parents of id, because their feeds carry its articles.
func (t *tx) addAncestors(id int64, touched touchedTerms) error {
	var up []int64
	err := t.all(&up, `WITH RECURSIVE up (id, parent_id, depth) AS (
			SELECT id, parent_id, 0 FROM terms WHERE id = $1
			UNION ALL
			SELECT p.id, p.parent_id, up.depth + 1 FROM terms p JOIN up ON p.id = up.parent_id WHERE up.depth < 32
		) SELECT id FROM up WHERE id <> $1`, id)
	for _, a := range up {
		touched[a] += 0
	}
	return err
}

// feedsChanged marks the feeds of touched and of their ancestors as changed,
// under one new value of the change counter. changed says whether the feed of
// all articles changed; if so the counter moves even without any term.
func (t *tx) feedsChanged(touched touchedTerms, changed bool) error {
	if !changed && len(touched) == 0 {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(touched)) {
		if err := t.addAncestors(id, touched); err != nil {
			return err
		}
	}
	change, err := t.bump("change", 1)
	if err != nil {
		return err
	}
	// In order of ids, so that two replicas cannot wait for each other.
	for _, id := range slices.Sorted(maps.Keys(touched)) {
		if _, err := t.exec(`UPDATE terms SET change = $1, articles = articles + $2 WHERE id = $3`, change, touched[id], id); err != nil {
			return err
		}
	}
	t.wake(news.WakeReleased)
	return nil
}

// FeedChanges tells which terms' feeds changed after the change numbered
// since. If Cursor is still since, the feed of all articles is unchanged, too.
func (s *Store) FeedChanges(ctx context.Context, since int64) (news.FeedChanges, error) {
	var c news.FeedChanges
	err := s.read(ctx, "read feed changes", func(t *tx) error {
		if err := t.get(&c.Cursor, `SELECT value FROM counters WHERE name = 'change'`); err != nil || c.Cursor == since {
			return err
		}
		return t.all(&c.TermIDs, `SELECT id FROM terms WHERE change > $1 ORDER BY id`, since)
	})
	return c, err
}
