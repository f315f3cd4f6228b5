package store

import (
	"context"
	"fmt"

	"gazetted/internal/news"
)

// MergeTerms makes one term part of another: its articles, the categories below
// it, the readers and lists that follow it, its past slugs and its names go
// over, nothing twice, and its feeds lead to the other's. Sources that still use
// it mean the other from now on. The other keeps its own name and place.
func (s *Store) MergeTerms(ctx context.Context, kind news.TermKind, from, into string) (news.Term, error) {
	return s.changeTerm(ctx, "merge", kind, from, func(t *tx, r termRow, touched touchedTerms) (string, error) {
		target, err := t.termBySlug(kind, into)
		if err != nil {
			return "", fmt.Errorf("%s %s: %w", kind, into, err)
		}
		if target.ID == r.ID {
			return "", &news.FieldError{Field: "into", Value: into, Want: "another " + string(kind) + " than " + from}
		}
		touched[target.ID] += 0
		if err := t.mergeTree(r, target, touched); err != nil {
			return "", err
		}
		if err := t.mergeArticles(r.ID, target.ID, touched); err != nil {
			return "", err
		}
		if err := t.mergeNames(r.ID, target.ID); err != nil {
			return "", err
		}
		return "into " + target.Slug, t.moveTopic(kind, r.Slug, target.Slug)
	})
}

// mergeTree hands over what is below from. If into is itself below from, it
// first takes from's place.
func (t *tx) mergeTree(from, into termRow, touched touchedTerms) error {
	up := touchedTerms{}
	if err := t.addAncestors(into.ID, up); err != nil {
		return err
	}
	if _, below := up[from.ID]; below {
		if err := t.moveParent(into.ID, from.ParentID, touched); err != nil {
			return err
		}
	}
	if err := t.addAncestors(from.ID, touched); err != nil { // their feeds lose what from had
		return err
	}
	_, err := t.exec(`UPDATE terms SET parent_id = $1 WHERE parent_id = $2 AND id <> $1`, into.ID, from.ID)
	return err
}

// mergeArticles gives from's articles to into, those that have both only once.
func (t *tx) mergeArticles(from, into int64, touched touchedTerms) error {
	for _, q := range []string{
		`DELETE FROM article_terms WHERE term_id = $1 AND EXISTS (SELECT 1 FROM article_terms o WHERE o.article_id = article_terms.article_id AND o.term_id = $2)`,
		`UPDATE article_terms SET term_id = $2 WHERE term_id = $1`,
		`DELETE FROM term_articles WHERE term_id = $1
			AND EXISTS (SELECT 1 FROM term_articles o WHERE o.article_id = term_articles.article_id AND o.term_id = $2)`,
	} {
		if _, err := t.exec(q, from, into); err != nil {
			return err
		}
	}
	n, err := t.exec(`UPDATE term_articles SET term_id = $2 WHERE term_id = $1`, from, into)
	touched[into] += int(n)
	return err
}

// mergeNames lets everything that named from name into.
func (t *tx) mergeNames(from, into int64) error {
	for _, q := range []string{
		`UPDATE source_terms SET term_id = $2, merged = 1 WHERE term_id = $1`,
		`UPDATE term_slugs SET term_id = $2 WHERE term_id = $1`,
		`UPDATE terms SET alias_of = $2 WHERE alias_of = $1`,
		`UPDATE terms SET alias_of = $2, articles = 0, parent_id = 0, gone = '' WHERE id = $1`,
	} {
		if _, err := t.exec(q, from, into); err != nil {
			return err
		}
	}
	return nil
}

// Followers counts the readers who chose each topic, on any list: those who are
// on it now, or paused.
func (s *Store) Followers(ctx context.Context) (map[news.Topic]int, error) {
	out := map[news.Topic]int{}
	err := s.read(ctx, "count followers", func(t *tx) error {
		var rows []struct {
			Topics string `db:"topics"`
			N      int    `db:"n"`
		}
		if err := t.all(&rows, `SELECT topics, count(*) AS n FROM subscriptions WHERE state IN ('active', 'paused') GROUP BY topics`); err != nil {
			return err
		}
		for _, r := range rows {
			var topics []news.Topic
			if err := decode(r.Topics, &topics); err != nil {
				return err
			}
			for _, topic := range topics {
				out[topic] += r.N
			}
		}
		return nil
	})
	return out, err
}

// TermNames lists the further names of a term and the past slugs that lead to it.
func (s *Store) TermNames(ctx context.Context, id int64) (names, slugs []string, err error) {
	err = s.read(ctx, "read names of term", func(t *tx) error {
		if err := t.all(&names, `SELECT name FROM terms WHERE alias_of = $1 ORDER BY folded`, id); err != nil {
			return err
		}
		return t.all(&slugs, `SELECT slug FROM term_slugs WHERE term_id = $1 ORDER BY slug`, id)
	})
	return names, slugs, err
}
