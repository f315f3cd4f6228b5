package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"gazetted/internal/news"
)

// keyStore is what the publish API needs of the store.
type keyStore interface {
	KeyByHash(ctx context.Context, hash string) (news.APIKey, error)
	Sources(ctx context.Context) ([]news.Source, error)
	SourceByName(ctx context.Context, name string) (news.Source, error)
	// HubLease and GrantHub: a source's subscription at a WebSub hub.
	HubLease(ctx context.Context, sourceID int64) (news.HubLease, error)
	GrantHub(ctx context.Context, sourceID int64, l news.HubLease) error
}

// APILimits bound how often the publish API and the hooks of sources are called.
type APILimits struct {
	Key  Rate // requests with one key
	Hook Rate // calls of one source's hook
	// Failures of one client (for IPv6 its /64): keys, tokens and signatures that
	// are not ours.
	Failures Rate
}

// DefaultAPILimits leave room for a newsroom's import that sends articles one
// by one.
func DefaultAPILimits() APILimits {
	return APILimits{
		Key:      Rate{Burst: 600, Every: 50 * time.Millisecond},
		Hook:     Rate{Burst: 60, Every: time.Second},
		Failures: Rate{Burst: 20, Every: 3 * time.Second},
	}
}

// apiLimiter counts them.
type apiLimiter struct {
	keys     *buckets[int64]
	hooks    *buckets[int64]
	failures *buckets[netip.Prefix]
}

func newAPILimiter(l APILimits) *apiLimiter {
	return &apiLimiter{keys: newBuckets[int64](l.Key), hooks: newBuckets[int64](l.Hook), failures: newBuckets[netip.Prefix](l.Failures)}
}

// throttled takes a token of l, or says when there will be one.
func (s *Server) throttled(w http.ResponseWriter, l *rate.Limiter) error {
	now := s.now()
	if l.AllowN(now, 1) {
		return nil
	}
	return s.tooMany(w, l, now)
}

func (s *Server) tooMany(w http.ResponseWriter, l *rate.Limiter, now time.Time) error {
	wait := (1 - l.TokensAt(now)) / float64(l.Limit())
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(wait, 1)))))
	return statusError(http.StatusTooManyRequests)
}

// guessing refuses a client that has failed too often lately, whatever it
// brings now.
func (s *Server) guessing(w http.ResponseWriter, r *http.Request) error {
	if l, now := s.api.failures.of(ownNetwork(s.client(r))), s.now(); l.TokensAt(now) < 1 {
		return s.tooMany(w, l, now)
	}
	return nil
}

// failed counts a wrong key, token or signature.
func (s *Server) failed(r *http.Request) {
	s.api.failures.of(ownNetwork(s.client(r))).AllowN(s.now(), 1)
}

// scopeError is a key that is good, but not for this.
type scopeError struct{ source string }

// Error says what the key is good for.
func (e *scopeError) Error() string {
	if e.source == "" {
		return "this key is not for publishing"
	}
	return "this key publishes to " + e.source + " only"
}

// bearer is the token of an Authorization header (RFC 6750 §2.1); "" if there
// is none of sane length.
func bearer(r *http.Request) string {
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	key = strings.TrimSpace(key)
	if !ok || !strings.EqualFold(scheme, "Bearer") || len(key) > 512 {
		return ""
	}
	return key
}

// publishing checks the key of a request of the publish API and returns the
// source that it is for.
func (s *Server) publishing(w http.ResponseWriter, r *http.Request) (source string, err error) {
	if s.o.Push == nil {
		return "", news.ErrNotFound
	}
	only, err := s.authorised(w, r)
	if err != nil {
		return "", err
	}
	return s.pushSource(r, only)
}

// authorised checks the bearer key. Only its hash is looked up, and the hash
// found is compared in constant time. only is the one source that it is for.
func (s *Server) authorised(w http.ResponseWriter, r *http.Request) (only string, err error) {
	if err := s.guessing(w, r); err != nil {
		return "", err
	}
	key := bearer(r)
	if key == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="gazetted"`)
		return "", statusError(http.StatusUnauthorized)
	}
	sum := sha256.Sum256([]byte(key))
	hash := hex.EncodeToString(sum[:])
	k, err := s.o.Store.KeyByHash(r.Context(), hash)
	if err != nil && !errors.Is(err, news.ErrNotFound) {
		return "", fmt.Errorf("look up key: %w", err)
	}
	if err != nil || subtle.ConstantTimeCompare([]byte(k.Hash), []byte(hash)) != 1 {
		s.failed(r)
		w.Header().Set("WWW-Authenticate", `Bearer realm="gazetted", error="invalid_token"`)
		return "", statusError(http.StatusUnauthorized)
	}
	only, ok := k.Scope.Publishes()
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer realm="gazetted", error="insufficient_scope", scope="publish"`)
		return "", errors.Join(statusError(http.StatusForbidden), &scopeError{})
	}
	return only, s.throttled(w, s.api.keys.of(k.ID))
}

// pushSource is the source that a request is for: ?source=NAME, the one that
// the key is for, or the only one of kind push.
func (s *Server) pushSource(r *http.Request, only string) (string, error) {
	name := r.URL.Query().Get("source")
	if only != "" && name != "" && name != only {
		return "", errors.Join(statusError(http.StatusForbidden), &scopeError{source: only})
	}
	if name == "" {
		name = only
	}
	all, err := s.o.Store.Sources(r.Context())
	if err != nil {
		return "", fmt.Errorf("read sources: %w", err)
	}
	var names []string
	for _, src := range all {
		if src.Kind != news.SourcePush {
			continue
		}
		if src.Name == name {
			return name, nil
		}
		names = append(names, src.Name)
	}
	if name == "" && len(names) == 1 {
		return names[0], nil
	}
	want := "the name of a push source; there are " + strings.Join(names, ", ")
	if len(names) == 0 {
		want = "a push source; add one with: gazetted source add push NAME"
	}
	if only != "" {
		want = "the push source that the key is for, which is no more"
	}
	return "", &news.FieldError{Field: "source", Value: name, Want: want}
}
