package source

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gazetted/internal/news"
)

// How a feed is read.
const (
	// feedVersion is part of every fingerprint and of the body's hash: raise it
	// when items are to be read anew after a change of how they are read.
	feedVersion = 1
	// feedWindow is how many items of a feed are remembered, to notice one that
	// goes although older ones stay.
	feedWindow = 100
	// feedDrop is the part of the articles, in percent, whose sudden loss is not believed.
	feedDrop = 30
	// feedFirstPages and feedBurstPages bound the walk to older pages: on the
	// first run, and later when a page holds nothing known.
	feedFirstPages = 500
	feedBurstPages = 100
	// feedPace is the least time between two pages of a walk.
	feedPace = 250 * time.Millisecond
)

const feedAccept = "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, application/xml;q=0.8, text/xml;q=0.7, application/json;q=0.6, */*;q=0.1"

// feed looks at a feed: RSS, Atom, RDF or JSON Feed.
//
// A feed is a window on what was published last. What leaves it at its old end
// has not been removed; what leaves it from between others perhaps has, and is
// asked for at its own address. What is new may be more than the window holds:
// then older pages are read, where the site offers them, until one holds
// something known.
type feed struct {
	cleaner *Cleaner
	client  *Client
	reader  *feedReader
	pace    func(ctx context.Context, d time.Duration) error
}

func newFeed(c *Cleaner, client *Client, pace func(context.Context, time.Duration) error) *feed {
	return &feed{cleaner: c, client: client, reader: newFeedReader(), pace: pace}
}

// feedCursor is what a look leaves for the next.
type feedCursor struct {
	freshness

	Window  []seat    `json:"window,omitempty"`  // the items of the last look, as they stood
	Missing []seat    `json:"missing,omitempty"` // gone from the window, not yet asked for
	Oldest  time.Time `json:"oldest,omitzero"`   // of the window's dates
	Walk    *feedWalk `json:"walk,omitempty"`    // of a first run that is under way
	Move    moving    `json:"move,omitzero"`

	Title string   `json:"title,omitempty"`
	Hubs  []string `json:"hubs,omitempty"` // WebSub hubs, and what they know the feed by
	Topic string   `json:"topic,omitempty"`
}

// feedWalk is how far a walk has come.
type feedWalk struct {
	Next  string `json:"next"`
	Pages int    `json:"pages"` // read so far
	Fails int    `json:"fails,omitempty"`
}

// feedLook is one look at one feed.
type feedLook struct {
	*job
	*feed
	zone   *time.Location
	cursor feedCursor
	index  *feedIndex
	fresh  int             // items that were new
	taken  map[string]bool // ids that this look has stored
	// lastRead is when the feed was last read before this look.
	lastRead time.Time
	lastPage []placed      // of a walk
	rest     time.Duration // before the walk goes on
}

func (f *feed) look(ctx context.Context, j *job) (outcome, error) {
	l := &feedLook{job: j, feed: f, zone: time.UTC, taken: map[string]bool{}}
	if j.src.Look.Cursor != "" && json.Unmarshal([]byte(j.src.Look.Cursor), &l.cursor) != nil {
		l.cursor = feedCursor{} // of another version: costs one reading
	}
	if j.src.Settings.Zone != "" {
		var err error
		if l.zone, err = news.LoadZone("zone", j.src.Settings.Zone); err != nil {
			return outcome{}, err // a FieldError speaks for itself
		}
	}
	l.lastRead = l.cursor.ReadAt
	doc, ans, err := l.fetch(ctx)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{complete: l.cursor.Walk == nil}
	if doc != nil {
		if err := l.read(ctx, doc, ans); err != nil {
			return outcome{}, err
		}
		out.moved = l.cursor.Move.saw(ans.Moved, l.src.Location, len(doc.items) > 0 && l.fresh < len(doc.items), l.started)
		out.complete = l.cursor.Walk == nil
	} else {
		out.moved = l.cursor.Move.saw(ans.Moved, l.src.Location, true, l.started)
	}
	if l.cursor.Move.To != "" && out.moved == "" {
		l.notes.add(l.cursor.Move.note(l.src.Location))
	}
	// Before the cursor says that all of this was read.
	if err := l.flush(ctx); err != nil {
		return outcome{}, err
	}
	b, err := json.Marshal(l.cursor)
	if err != nil {
		return out, fmt.Errorf("write cursor: %w", err)
	}
	out.cursor = string(b)
	if len(l.cursor.Hubs) > 0 {
		out.hub = hubOffer{hub: l.cursor.Hubs[0], topic: l.cursor.Topic}
	}
	settle := time.Duration(j.src.Settings.Settle)
	switch {
	case !out.complete:
		out.again = max(l.rest, time.Millisecond)
	case l.fresh > 0 && settle > 0 && !j.src.ActivatedAt.IsZero():
		// Second thoughts follow a post by moments: see them before it settles.
		out.again = min(max(settle*2/3, news.MinPoll), time.Duration(j.src.Settings.Poll))
	}
	return out, nil
}

