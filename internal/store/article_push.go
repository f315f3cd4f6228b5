package store

import (
	"context"
	"fmt"
	"time"

	"gazetted/internal/news"
)

// WithdrawArticle takes one article out as WithdrawArticles does. Given the
// time of its removal, the order of arrival does not matter: a later version
// stays (PutOlder), and an earlier one that arrives after it is passed over,
// even if this is the first that is heard of the article. Without one an
// article that is not known is news.ErrNotFound.
func (s *Store) WithdrawArticle(ctx context.Context, sourceID int64, nativeID string, at time.Time) (news.PutOutcome, error) {
	var outcome news.PutOutcome
	err := s.write(ctx, "withdraw article", func(t *tx) error {
		src, err := t.source(`WHERE id = $1`, sourceID)
		if err != nil {
			return err
		}
		b := batch{t: t, src: src}
		old, known, err := b.known(&news.Found{NativeID: nativeID})
		switch {
		case err != nil:
			return err
		case !known && at.IsZero():
			return news.ErrNotFound
		case !known:
			outcome = news.PutWithdrawn
			return b.bury(nativeID, at)
		case !at.IsZero() && ms(at) < old.Version:
			outcome = news.PutOlder
			return nil
		}
		outcome = news.PutWithdrawn
		if ms(at) > old.Version {
			if _, err := t.exec(`UPDATE articles SET version = $1 WHERE id = $2`, ms(at), old.ID); err != nil {
				return err
			}
		}
		if old.State == string(news.ArticleWithdrawn) {
			return nil
		}
		touched := touchedTerms{}
		if err := t.withdraw(old.ID, touched); err != nil {
			return err
		}
		return t.feedsChanged(touched, true)
	})
	return outcome, err
}

// bury remembers the removal of an article that was never here. It is a row
// without content, which a later version fills.
func (b *batch) bury(nativeID string, at time.Time) error {
	_, err := b.t.exec(`INSERT INTO articles (source_id, native_id, url, guid, title, summary, content_html, language, authors, image,
			comments_url, visibility, published_at, updated_at, first_seen_at, release_at, expires_at, state, archive, hash, fingerprint, version)
		VALUES ($1, $2, '', $3, '', '', '', '', '', '', '', $4, $5, 0, $5, $5, 0, 'withdrawn', $6, '', '', $7)`,
		b.src.ID, clean(nativeID), makeGUID(b.src, nativeID), string(news.VisibilityPublic), ms(b.t.now), false, ms(at))
	return err
}

// ArticleByNativeID returns an article in any state by its source's own id of
// it, or news.ErrNotFound. What is known only by its removal is not found.
func (s *Store) ArticleByNativeID(ctx context.Context, sourceID int64, nativeID string) (news.Article, error) {
	var out news.Article
	err := s.read(ctx, "read article", func(t *tx) error {
		var rows []articleRow
		if err := t.all(&rows, `SELECT `+articleColumns+` FROM articles WHERE source_id = $1 AND native_id = $2 AND url <> ''`, sourceID, clean(nativeID)); err != nil {
			return err
		}
		found, err := t.articles(rows)
		if err != nil {
			return fmt.Errorf("read terms: %w", err)
		}
		if len(found) == 0 {
			return news.ErrNotFound
		}
		out = found[0]
		return nil
	})
	return out, err
}
