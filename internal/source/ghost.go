package source

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"gazetted/internal/news"
)

// How a Ghost site is asked.
const (
	ghostPage = 100 // the most that its API gives at once
	// ghostFetch is how many posts are read in full at once; their ids stand in the URL.
	ghostFetch = 50
	// ghostSweepAlways, ghostSweepEvery: as for WordPress.
	ghostSweepAlways = 1000
	ghostSweepEvery  = 5 * time.Minute
	ghostTermsEvery  = 5 * time.Minute
	ghostDrop        = 30
	ghostCheckOne    = 200
	// ghostVersion is part of every fingerprint: raise it when posts are to be
	// read anew after a change of how they are read.
	ghostVersion = 1
)

// ghost looks at a Ghost site through its Content API
// (https://ghost.org/docs/content-api/), which knows only what is published.
//
// As with WordPress, no question tells all changes: a tag that is renamed or
// deleted does not touch updated_at, a draft of last year that is published now
// has an old id, and what is unpublished leaves no trace. So a look compares a
// fingerprint of every post with what the store knows, and reads in full what
// differs. Small sites are swept at every look; larger ones now and then, with
// looks at the newest and the lately changed between.
type ghost struct {
	cleaner *Cleaner
	client  *Client
}

func newGhost(c *Cleaner, client *Client) *ghost { return &ghost{cleaner: c, client: client} }

// ghostCursor is what a look leaves for the next.
type ghostCursor struct {
	API      string    `json:"api"`
	Total    int       `json:"total"`
	SweptAt  time.Time `json:"swept_at,omitzero"`
	TermsAt  time.Time `json:"terms_at,omitzero"`
	Tags     string    `json:"tags,omitempty"` // hash of all tags
	WithTags bool      `json:"with_tags"`      // a sweep tells each post's tags
	// Hashes of what changes posts without their updated_at: when one changes,
	// all posts are read anew.
	People string `json:"people,omitempty"`  // names of the authors
	TagIDs string `json:"tag_ids,omitempty"` // which tags there are: only where a sweep does not tell
}

// ghostLook is one look at one site.
type ghostLook struct {
	*job
	api     *ghostAPI
	cleaner *Cleaner
	cursor  ghostCursor
}

func (g *ghost) look(ctx context.Context, j *job) (outcome, error) {
	l := &ghostLook{job: j, cleaner: g.cleaner}
	if j.src.Look.Cursor != "" && json.Unmarshal([]byte(j.src.Look.Cursor), &l.cursor) != nil {
		l.cursor = ghostCursor{} // of another version: costs one sweep
	}
	l.api = &ghostAPI{client: g.client, root: l.cursor.API, key: j.src.Secret.Reveal(), public: j.src.Settings.OmitMembers}
	if l.api.key == "" {
		return outcome{}, &news.FieldError{Field: "key", Want: "a Content API key: Ghost's Settings, Integrations, Custom; then `gazetted source secret " + j.src.Name + " --file FILE`"}
	}
	if l.api.root == "" {
		if err := l.api.find(ctx, j.src.Location); err != nil {
			return outcome{}, err
		}
		l.cursor.API = l.api.root
	}
	more, err := l.run(ctx)
	if err != nil {
		var status *StatusError
		if errors.As(err, &status) && status.Code == http.StatusNotFound {
			l.cursor.API = "" // another version of Ghost: look for it again
		}
		return outcome{cursor: l.save()}, err
	}
	out := outcome{cursor: l.save(), complete: !more}
	if more {
		out.again = time.Millisecond
	}
	return out, nil
}

func (l *ghostLook) save() string {
	b, err := json.Marshal(l.cursor)
	if err != nil {
		return "" // costs one sweep
	}
	return string(b)
}