// fetch gets the feed and reads it. doc is nil where nothing has changed since
// the last look.
func (l *feedLook) fetch(ctx context.Context) (doc *feedDoc, ans *Answer, err error) {
	q := request{url: l.src.Location, accept: feedAccept}
	c := &l.cursor
	busy := l.accept || c.Walk != nil || len(c.Missing) > 0 || l.src.ActivatedAt.IsZero()
	if !busy {
		c.ask(l.job, &q)
	}
	if ans, err = l.client.get(ctx, q); err != nil {
		return nil, nil, err
	}
	if unchanged := c.take(l.job, ans, fmt.Sprint(feedVersion, l.src.Settings.CategoriesAs, l.zone)); unchanged && !busy || ans.NotModified {
		return nil, ans, nil
	}
	doc, err = l.reader.read(ans, l.zone)
	return doc, ans, err
}

// read takes what a feed holds.
func (l *feedLook) read(ctx context.Context, doc *feedDoc, ans *Answer) error {
	known, err := l.known(ctx)
	if err != nil {
		return err
	}
	l.index = newFeedIndex(known)
	if len(doc.items) == 0 {
		if l.index.live > 0 {
			return &OddAnswerError{URL: l.src.Location, Text: "a feed without items"}
		}
		l.notes.add("the feed has no items so far")
		return nil
	}
	l.cursor.Title, l.cursor.Hubs, l.cursor.Topic = doc.title, doc.hubs, orElse(doc.self, ans.URL)
	page := l.place(doc)
	if err := l.guardIdentity(page); err != nil {
		return err
	}
	known0 := l.index.size()
	if err := l.take(ctx, doc, page); err != nil {
		return err
	}
	switch {
	case l.src.ActivatedAt.IsZero():
		err = l.walkFirst(ctx, doc)
	case page.unknown == len(page.seats) && known0 > 0:
		err = l.walk(ctx, feedWalk{Next: nextPage(doc, ans.URL)}, feedBurstPages, true)
	}
	if err != nil {
		return err
	}
	return l.removeGone(ctx, doc, page)
}

// take stores what is new or changed on a page, the oldest first: where dates
// are missing the order of the feed is all there is.
func (l *feedLook) take(ctx context.Context, doc *feedDoc, page *feedPage) error {
	for i := len(page.seats) - 1; i >= 0; i-- {
		s := &page.seats[i]
		mark := s.item.fingerprint(l.src.Settings)
		if k, ok := l.index.known[s.id]; ok && k.State != news.ArticleWithdrawn && k.Fingerprint == mark {
			continue
		} else if !ok {
			l.fresh++
		}
		found := l.article(s.item, doc)
		found.NativeID, found.Fingerprint = s.id, mark
		if err := l.put(ctx, found); err != nil {
			return err
		}
		l.taken[s.id] = true
		l.index.add(news.Known{NativeID: s.id, Fingerprint: mark, State: news.ArticleWaiting})
	}
	return nil
}
