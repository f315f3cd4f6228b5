package mail

import (
	"sync"
	"time"

	"gazetted/internal/news"
)

// holds keeps back editions that the relay refuses as such: the sender, the
// size or the content, for one recipient after the other. Going on would turn a
// fault of ours into a bounce for everybody. It is kept in memory: after a
// restart the same refusals lead to the same hold.
type holds struct {
	after int           // consecutive refusals
	pause time.Duration // before one more is tried
	now   func() time.Time

	mu     sync.Mutex
	counts map[int64]int
	until  map[int64]time.Time
}

func newHolds(after int, pause time.Duration, now func() time.Time) *holds {
	return &holds{after: after, pause: pause, now: now, counts: map[int64]int{}, until: map[int64]time.Time{}}
}

// holdKey is the edition, or the list for mail that belongs to no edition.
func holdKey(d *news.Delivery) int64 {
	if d.EditionID != 0 {
		return d.EditionID
	}
	return -d.ListID
}

// held returns until when d must wait; zero if it need not.
func (h *holds) held(d *news.Delivery) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	until := h.until[holdKey(d)]
	if wait := until.Sub(h.now()); wait <= 0 || wait > 2*h.pause { // the clock was set back
		return time.Time{}
	}
	return until
}

// good ends a series.
func (h *holds) good(d *news.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.counts, holdKey(d))
	delete(h.until, holdKey(d))
}

// bad counts one refusal; at the end of a series it returns until when the
// edition is held. After the pause a single further refusal holds it again.
func (h *holds) bad(d *news.Delivery, atOnce bool) (until time.Time, held bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := holdKey(d)
	h.counts[k]++
	if !atOnce && h.counts[k] < h.after {
		return time.Time{}, false
	}
	h.counts[k] = h.after - 1
	already := h.now().Before(h.until[k])
	h.until[k] = h.now().Add(h.pause)
	return h.until[k], !already
}
