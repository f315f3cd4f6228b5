package news

import (
	"time"
)

// Visibility says who may read an article's body at its publisher.
type Visibility string

// The visibilities. Anything but public is fed and mailed as title and link only.
const (
	VisibilityPublic   Visibility = "public"
	VisibilityMembers  Visibility = "members"
	VisibilityPassword Visibility = "password"
)

// ArticleState is where an article stands between its source and its readers.
type ArticleState string

// The states of an article.
//
//	waiting ──► released ──► withdrawn ──► released (same Seq: never mailed again)
//	   └──────► withdrawn
const (
	ArticleWaiting   ArticleState = "waiting"   // found; not yet settled, or embargoed
	ArticleReleased  ArticleState = "released"  // has its Seq; in feeds
	ArticleWithdrawn ArticleState = "withdrawn" // gone from its source: in no feed and no digest
)

// Article is one published piece, whatever its source.
type Article struct {
	ID       int64  `json:"id"`
	SourceID int64  `json:"source_id"`
	NativeID string `json:"native_id"` // identity within the source: post id, guid, file id
	URL      string `json:"url"`       // canonical, absolute
	GUID     string `json:"guid"`      // what feeds carry as id; never changes once assigned

	Title       string     `json:"title"` // plain text, entities decoded
	Summary     string     `json:"summary,omitempty"`
	ContentHTML string     `json:"content_html,omitempty"` // sanitised, URLs absolute
	Language    string     `json:"language,omitempty"`     // BCP 47
	Authors     []Author   `json:"authors,omitempty"`
	Image       *Image     `json:"image,omitempty"`
	CommentsURL string     `json:"comments_url,omitempty"`
	Visibility  Visibility `json:"visibility"`

	PublishedAt time.Time `json:"published_at"`         // as the publisher says, never later than FirstSeenAt
	UpdatedAt   time.Time `json:"updated_at,omitzero"`  // of the publisher's last real edit; zero if never edited
	FirstSeenAt time.Time `json:"first_seen_at"`        // by us
	ReleaseAt   time.Time `json:"release_at"`           // earliest instant of Release: settle delay, embargo
	ExpiresAt   time.Time `json:"expires_at,omitzero"`  // leaves like a withdrawal
	ReleasedAt  time.Time `json:"released_at,omitzero"` // instant of the Release

	State   ArticleState `json:"state"`
	Seq     int64        `json:"seq,omitempty"` // 0 until Release
	Archive bool         `json:"archive"`       // found in a first run or import: in feeds, never mailed

	Categories []Term `json:"categories,omitempty"`
	Tags       []Term `json:"tags,omitempty"`

	// Hash is the normalised hash of what readers see. Fingerprint is the
	// source's own cheap sign of change (e.g. modified time, slug and terms).
	Hash        string `json:"-"`
	Fingerprint string `json:"-"`
}

// Author is a person as the publisher names them. Feeds give the name only:
// an address is never published.
type Author struct {
	Name string `json:"name"`
	URL  string `json:"url,omitempty"`
}

// Image is the picture that stands for an article. Width, Height (CSS pixels)
// and Bytes are 0 where the source does not say.
type Image struct {
	URL    string `json:"url"`
	Alt    string `json:"alt,omitempty"`
	Type   string `json:"type,omitempty"` // media type, e.g. image/jpeg
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
}

// LastChanged is the later of the two public dates.
func (a *Article) LastChanged() time.Time {
	if a.UpdatedAt.After(a.PublishedAt) {
		return a.UpdatedAt
	}
	return a.PublishedAt
}

// Edited tells whether a reader should be shown an "updated" date: the edit
// came at least a minute after publication, so that a correction seconds after
// pressing the button does not count.
func (a *Article) Edited() bool {
	return a.UpdatedAt.Sub(a.PublishedAt) >= time.Minute
}

// DateOnly tells whether t, of an article, is a day without a time: sources that
// know only the date give midnight UTC. Such a date is shown as it stands in
// UTC, because in another zone it could be another day.
func DateOnly(t time.Time) bool {
	return !t.IsZero() && t.Equal(t.Truncate(24*time.Hour))
}

// TermIDs lists the ids of the categories and tags of a.
func (a *Article) TermIDs() []int64 {
	ids := make([]int64, 0, len(a.Categories)+len(a.Tags))
	for _, t := range a.Categories {
		ids = append(ids, t.ID)
	}
	for _, t := range a.Tags {
		ids = append(ids, t.ID)
	}
	return ids
}

// Found is an article as a source reports it: not yet stored, terms not yet
// resolved. Content is already sanitised.
type Found struct {
	NativeID    string
	URL         string
	Key         string // what all spellings of the URL have in common
	GUID        string // empty: the store assigns one
	Title       string
	Summary     string
	ContentHTML string
	Language    string
	Authors     []Author
	Image       *Image
	CommentsURL string
	Visibility  Visibility
	PublishedAt time.Time // zero: the instant of first sight
	UpdatedAt   time.Time
	// Version is the publisher's own time of this version, where versions may
	// arrive in another order than they were made in: an older one never takes
	// the place of a later one. Zero: they arrive in order.
	Version     time.Time
	EmbargoAt   time.Time // not released before; zero: no embargo
	ExpiresAt   time.Time
	Terms       []TermRef
	Fingerprint string
	Hash        string
}

// Known is what the store remembers of an article, cheap enough to be read for
// every article of a source in each sweep.
type Known struct {
	NativeID    string
	Fingerprint string
	State       ArticleState
}

// StoreCounts tells what storing a batch of Found did.
type StoreCounts struct {
	New       int `json:"new"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Withdrawn int `json:"withdrawn"`
}

// Add sums up batches.
func (c *StoreCounts) Add(o StoreCounts) {
	c.New += o.New
	c.Changed += o.Changed
	c.Unchanged += o.Unchanged
	c.Withdrawn += o.Withdrawn
}
