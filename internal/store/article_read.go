package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"gazetted/internal/news"
)

// maxArticles bounds one answer.
const maxArticles = 5000

// Articles selects released articles, the latest listed first: news by its
// Release, archive articles by their publication.
func (s *Store) Articles(ctx context.Context, q news.ArticleQuery) ([]news.Article, error) {
	if q.Limit <= 0 || q.Limit > maxArticles {
		q.Limit = maxArticles
	}
	var out []news.Article
	err := s.read(ctx, "list articles", func(t *tx) error {
		ids, err := t.listed(q)
		if err != nil {
			return err
		}
		out, err = t.articlesByID(ids, q.WithoutContent)
		return err
	})
	return out, err
}

type listing struct {
	ArticleID int64 `db:"article_id"`
	ListedAt  int64 `db:"listed_at"`
	Seq       int64 `db:"seq"`
}

// listed returns the ids of the newest articles of q. Each term is one range
// of term_articles; joining first and sorting after takes seconds on a popular tag.
func (t *tx) listed(q news.ArticleQuery) ([]int64, error) {
	var found []listing
	if len(q.TermIDs) == 0 {
		if err := t.all(&found, `SELECT id AS article_id, listed_at, seq FROM articles WHERE state = 'released' AND listed_at >= $1
			ORDER BY listed_at DESC, seq DESC LIMIT $2`, ms(q.Since), q.Limit); err != nil {
			return nil, err
		}
	}
	for _, term := range q.TermIDs {
		var some []listing
		if err := t.all(&some, `SELECT article_id, listed_at, seq FROM term_articles WHERE term_id = $1 AND listed_at >= $2
			ORDER BY listed_at DESC, seq DESC LIMIT $3`, term, ms(q.Since), q.Limit); err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	slices.SortFunc(found, func(a, b listing) int {
		return cmp.Or(cmp.Compare(b.ListedAt, a.ListedAt), cmp.Compare(b.Seq, a.Seq))
	})
	found = slices.Compact(found)
	ids := make([]int64, 0, min(len(found), q.Limit))
	for _, l := range found[:min(len(found), q.Limit)] {
		ids = append(ids, l.ArticleID)
	}
	return ids, nil
}

// articlesByID reads articles in the order of ids; ids of no article are left out.
func (t *tx) articlesByID(ids []int64, withoutContent bool) ([]news.Article, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := encode(ids)
	if err != nil {
		return nil, err
	}
	columns := articleColumns
	if withoutContent {
		columns = articleHead
	}
	var rows []articleRow
	if err := t.all(&rows, `SELECT `+columns+` FROM articles WHERE id `+t.d.inInts("$1"), list); err != nil {
		return nil, err
	}
	place := make(map[int64]int, len(ids))
	for i, id := range ids {
		place[id] = i
	}
	slices.SortFunc(rows, func(a, b articleRow) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	return t.articles(rows)
}

// Article returns one article in any state, or news.ErrNotFound.
func (s *Store) Article(ctx context.Context, id int64) (news.Article, error) {
	var out news.Article
	err := s.read(ctx, fmt.Sprintf("read article %d", id), func(t *tx) error {
		found, err := t.articlesByID([]int64{id}, false)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return news.ErrNotFound
		}
		out = found[0]
		return nil
	})
	return out, err
}

// ArticlesBetween returns the news (not the archive) with fromSeq < Seq ≤
// cutoffSeq that is still released, by Seq. Of more than limit the newest are
// returned.
func (s *Store) ArticlesBetween(ctx context.Context, fromSeq, cutoffSeq int64, limit int) ([]news.Article, error) {
	if limit <= 0 || limit > maxArticles {
		limit = maxArticles
	}
	var out []news.Article
	err := s.read(ctx, "read articles for edition", func(t *tx) error {
		var rows []articleRow
		if err := t.all(&rows, `SELECT `+articleColumns+` FROM articles
			WHERE seq > $1 AND seq <= $2 AND seq > 0 AND state = 'released' AND NOT archive ORDER BY seq DESC LIMIT $3`, fromSeq, cutoffSeq, limit); err != nil {
			return err
		}
		slices.Reverse(rows)
		var err error
		out, err = t.articles(rows)
		return err
	})
	return out, err
}

// RelatedCandidates returns, without content, the newest perTerm articles of
// each term, each article once.
func (s *Store) RelatedCandidates(ctx context.Context, termIDs []int64, perTerm int) ([]news.Article, error) {
	var out []news.Article
	err := s.read(ctx, "read related articles", func(t *tx) error {
		var ids []int64
		seen := map[int64]bool{}
		for _, term := range termIDs {
			some, err := t.listed(news.ArticleQuery{TermIDs: []int64{term}, Limit: perTerm})
			if err != nil {
				return err
			}
			for _, id := range some {
				if !seen[id] {
					seen[id] = true
					ids = append(ids, id)
				}
			}
		}
		var err error
		out, err = t.articlesByID(ids, true)
		return err
	})
	return out, err
}

// KnownArticles pages through all articles of a source by native id, in byte
// order, with what a sweep compares.
func (s *Store) KnownArticles(ctx context.Context, sourceID int64, afterNativeID string, limit int) ([]news.Known, error) {
	var out []news.Known
	err := s.read(ctx, "read known articles", func(t *tx) error {
		var rows []struct {
			NativeID    string `db:"native_id"`
			Fingerprint string `db:"fingerprint"`
			State       string `db:"state"`
		}
		if err := t.all(&rows, `SELECT native_id, fingerprint, state FROM articles WHERE source_id = $1 AND native_id > $2
			ORDER BY native_id LIMIT $3`, sourceID, afterNativeID, limit); err != nil {
			return err
		}
		out = make([]news.Known, len(rows))
		for i, r := range rows {
			out[i] = news.Known{NativeID: r.NativeID, Fingerprint: r.Fingerprint, State: news.ArticleState(r.State)}
		}
		return nil
	})
	return out, err
}
