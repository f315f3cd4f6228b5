package source

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"gazetted/internal/news"
)

// testNow is the clock of tests that do not move it.
func testNow() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

// memStore is a Store in memory, for tests of what a look finds. The tests of
// how looks and the real store work together are in store_test.go.
type memStore struct {
	mu       sync.Mutex
	sources  map[string]*news.Source
	found    map[string]news.Found // by native id
	state    map[string]news.ArticleState
	terms    map[string]news.TermRef
	leased   map[int64]bool
	finished []news.Look
	batches  int
	failing  error // of the next StoreArticles
	now      func() time.Time
}

func newMemStore(sources ...news.Source) *memStore {
	m := &memStore{sources: map[string]*news.Source{}, found: map[string]news.Found{}, state: map[string]news.ArticleState{},
		terms: map[string]news.TermRef{}, leased: map[int64]bool{}, now: testNow}
	for i := range sources {
		s := sources[i]
		s.ID = int64(i + 1)
		if s.Settings.Poll == 0 {
			s.Settings.Poll = news.Duration(time.Minute)
		}
		m.sources[s.Name] = &s
	}
	return m
}

func (m *memStore) ClaimSource(_ context.Context, _ time.Duration) (news.Source, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.sources)) {
		s := m.sources[name]
		if !m.leased[s.ID] && !s.Look.NextAt.After(m.now()) {
			m.leased[s.ID] = true
			return *s, true, nil
		}
	}
	return news.Source{}, false, nil
}

func (m *memStore) SourceByName(_ context.Context, name string) (news.Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sources[name]
	if !ok {
		return news.Source{}, news.ErrNotFound
	}
	return *s, nil
}

func (m *memStore) Sources(context.Context) ([]news.Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []news.Source
	for _, name := range slices.Sorted(maps.Keys(m.sources)) {
		out = append(out, *m.sources[name])
	}
	return out, nil
}

func (m *memStore) PollNow(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sources[name]
	if !ok {
		return news.ErrNotFound
	}
	s.Look.NextAt = m.now()
	return nil
}

func (m *memStore) PollSoon(_ context.Context, id int64, gap time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sources {
		if s.ID == id {
			due := m.now()
			if after := s.Look.LastAt.Add(gap); after.After(due) {
				due = after
			}
			if s.Look.NextAt.After(due) {
				s.Look.NextAt = due
			}
			return nil
		}
	}
	return news.ErrNotFound
}

func (m *memStore) FinishLook(_ context.Context, id int64, look news.Look, activate bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sources {
		if s.ID == id {
			s.Look = look
			if activate && s.ActivatedAt.IsZero() {
				s.ActivatedAt = m.now()
			}
		}
	}
	m.leased[id] = false
	m.finished = append(m.finished, look)
	return nil
}

func (m *memStore) KnownArticles(_ context.Context, _ int64, after string, limit int) ([]news.Known, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []news.Known
	for _, id := range slices.Sorted(maps.Keys(m.found)) {
		if id > after && len(out) < limit {
			out = append(out, news.Known{NativeID: id, Fingerprint: m.found[id].Fingerprint, State: m.state[id]})
		}
	}
	return out, nil
}

func (m *memStore) ForgetTerms(context.Context, int64, []news.TermRef) error { return nil }

func (m *memStore) StoreTerms(_ context.Context, _ int64, refs []news.TermRef) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range refs {
		m.terms[string(r.Kind)+r.NativeID] = r
	}
	return nil
}

func (m *memStore) StoreArticles(_ context.Context, _ int64, found []news.Found) (news.StoreCounts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var c news.StoreCounts
	if m.failing != nil {
		return c, m.failing
	}
	m.batches++
	for _, f := range found {
		old, ok := m.found[f.NativeID]
		switch {
		case !ok:
			c.New++
		case old.Hash == f.Hash && m.state[f.NativeID] != news.ArticleWithdrawn:
			c.Unchanged++
		default:
			c.Changed++
		}
		m.found[f.NativeID] = f
		m.state[f.NativeID] = news.ArticleReleased
	}
	return c, nil
}

func (m *memStore) PutArticles(ctx context.Context, id int64, found []news.Found) ([]news.PutOutcome, error) {
	var out []news.PutOutcome
	for _, f := range found {
		c, err := m.StoreArticles(ctx, id, []news.Found{f})
		if err != nil {
			return nil, err
		}
		out = append(out, map[news.StoreCounts]news.PutOutcome{{New: 1}: news.PutNew, {Changed: 1}: news.PutChanged, {Unchanged: 1}: news.PutUnchanged}[c])
	}
	return out, nil
}

func (m *memStore) WithdrawArticle(ctx context.Context, id int64, native string, _ time.Time) (news.PutOutcome, error) {
	if _, ok := m.found[native]; !ok {
		return "", news.ErrNotFound
	}
	_, err := m.WithdrawArticles(ctx, id, []string{native})
	return news.PutWithdrawn, err
}

func (m *memStore) ArticleByNativeID(_ context.Context, _ int64, native string) (news.Article, error) {
	f, ok := m.found[native]
	if !ok {
		return news.Article{}, news.ErrNotFound
	}
	return news.Article{NativeID: native, Title: f.Title, State: m.state[native]}, nil
}

func (m *memStore) WithdrawArticles(_ context.Context, _ int64, ids []string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, id := range ids {
		if _, ok := m.found[id]; ok && m.state[id] != news.ArticleWithdrawn {
			m.state[id] = news.ArticleWithdrawn
			n++
		}
	}
	return n, nil
}

func (m *memStore) ArticleURLs(_ context.Context, _ int64, ids []string) (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]string{}
	for _, id := range ids {
		if f, ok := m.found[id]; ok {
			out[id] = f.URL
		}
	}
	return out, nil
}

func (m *memStore) RenameArticles(_ context.Context, _ int64, pairs [][2]string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range pairs {
		m.found[p[1]], m.state[p[1]] = m.found[p[0]], m.state[p[0]]
		delete(m.found, p[0])
		delete(m.state, p[0])
	}
	return nil
}

func (m *memStore) HubLease(context.Context, int64) (news.HubLease, error) {
	return news.HubLease{}, nil
}

func (m *memStore) AskHub(context.Context, int64, news.HubLease) error { return nil }

func (m *memStore) MoveSource(_ context.Context, id int64, location string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sources {
		if s.ID == id {
			s.Location = location
		}
	}
	return nil
}

// live lists the native ids that are not withdrawn.
func (m *memStore) live() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for id, s := range m.state {
		if s != news.ArticleWithdrawn {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// byTitle finds an article that a test knows by its title.
func (m *memStore) byTitle(t *testing.T, title string) news.Found {
	t.Helper()
	for _, f := range m.found {
		if f.Title == title {
			return f
		}
	}
	t.Fatalf("no article titled %q among %d", title, len(m.found))
	return news.Found{}
}

// termNames lists the names of f's terms of a kind.
func termNames(f news.Found, kind news.TermKind) []string {
	var out []string
	for _, r := range f.Terms {
		if r.Kind == kind {
			out = append(out, r.Name)
		}
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}

// testClient reaches servers on this machine.
func testClient(t *testing.T) *Client {
	t.Helper()
	c, err := NewClient(ClientOptions{Version: "test", URL: "https://news.example.org/", Allow: []string{"127.0.0.1/32", "::1/128"}, Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// newTestWatcher is a watcher whose clock stands still and whose jitter is none.
func newTestWatcher(t *testing.T, s Store) *Watcher {
	t.Helper()
	return New(Options{Store: s, Client: testClient(t), Now: testNow, Rand: func() float64 { return 0.5 }})
}
