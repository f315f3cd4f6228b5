package web

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"gazetted/internal/news"
)

// maxHook bounds a provider's request: Amazon's are at most 256 KB, SendGrid's
// batches 768 KB.
const maxHook = 1 << 20

// hookAge is how old, or how far ahead, what a provider has signed may be.
const hookAge = 5 * time.Minute

// maxHookEvents bounds one batch.
const maxHookEvents = 5000

// Hooks are the mail providers that tell of bounces and complaints over HTTP.
// A provider without its secret is answered 404.
type Hooks struct {
	// SESTopics are the ARNs of the Amazon SNS topics that SES publishes to.
	SESTopics []string
	// Postmark is USER:PASSWORD of the basic authentication of its webhook.
	Postmark string
	// SendGrid is the verification key of its signed event webhook: base64 of a
	// public key.
	SendGrid string
	// Mailgun is the HTTP webhook signing key.
	Mailgun string

	// Fetch gets a URL of Amazon's, and nothing if that leads elsewhere. It is
	// needed with SESTopics and must refuse private addresses.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// Delivery finds the mail by its signed envelope sender or Message-ID;
	// 0: neither is ours. Nil: a mail is found by its address.
	Delivery func(ctx context.Context, envelopeSender, messageID, address string) (int64, error)
}

// hookStore is what hooks need of the store.
type hookStore interface {
	// RecordBounce is told of an address only that somebody vouches for: it acts
	// only if that address was mailed, else it is news.ErrNotFound.
	RecordBounce(ctx context.Context, b news.Bounce) (acted bool, err error)
	CountIgnoredBounce(ctx context.Context, via, reason string) error
}

// hooks is what the routes of the providers share.
type hooks struct {
	Hooks
	store    hookStore
	now      func() time.Time
	replays  *replays
	sendGrid *ecdsa.PublicKey // nil: not configured
	certs    *certificates    // of Amazon SNS
}

