package source

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// How a WordPress site is asked.
const (
	wpPage = 100 // the most that its REST API gives at once
	// wpSweepAlways: up to this many posts, every look is a full sweep (10 requests).
	wpSweepAlways = 1000
	// wpSweepEvery is how often larger sites are swept in full; the looks between
	// ask for the newest and the lately changed only.
	wpSweepEvery = 5 * time.Minute
	// wpTermsEvery is how often all categories and tags are read, to see renames.
	wpTermsEvery = 5 * time.Minute
	// wpDrop is the part of the articles, in percent, whose sudden loss is not believed.
	wpDrop = 30
	// wpCheckOne bounds the vanished posts that are asked for one by one in a look.
	wpCheckOne = 200
	// wpFresh is how many new posts are looked at again after the settle delay.
	wpFresh = 100
)

// wordPress looks at a WordPress site through its REST API
// (https://developer.wordpress.org/rest-api/reference/posts/).
//
// Nothing that the API can be asked for tells all changes: modified dates are
// not touched by terms and images, scheduled and back-dated posts appear in the
// past, removed ones leave no trace. So a look compares a fingerprint of every
// post with what the store knows (a sweep), and fetches in full what differs.
// The first run is the same thing with nothing known, which is why it can be
// interrupted anywhere and goes on where the store ends.
type wordPress struct {
	cleaner *Cleaner
	client  *Client
	reader  *feedReader // of the site's feed, where the API is closed
}

func newWordPress(c *Cleaner, client *Client) *wordPress {
	return &wordPress{cleaner: c, client: client, reader: newFeedReader()}
}

// wpCursor is what a look leaves for the next.
type wpCursor struct {
	API       string    `json:"api"` // where the REST API is
	Total     int       `json:"total"`
	SweptAt   time.Time `json:"swept_at,omitzero"`
	TermsAt   time.Time `json:"terms_at,omitzero"`
	TermsHash string    `json:"terms_hash,omitempty"`
	Fresh     []int64   `json:"fresh,omitempty"`    // found by the last look
	ClosedAt  time.Time `json:"closed_at,omitzero"` // when the API last refused us
	ClosedBy  string    `json:"closed_by,omitempty"`
	Move      moving    `json:"move,omitzero"`
}

// wpLook is one look at one site.
type wpLook struct {
	*job
	api     *wpAPI
	cleaner *Cleaner
	cursor  wpCursor
	zone    *time.Location

	terms   map[int64]wpTerm // read in this look
	users   map[int64]wpUser
	noUsers bool // the site does not tell
	// open: the API has listed posts in this look.
	open bool
	// familiar: the site shows posts that the store knows.
	familiar bool
}

func (w *wordPress) look(ctx context.Context, j *job) (outcome, error) {
	l := &wpLook{job: j, cleaner: w.cleaner, terms: make(map[int64]wpTerm), users: make(map[int64]wpUser), zone: time.UTC}
	if j.src.Look.Cursor != "" && json.Unmarshal([]byte(j.src.Look.Cursor), &l.cursor) != nil {
		l.cursor = wpCursor{} // of another version: costs one sweep
	}
	if j.src.Settings.Zone != "" {
		var err error
		if l.zone, err = news.LoadZone("zone", j.src.Settings.Zone); err != nil {
			return outcome{}, err // a FieldError speaks for itself
		}
	}
	l.api = &wpAPI{client: w.client, root: l.cursor.API}
	if c := &l.cursor; !c.ClosedAt.IsZero() && !l.past(c.ClosedAt, wpAskAgain) && !l.accept {
		return l.instead(ctx, w.reader, errors.New(c.ClosedBy))
	}
	more, err := l.throughAPI(ctx)
	if !l.open && restClosed(err) {
		l.cursor.ClosedAt, l.cursor.ClosedBy = l.started.UTC(), oneLine(err.Error(), maxNote)
		return l.instead(ctx, w.reader, err)
	}
	if err != nil {
		return outcome{cursor: l.save()}, err
	}
	l.cursor.ClosedAt, l.cursor.ClosedBy = time.Time{}, ""
	moved := l.moved()
	out := outcome{cursor: l.save(), complete: !more, moved: moved}
	settle := time.Duration(j.src.Settings.Settle)
	switch {
	case more:
		out.again = time.Millisecond
	case len(l.cursor.Fresh) > 0 && settle > 0:
		// Terms and image follow a post by moments: see them before it settles.
		out.again = min(max(settle*2/3, news.MinPoll), time.Duration(j.src.Settings.Poll))
	}
	return out, nil
}

