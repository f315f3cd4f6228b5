package store

import (
	"context"
	"fmt"

	"gazetted/internal/news"
)

// termObject is what the audit log calls a term.
func termObject(r termRow) string { return r.Kind + "/" + r.Slug }

// changeTerm runs f on the term that kind and slug name, in one transaction that
// is logged. An unknown slug is news.ErrNotFound.
func (s *Store) changeTerm(ctx context.Context, verb string, kind news.TermKind, slug string, f func(t *tx, r termRow, touched touchedTerms) (detail string, err error)) (news.Term, error) {
	var out news.Term
	err := s.write(ctx, fmt.Sprintf("%s %s %s", verb, kind, slug), func(t *tx) error {
		r, err := t.termBySlug(kind, slug)
		if err != nil {
			return err
		}
		touched := touchedTerms{r.ID: 0}
		detail, err := f(t, r, touched)
		if err != nil {
			return err
		}
		if err := t.audit(verb, termObject(r), detail); err != nil {
			return err
		}
		if err := t.feedsChanged(touched, true); err != nil {
			return err
		}
		var after termRow
		if err := t.get(&after, `SELECT `+termColumns+` FROM terms WHERE id = (SELECT CASE WHEN alias_of > 0 THEN alias_of ELSE id END FROM terms WHERE id = $1)`, r.ID); err != nil {
			return err
		}
		out = after.term()
		return nil
	})
	return out, err
}

// audit notes what an admin did to object.
func (t *tx) audit(action, object, detail string) error {
	_, err := t.exec(`INSERT INTO audit (at, actor, action, object, detail) VALUES ($1, 'admin', $2, $3, $4)`, ms(t.now), action, object, clean(detail))
	return err
}

// RenameTerm gives a term a name and a slug of the operator's choice; an empty
// slug is made from the name. Its sources' names for it are passed over from now
// on, but still lead to it, and so do its past slugs. A name or slug that another
// term has is news.ErrExists: merge them instead.
func (s *Store) RenameTerm(ctx context.Context, kind news.TermKind, slug, name, newSlug string) (news.Term, error) {
	name = clean(name)
	folded := news.FoldName(name)
	if folded == "" {
		return news.Term{}, &news.FieldError{Field: "name", Value: name, Want: "a name with at least one letter or digit"}
	}
	if newSlug != "" && !news.ValidSlug(newSlug) {
		return news.Term{}, &news.FieldError{Field: "slug", Value: newSlug, Want: "letters, digits, '-', '_' and '.', such as middle-east"}
	}
	return s.changeTerm(ctx, "rename", kind, slug, func(t *tx, r termRow, _ touchedTerms) (string, error) {
		if err := t.freeName(r, folded); err != nil {
			return "", err
		}
		if err := t.keepName(r, folded); err != nil {
			return "", err
		}
		if _, err := t.exec(`UPDATE terms SET name = $1, folded = $2, fixed_name = 1 WHERE id = $3`, name, clean(folded), r.ID); err != nil {
			return "", err
		}
		want := newSlug
		if want == "" {
			want = news.Slugify(name)
		}
		free, err := t.freeSlug(news.TermRef{Kind: kind, Slug: want, Name: name}, r.ID)
		if err != nil {
			return "", err
		}
		if newSlug != "" && free != newSlug {
			return "", fmt.Errorf("slug %s: %w", newSlug, news.ErrExists)
		}
		detail := fmt.Sprintf("was %q at %s", r.Name, r.Slug)
		if free == r.Slug {
			return detail, nil
		}
		return detail, t.moveSlug(r, free)
	})
}

// freeName makes sure that no other term is called so; an alias of r gives way.
func (t *tx) freeName(r termRow, folded string) error {
	if _, err := t.exec(`DELETE FROM terms WHERE kind = $1 AND folded = $2 AND alias_of = $3`, r.Kind, folded, r.ID); err != nil {
		return err
	}
	var taken int
	if err := t.get(&taken, `SELECT count(*) FROM terms WHERE kind = $1 AND folded = $2 AND id <> $3`, r.Kind, folded, r.ID); err != nil {
		return err
	}
	if taken > 0 {
		return news.ErrExists
	}
	return nil
}

// keepName leaves the present name of r behind as an alias, for sources that
// know no ids and go on using it.
func (t *tx) keepName(r termRow, folded string) error {
	own := news.FoldName(r.Name)
	if own == folded {
		return nil
	}
	if _, err := t.exec(`UPDATE terms SET folded = $1 WHERE id = $2`, clean(folded), r.ID); err != nil {
		return err
	}
	return t.addAlias(r, r.Name)
}

