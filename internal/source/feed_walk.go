package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"gazetted/internal/news"
)

// nextPage is where older items than a page's are: where the feed says so (RFC
// 5005), or the next ?paged= of WordPress. "": nowhere.
func nextPage(doc *feedDoc, fetched string) string {
	if doc.next != "" && doc.next != fetched {
		return doc.next
	}
	u, err := url.Parse(fetched)
	if err != nil || !doc.wordpress {
		return ""
	}
	q := u.Query()
	n, err := strconv.Atoi(q.Get("paged"))
	if err != nil || n < 1 {
		n = 1
	}
	q.Set("paged", strconv.Itoa(n+1))
	u.RawQuery = q.Encode()
	return u.String()
}

// walkFirst goes on with the walk of a first run, from where the last look left it.
func (l *feedLook) walkFirst(ctx context.Context, doc *feedDoc) error {
	if l.cursor.Walk == nil {
		l.cursor.Walk = &feedWalk{Next: nextPage(doc, l.src.Location)}
	}
	return l.walk(ctx, *l.cursor.Walk, feedFirstPages, false)
}

// walk reads older pages until there are none, or, if it is to find what a
// burst has pushed out of the first page, until one holds something known.
//
// An older page that cannot be had ends the walk: the feed itself was read, and
// many sites offer no more of it. Only what may pass by itself is tried again,
// by a first run, which has time.
func (l *feedLook) walk(ctx context.Context, w feedWalk, limit int, burst bool) error {
	seen := map[string]bool{}
	for w.Next != "" && !seen[w.Next] {
		if w.Pages >= limit {
			l.notes.add(fmt.Sprintf("older items: stopped after %d pages", limit))
			break
		}
		if l.now().Sub(l.started) > lookBudget && !burst {
			l.cursor.Walk = &w
			return nil
		}
		seen[w.Next] = true
		if err := l.pace(ctx, feedPace); err != nil {
			return fmt.Errorf("wait between pages: %w", err)
		}
		doc, err := l.older(ctx, w.Next)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			l.notes.add(fmt.Sprintf("older items: %v", err))
			if !burst && Temporary(err) && w.Fails < 3 {
				w.Fails++
				l.cursor.Walk, l.rest = &w, feedRest
				return nil
			}
			break
		}
		more, err := l.takeOlder(ctx, doc, burst)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		w = feedWalk{Next: nextPage(doc, w.Next), Pages: w.Pages + 1}
	}
	l.cursor.Walk = nil
	return nil
}

// feedRest is how long a first run rests after a page that could not be had.
const feedRest = 10 * time.Second

// older reads one page; an empty one is past the end.
func (l *feedLook) older(ctx context.Context, address string) (*feedDoc, error) {
	ans, err := l.client.get(ctx, request{url: address, accept: feedAccept})
	var status *StatusError
	if errors.As(err, &status) && (status.Code == 404 || status.Code == 410 || status.Code == 400) {
		return &feedDoc{}, nil
	}
	if err != nil {
		return nil, err
	}
	return l.reader.read(ans, l.zone)
}

// takeOlder stores a page of a walk; more tells whether the walk goes on.
func (l *feedLook) takeOlder(ctx context.Context, doc *feedDoc, burst bool) (more bool, err error) {
	page := l.place(doc)
	if len(page.seats) == 0 || l.sameAsLast(page) {
		return false, nil
	}
	old := 0 // known before this look
	for _, s := range page.seats {
		if _, known := l.index.known[s.id]; known && !l.taken[s.id] {
			old++
		}
	}
	if err := l.take(ctx, doc, page); err != nil {
		return false, err
	}
	return !burst || old == 0, l.flush(ctx)
}

// sameAsLast tells whether a page is the one before it again: the server takes
// no notice of what was asked for.
func (l *feedLook) sameAsLast(page *feedPage) bool {
	last := l.lastPage
	l.lastPage = page.seats
	if len(last) != len(page.seats) {
		return false
	}
	for i := range last {
		if last[i].id != page.seats[i].id {
			return false
		}
	}
	return true
}

// removeGone withdraws what its publisher has removed: what the feed itself
// calls deleted, and what has left the window from between others, once its
// own address answers that it is gone.
func (l *feedLook) removeGone(ctx context.Context, doc *feedDoc, page *feedPage) error {
	var gone []string
	for _, ref := range doc.deleted {
		if k, ok := l.index.known[guidKey(ref)]; ok && k.State != news.ArticleWithdrawn {
			gone = append(gone, k.NativeID)
		}
	}
	window, oldest := page.seatsOf()
	there := make(map[string]bool, len(page.seats))
	for _, s := range page.seats {
		there[s.id] = true
	}
	left := missing(l.cursor.Missing, l.cursor.Window, there, feedWindow)
	l.cursor.Window, l.cursor.Oldest = window, oldest
	var witnesses []string
	for _, s := range page.seats {
		witnesses = append(witnesses, s.item.link)
	}
	checked, left, err := l.confirmGone(ctx, l.client, left, l.index.state, witnesses)
	if err != nil {
		return err
	}
	l.cursor.Missing = left
	gone = append(gone, checked...)
	if err := l.guardDrop(len(gone), l.index.live, feedDrop); err != nil {
		return err
	}
	if err := l.flush(ctx); err != nil {
		return err
	}
	return l.withdraw(ctx, gone)
}
