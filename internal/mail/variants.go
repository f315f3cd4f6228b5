package mail

import (
	"container/list"
	"context"
	"fmt"
	"strconv"
	"sync"

	"golang.org/x/sync/singleflight"

	"gazetted/internal/news"
)

// variants keeps compiled messages, the most recently used ones, up to a number
// of bytes. What several workers need at once is read and compiled once.
type variants struct {
	store    Store
	maxBytes int
	flight   singleflight.Group

	mu    sync.Mutex
	bytes int
	byID  map[int64]*list.Element
	order *list.List // of *cachedVariant, newest first
}

type cachedVariant struct {
	id       int64
	compiled *Compiled
}

func newVariants(store Store, maxBytes int) *variants {
	return &variants{store: store, maxBytes: maxBytes, byID: map[int64]*list.Element{}, order: list.New()}
}

// errCompile marks a Variant that cannot be made into a message: a fault of the
// edition, not of the store.
type errCompile struct{ error }

func (e errCompile) Unwrap() error { return e.error }

// get returns the compiled message. spec completes what the Variant does not hold.
func (v *variants) get(ctx context.Context, id int64, spec func(news.Variant) Spec) (*Compiled, error) {
	v.mu.Lock()
	if e, ok := v.byID[id]; ok {
		v.order.MoveToFront(e)
		v.mu.Unlock()
		return e.Value.(*cachedVariant).compiled, nil
	}
	v.mu.Unlock()
	c, err, _ := v.flight.Do(strconv.FormatInt(id, 10), func() (any, error) {
		variant, err := v.store.Variant(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read variant: %w", err)
		}
		c, err := Compile(spec(variant))
		if err != nil {
			return nil, errCompile{err}
		}
		v.put(id, c)
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	return c.(*Compiled), nil
}

func (v *variants) put(id int64, c *Compiled) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.byID[id]; ok {
		return
	}
	v.byID[id] = v.order.PushFront(&cachedVariant{id: id, compiled: c})
	v.bytes += c.Size()
	for v.bytes > v.maxBytes && v.order.Len() > 1 {
		last := v.order.Remove(v.order.Back()).(*cachedVariant)
		delete(v.byID, last.id)
		v.bytes -= last.compiled.Size()
	}
}