// instead reads the feed in place of the API.
func (l *wpLook) instead(ctx context.Context, reader *feedReader, cause error) (outcome, error) {
	complete, err := l.readFeed(ctx, reader, cause)
	if err != nil {
		l.cursor.ClosedAt, l.cursor.ClosedBy = time.Time{}, "" // then the API is asked again next time
	}
	return outcome{cursor: l.save(), complete: complete}, err
}

// throughAPI finds the API, if need be, and does the look. One that is not
// where it was is looked for once more.
func (l *wpLook) throughAPI(ctx context.Context) (more bool, err error) {
	for {
		was := l.cursor.API
		if was == "" {
			root, err := findAPI(ctx, l.api.client, l.src.Location)
			if err != nil {
				return false, err
			}
			l.cursor.API, l.api.root = root, root
		}
		more, err = l.run(ctx)
		var status *StatusError
		if l.open || was == "" || !errors.As(err, &status) || status.Code != 404 {
			return more, err
		}
		l.cursor.API = ""
	}
}

// moved follows a site to another host, or to https, once its API has
// redirected there for long enough. It returns the new location.
func (l *wpLook) moved() string {
	to := ""
	if u, err := url.Parse(l.src.Location); err == nil && l.api.moved != nil {
		if root, err := url.Parse(l.api.root); err == nil && (root.Host != l.api.moved.Host || root.Scheme != l.api.moved.Scheme) {
			u.Scheme, u.Host = l.api.moved.Scheme, l.api.moved.Host
			to = u.String()
		}
	}
	location := l.cursor.Move.saw(to, l.src.Location, l.familiar, l.started)
	if location != "" {
		l.cursor.API = "" // to be found there
	} else if l.cursor.Move.To != "" {
		l.notes.add(l.cursor.Move.note(l.src.Location))
	}
	return location
}

func (l *wpLook) save() string {
	b, err := json.Marshal(l.cursor)
	if err != nil {
		return "" // costs one sweep
	}
	return string(b)
}

// run does the look; more tells that a first run has not come to its end.
func (l *wpLook) run(ctx context.Context) (more bool, err error) {
	all, err := l.known(ctx)
	if err != nil {
		return false, err
	}
	index := newWPIndex(all)
	known, live := index.known, index.live
	posts, total, full, err := l.brief(ctx, len(known) == 0 || l.src.ActivatedAt.IsZero())
	if err != nil {
		return false, err
	}
	l.open = true
	if full && len(posts) == 0 && live > 0 && !l.accept {
		return false, &OddAnswerError{URL: l.src.Location, Text: "an empty list of posts"}
	}
	if err := l.readTerms(ctx); err != nil {
		return false, err
	}
	changed, fresh := compare(posts, known)
	l.familiar = len(fresh) < len(posts)
	if !full && len(fresh) > len(posts)/2 {
		// A burst, or a site made anew with other ids: a sweep tells.
		if posts, total, err = l.api.sweep(ctx); err != nil {
			return false, err
		}
		full = true
		changed, fresh = compare(posts, known)
	}
	if err := l.sameUnderOtherID(ctx, posts, index, full); err != nil {
		return false, err
	}
	done, err := l.fetch(ctx, changed)
	if err != nil {
		return false, err
	}
	if done < len(changed) {
		return true, nil
	}
	l.cursor.Total = total
	l.cursor.Fresh = fresh
	if !full {
		return false, nil
	}
	whole, err := l.removeGone(ctx, posts, known, live)
	if err == nil && whole {
		// Not before: a sweep that was held or failed is done again by the next look.
		l.cursor.SweptAt = l.started.UTC()
	}
	return false, err
}

