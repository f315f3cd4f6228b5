package daemon

import (
	"context"
	"sync"

	"gazetted/internal/news"
)

// wakes carries the store's wakes to the stages. Adding never blocks; several
// wakes of one kind that nobody has taken yet are one.
type wakes struct {
	mu      sync.Mutex
	pending map[news.Wake]bool
	ring    chan struct{}
}

func newWakes() *wakes {
	return &wakes{pending: map[news.Wake]bool{}, ring: make(chan struct{}, 1)}
}

// Add notes a wake.
func (w *wakes) Add(kind news.Wake) {
	w.mu.Lock()
	w.pending[kind] = true
	w.mu.Unlock()
	select {
	case w.ring <- struct{}{}:
	default:
	}
}

// take returns and forgets what is pending.
func (w *wakes) take() map[news.Wake]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.pending
	w.pending = map[news.Wake]bool{}
	return out
}

// run passes wakes on until ctx ends.
func (w *wakes) run(ctx context.Context, tell func(news.Wake)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.ring:
			for kind := range w.take() {
				tell(kind)
			}
		}
	}
}
