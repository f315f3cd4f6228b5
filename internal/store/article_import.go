package store

import (
	"context"

	"gazetted/internal/news"
)

// ImportArticles stores what a file holds of a source's past, as archive: it is
// in the feeds and never mailed. What the source has already stays as it is
// (PutKnown). Articles imported into a push source are taken over by the source
// that finds them later. At most 500 at a time; all are stored or none.
func (s *Store) ImportArticles(ctx context.Context, sourceID int64, found []news.Found) ([]news.PutOutcome, error) {
	return s.putArticles(ctx, sourceID, found, (*batch).putImported)
}

func (b *batch) putImported(f *news.Found) (news.PutOutcome, error) {
	if _, known, err := b.known(f); err != nil || known {
		return news.PutKnown, err
	}
	terms, err := b.resolve(f.Terms)
	if err != nil {
		return "", err
	}
	if err := b.insert(f, terms, imported); err != nil {
		return "", err
	}
	if b.src.Kind != news.SourcePush {
		return news.PutNew, nil // whoever watches it knows it as its own
	}
	_, err = b.t.exec(`UPDATE articles SET import_key = $1 WHERE source_id = $2 AND native_id = $3`, clean(f.Key), b.src.ID, clean(f.NativeID))
	return news.PutNew, err
}

// adopt finds f among the articles that were imported from a file, by its guid
// or its URL, and makes it the source's own. It keeps its place in the feeds,
// and what it is: archive. The indexes hold imported articles only, so that
// looking costs nothing where there are none.
func (b *batch) adopt(f *news.Found) (articleRow, bool, error) {
	if b.src.Kind == news.SourcePush || f.Key == "" {
		return articleRow{}, false, nil
	}
	var ids []int64
	if err := b.t.all(&ids, `SELECT id FROM articles WHERE import_key = $1 AND import_key <> '' ORDER BY id LIMIT 1`, clean(f.Key)); err != nil {
		return articleRow{}, false, err
	}
	if len(ids) == 0 && f.GUID != "" {
		if err := b.t.all(&ids, `SELECT id FROM articles WHERE guid = $1 AND import_key <> '' ORDER BY id LIMIT 1`, clean(f.GUID)); err != nil {
			return articleRow{}, false, err
		}
	}
	if len(ids) == 0 {
		return articleRow{}, false, nil
	}
	if _, err := b.t.exec(`UPDATE articles SET source_id = $1, native_id = $2, import_key = '' WHERE id = $3`, b.src.ID, clean(f.NativeID), ids[0]); err != nil {
		return articleRow{}, false, err
	}
	return b.known(f)
}