// brief lists id and fingerprint of posts: of all of them (full), or, between
// sweeps of a large site, of the lately published and changed.
func (l *wpLook) brief(ctx context.Context, first bool) (posts map[int64]wpBrief, total int, full bool, err error) {
	due := first || l.cursor.SweptAt.IsZero() || l.past(l.cursor.SweptAt, wpSweepEvery) || l.accept
	if !due && l.cursor.Total > wpSweepAlways {
		posts = make(map[int64]wpBrief)
		for _, order := range []string{"date", "modified"} {
			page, n, err := l.api.briefPage(ctx, "per_page=100&order=desc&orderby="+order)
			if err != nil {
				return nil, 0, false, err
			}
			total = n
			for _, p := range page {
				posts[p.ID] = p
			}
		}
		if total == l.cursor.Total {
			return posts, total, false, l.addFresh(ctx, posts)
		}
	}
	posts, total, err = l.api.sweep(ctx)
	return posts, total, true, err
}

// addFresh looks again at what the last look found new, wherever its dates
// have put it.
func (l *wpLook) addFresh(ctx context.Context, posts map[int64]wpBrief) error {
	var ids []int64
	for _, id := range l.cursor.Fresh {
		if _, ok := posts[id]; !ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	page, _, err := l.api.briefPage(ctx, "per_page=100&include="+joinIDs(ids))
	if err != nil {
		return err
	}
	for _, p := range page {
		posts[p.ID] = p
	}
	return nil
}

// compare finds the posts that the store does not know as they are, in order
// of id, and which of these are new.
func compare(posts map[int64]wpBrief, known map[int64]news.Known) (changed, fresh []int64) {
	for id, p := range posts {
		k, ok := known[id]
		if ok && k.State != news.ArticleWithdrawn && k.Fingerprint == p.fingerprint() {
			continue
		}
		changed = append(changed, id)
		if !ok || k.State == news.ArticleWithdrawn {
			fresh = append(fresh, id)
		}
	}
	slices.Sort(changed)
	slices.Sort(fresh)
	if len(fresh) > wpFresh {
		fresh = fresh[len(fresh)-wpFresh:]
	}
	return changed, fresh
}

// sameUnderOtherID finds posts that have the slug of a known one which is there
// no more: an import has given the site's posts other ids. That of so many is
// held for the operator, who may accept the new ids as the old posts'.
func (l *wpLook) sameUnderOtherID(ctx context.Context, posts map[int64]wpBrief, index *wpIndex, full bool) error {
	if !full || l.src.ActivatedAt.IsZero() {
		return nil
	}
	var ids [][2]string // old, new
	for id, p := range posts {
		if _, ok := index.known[id]; ok {
			continue
		}
		old := index.slugs[strings.ToLower(p.Slug)]
		if _, there := posts[old]; old > 0 && !there {
			ids = append(ids, [2]string{strconv.FormatInt(old, 10), strconv.FormatInt(id, 10)})
		}
	}
	if err := l.guardRenamed(len(ids), len(posts)); err != nil || !l.accept || len(ids) == 0 {
		return err
	}
	if err := l.job.store.RenameArticles(ctx, l.src.ID, ids); err != nil {
		return fmt.Errorf("rename articles: %w", err)
	}
	for _, pair := range ids {
		old, _ := strconv.ParseInt(pair[0], 10, 64) // made above
		id, _ := strconv.ParseInt(pair[1], 10, 64)
		index.known[id] = index.known[old]
		delete(index.known, old)
	}
	return nil
}

// fetch reads posts in full and stores them, a page at a time; it returns how
// many of ids were dealt with before its time was up.
func (l *wpLook) fetch(ctx context.Context, ids []int64) (done int, err error) {
	size := wpPage
	for done < len(ids) {
		if l.now().Sub(l.started) > lookBudget {
			return done, nil
		}
		n := min(size, len(ids)-done)
		posts, err := l.api.posts(ctx, ids[done:done+n])
		var large *TooLargeError
		switch {
		case errors.As(err, &large) && n > 1:
			size = max(n/4, 1)
			continue
		case errors.As(err, &large):
			l.notes.add(fmt.Sprintf("post %d: %v", ids[done], err))
		case err != nil:
			return done, err
		}
		if err := l.join100(ctx, posts); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// join100 joins a page of posts with their authors, terms and media.
func (l *wpLook) join100(ctx context.Context, raw []json.RawMessage) error {
	posts := make([]wpPost, 0, len(raw))
	for _, r := range raw {
		var p wpPost
		if err := json.Unmarshal(r, &p); err != nil || p.ID <= 0 {
			l.notes.add(fmt.Sprintf("post %d: not as WordPress writes posts: %v", p.ID, err))
			continue
		}
		posts = append(posts, p)
	}
	media, err := l.join(ctx, posts)
	if err != nil {
		return err
	}
	for i := range posts {
		p := &posts[i]
		found := l.article(p, media)
		// The fingerprint of what was fetched, not of what the sweep saw: the
		// post may have changed in between.
		found.Fingerprint = p.brief().fingerprint()
		if err := l.put(ctx, found); err != nil {
			return err
		}
	}
	return l.flush(ctx)
}

// removeGone withdraws the posts that have left the list, after asking for
// each of them: a list alone can be cut short by many things. whole is false
// if there were too many of them for one look.
func (l *wpLook) removeGone(ctx context.Context, posts map[int64]wpBrief, known map[int64]news.Known, live int) (whole bool, err error) {
	var missing []int64
	for id, k := range known {
		if _, there := posts[id]; !there && k.State != news.ArticleWithdrawn {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	if err := l.guardDrop(len(missing), live, wpDrop); err != nil {
		return false, err
	}
	var gone []string
	whole = len(missing) <= wpCheckOne
	if !whole {
		l.notes.add(fmt.Sprintf("%d posts have left the list; %d of them are checked in this look", len(missing), wpCheckOne))
		missing = missing[:wpCheckOne]
	}
	for batch := range slices.Chunk(missing, wpPage) {
		survivors, err := l.api.survivors(ctx, batch)
		if err != nil {
			return false, err
		}
		for _, id := range batch {
			if survivors[id] {
				continue
			}
			isGone, err := l.api.isGone(ctx, id)
			if err != nil {
				return false, err
			}
			if isGone {
				gone = append(gone, strconv.FormatInt(id, 10))
			}
		}
	}
	return whole, l.withdraw(ctx, gone)
}

// readTerms reads all categories and tags from time to time and tells the
// store, when they have changed, of their names and parents.
func (l *wpLook) readTerms(ctx context.Context) error {
	if !l.cursor.TermsAt.IsZero() && !l.past(l.cursor.TermsAt, wpTermsEvery) {
		return nil
	}
	terms, err := l.api.allTerms(ctx)
	if err != nil {
		return err
	}
	var refs []news.TermRef
	h := sha256.New()
	for _, t := range terms {
		l.terms[t.ID] = t
		if ref := t.ref(); ref.Name != "" {
			refs = append(refs, ref)
		}
		fmt.Fprintf(h, "%d %q %q %d\n", t.ID, t.Name, t.Slug, t.Parent)
	}
	if hash := hexOf(h.Sum(nil), 8); hash != l.cursor.TermsHash {
		if err := l.job.store.StoreTerms(ctx, l.src.ID, refs); err != nil {
			return fmt.Errorf("store terms: %w", err)
		}
		if err := l.job.store.ForgetTerms(ctx, l.src.ID, refs); err != nil {
			return fmt.Errorf("forget terms: %w", err)
		}
		l.cursor.TermsHash = hash
	}
	l.cursor.TermsAt = l.started.UTC()
	return nil
}

func joinIDs(ids []int64) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(id, 10))
	}
	return b.String()
}
