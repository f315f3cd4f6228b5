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

// maxBuckets bounds the memory of the limiter: about 2 MB.
const maxBuckets = 10_000

// signUpLimiter counts sign-ups per client and network. Who came longest ago
// is forgotten first, and whoever is forgotten has long got their tokens back.
type signUpLimiter struct {
	limits  SignUpLimits
	now     func() time.Time
	overall *rate.Limiter

	mu      sync.Mutex
	buckets map[netip.Prefix]*list.Element
	recent  *list.List
}

type bucket struct {
	key     netip.Prefix
	limiter *rate.Limiter
}

func newSignUpLimiter(l SignUpLimits, now func() time.Time) *signUpLimiter {
	return &signUpLimiter{limits: l, now: now, overall: l.Overall.limiter(), buckets: map[netip.Prefix]*list.Element{}, recent: list.New()}
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
	own, err := addr.Prefix(64)
	if err != nil {
		own = netip.PrefixFrom(addr, addr.BitLen())
	}
	l.mu.Lock()
	client, net := l.bucket(own, l.limits.Client), l.bucket(network(addr), l.limits.Network)
	l.mu.Unlock()
	return client.AllowN(now, 1) && net.AllowN(now, 1) && l.overall.AllowN(now, 1)
}

func (l *signUpLimiter) bucket(key netip.Prefix, r Rate) *rate.Limiter {
	if el, ok := l.buckets[key]; ok {
		l.recent.MoveToFront(el)
		b, _ := el.Value.(*bucket)
		return b.limiter
	}
	b := &bucket{key: key, limiter: r.limiter()}
	l.buckets[key] = l.recent.PushFront(b)
	if l.recent.Len() > maxBuckets {
		if old, ok := l.recent.Remove(l.recent.Back()).(*bucket); ok {
			delete(l.buckets, old.key)
		}
	}
	return b.limiter
}