func newHooks(o Hooks, store hookStore, now func() time.Time) (*hooks, error) {
	h := &hooks{Hooks: o, store: store, now: now, replays: &replays{seen: map[[32]byte]time.Time{}}}
	h.certs = &certificates{fetch: o.Fetch, limit: rate.NewLimiter(rate.Every(10*time.Second), 10), known: map[string]*certificate{}}
	if len(o.SESTopics) > 0 && o.Fetch == nil {
		return nil, errors.New("make web server: hooks of SES need a way to fetch")
	}
	for _, arn := range o.SESTopics {
		if _, err := topicRegion(arn); err != nil {
			return nil, err
		}
	}
	if o.SendGrid != "" {
		var err error
		if h.sendGrid, err = sendGridKey(o.SendGrid); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// hookEvent is one event of a provider, checked but not yet believed of anybody.
type hookEvent struct {
	kind       news.BounceKind
	id         string // the provider's; unique within its kind
	address    string
	sender     string // envelope sender, if told
	messageID  string // ours, if told
	code       int
	enhanced   string
	diagnostic string
}

// hookRefusal is a request that is not what it claims to be: 401 or 403.
type hookRefusal struct {
	status int
	why    string
}

// Error says why; it is shown to the caller and holds nothing of the secret.
func (e *hookRefusal) Error() string { return e.why }

func refused(why string) error { return &hookRefusal{http.StatusForbidden, why} }

// hookReader checks a request and reads its events. key identifies what was
// signed, so that it is taken once.
type hookReader func(r *http.Request, body []byte) (key []byte, events []hookEvent, err error)

// hook answers a provider. Nothing is stored before the request has been
// proven genuine, fresh and new; nothing is remembered before it is stored, so
// that what failed here is taken when the provider tries again.
func (s *Server) hook(via string, configured bool, read hookReader) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !configured {
			return news.ErrNotFound
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		key, events, err := read(r, body)
		var no *hookRefusal
		if err == nil && len(events) > maxHookEvents {
			return statusError(http.StatusRequestEntityTooLarge)
		}
		sum := sha256.Sum256(bytes.Join([][]byte{[]byte(via), key}, []byte{0}))
		if err == nil && !s.hooks.replays.begin(sum, s.now()) {
			err = refused("this was sent before")
		}
		if errors.As(err, &no) {
			s.log.Warn("hook refused", "path", "/hooks/"+via, "status", no.status, "err", no.why)
			return answerProblem(w, problem{Status: no.status, Detail: no.why})
		}
		if err != nil {
			return err
		}
		acted, err := s.hooks.record(r.Context(), via, sum, events)
		if err != nil {
			s.hooks.replays.forget(sum)
			return err
		}
		return answerJSON(w, http.StatusOK, map[string]int{"events": len(events), "acted": acted})
	}
}

// record stores the events. One about a mail that is not ours stops no other.
func (h *hooks) record(ctx context.Context, via string, sum [32]byte, events []hookEvent) (acted int, err error) {
	for i, e := range events {
		b := news.Bounce{Kind: e.kind, Code: e.code, Enhanced: oneLine(e.enhanced, 20), Diagnostic: oneLine(e.diagnostic, 400), Via: via, At: h.now()}
		// Hashed: the provider's own may be long, or hold an address.
		if e.id == "" {
			e.id = hex.EncodeToString(sum[:]) + fmt.Sprint(i)
		}
		id := sha256.Sum256([]byte(string(e.kind) + "\x00" + e.id))
		b.EventID = via + ":" + hex.EncodeToString(id[:16])
		if b.Address, err = news.ParseAddress("address", e.address); err == nil && h.Delivery != nil {
			if b.DeliveryID, err = h.Delivery(ctx, e.sender, e.messageID, b.Address.Spec); err != nil {
				return acted, fmt.Errorf("find mail: %w", err)
			}
		}
		did := false
		if err == nil {
			did, err = h.store.RecordBounce(ctx, b)
		}
		var field *news.FieldError
		switch {
		case errors.Is(err, news.ErrNotFound), errors.As(err, &field):
			if err := h.store.CountIgnoredBounce(ctx, via, "unknown mail"); err != nil {
				return acted, fmt.Errorf("count bounce: %w", err)
			}
		case err != nil:
			return acted, fmt.Errorf("record bounce: %w", err)
		case did:
			acted++
		}
	}
	return acted, nil
}

// fresh refuses what was signed too long ago, or in the future.
func (h *hooks) fresh(at time.Time) error {
	if age := h.now().Sub(at); age > hookAge || age < -hookAge {
		return refused("this is older than five minutes, or a clock is wrong")
	}
	return nil
}

// maxReplays bounds the memory of what was taken: about 1 MB.
const maxReplays = 10_000

// replays remembers what was taken for as long as it would pass as fresh.
// It is of this process; across processes the store knows every event.
type replays struct {
	mu   sync.Mutex
	seen map[[32]byte]time.Time
}

// begin tells whether key is new, and takes it.
func (m *replays) begin(key [32]byte, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.seen[key]; ok {
		return false
	}
	if len(m.seen) >= maxReplays {
		m.purge(now)
	}
	m.seen[key] = now
	return true
}

// purge drops what is too old to be fresh, or, where that is not enough, the
// older half.
func (m *replays) purge(now time.Time) {
	for age := 2 * hookAge; len(m.seen) >= maxReplays; age /= 2 {
		for k, at := range m.seen {
			if now.Sub(at) >= age {
				delete(m.seen, k)
			}
		}
	}
}

// forget lets key come again: it could not be stored.
func (m *replays) forget(key [32]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.seen, key)
}

// oneLine makes a stranger's words one clean line of at most n characters.
func oneLine(s string, n int) string {
	if len(s) > n*utf8.UTFMax {
		s = s[:n*utf8.UTFMax]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n])
	}
	return s
}
