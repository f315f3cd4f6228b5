package digest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"gazetted/internal/news"
	"gazetted/templates"
)

// fakeStore keeps everything in memory. It promises what internal/store
// promises; the tests over real databases hold it to that.
type fakeStore struct {
	mu         sync.Mutex
	list       news.List
	lists      map[int64]news.List // of single editions, where not list
	open       []news.Edition      // to be taken
	manual     []news.Edition
	groups     map[int64][]news.AudienceGroup // by edition
	articles   []news.Article
	terms      []news.Term
	candidates []news.Article
	subscriber news.SubscriberRow
	past       []news.Edition
	stale      int // how often closing is refused
	failClose  error
	asked      func() // is called when somebody asks for the audience, which then fails
	archived   []news.Edition

	closings []news.Closing
	failed   map[int64]string
	returned []int64
	pages    []int // articles handed out per read
}

func (s *fakeStore) TakeSlot(context.Context, time.Duration) (news.Edition, news.List, bool, error) {
	if len(s.open) == 0 {
		return news.Edition{}, news.List{}, false, nil
	}
	e := s.open[0]
	s.open = s.open[1:]
	if l, ok := s.lists[e.ID]; ok {
		return e, l, true, nil
	}
	return e, s.list, true, nil
}

func (s *fakeStore) TakeManual(_ context.Context, list, _ string, _ time.Duration) ([]news.Edition, news.List, error) {
	if list != s.list.Name {
		return nil, news.List{}, news.ErrNotFound
	}
	return s.manual, s.list, nil
}

func (s *fakeStore) Audience(ctx context.Context, e news.Edition) ([]news.AudienceGroup, error) {
	if s.asked != nil {
		s.asked()
		return nil, ctx.Err()
	}
	return slices.Clone(s.groups[e.ID]), nil
}

func (s *fakeStore) CloseEdition(_ context.Context, c news.Closing) (news.Edition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closings = append(s.closings, c)
	if s.stale > 0 {
		s.stale--
		return news.Edition{}, news.ErrStale
	}
	if s.failClose != nil {
		return news.Edition{}, s.failClose
	}
	e := c.Edition
	e.State, e.Subject, e.Slug, e.ClosedAt = news.EditionClosed, c.Subject, c.Slug, c.Now
	if len(c.Variants) == 0 {
		e.State = news.EditionEmpty
	}
	return e, nil
}

func (s *fakeStore) QueueDeliveries(_ context.Context, id int64) (news.Edition, error) {
	return news.Edition{ID: id, State: news.EditionClosed}, nil
}

func (s *fakeStore) ReopenEdition(context.Context, int64, time.Duration) (news.Edition, news.List, error) {
	return worldEdition(), s.list, nil
}

func (s *fakeStore) ReturnEdition(_ context.Context, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.returned = append(s.returned, id)
	return nil
}

func (s *fakeStore) FailEdition(_ context.Context, id int64, note string) error {
	if s.failed == nil {
		s.failed = map[int64]string{}
	}
	s.failed[id] = note
	return nil
}

func (s *fakeStore) Editions(context.Context, string, int64, int) ([]news.Edition, error) {
	return s.past, nil
}

func (s *fakeStore) ArchiveEditions(context.Context, int64, int64, int) ([]news.Edition, error) {
	return s.archived, nil
}

func (s *fakeStore) ArticlesBetween(_ context.Context, from, cutoff int64, limit int) ([]news.Article, error) {
	var out []news.Article
	for _, a := range s.articles {
		if !a.Archive && a.State == news.ArticleReleased && a.Seq > from && a.Seq <= cutoff {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b news.Article) int { return cmp.Compare(a.Seq, b.Seq) })
	out = out[max(0, len(out)-limit):]
	s.pages = append(s.pages, len(out))
	return slices.Clone(out), nil
}

func (s *fakeStore) RelatedCandidates(context.Context, []int64, int) ([]news.Article, error) {
	return slices.Clone(s.candidates), nil
}

func (s *fakeStore) Articles(_ context.Context, q news.ArticleQuery) ([]news.Article, error) {
	out := slices.Clone(s.articles)
	slices.SortFunc(out, func(a, b news.Article) int { return cmp.Compare(b.Seq, a.Seq) })
	return out[:min(len(out), q.Limit)], nil
}

func (s *fakeStore) Article(_ context.Context, id int64) (news.Article, error) {
	for _, a := range s.articles {
		if a.ID == id {
			return a, nil
		}
	}
	return news.Article{}, news.ErrNotFound
}

func (s *fakeStore) Terms(context.Context) ([]news.Term, error) { return s.terms, nil }

func (s *fakeStore) ListByName(_ context.Context, name string) (news.List, error) {
	if name != s.list.Name {
		return news.List{}, news.ErrNotFound
	}
	return s.list, nil
}

func (s *fakeStore) SubscriberByAddress(_ context.Context, a news.Address) (news.SubscriberRow, error) {
	if s.subscriber.Address == "" || a.Spec != s.subscriber.Address {
		return news.SubscriberRow{}, news.ErrNotFound
	}
	return s.subscriber, nil
}

// testNow is the instant at which tests close editions.
func testNow() time.Time { return time.Date(2025, 11, 20, 4, 0, 3, 0, time.UTC) }

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

func testSite() templates.SiteView {
	return templates.SiteView{
		Title: "The Harbour Gazette", URL: "https://www.example.org/", Postal: "The Harbour Gazette\n14 Customs House Lane\n34425 Istanbul\nTürkiye",
		Links: []templates.Anchor{{Text: "Privacy", URL: "https://www.example.org/privacy"}},
	}
}

func testTemplates(t testing.TB) *templates.Set {
	t.Helper()
	set, err := templates.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func testEditor(t testing.TB, s *fakeStore) *Editor {
	t.Helper()
	return New(Options{Store: s, Templates: testTemplates(t), Links: testLinks(t), Site: testSite(), Now: testNow})
}