// addAlias makes name a further name of r. Its slug is one that nobody has: the
// alias is found by name, and by slug if that was free.
func (t *tx) addAlias(r termRow, name string) error {
	slug, err := t.freeSlug(news.TermRef{Kind: news.TermKind(r.Kind), Name: name}, 0)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO terms (kind, slug, name, folded, alias_of) VALUES ($1, $2, $3, $4, $5)`,
		r.Kind, slug, clean(name), clean(news.FoldName(name)), r.ID)
	return err
}

// AliasTerm makes name a further name of a term: articles that carry it carry the
// term, and the feed of its slug leads to the term's. A name that a term has
// already is news.ErrExists: merge them instead.
func (s *Store) AliasTerm(ctx context.Context, kind news.TermKind, slug, name string) (news.Term, error) {
	if news.FoldName(name) == "" {
		return news.Term{}, &news.FieldError{Field: "alias", Value: name, Want: "a name with at least one letter or digit"}
	}
	return s.changeTerm(ctx, "alias", kind, slug, func(t *tx, r termRow, _ touchedTerms) (string, error) {
		var taken int
		if err := t.get(&taken, `SELECT count(*) FROM terms WHERE kind = $1 AND folded = $2`, r.Kind, news.FoldName(name)); err != nil {
			return "", err
		}
		if taken > 0 {
			return "", news.ErrExists
		}
		return fmt.Sprintf("also %q", name), t.addAlias(r, name)
	})
}

// PlaceCategory puts a category below another one, or, with an empty parent, at
// the top, whatever its source says. A place within itself is a *news.FieldError.
func (s *Store) PlaceCategory(ctx context.Context, slug, parent string) (news.Term, error) {
	return s.changeTerm(ctx, "place", news.KindCategory, slug, func(t *tx, r termRow, touched touchedTerms) (string, error) {
		var above termRow
		if parent != "" {
			var err error
			if above, err = t.termBySlug(news.KindCategory, parent); err != nil {
				return "", fmt.Errorf("parent %s: %w", parent, err)
			}
			up := touchedTerms{above.ID: 0}
			if err := t.addAncestors(above.ID, up); err != nil {
				return "", err
			}
			if _, within := up[r.ID]; within {
				return "", &news.FieldError{Field: "parent", Value: parent, Want: "a category that is not below " + r.Slug + " itself"}
			}
		}
		if _, err := t.exec(`UPDATE terms SET fixed_parent = 1 WHERE id = $1`, r.ID); err != nil {
			return "", err
		}
		return "below " + above.Slug, t.moveParent(r.ID, above.ID, touched)
	})
}

// RetireTerm offers a term no more: it is on no page, and its feed is gone (410).
// Articles keep it, and readers who chose it keep their choice, in case it is
// restored.
func (s *Store) RetireTerm(ctx context.Context, kind news.TermKind, slug string) (news.Term, error) {
	return s.setGone(ctx, "retire", kind, slug, news.GoneByAdmin)
}

// RestoreTerm undoes RetireTerm.
func (s *Store) RestoreTerm(ctx context.Context, kind news.TermKind, slug string) (news.Term, error) {
	return s.setGone(ctx, "restore", kind, slug, "")
}

func (s *Store) setGone(ctx context.Context, verb string, kind news.TermKind, slug string, gone news.TermGone) (news.Term, error) {
	return s.changeTerm(ctx, verb, kind, slug, func(t *tx, r termRow, _ touchedTerms) (string, error) {
		_, err := t.exec(`UPDATE terms SET gone = $1 WHERE id = $2`, string(gone), r.ID)
		return "", err
	})
}

// maxForgotten is the part of a source's terms, in percent, whose sudden loss is
// believed. A few always are.
const (
	maxForgotten = 30
	fewForgotten = 3
)

// ForgetTerms tells, by the whole list of a source's terms, which it has deleted:
// those of which no source has an id any more are marked. A list from which much
// is missing at once says more about the source than about its terms and changes
// nothing.
func (s *Store) ForgetTerms(ctx context.Context, sourceID int64, listed []news.TermRef) error {
	return s.write(ctx, "forget terms", func(t *tx) error {
		touched := touchedTerms{}
		if err := t.forgetTerms(sourceID, listed, touched); err != nil {
			return err
		}
		return t.feedsChanged(touched, len(touched) > 0)
	})
}

func (t *tx) forgetTerms(sourceID int64, refs []news.TermRef, touched touchedTerms) error {
	var known []struct {
		Kind     string `db:"kind"`
		NativeID string `db:"native_id"`
		TermID   int64  `db:"term_id"`
	}
	if err := t.all(&known, `SELECT kind, native_id, term_id FROM source_terms WHERE source_id = $1`, sourceID); err != nil {
		return err
	}
	type key struct{ kind, id string }
	listed := make(map[key]bool, len(refs))
	for _, ref := range refs {
		listed[key{string(ref.Kind), ref.NativeID}] = true
	}
	lost := known[:0]
	for _, k := range known {
		if !listed[key{k.Kind, k.NativeID}] {
			lost = append(lost, k)
		}
	}
	if len(lost) > max(fewForgotten, len(known)*maxForgotten/100) {
		return nil
	}
	for _, k := range lost {
		if _, err := t.exec(`DELETE FROM source_terms WHERE source_id = $1 AND kind = $2 AND native_id = $3`, sourceID, k.Kind, k.NativeID); err != nil {
			return err
		}
		n, err := t.exec(`UPDATE terms SET gone = $1 WHERE id = $2 AND gone = ''
			AND NOT EXISTS (SELECT 1 FROM source_terms s WHERE s.term_id = $2)`, string(news.GoneAtSource), k.TermID)
		if err != nil {
			return err
		}
		if n > 0 {
			touched[k.TermID] += 0
		}
	}
	return nil
}
