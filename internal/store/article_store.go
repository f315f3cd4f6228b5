package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"gazetted/internal/news"
)

// maxBatch bounds the articles of one transaction.
const maxBatch = 500

// StoreArticles stores what a source found: new articles wait for their
// Release, changed ones are updated in place, one that had been withdrawn
// comes back under its old Seq. While the source's first run lasts they are
// archive. At most 500 at a time; all are stored or none.
func (s *Store) StoreArticles(ctx context.Context, sourceID int64, found []news.Found) (news.StoreCounts, error) {
	var counts news.StoreCounts
	outcomes, err := s.PutArticles(ctx, sourceID, found)
	for _, o := range outcomes {
		switch o {
		case news.PutNew:
			counts.New++
		case news.PutChanged:
			counts.Changed++
		default:
			counts.Unchanged++
		}
	}
	return counts, err
}

// PutArticles is StoreArticles for who wants to know what became of each. A
// Found whose Version is before the stored one is passed over: PutOlder.
func (s *Store) PutArticles(ctx context.Context, sourceID int64, found []news.Found) ([]news.PutOutcome, error) {
	return s.putArticles(ctx, sourceID, found, (*batch).put)
}

func (s *Store) putArticles(ctx context.Context, sourceID int64, found []news.Found, put func(*batch, *news.Found) (news.PutOutcome, error)) ([]news.PutOutcome, error) {
	if len(found) > maxBatch {
		return nil, fmt.Errorf("store articles: %d at once, at most %d", len(found), maxBatch)
	}
	var outcomes []news.PutOutcome
	err := s.write(ctx, "store articles", func(t *tx) error {
		outcomes = make([]news.PutOutcome, len(found))
		src, err := t.source(`WHERE id = $1`, sourceID)
		if err != nil {
			return err
		}
		b := batch{t: t, src: src, touched: touchedTerms{}, terms: map[news.TermRef]int64{}}
		for i := range found {
			if outcomes[i], err = put(&b, &found[i]); err != nil {
				return fmt.Errorf("article %s: %w", found[i].NativeID, err)
			}
		}
		if b.waiting {
			t.wake(news.WakeArticles)
		}
		return t.feedsChanged(b.touched, b.relisted)
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// batch stores the articles of one transaction.
type batch struct {
	t        *tx
	src      news.Source
	touched  touchedTerms
	terms    map[news.TermRef]int64 // resolved already
	relisted bool                   // a released article changed
	waiting  bool                   // an article waits for its release anew
}

func (b *batch) put(f *news.Found) (news.PutOutcome, error) {
	terms, err := b.resolve(f.Terms)
	if err != nil {
		return "", err
	}
	old, known, err := b.known(f)
	if err == nil && !known {
		old, known, err = b.adopt(f)
	}
	if err != nil {
		return "", err
	}
	switch {
	case !known:
		return news.PutNew, b.insert(f, terms, newsOrArchive)
	case !f.Version.IsZero() && ms(f.Version) < old.Version:
		return news.PutOlder, nil
	case old.URL == "": // only its removal was known (see bury)
		if _, err := b.t.exec(`DELETE FROM articles WHERE id = $1`, old.ID); err != nil {
			return "", err
		}
		return news.PutNew, b.insert(f, terms, newsOrArchive)
	}
	var had []int64
	if err := b.t.all(&had, `SELECT term_id FROM article_terms WHERE article_id = $1 ORDER BY position`, old.ID); err != nil {
		return "", err
	}
	sameTerms := slices.Equal(had, terms)
	state, release := b.standing(&old, f)
	stays := state == old.State && (release == old.ReleaseAt || state != string(news.ArticleWaiting))
	if old.Hash == hashFound(f) && sameTerms && stays && old.ExpiresAt == ms(f.ExpiresAt) {
		if old.Fingerprint != f.Fingerprint || ms(f.Version) > old.Version {
			_, err = b.t.exec(`UPDATE articles SET fingerprint = $1, version = $2 WHERE id = $3`, clean(f.Fingerprint), max(ms(f.Version), old.Version), old.ID)
		}
		return news.PutUnchanged, err
	}
	return news.PutChanged, b.update(&old, f, terms, sameTerms)
}

// known finds the stored article that f is.
func (b *batch) known(f *news.Found) (articleRow, bool, error) {
	var rows []articleRow
	if err := b.t.all(&rows, `SELECT `+articleHead+` FROM articles WHERE source_id = $1 AND native_id = $2`, b.src.ID, clean(f.NativeID)); err != nil || len(rows) == 0 {
		return articleRow{}, false, err
	}
	return rows[0], true, nil
}

// resolve turns refs into term ids, each once, in order.
func (b *batch) resolve(refs []news.TermRef) ([]int64, error) {
	ids := make([]int64, 0, len(refs))
	for _, ref := range refs {
		if news.FoldName(ref.Name) == "" && ref.NativeID == "" {
			continue
		}
		id, ok := b.terms[ref]
		if !ok {
			var err error
			if id, err = b.t.resolveTerm(b.src.ID, ref, b.touched); err != nil {
				return nil, fmt.Errorf("term %q: %w", ref.Name, err)
			}
			b.terms[ref] = id
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// origin says whether a new article can be news.
type origin int

const (
	newsOrArchive origin = iota // as the source's first run and the article's age say
	imported                    // archive in any case
)

func (b *batch) insert(f *news.Found, terms []int64, from origin) error {
	now := b.t.now
	b.waiting = true
	// What is embargoed during a first run is not archive: its time is to come.
	archive := from == imported || (b.src.ActivatedAt.IsZero() || b.old(f)) && !f.EmbargoAt.After(now)
	release := now.Add(time.Duration(b.src.Settings.Settle))
	if archive {
		release = now
	}
	if f.EmbargoAt.After(release) {
		release = f.EmbargoAt
	}
	published := now
	if !f.PublishedAt.IsZero() && f.PublishedAt.Before(now) {
		published = f.PublishedAt
	}
	r := rowOf(f, published)
	if r.guid == "" {
		r.guid = makeGUID(b.src, f.NativeID)
	}
	id, err := b.t.insert(`INSERT INTO articles (source_id, native_id, url, guid, title, summary, content_html, language, authors, image,
			comments_url, visibility, published_at, updated_at, first_seen_at, release_at, expires_at, state, archive, hash, fingerprint, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'waiting', $18, $19, $20, $21) RETURNING id`,
		b.src.ID, clean(f.NativeID), r.url, r.guid, r.title, r.summary, r.content, r.language, r.authors, r.image,
		r.comments, r.visibility, ms(published), ms(r.updated), ms(now), ms(release), ms(f.ExpiresAt), archive, r.hash, clean(f.Fingerprint), ms(f.Version))
	if err != nil {
		return err
	}
	return b.t.setTerms(id, terms)
}

// old tells whether f was published so long before the last look that it cannot
// be news: it was mended, imported or dated back. Time in which nobody looked
// does not count.
func (b *batch) old(f *news.Found) bool {
	maxAge := time.Duration(b.src.Settings.MaxAge)
	if maxAge == 0 {
		maxAge = news.DefaultMaxAge
	}
	looked := b.src.Look.LastAt
	if looked.Before(b.src.ActivatedAt) {
		looked = b.src.ActivatedAt
	}
	return !f.PublishedAt.IsZero() && f.PublishedAt.Before(looked.Add(-maxAge))
}

func (b *batch) update(old *articleRow, f *news.Found, terms []int64, sameTerms bool) error {
	now := b.t.now
	published := at(old.PublishedAt)
	if !f.PublishedAt.IsZero() && f.PublishedAt.Before(at(old.FirstSeenAt)) {
		published = f.PublishedAt
	}
	r := rowOf(f, published)
	if r.hash != old.Hash && !r.updated.After(at(old.UpdatedAt)) && old.State == string(news.ArticleReleased) {
		r.updated = now // the publisher gave no later date: readers still must see that it changed
	}
	state, release := b.standing(old, f)
	if state == string(news.ArticleWaiting) {
		b.waiting = true
	}
	if _, err := b.t.exec(`UPDATE articles SET url = $1, title = $2, summary = $3, content_html = $4, language = $5, authors = $6, image = $7,
			comments_url = $8, visibility = $9, published_at = $10, updated_at = $11, release_at = $12, expires_at = $13, state = $14,
			hash = $15, fingerprint = $16, version = $17 WHERE id = $18`,
		r.url, r.title, r.summary, r.content, r.language, r.authors, r.image, r.comments, r.visibility,
		ms(published), ms(r.updated), release, ms(f.ExpiresAt), state, r.hash, clean(f.Fingerprint), max(ms(f.Version), old.Version), old.ID); err != nil {
		return err
	}
	if old.State == string(news.ArticleReleased) {
		b.relisted = true
		if err := b.t.unlist(old.ID, b.touched); err != nil {
			return err
		}
	}
	if !sameTerms {
		if err := b.t.setTerms(old.ID, terms); err != nil {
			return err
		}
	}
	if state == string(news.ArticleReleased) {
		b.relisted = true
		return b.t.list(old.ID, old.ListedAt, old.Seq, b.touched)
	}
	return nil
}

// standing decides whether an article that its source shows again is out, waits
// or stays away, and from when on it may be out. What was released once keeps
// its Seq, however often it goes and comes.
func (b *batch) standing(old *articleRow, f *news.Found) (state string, release int64) {
	now := b.t.now
	settled := old.FirstSeenAt + time.Duration(b.src.Settings.Settle).Milliseconds()
	switch {
	case !f.ExpiresAt.IsZero() && !f.ExpiresAt.After(now):
		return string(news.ArticleWithdrawn), old.ReleaseAt
	case old.State == string(news.ArticleReleased):
		return old.State, old.ReleaseAt
	case old.State == string(news.ArticleWithdrawn) && f.EmbargoAt.After(now):
		return string(news.ArticleWaiting), ms(f.EmbargoAt)
	case old.State == string(news.ArticleWithdrawn) && old.Seq > 0:
		return string(news.ArticleReleased), old.ReleaseAt
	case old.State == string(news.ArticleWithdrawn):
		settled = ms(now.Add(time.Duration(b.src.Settings.Settle)))
	}
	if old.Archive {
		settled = old.FirstSeenAt
	}
	return string(news.ArticleWaiting), max(ms(f.EmbargoAt), settled)
}

// storedFound is a Found as the columns hold it.
type storedFound struct {
	url, guid, title, summary, content, language, authors, image, comments, visibility, hash string
	updated                                                                                  time.Time
}

func rowOf(f *news.Found, published time.Time) storedFound {
	// Neither can fail: both types hold only text and numbers.
	authors, _ := encode(f.Authors)
	image, _ := encode(f.Image)
	r := storedFound{
		url: clean(f.URL), guid: clean(f.GUID), title: clean(f.Title), summary: clean(f.Summary), content: clean(f.ContentHTML),
		language: clean(f.Language), authors: clean(authors), image: clean(image), comments: clean(f.CommentsURL),
		visibility: string(f.Visibility), hash: hashFound(f),
	}
	if r.visibility == "" {
		r.visibility = string(news.VisibilityPublic)
	}
	if f.UpdatedAt.After(published) {
		r.updated = f.UpdatedAt
	}
	return r
}

// hashFound covers all that readers see; the source's own hash stands for the
// content, because it forgives white space.
func hashFound(f *news.Found) string {
	content := f.Hash
	if content == "" {
		content = f.ContentHTML
	}
	seen, _ := encode([]any{f.URL, f.Title, f.Summary, content, f.Language, f.Authors, f.Image, f.CommentsURL, f.Visibility})
	sum := sha256.Sum256([]byte(seen))
	return hex.EncodeToString(sum[:16])
}

// makeGUID derives a feed id for an article whose source has none: it must
// survive a change of URL and a rebuilt database.
func makeGUID(src news.Source, nativeID string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", src.Kind, src.Name, nativeID))
	sum[6] = sum[6]&0x0f | 0x80 // version 8 (RFC 9562 §5.8)
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func (t *tx) setTerms(articleID int64, terms []int64) error {
	if _, err := t.exec(`DELETE FROM article_terms WHERE article_id = $1`, articleID); err != nil {
		return err
	}
	for i, id := range terms {
		if _, err := t.exec(`INSERT INTO article_terms (article_id, position, term_id) VALUES ($1, $2, $3)`, articleID, i, id); err != nil {
			return err
		}
	}
	return nil
}

// list puts a released article into the feeds of its terms.
func (t *tx) list(articleID, listedAt, seq int64, touched touchedTerms) error {
	var terms []int64
	if err := t.all(&terms, `INSERT INTO term_articles (term_id, listed_at, seq, article_id)
		SELECT term_id, $1, $2, article_id FROM article_terms WHERE article_id = $3 RETURNING term_id`, listedAt, seq, articleID); err != nil {
		return err
	}
	for _, id := range terms {
		touched[id]++
	}
	return nil
}

// unlist takes an article out of the feeds of its terms.
func (t *tx) unlist(articleID int64, touched touchedTerms) error {
	var terms []int64
	if err := t.all(&terms, `DELETE FROM term_articles WHERE article_id = $1 RETURNING term_id`, articleID); err != nil {
		return err
	}
	for _, id := range terms {
		touched[id]--
	}
	return nil
}

func (t *tx) withdraw(articleID int64, touched touchedTerms) error {
	if err := t.unlist(articleID, touched); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE articles SET state = 'withdrawn' WHERE id = $1`, articleID)
	return err
}

// ArticleURLs gives the addresses of a source's articles by native id. Unknown
// ids are left out.
func (s *Store) ArticleURLs(ctx context.Context, sourceID int64, nativeIDs []string) (map[string]string, error) {
	out := make(map[string]string, len(nativeIDs))
	err := s.read(ctx, "read article addresses", func(t *tx) error {
		list, err := encode(nativeIDs)
		if err != nil {
			return err
		}
		var rows []struct {
			NativeID string `db:"native_id"`
			URL      string `db:"url"`
		}
		if err := t.all(&rows, `SELECT native_id, url FROM articles WHERE source_id = $1 AND native_id `+t.d.inTexts("$2"), sourceID, list); err != nil {
			return err
		}
		for _, r := range rows {
			out[r.NativeID] = r.URL
		}
		return nil
	})
	return out, err
}

// RenameArticles gives articles of a source other native ids: pairs of the old
// and the new one. Feeds and readers see nothing of it. A new id that another
// article has already leaves its pair as it was.
func (s *Store) RenameArticles(ctx context.Context, sourceID int64, pairs [][2]string) error {
	return s.write(ctx, "rename articles", func(t *tx) error {
		for _, p := range pairs {
			if _, err := t.exec(`UPDATE articles SET native_id = $1 WHERE source_id = $2 AND native_id = $3
				AND NOT EXISTS (SELECT 1 FROM articles o WHERE o.source_id = $2 AND o.native_id = $1)`, clean(p[1]), sourceID, clean(p[0])); err != nil {
				return err
			}
		}
		return nil
	})
}

// WithdrawArticles takes articles out of all feeds and of editions not yet
// closed, and returns how many were there to withdraw. Unknown ids are passed over.
func (s *Store) WithdrawArticles(ctx context.Context, sourceID int64, nativeIDs []string) (int, error) {
	n := 0
	err := s.write(ctx, "withdraw articles", func(t *tx) error {
		list, err := encode(nativeIDs)
		if err != nil {
			return err
		}
		var ids []int64
		if err := t.all(&ids, `SELECT id FROM articles WHERE source_id = $1 AND state <> 'withdrawn' AND native_id `+t.d.inTexts("$2"), sourceID, list); err != nil {
			return err
		}
		n = len(ids)
		touched := touchedTerms{}
		for _, id := range ids {
			if err := t.withdraw(id, touched); err != nil {
				return err
			}
		}
		return t.feedsChanged(touched, n > 0)
	})
	return n, err
}
