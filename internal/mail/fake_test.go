package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"gazetted/internal/news"
)

// memStore is the outbox in memory, with the promises that the courier counts on.
type memStore struct {
	mu       sync.Mutex
	now      func() time.Time
	rows     map[int64]*memRow
	variants map[int64]news.Variant
	paused   []string // relays
	claims   int

	onMark      func(id int64) error // before a dot is marked
	onRecord    func([]news.Outcome) error
	reads       int // of variants
	reports     [][]news.RelayReport
	reportFault error
	finished    int
}

type memRow struct {
	news.Delivery
	lease   time.Time
	term    time.Duration // of the lease
	gone    bool          // unsubscribed
	history []news.Outcome
}

func newMemStore(t testing.TB, people int) *memStore {
	t.Helper()
	spec := testSpec()
	s := &memStore{now: time.Now, rows: map[int64]*memRow{}, variants: map[int64]news.Variant{}}
	spec.Variant.Freeze(&news.List{Name: "world", Title: "Notícias do mundo", Public: true}, "")
	s.variants[7] = spec.Variant
	for i := range people {
		s.add(fmt.Sprintf("reader%d@example.net", i+1))
	}
	return s
}

func (s *memStore) add(address string) int64 {
	id := int64(len(s.rows) + 1)
	s.rows[id] = &memRow{Delivery: news.Delivery{
		ID: id, Kind: news.VariantEdition, EditionID: 3, VariantID: 7, ListID: 1, SubscriberID: 100 + id, SubscriptionID: 200 + id,
		State: news.DeliveryPending, Address: address, Name: fmt.Sprintf("Reader %d", id), CreatedAt: time.Date(2026, 3, 12, 7, 0, 0, 0, time.UTC),
	}}
	return id
}

func (s *memStore) ClaimDeliveries(ctx context.Context, limit int, lease time.Duration) ([]news.Delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s.claims++
	var out []news.Delivery
	for _, id := range slices.Sorted(maps.Keys(s.rows)) {
		r := s.rows[id]
		due := r.State == news.DeliveryPending || r.State == news.DeliveryDeferred || r.State == news.DeliveryUncertain
		if len(out) == limit || !due || r.NextAt.After(s.now()) {
			continue
		}
		if r.gone {
			r.State = news.DeliverySuppressed
			continue
		}
		r.State, r.Token, r.lease = news.DeliveryClaimed, fmt.Sprintf("t%d-%d", id, s.claims), s.now().Add(lease)
		r.term = lease
		r.Attempts++
		out = append(out, r.Delivery)
	}
	return out, nil
}

func (s *memStore) PausedRelays(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.paused), nil
}

func (s *memStore) Variant(_ context.Context, id int64) (news.Variant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	v, ok := s.variants[id]
	if !ok {
		return v, news.ErrNotFound
	}
	return v, nil
}

func (s *memStore) Settle(ctx context.Context, outcomes []news.Outcome, dots []news.Dot) ([]bool, error) {
	if len(outcomes) > 0 {
		if err := s.recordOutcomes(ctx, outcomes); err != nil {
			return nil, err
		}
	}
	may := make([]bool, len(dots))
	for i, d := range dots {
		var err error
		if may[i], err = s.markDot(ctx, d.DeliveryID, d.Token); err != nil {
			return nil, err
		}
	}
	return may, nil
}

func (s *memStore) markDot(ctx context.Context, id int64, token string) (bool, error) {
	if s.onMark != nil {
		if err := s.onMark(id); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	r := s.rows[id]
	if r.State != news.DeliveryClaimed || r.Token != token || !s.now().Before(r.lease) || r.gone {
		return false, nil
	}
	r.State, r.lease = news.DeliveryDotPending, s.now().Add(r.term)
	return true, nil
}

func (s *memStore) recordOutcomes(ctx context.Context, outcomes []news.Outcome) error {
	if s.onRecord != nil {
		if err := s.onRecord(outcomes); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, o := range outcomes {
		r := s.rows[o.DeliveryID]
		if r.Token != o.Token || r.State != news.DeliveryClaimed && r.State != news.DeliveryDotPending {
			continue
		}
		r.State, r.NextAt, r.Token = o.State, o.NextAt, ""
		r.Relay, r.Code, r.Enhanced, r.Reply = o.Relay, o.Code, o.Enhanced, o.Reply
		if o.FreeAttempt {
			r.Attempts--
		}
		r.history = append(r.history, o)
	}
	return nil
}

func (s *memStore) RecoverDeliveries(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.rows {
		if (r.State == news.DeliveryClaimed || r.State == news.DeliveryDotPending) && !s.now().Before(r.lease) {
			if r.State == news.DeliveryClaimed {
				r.State = news.DeliveryDeferred
			} else {
				r.State = news.DeliveryUncertain
			}
			r.NextAt = s.now()
			n++
		}
	}
	return n, nil
}

func (s *memStore) ReportRelays(_ context.Context, reports []news.RelayReport) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, reports)
	return s.reportFault
}

