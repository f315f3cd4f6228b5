package source

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"gazetted/internal/news"
)

// Store is what watching needs of the store. Each method is one transaction;
// errors wrap the kinds of package news.
type Store interface {
	// ClaimSource takes a source whose look is due and nobody else's.
	ClaimSource(ctx context.Context, lease time.Duration) (news.Source, bool, error)
	SourceByName(ctx context.Context, name string) (news.Source, error)
	Sources(ctx context.Context) ([]news.Source, error)
	// PollNow makes a source due.
	PollNow(ctx context.Context, name string) error
	// PollSoon makes it due at once, or gap after its last look.
	PollSoon(ctx context.Context, sourceID int64, gap time.Duration) error
	// FinishLook ends the lease and keeps the look; activate ends the first run.
	FinishLook(ctx context.Context, sourceID int64, look news.Look, activate bool) error
	// KnownArticles pages by native id in byte order.
	KnownArticles(ctx context.Context, sourceID int64, afterNativeID string, limit int) ([]news.Known, error)
	StoreTerms(ctx context.Context, sourceID int64, refs []news.TermRef) error
	// ForgetTerms is given all terms of a source, to tell which are no more.
	ForgetTerms(ctx context.Context, sourceID int64, listed []news.TermRef) error
	// StoreArticles takes at most 500.
	StoreArticles(ctx context.Context, sourceID int64, found []news.Found) (news.StoreCounts, error)
	WithdrawArticles(ctx context.Context, sourceID int64, nativeIDs []string) (int, error)
	// ArticleURLs gives the addresses of articles by native id; unknown ids are left out.
	ArticleURLs(ctx context.Context, sourceID int64, nativeIDs []string) (map[string]string, error)
	// RenameArticles gives articles other native ids: pairs of the old and the new.
	RenameArticles(ctx context.Context, sourceID int64, pairs [][2]string) error
	// HubLease, AskHub: the source's subscription at a WebSub hub.
	HubLease(ctx context.Context, sourceID int64) (news.HubLease, error)
	AskHub(ctx context.Context, sourceID int64, l news.HubLease) error
	// MoveSource gives a source another location.
	MoveSource(ctx context.Context, sourceID int64, location string) error
}

// Sizes of batches to and from the store.
const (
	storeBatch = 200
	// storeBytes bounds what a batch holds in memory, in bytes of HTML.
	storeBytes = 8 << 20
	knownPage  = 5000
	// maxWithdraw is one call's share of withdrawals.
	maxWithdraw = 500
	// maxNotes is what a Look keeps.
	maxNotes = 20
	// maxNote bounds one note in characters.
	maxNote = 300
)

// job is one look at one source: what it reads of the store and brings there.
type job struct {
	src     news.Source
	store   Store
	now     func() time.Time
	started time.Time
	// accept: the operator has said that what looks like an accident is none.
	accept bool

	counts news.StoreCounts
	notes  notes
	batch  []news.Found
	bytes  int
}

// looker looks at one kind of source. An error is a failed look: what was put
// before it stays, nothing else changes.
type looker interface {
	look(ctx context.Context, j *job) (outcome, error)
}

// outcome is what a look leaves for the next.
type outcome struct {
	// cursor is the source's own memory; an empty one forgets.
	cursor string
	// complete: everything that is published there is stored. It ends a first run.
	complete bool
	// again asks for the next look after this long instead of the poll interval.
	again time.Duration
	// moved is the source's new location; "": it stays.
	moved string
	// hub is where the source would tell of news by itself.
	hub hubOffer
}

// put queues an article for the store.
func (j *job) put(ctx context.Context, f news.Found) error {
	if !webURL(f.URL) {
		j.notes.add(fmt.Sprintf("%s: left out, because %q is no address on the web", f.NativeID, clip(f.URL, 80)))
		return nil
	}
	seal(&f)
	j.batch = append(j.batch, f)
	j.bytes += len(f.ContentHTML) + 1000
	if len(j.batch) >= storeBatch || j.bytes >= storeBytes {
		return j.flush(ctx)
	}
	return nil
}

// flush stores what is queued.
func (j *job) flush(ctx context.Context) error {
	if len(j.batch) == 0 {
		return nil
	}
	counts, err := j.store.StoreArticles(ctx, j.src.ID, j.batch)
	if err != nil {
		return fmt.Errorf("store articles: %w", err)
	}
	j.counts.Add(counts)
	j.batch, j.bytes = nil, 0
	return nil
}

// withdraw marks articles as gone.
func (j *job) withdraw(ctx context.Context, ids []string) error {
	for len(ids) > 0 {
		n := min(len(ids), maxWithdraw)
		gone, err := j.store.WithdrawArticles(ctx, j.src.ID, ids[:n])
		if err != nil {
			return fmt.Errorf("withdraw articles: %w", err)
		}
		j.counts.Withdrawn += gone
		ids = ids[n:]
	}
	return nil
}

// known reads what the store knows of the source.
func (j *job) known(ctx context.Context) ([]news.Known, error) {
	var all []news.Known
	after := ""
	for {
		page, err := j.store.KnownArticles(ctx, j.src.ID, after, knownPage)
		if err != nil {
			return nil, fmt.Errorf("read known articles: %w", err)
		}
		all = append(all, page...)
		if len(page) < knownPage {
			return all, nil
		}
		after = page[len(page)-1].NativeID
	}
}

// past tells whether the look begins later than every after that one. It does,
// too, if that one lies ahead: the clock was set back since.
func (j *job) past(at time.Time, every time.Duration) bool {
	age := j.started.Sub(at)
	return age < 0 || age >= every
}

// notes keeps the first few remarks of a look and counts the rest.
type notes struct {
	kept []string
	more int
}

func (n *notes) add(text string) {
	if len(n.kept) < maxNotes-1 {
		n.kept = append(n.kept, oneLine(text, maxNote))
		return
	}
	n.more++
}

// list is at most maxNotes lines, the last of which may be a count.
func (n *notes) list() []string {
	if n.more == 0 {
		return n.kept
	}
	return append(n.kept[:len(n.kept):len(n.kept)], fmt.Sprintf("and %d more", n.more))
}

// HeldError is a look that found so many articles gone that somebody should
// look before readers lose them. New and changed ones were stored; the
// withdrawals wait for Watcher.Accept or for the articles' return.
type HeldError struct {
	Gone, Known int
}

// Error says what is missing and what the operator can do.
func (e *HeldError) Error() string {
	return fmt.Sprintf("%d of %d articles have vanished at once: nothing was withdrawn; if they are really gone, accept it (gazetted source poll NAME --accept)", e.Gone, e.Known)
}

// guardDrop refuses to believe in the loss of many articles at once.
func (j *job) guardDrop(gone, live, percent int) error {
	if !j.accept && gone > 10 && gone*100 > live*percent {
		return &HeldError{Gone: gone, Known: live}
	}
	return nil
}

func hexOf(sum []byte, n int) string { return hex.EncodeToString(sum[:n]) }
