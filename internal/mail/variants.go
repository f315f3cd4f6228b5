package mail

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

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
	byKey map[variantKey]*list.Element
	order *list.List // of *cachedVariant, newest first
}

// variantKey names what a compiled message depends on: a list's sender and
// title may change while an edition goes out.
type variantKey struct {
	variantID                                    int64
	from, replyTo, name, title, language, domain string
	public                                       bool
}

type cachedVariant struct {
	key      variantKey
	compiled *Compiled
}

func newVariants(store Store, maxBytes int) *variants {
	return &variants{store: store, maxBytes: maxBytes, byKey: map[variantKey]*list.Element{}, order: list.New()}
}

// errCompile marks a Variant that cannot be made into a message: a fault of the
// edition, not of the store.
type errCompile struct{ error }

func (e errCompile) Unwrap() error { return e.error }

// get returns the compiled message. spec completes what is the same for the key.
func (v *variants) get(ctx context.Context, key variantKey, spec func(news.Variant) Spec) (*Compiled, error) {
	v.mu.Lock()
	if e, ok := v.byKey[key]; ok {
		v.order.MoveToFront(e)
		v.mu.Unlock()
		return e.Value.(*cachedVariant).compiled, nil
	}
	v.mu.Unlock()
	c, err, _ := v.flight.Do(fmt.Sprintf("%+v", key), func() (any, error) {
		variant, err := v.store.Variant(ctx, key.variantID)
		if err != nil {
			return nil, fmt.Errorf("read variant: %w", err)
		}
		c, err := Compile(spec(variant))
		if err != nil {
			return nil, errCompile{err}
		}
		v.put(key, c)
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	return c.(*Compiled), nil
}

func (v *variants) put(key variantKey, c *Compiled) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.byKey[key]; ok {
		return
	}
	v.byKey[key] = v.order.PushFront(&cachedVariant{key: key, compiled: c})
	v.bytes += c.Size()
	for v.bytes > v.maxBytes && v.order.Len() > 1 {
		last := v.order.Remove(v.order.Back()).(*cachedVariant)
		delete(v.byKey, last.key)
		v.bytes -= last.compiled.Size()
	}
}

// listBook remembers the lists for a moment: they are needed for every message
// and change rarely.
type listBook struct {
	store Store
	now   func() time.Time

	mu   sync.Mutex
	at   time.Time
	byID map[int64]news.List
}

// listsFresh is how long a change of a list may take to show in mail.
const listsFresh = 10 * time.Second

func (b *listBook) get(ctx context.Context, id int64) (news.List, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	age := b.now().Sub(b.at)
	l, ok := b.byID[id]
	if ok && age >= 0 && age < listsFresh {
		return l, nil
	}
	all, err := b.store.Lists(ctx)
	if err != nil {
		return news.List{}, fmt.Errorf("read lists: %w", err)
	}
	b.byID, b.at = make(map[int64]news.List, len(all)), b.now()
	for _, l := range all {
		b.byID[l.ID] = l
	}
	if l, ok = b.byID[id]; !ok {
		return news.List{}, fmt.Errorf("read list %d: %w", id, news.ErrNotFound)
	}
	return l, nil
}
