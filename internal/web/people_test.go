package web_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"gazetted/internal/news"
	real "gazetted/internal/store"
)

// store is the real store with stand-ins for what it does not have yet.
type store struct {
	*real.Store
	mu         sync.Mutex
	lists      []news.List
	subs       map[int64]*place
	requests   []news.SubscribeRequest
	confirms   []*news.Variant
	suppressed map[string]bool
	editions   []news.Edition
	contents   map[int64][]int64
	variant    news.Variant
	writes     int
	reads      atomic.Int64 // of Articles
}

func (s *store) Articles(ctx context.Context, q news.ArticleQuery) ([]news.Article, error) {
	s.reads.Add(1)
	return s.Store.Articles(ctx, q)
}

type place struct {
	sub news.Subscription
	who news.Subscriber
}

func (s *store) Lists(context.Context) ([]news.List, error) { return s.lists, nil }

func (s *store) ListByName(_ context.Context, name string) (news.List, error) {
	for _, l := range s.lists {
		if l.Name == name {
			return l, nil
		}
	}
	return news.List{}, news.ErrNotFound
}

func (s *store) Subscribe(_ context.Context, req news.SubscribeRequest, confirm *news.Variant) (news.SubscribeResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.suppressed[req.Address.Key] {
		return news.SubscribeResult{Suppressed: true}, nil
	}
	s.requests, s.confirms = append(s.requests, req), append(s.confirms, confirm)
	for _, p := range s.subs {
		if p.who.Address == req.Address.Spec {
			return news.SubscribeResult{Subscription: p.sub}, nil
		}
	}
	if s.subs == nil {
		s.subs = map[int64]*place{}
	}
	id := int64(len(s.subs) + 1)
	s.subs[id] = &place{
		sub: news.Subscription{ID: id, ListID: 1, ListName: req.List, State: news.SubscriptionPending, Frequency: req.Frequency, Topics: req.Topics},
		who: news.Subscriber{ID: id, Address: req.Address.Spec, Name: req.Name, Zone: req.Zone},
	}
	return news.SubscribeResult{Subscription: s.subs[id].sub, Created: true, ConfirmQueued: true}, nil
}

func (s *store) change(id int64, f func(*place)) (news.Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	p, ok := s.subs[id]
	if !ok {
		return news.Subscription{}, news.ErrNotFound
	}
	f(p)
	return p.sub, nil
}

func (s *store) Confirm(_ context.Context, id int64, _ string) (news.Subscription, error) {
	return s.change(id, func(p *place) {
		if p.sub.State == news.SubscriptionPending {
			p.sub.State = news.SubscriptionActive
		}
	})
}

func (s *store) Unsubscribe(_ context.Context, id int64, reason string) (news.Subscription, error) {
	return s.change(id, func(p *place) { p.sub.State, p.who.Name = news.SubscriptionUnsubscribed, reason })
}

func (s *store) Subscription(_ context.Context, id int64) (news.Subscription, news.Subscriber, news.List, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.subs[id]
	if !ok {
		return news.Subscription{}, news.Subscriber{}, news.List{}, news.ErrNotFound
	}
	for _, l := range s.lists {
		if l.Name == p.sub.ListName {
			return p.sub, p.who, l, nil
		}
	}
	return news.Subscription{}, news.Subscriber{}, news.List{}, news.ErrNotFound
}

func (s *store) SetPreferences(_ context.Context, id int64, p news.Preferences) error {
	_, err := s.change(id, func(at *place) {
		at.sub.Frequency, at.sub.Topics = p.Frequency, p.Topics
		at.sub.State = news.SubscriptionActive
		if p.Paused {
			at.sub.State = news.SubscriptionPaused
		}
		if p.Name != nil {
			at.who.Name = *p.Name
		}
		if p.Zone != "" {
			at.who.Zone = p.Zone
		}
		at.who.Language = p.Language
	})
	return err
}

func (s *store) DeliveryView(_ context.Context, id int64) (news.Delivery, news.Variant, error) {
	if s.variant.ID == 0 {
		return news.Delivery{}, news.Variant{}, news.ErrNotFound
	}
	return news.Delivery{ID: id, SubscriptionID: 1}, s.variant, nil
}

func (s *store) ArchiveEditions(_ context.Context, listID, beforeID int64, limit int) ([]news.Edition, error) {
	var out []news.Edition
	for _, e := range slices.Backward(s.editions) {
		if e.ListID == listID && (beforeID == 0 || e.ID < beforeID) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (s *store) ArchiveEdition(_ context.Context, listID int64, slug string) (news.Edition, error) {
	for _, e := range s.editions {
		if e.ListID == listID && e.Slug == slug {
			return e, nil
		}
	}
	return news.Edition{}, news.ErrNotFound
}

func (s *store) EditionArticles(ctx context.Context, id int64) ([]news.Article, error) {
	var out []news.Article
	for _, a := range s.contents[id] {
		article, err := s.Article(ctx, a)
		if err != nil {
			return nil, err
		}
		out = append(out, article)
	}
	return out, nil
}

// states tells where everybody stands, for tests that nothing has changed.
func (s *store) states() map[int64]news.SubscriptionState {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int64]news.SubscriptionState{}
	for id := range maps.Keys(s.subs) {
		out[id] = s.subs[id].sub.State
	}
	return out
}

// KeyByHash gives the key "reader" a scope that the store does not hand out yet.
func (s *store) KeyByHash(ctx context.Context, hash string) (news.APIKey, error) {
	k, err := s.Store.KeyByHash(ctx, hash)
	if k.Name == "reader" {
		k.Scope = "read"
	}
	return k, err
}
