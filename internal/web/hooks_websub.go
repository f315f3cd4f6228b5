package web

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what most hubs sign with; HMAC does not rest on collisions
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// A WebSub hub (https://www.w3.org/TR/websub/) calls us in two ways: a GET to
// make sure that we asked for the subscription (§5.3), and a POST with what is
// new (§7). The latter is only a hint: nothing of it but its signature is
// looked at.

// Leases that a hub may grant. A shorter one would have us ask all the time.
const (
	minHubLease = time.Hour
	maxHubLease = 90 * 24 * time.Hour
	// hubPatience is how long after our request a hub may come to make sure.
	hubPatience = 24 * time.Hour
)

// hubSource finds the source of a hub's call; a wrong token is answered as if
// there were no such source.
func (s *Server) hubSource(w http.ResponseWriter, r *http.Request) (news.Source, error) {
	if s.o.Hint == nil {
		return news.Source{}, news.ErrNotFound
	}
	if err := s.guessing(w, r); err != nil {
		return news.Source{}, err
	}
	src, err := s.o.Store.SourceByName(r.Context(), r.PathValue("name"))
	if err != nil && !errors.Is(err, news.ErrNotFound) {
		return news.Source{}, fmt.Errorf("look up source: %w", err)
	}
	if !s.o.Links.IsHookToken(src, r.PathValue("token"), s.now()) {
		s.failed(r)
		return news.Source{}, news.ErrNotFound
	}
	return src, nil
}

// hubIntent answers a hub that makes sure of what we asked it for. A topic that
// we did not ask for, or not lately, or a removal, is 404: we did not mean it.
func (s *Server) hubIntent(w http.ResponseWriter, r *http.Request) error {
	src, err := s.hubSource(w, r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	lease, err := s.o.Store.HubLease(r.Context(), src.ID)
	if err != nil {
		return fmt.Errorf("read hub: %w", err)
	}
	now := s.now()
	topic, challenge := q.Get("hub.topic"), q.Get("hub.challenge")
	if topic == "" || topic != lease.Topic {
		return news.ErrNotFound
	}
	mode := q.Get("hub.mode")
	if r.Method != http.MethodGet {
		mode = "" // a HEAD asks for nothing
	}
	switch mode {
	case "denied": // §5.2
		lease.From, lease.To = time.Time{}, time.Time{}
		lease.Err = oneLine("the hub has refused: "+q.Get("hub.reason"), 300)
	case "subscribe":
		if age := now.Sub(lease.AskedAt); age > hubPatience || age < -hubPatience || challenge == "" || len(challenge) > 1000 {
			return news.ErrNotFound
		}
		lease.From, lease.To, lease.Err = now, now.Add(grantedLease(q.Get("hub.lease_seconds"))), ""
	default:
		return news.ErrNotFound
	}
	if err := s.o.Store.GrantHub(r.Context(), src.ID, lease); err != nil {
		return fmt.Errorf("record hub: %w", err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, challenge) // the hub may have hung up
	return nil
}

// grantedLease reads what a hub has granted; §5.3 makes it say so.
func grantedLease(seconds string) time.Duration {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n <= 0 {
		return 24 * time.Hour
	}
	return min(max(time.Duration(min(n, int64(maxHubLease/time.Second)))*time.Second, minHubLease), maxHubLease)
}

// hubContent takes a hub's word that there is something new.
func (s *Server) hubContent(w http.ResponseWriter, r *http.Request) error {
	src, err := s.hubSource(w, r)
	if err != nil {
		return err
	}
	ok, err := s.hubSigned(r, s.o.Links.HubSecret(src))
	if err != nil {
		return err
	}
	if !ok {
		s.failed(r)
		s.log.Warn("hook refused", "path", "/hooks/websub", "source", src.Name, "status", http.StatusForbidden, "err", "the signature is not that of this body")
		return answerProblem(w, problem{Status: http.StatusForbidden, Detail: "the signature is not that of this body with the secret that we gave"})
	}
	if err := s.throttled(w, s.api.hooks.of(src.ID)); err != nil {
		return err
	}
	if err := s.o.Hint(r.Context(), src); err != nil {
		return fmt.Errorf("take hint: %w", err)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// hubSigned checks X-Hub-Signature, "METHOD=HEX" (§7.1), while it reads the
// body: nothing of that is kept.
func (s *Server) hubSigned(r *http.Request, secret string) (bool, error) {
	method, value, _ := strings.Cut(r.Header.Get("X-Hub-Signature"), "=")
	methods := map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}
	sum, known := methods[strings.ToLower(strings.TrimSpace(method))]
	given, err := hex.DecodeString(strings.TrimSpace(value))
	if !known || err != nil {
		_, err := io.Copy(io.Discard, r.Body) // so that the hub does not see its connection cut
		return false, err
	}
	mac := hmac.New(sum, []byte(secret))
	if _, err := io.Copy(mac, r.Body); err != nil {
		return false, err
	}
	return hmac.Equal(given, mac.Sum(nil)), nil
}