// run does the look; more tells that a first run has not come to its end.
func (l *ghostLook) run(ctx context.Context) (more bool, err error) {
	all, err := l.known(ctx)
	if err != nil {
		return false, err
	}
	known := make(map[string]news.Known, len(all))
	live := 0
	for _, k := range all {
		known[k.NativeID] = k
		if k.State != news.ArticleWithdrawn {
			live++
		}
	}
	if err := l.readTerms(ctx); err != nil {
		return false, err
	}
	posts, total, full, err := l.brief(ctx, len(known) == 0 || l.src.ActivatedAt.IsZero())
	if err != nil {
		return false, err
	}
	if full && len(posts) == 0 && live > 0 && !l.accept {
		return false, &OddAnswerError{URL: l.src.Location, Text: "an empty list of posts"}
	}
	var changed []string
	for id, p := range posts {
		k, ok := known[id]
		if !ok || k.State == news.ArticleWithdrawn || k.Fingerprint != p.fingerprint(&l.cursor) {
			changed = append(changed, id)
		}
	}
	slices.Sort(changed)
	done, err := l.fetch(ctx, changed)
	if err != nil || done < len(changed) {
		return done < len(changed), err
	}
	l.cursor.Total = total
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

// brief lists the posts: all of them (full), or, between sweeps of a large
// site, those lately published and changed.
func (l *ghostLook) brief(ctx context.Context, first bool) (posts map[string]ghostPost, total int, full bool, err error) {
	due := first || l.cursor.SweptAt.IsZero() || l.past(l.cursor.SweptAt, ghostSweepEvery) || l.accept
	if !due && l.cursor.Total > ghostSweepAlways {
		posts = make(map[string]ghostPost)
		for _, order := range []string{"published_at desc", "updated_at desc"} {
			page, p, err := l.api.briefs(ctx, 1, order)
			if err != nil {
				return nil, 0, false, err
			}
			total = p.Total
			for _, post := range page {
				posts[post.ID] = post
			}
		}
		if total == l.cursor.Total {
			return posts, total, false, nil
		}
	}
	posts, total, err = l.api.sweep(ctx)
	if err != nil {
		return nil, 0, false, err
	}
	withTags := len(posts) > 0
	for _, p := range posts {
		withTags = withTags && p.Tags != nil
	}
	l.cursor.WithTags = withTags
	return posts, total, true, nil
}

// fetch reads posts in full and stores them; it returns how many of ids were
// dealt with before its time was up.
func (l *ghostLook) fetch(ctx context.Context, ids []string) (done int, err error) {
	size := ghostFetch
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
			l.notes.add(fmt.Sprintf("post %s: %v", ids[done], err))
		case err != nil:
			return done, err
		}
		for i := range posts {
			if err := l.put(ctx, l.article(&posts[i])); err != nil {
				return done, err
			}
		}
		if err := l.flush(ctx); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// removeGone withdraws the posts that have left the list, after asking for each
// of them. whole is false if there were too many of them for one look.
func (l *ghostLook) removeGone(ctx context.Context, posts map[string]ghostPost, known map[string]news.Known, live int) (whole bool, err error) {
	var missing []string
	for id, k := range known {
		if _, there := posts[id]; !there && k.State != news.ArticleWithdrawn {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	if err := l.guardDrop(len(missing), live, ghostDrop); err != nil {
		return false, err
	}
	whole = len(missing) <= ghostCheckOne
	if !whole {
		l.notes.add(fmt.Sprintf("%d posts have left the list; %d of them are checked in this look", len(missing), ghostCheckOne))
		missing = missing[:ghostCheckOne]
	}
	var gone []string
	for batch := range slices.Chunk(missing, ghostFetch) {
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
				gone = append(gone, id)
			}
		}
	}
	return whole, l.withdraw(ctx, gone)
}

// readTerms reads all tags and authors from time to time. New names of tags are
// told to the store; what changes posts that do not change themselves makes a
// new epoch, in which every post is read again.
func (l *ghostLook) readTerms(ctx context.Context) error {
	if !l.cursor.TermsAt.IsZero() && !l.past(l.cursor.TermsAt, ghostTermsEvery) {
		return nil
	}
	tags, err := l.api.tags(ctx)
	if err != nil {
		return err
	}
	authors, err := l.api.authors(ctx)
	if err != nil {
		return err
	}
	names, ids, people := sha256.New(), sha256.New(), sha256.New()
	var refs []news.TermRef
	for _, t := range tags {
		fmt.Fprintf(names, "%s %q %q\n", t.ID, t.Name, t.Slug)
		fmt.Fprintf(ids, "%s\n", t.ID)
		// It may be the category of one post and a tag of another, or neither yet.
		for _, kind := range []news.TermKind{news.KindCategory, news.KindTag} {
			ref := t.ref(kind)
			ref.KnownOnly = true
			refs = append(refs, ref)
		}
	}
	if hash := hexOf(names.Sum(nil), 8); hash != l.cursor.Tags {
		if err := l.job.store.StoreTerms(ctx, l.src.ID, refs); err != nil {
			return fmt.Errorf("store terms: %w", err)
		}
		l.cursor.Tags = hash
	}
	for _, a := range authors {
		fmt.Fprintf(people, "%s %q %q\n", a.ID, a.Name, a.URL)
	}
	l.cursor.People, l.cursor.TagIDs = hexOf(people.Sum(nil), 4), hexOf(ids.Sum(nil), 4)
	l.cursor.TermsAt = l.started.UTC()
	return nil
}
