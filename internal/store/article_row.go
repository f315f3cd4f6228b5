package store

import (
	"strings"

	"gazetted/internal/news"
)

type articleRow struct {
	ID          int64  `db:"id"`
	SourceID    int64  `db:"source_id"`
	NativeID    string `db:"native_id"`
	URL         string `db:"url"`
	GUID        string `db:"guid"`
	Title       string `db:"title"`
	Summary     string `db:"summary"`
	ContentHTML string `db:"content_html"`
	Language    string `db:"language"`
	Authors     string `db:"authors"`
	Image       string `db:"image"`
	CommentsURL string `db:"comments_url"`
	Visibility  string `db:"visibility"`
	PublishedAt int64  `db:"published_at"`
	UpdatedAt   int64  `db:"updated_at"`
	FirstSeenAt int64  `db:"first_seen_at"`
	ReleaseAt   int64  `db:"release_at"`
	ExpiresAt   int64  `db:"expires_at"`
	ReleasedAt  int64  `db:"released_at"`
	State       string `db:"state"`
	Seq         int64  `db:"seq"`
	Archive     bool   `db:"archive"`
	ListedAt    int64  `db:"listed_at"`
	Hash        string `db:"hash"`
	Fingerprint string `db:"fingerprint"`
	Version     int64  `db:"version"`
}

// articleHead is every column but content_html, which may be a megabyte.
const articleHead = `id, source_id, native_id, url, guid, title, summary, language, authors, image, comments_url, visibility,
	published_at, updated_at, first_seen_at, release_at, expires_at, released_at, state, seq, archive, listed_at, hash, fingerprint, version`

const articleColumns = articleHead + `, content_html`

func (r articleRow) article() (news.Article, error) {
	a := news.Article{
		ID: r.ID, SourceID: r.SourceID, NativeID: r.NativeID, URL: r.URL, GUID: r.GUID,
		Title: r.Title, Summary: r.Summary, ContentHTML: r.ContentHTML, Language: r.Language,
		CommentsURL: r.CommentsURL, Visibility: news.Visibility(r.Visibility),
		PublishedAt: at(r.PublishedAt), UpdatedAt: at(r.UpdatedAt), FirstSeenAt: at(r.FirstSeenAt),
		ReleaseAt: at(r.ReleaseAt), ExpiresAt: at(r.ExpiresAt), ReleasedAt: at(r.ReleasedAt),
		State: news.ArticleState(r.State), Seq: r.Seq, Archive: r.Archive, Hash: r.Hash, Fingerprint: r.Fingerprint,
	}
	if err := decode(r.Authors, &a.Authors); err != nil {
		return a, err
	}
	return a, decode(r.Image, &a.Image)
}

// articles turns rows into articles with their terms.
func (t *tx) articles(rows []articleRow) ([]news.Article, error) {
	out := make([]news.Article, 0, len(rows))
	for _, r := range rows {
		a, err := r.article()
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, t.loadTerms(out)
}

// loadTerms fills the categories and tags of articles, in their sources' order.
func (t *tx) loadTerms(articles []news.Article) error {
	if len(articles) == 0 {
		return nil
	}
	index := make(map[int64]*news.Article, len(articles))
	ids := make([]int64, len(articles))
	for i := range articles {
		ids[i] = articles[i].ID
		index[ids[i]] = &articles[i]
	}
	list, err := encode(ids)
	if err != nil {
		return err
	}
	var rows []struct {
		ArticleID int64 `db:"article_id"`
		termRow
	}
	if err := t.all(&rows, `SELECT l.article_id, t.id, t.kind, t.slug, t.name, t.parent_id, t.articles, t.gone
		FROM article_terms l JOIN terms t ON t.id = l.term_id
		WHERE l.article_id `+t.d.inInts("$1")+` ORDER BY l.article_id, l.position`, list); err != nil {
		return err
	}
	for _, r := range rows {
		a, term := index[r.ArticleID], r.term()
		if term.Kind == news.KindCategory {
			a.Categories = append(a.Categories, term)
		} else {
			a.Tags = append(a.Tags, term)
		}
	}
	return nil
}

// clean makes text storable in both databases: PostgreSQL refuses NUL and
// invalid UTF-8, SQLite would keep them.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
