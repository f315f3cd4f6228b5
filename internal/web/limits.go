package web

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is a token bucket: Burst at once, then one per Every. A Burst of 0
// means no limit.
type Rate struct {
	Burst int
	Every time.Duration
}

// SignUpLimits bound how often sign-ups are taken, so that nobody can have
// strangers flooded with confirmations. The store bounds them per address.
type SignUpLimits struct {
	Client  Rate // one address; for IPv6 its /64
	Network Rate // a /24 or /48
	Overall Rate
}

// DefaultSignUpLimits leave room for an office behind one address and for a
// link that went round; the numbers are a guess to be tuned by the operator.
func DefaultSignUpLimits() SignUpLimits {
	return SignUpLimits{
		Client:  Rate{Burst: 10, Every: time.Minute},
		Network: Rate{Burst: 30, Every: 20 * time.Second},
		Overall: Rate{Burst: 300, Every: time.Second},
	}
}

// maxBuckets bounds the memory of a limiter: about 2 MB.
const maxBuckets = 10_000

// signUpLimiter counts sign-ups per client and network.
type signUpLimiter struct {
	limits   SignUpLimits
	now      func() time.Time
	overall  *rate.Limiter
	clients  *buckets[netip.Prefix]
	networks *buckets[netip.Prefix]
}

func newSignUpLimiter(l SignUpLimits, now func() time.Time) *signUpLimiter {
	return &signUpLimiter{limits: l, now: now, overall: l.Overall.limiter(), clients: newBuckets[netip.Prefix](l.Client), networks: newBuckets[netip.Prefix](l.Network)}
}

func (r Rate) limiter() *rate.Limiter {
	if r.Burst <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	return rate.NewLimiter(rate.Every(r.Every), r.Burst)
}

// allow takes one token of each bucket that the client belongs to. A client
// that is refused by its own bucket uses up nobody else's.
func (l *signUpLimiter) allow(addr netip.Addr) bool {
	now := l.now()
	return l.clients.of(ownNetwork(addr)).AllowN(now, 1) && l.networks.of(network(addr)).AllowN(now, 1) && l.overall.AllowN(now, 1)
}

// ownNetwork is what one client can choose its addresses from: itself, or its /64.
func ownNetwork(addr netip.Addr) netip.Prefix {
	own, err := addr.Prefix(64)
	if err != nil {
		own = netip.PrefixFrom(addr, addr.BitLen())
	}
	return own
}

// buckets are token buckets by key. Which was asked for longest ago is
// forgotten first, and whoever is forgotten has long got their tokens back.
type buckets[K comparable] struct {
	rate Rate

	mu     sync.Mutex
	by     map[K]*list.Element
	recent *list.List
}

type bucket[K comparable] struct {
	key     K
	limiter *rate.Limiter
}

func newBuckets[K comparable](r Rate) *buckets[K] {
	return &buckets[K]{rate: r, by: map[K]*list.Element{}, recent: list.New()}
}

func (b *buckets[K]) of(key K) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if el, ok := b.by[key]; ok {
		b.recent.MoveToFront(el)
		known, _ := el.Value.(*bucket[K])
		return known.limiter
	}
	fresh := &bucket[K]{key: key, limiter: b.rate.limiter()}
	b.by[key] = b.recent.PushFront(fresh)
	if b.recent.Len() > maxBuckets {
		if old, ok := b.recent.Remove(b.recent.Back()).(*bucket[K]); ok {
			delete(b.by, old.key)
		}
	}
	return fresh.limiter
}
