package web

import (
	"container/list"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"gazetted/internal/news"
)

// feedStore is what feeds are built from.
type feedStore interface {
	Articles(ctx context.Context, q news.ArticleQuery) ([]news.Article, error)
	Terms(ctx context.Context) ([]news.Term, error)
	TermBySlug(ctx context.Context, kind news.TermKind, slug string) (news.Term, error)
	FeedChanges(ctx context.Context, since int64) (news.FeedChanges, error)
}

const (
	// checkEvery bounds how old a feed may be while it is being read. The check
	// is one small query per second, however many readers there are.
	checkEvery   = time.Second
	checkTimeout = 2 * time.Second
	// buildTimeout outlives the reader who happened to ask first: others wait
	// for the same build.
	buildTimeout = 30 * time.Second
)

// feedKey names a document of the cache. The zero kind with an empty slug is
// the feed of all articles; kindOPML is the index of all feeds.
type feedKey struct {
	kind   news.TermKind
	slug   string
	format news.FeedFormat
}

const kindOPML news.TermKind = "opml"

// wholeSite stands for "any term" in the bookkeeping of changes.
const wholeSite int64 = 0

// built is a document with what decides whether it is still true.
type built struct {
	*document
	key    feedKey
	term   int64 // wholeSite: depends on everything
	cursor int64 // of the changes that it contains, at least
	labels []int64
	bytes  int64
}

// feedCache keeps built feeds in memory. A feed is built when it is first read
// and again when it is read after one of its own articles changed; every other
// request is answered without touching the database, also while it is down.
type feedCache struct {
	store  feedStore
	log    *slog.Logger
	now    func() time.Time
	build  func(ctx context.Context, key feedKey, idx *termIndex) (*built, error)
	count  feedCounter
	flight singleflight.Group

	mu       sync.Mutex
	known    bool // cursor has been read once
	cursor   int64
	checked  time.Time
	checking bool
	woken    bool
	changed  map[int64]int64 // term → cursor of its last change
	renamed  map[int64]int64 // term → cursor at which its name or slug was seen to change
	terms    *termIndex
	entries  map[feedKey]*list.Element
	recent   *list.List // of *built, most recently read first
	bytes    int64
	maxBytes int64
}

// feedCounter counts what the cache does.
type feedCounter interface {
	feedBuilt(err error)
	feedRead(notModified bool)
}

func newFeedCache(s *Server) *feedCache {
	return &feedCache{
		store: s.o.Store, log: s.log, now: s.now, build: s.buildFeed, count: s.metrics,
		changed: map[int64]int64{}, renamed: map[int64]int64{},
		entries: map[feedKey]*list.Element{}, recent: list.New(), maxBytes: s.o.FeedCacheBytes,
	}
}

// wake lets the next reader look for changes at once.
func (c *feedCache) wake() {
	c.mu.Lock()
	c.woken = true
	c.mu.Unlock()
}

// get returns the document for key, built anew if it has changed. An old
// document is better than none: if building fails, the last one is served.
func (c *feedCache) get(ctx context.Context, key feedKey) (*built, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	old, fresh, cursor := c.find(key)
	if fresh {
		return old, nil
	}
	v, err, _ := c.flight.Do(fmt.Sprintf("%s/%s.%s@%d", key.kind, key.slug, key.format, cursor), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), buildTimeout)
		defer cancel()
		if b, fresh, _ := c.find(key); fresh {
			return b, nil // somebody built it between our look and our turn
		}
		idx, err := c.index(ctx)
		if err != nil {
			return nil, err
		}
		b, err := c.build(ctx, key, idx)
		c.count.feedBuilt(err)
		if err != nil {
			return nil, err
		}
		b.key, b.cursor = key, cursor
		c.put(b, old)
		return b, nil
	})
	if b, ok := v.(*built); ok && err == nil {
		return b, nil
	}
	if old != nil && statusOf(err) >= 500 {
		c.log.Error("feed not rebuilt, serving the last one", "err", err)
		return old, nil
	}
	if old != nil {
		c.drop(key)
	}
	return nil, err
}