func (s *memStore) FinishEditions(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished++
	return nil
}

// row returns a copy.
func (s *memStore) row(id int64) memRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := *s.rows[id]
	r.history = slices.Clone(r.history)
	return r
}

func (s *memStore) states() news.DeliveryTally {
	s.mu.Lock()
	defer s.mu.Unlock()
	tally := news.DeliveryTally{}
	for _, r := range s.rows {
		tally[r.State]++
	}
	return tally
}

func (s *memStore) ids() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.rows))
}

// fakeRelay is a relay in memory; its hooks make it fail.
type fakeRelay struct {
	name    string
	onOpen  func(n int) error
	onBegin func(to string) error
	onDot   func(ctx context.Context, to string) error // an error with lost keeps the message all the same
	mu      sync.Mutex
	opened  int
	open    int
	most    int
	begun   int
	got     []fakeMail
	dots    int
}

type fakeMail struct {
	to    string
	bytes string
	at    time.Time
}

func (f *fakeRelay) Name() string { return cmp.Or(f.name, "fake") }

func (f *fakeRelay) Open(context.Context) (Session, error) {
	f.mu.Lock()
	f.opened++
	n := f.opened
	f.mu.Unlock()
	if f.onOpen != nil {
		if err := f.onOpen(n); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	f.most = max(f.most, f.open)
	return &fakeSession{f: f, usable: true}, nil
}

func (f *fakeRelay) messages() []fakeMail {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

type fakeSession struct {
	f      *fakeRelay
	mail   *fakeMail
	usable bool
	closed bool
}

func (s *fakeSession) fail(err error) error {
	if e, ok := errors.AsType[*ReplyError](err); ok && (e.Code == 0 || e.Code == 421) {
		s.usable = false
	}
	return err
}

func (s *fakeSession) Begin(_ context.Context, env Envelope, msg []byte) error {
	s.f.mu.Lock()
	s.f.begun++
	s.f.mu.Unlock()
	if s.closed || !s.usable {
		panic("begin on a closed session")
	}
	if s.f.onBegin != nil {
		if err := s.f.onBegin(env.To); err != nil {
			return s.fail(err)
		}
	}
	s.mail = &fakeMail{to: env.To, bytes: string(msg)}
	return nil
}

func (s *fakeSession) Dot(ctx context.Context) error {
	s.f.mu.Lock()
	s.f.dots++
	s.f.mu.Unlock()
	m := s.mail
	s.mail = nil
	var err error
	if s.f.onDot != nil {
		err = s.fail(s.f.onDot(ctx, m.to))
	}
	if err == nil || errors.Is(err, errTaken) {
		s.f.mu.Lock()
		m.at = time.Now()
		s.f.got = append(s.f.got, *m)
		s.f.mu.Unlock()
	}
	return err
}

var errTaken = errors.New("connection lost, though the relay has it")

func (s *fakeSession) Receipt() Receipt {
	return Receipt{Code: 250, Enhanced: "2.0.0", Text: "queued as FAKE"}
}

func (s *fakeSession) Usable() bool { return s.usable && s.mail == nil }
func (s *fakeSession) Quit()        { s.Abort() }
func (s *fakeSession) Abort() {
	if !s.closed {
		s.closed = true
		s.f.mu.Lock()
		s.f.open--
		s.f.mu.Unlock()
	}
}

// eventLog collects events.
type eventLog struct {
	mu  sync.Mutex
	all []Event
}

func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

func (l *eventLog) count(k EventKind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.all {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func testLinks(t testing.TB) *news.Links {
	t.Helper()
	signer, err := news.NewSigner([]news.Secret{{ID: 1, Key: []byte("0123456789abcdef0123456789abcdef")}})
	if err != nil {
		t.Fatal(err)
	}
	links, err := news.NewLinks("https://news.example.org", signer)
	if err != nil {
		t.Fatal(err)
	}
	return links
}

func newCourier(t testing.TB, s Store, tr Transport, change func(*Options)) (*Courier, *eventLog) {
	t.Helper()
	log := &eventLog{}
	o := Options{
		Store: s, Relays: []Relay{{Transport: tr, Connections: 3}}, Links: testLinks(t), From: "O Diário <news@example.org>",
		Domain: "news.example.org", Rand: func() float64 { return 0.5 }, Events: log.add,
	}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, log
}