// check asks the store what has changed, at most once per second or after a
// wake. While one reader asks, the others go on with what is there.
func (c *feedCache) check(ctx context.Context) error {
	c.mu.Lock()
	now := c.now()
	due := c.woken || !c.known || now.Sub(c.checked) >= checkEvery || now.Before(c.checked)
	if !due || (c.checking && c.known) {
		c.mu.Unlock()
		return nil
	}
	first, since := !c.known, c.cursor
	c.checking, c.woken, c.checked = true, false, now
	c.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	ch, err := c.store.FeedChanges(ctx, since)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checking = false
	if err != nil {
		if first {
			return fmt.Errorf("look for changes of feeds: %w", err)
		}
		c.log.Error("changes of feeds not read", "err", err)
		return nil
	}
	c.note(ch, since)
	return nil
}

// note takes in changes. A cursor that went back means that another database
// (a restored backup) answers now: nothing known is true any more.
func (c *feedCache) note(ch news.FeedChanges, since int64) {
	if c.known && ch.Cursor < since {
		c.entries, c.bytes, c.terms = map[feedKey]*list.Element{}, 0, nil
		c.changed, c.renamed = map[int64]int64{}, map[int64]int64{}
		c.recent.Init()
		c.cursor = ch.Cursor
		return
	}
	c.known = true
	if ch.Cursor <= c.cursor && len(ch.TermIDs) == 0 {
		return
	}
	c.cursor = max(ch.Cursor, c.cursor)
	if since == 0 && len(c.entries) == 0 {
		return // nothing is built yet that could be out of date
	}
	c.changed[wholeSite] = c.cursor
	for _, id := range ch.TermIDs {
		c.changed[id] = c.cursor
	}
}

// find returns the document for key, whether it is still true, and the cursor
// that a new one would have.
func (c *feedCache) find(key feedKey) (b *built, fresh bool, cursor int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[key]
	if !ok {
		return nil, false, c.cursor
	}
	c.recent.MoveToFront(el)
	b, _ = el.Value.(*built)
	return b, c.fresh(b), c.cursor
}

func (c *feedCache) fresh(b *built) bool {
	if c.changed[b.term] > b.cursor {
		return false
	}
	for _, id := range b.labels {
		if c.renamed[id] > b.cursor {
			return false
		}
	}
	return true
}

// put keeps b and lets go of what was read longest ago. Last-Modified never
// goes back while we run: readers that know only dates would miss a withdrawal.
func (c *feedCache) put(b, old *built) {
	if old != nil && old.plain.etag != b.plain.etag && !b.modified.After(old.modified) {
		b.setModified(c.now())
	}
	b.bytes = b.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[b.key]; ok {
		c.remove(el)
	}
	if b.bytes > c.maxBytes {
		return
	}
	c.entries[b.key] = c.recent.PushFront(b)
	c.bytes += b.bytes
	for c.bytes > c.maxBytes {
		c.remove(c.recent.Back())
	}
}

func (c *feedCache) drop(key feedKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[key]; ok {
		c.remove(el)
	}
}

func (c *feedCache) remove(el *list.Element) {
	b, ok := c.recent.Remove(el).(*built)
	if !ok {
		return
	}
	delete(c.entries, b.key)
	c.bytes -= b.bytes
}

// index returns all terms as they are now, read once per change.
func (c *feedCache) index(ctx context.Context) (*termIndex, error) {
	c.mu.Lock()
	idx, cursor := c.terms, c.cursor
	c.mu.Unlock()
	if idx != nil && idx.cursor >= cursor {
		return idx, nil
	}
	v, err, _ := c.flight.Do(fmt.Sprintf("terms@%d", cursor), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), buildTimeout)
		defer cancel()
		terms, err := c.store.Terms(ctx)
		if err != nil {
			return nil, fmt.Errorf("read terms: %w", err)
		}
		return c.setIndex(newTermIndex(terms, cursor)), nil
	})
	if err != nil {
		return nil, err
	}
	idx, _ = v.(*termIndex)
	return idx, nil
}

func (c *feedCache) setIndex(idx *termIndex) *termIndex {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terms != nil {
		if c.terms.cursor > idx.cursor {
			return c.terms
		}
		for _, t := range idx.all {
			if was, ok := c.terms.tree.Term(t.ID); ok && (was.Name != t.Name || was.Slug != t.Slug) {
				c.renamed[t.ID] = idx.cursor
			}
		}
	}
	c.terms = idx
	return idx
}

// labelsOf lists the terms whose names stand in a feed of these articles.
func labelsOf(articles []news.Article) []int64 {
	var ids []int64
	for i := range articles {
		ids = append(ids, articles[i].TermIDs()...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
