package digest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gazetted/internal/news"
)

// Each group gets what it asked for and has not had, and nothing else.
func TestGroups(t *testing.T) {
	s := world()
	s.groups[41] = []news.AudienceGroup{
		{ServedThrough: 100},
		{ServedThrough: 103},
		{ServedThrough: 100, Topics: []news.Topic{"category:world"}},
		{ServedThrough: 100, Topics: []news.Topic{"tag:wheat", "tag:night-trains"}},
		{ServedThrough: 104, Topics: []news.Topic{"category:us"}},
		{ServedThrough: 200},
		{ServedThrough: 100, Topics: []news.Topic{"category:gone"}},
	}
	c := due(t, s)
	got := map[string]string{}
	for _, v := range c.Variants {
		got[fmt.Sprint(v.Group.ServedThrough, v.Group.Topics)] = fmt.Sprint(v.ArticleIDs)
	}
	want := map[string]string{
		"100 []":                           "[3 4 5 1 2]",
		"103 []":                           "[4 5]",
		"100 [category:world]":             "[1 2]", // US is part of World
		"100 [tag:wheat tag:night-trains]": "[3 5]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("articles by group (-want +got):\n%s", diff)
	}
	if n := len(c.ServedEmpty); n != 3 {
		t.Errorf("got %d groups moved forward without a mail, want 3: %v", n, c.ServedEmpty)
	}
}

func TestListFilter(t *testing.T) {
	s := world()
	s.list.Filter = []news.Topic{"category:world", "tag:wheat"}
	c := due(t, s)
	if got := fmt.Sprint(c.Variants[0].ArticleIDs); got != "[3 1 2]" {
		t.Errorf("got articles %s, want [3 1 2]", got)
	}
}

// Sections follow the filter where it names several categories.
func TestSectionsFollowTheFilter(t *testing.T) {
	s := world()
	s.list.Filter = []news.Topic{"category:travel", "category:world", "category:business", "category:culture"}
	v := due(t, s).Variants[0]
	last := -1
	for _, name := range []string{"TRAVEL", "WORLD", "BUSINESS", "CULTURE"} {
		i := strings.Index(v.Text, "\n"+name+"\n")
		if i <= last {
			t.Errorf("section %s: got it at %d, want it after the one before at %d", name, i, last)
		}
		last = i
	}
	if strings.Contains(v.Text, "\nUS\n----") {
		t.Error("an article of US stands in its own section, want it in World")
	}
}

func TestWithdrawnAndArchiveAreNotMailed(t *testing.T) {
	s := world()
	s.articles[0].State = news.ArticleWithdrawn
	s.articles[1].Archive = true
	if got := fmt.Sprint(due(t, s).Variants[0].ArticleIDs); got != "[3 4 5]" {
		t.Errorf("got %s, want [3 4 5]", got)
	}
}

func TestEmptyEdition(t *testing.T) {
	s := world()
	s.articles = nil
	c := due(t, s)
	if len(c.Variants) != 0 || len(c.ServedEmpty) != 1 || len(c.Articles) != 0 || c.Slug != "" {
		t.Errorf("got %d variants, %d empty groups, %d articles, slug %q; want 0, 1, 0 and none", len(c.Variants), len(c.ServedEmpty), len(c.Articles), c.Slug)
	}
}

// A reader who is behind gets older articles; subject and archive are those of
// the edition's own span.
func TestSubjectIsThePublicOne(t *testing.T) {
	s := world()
	s.open[0].FromSeq = 103
	s.groups[41] = []news.AudienceGroup{{ServedThrough: 100}, {ServedThrough: 103}}
	c := due(t, s)
	if want := "The Morning Gazette: A museum of unfinished things opens unfinished and 1 more"; c.Subject != want {
		t.Errorf("subject: got %q, want %q", c.Subject, want)
	}
	if len(c.Articles) != 5 {
		t.Errorf("got %d frozen articles, want all 5 that somebody was mailed", len(c.Articles))
	}
}

// Planning twice gives the same bytes, whatever order the store answers in.
func TestEqualInputGivesEqualBytes(t *testing.T) {
	groups := []news.AudienceGroup{{ServedThrough: 100}, {ServedThrough: 100, Language: "en-US"}, {ServedThrough: 101}, {ServedThrough: 100, Topics: []news.Topic{"category:us"}}}
	one, two := world(), world()
	one.groups[41], two.groups[41] = groups, nil
	for i := len(groups) - 1; i >= 0; i-- {
		two.groups[41] = append(two.groups[41], groups[i])
	}
	for i, j := 0, len(two.candidates)-1; i < j; i, j = i+1, j-1 {
		two.candidates[i], two.candidates[j] = two.candidates[j], two.candidates[i]
	}
	a, b := due(t, one), due(t, two)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("two plans of one edition differ:\n%s", diff)
	}
	nonces := map[string]bool{}
	for _, v := range a.Variants {
		if len(v.Nonce) != nonceLen || nonces[v.Nonce] {
			t.Errorf("nonce %q: want %d digits, each once", v.Nonce, nonceLen)
		}
		nonces[v.Nonce] = true
		for other := range nonces {
			if other != v.Nonce && strings.Contains(v.HTML+v.Text, other) {
				t.Errorf("variant %s holds marks of %s", v.Nonce, other)
			}
		}
	}
}

func TestLanguagesAndZones(t *testing.T) {
	s := world()
	s.open[0].Zone = "America/New_York"
	s.groups[41] = []news.AudienceGroup{{ServedThrough: 100, Language: "en-US"}, {ServedThrough: 100, Language: "ar"}}
	for _, v := range due(t, s).Variants {
		switch v.Language {
		case "en-US":
			if !strings.Contains(v.Text, "November 19, 2025, 5:28 am") || !strings.Contains(v.Text, "Wednesday, November 19, 2025") {
				t.Errorf("want American dates in New York's time, got:\n%s", v.Text[:600])
			}
		case "ar":
			if !strings.Contains(v.HTML, `dir="rtl"`) {
				t.Error("Arabic is written from the right")
			}
		}
	}
}

func TestStalePlansAreMadeAnew(t *testing.T) {
	s := world()
	s.stale = maxPlans - 1
	if n, err := testEditor(t, s).Due(t.Context()); n != 1 || err != nil || len(s.closings) != maxPlans {
		t.Errorf("got n=%d, err=%v after %d plans; want 1 and success at the last of %d", n, err, len(s.closings), maxPlans)
	}
	s = world()
	s.stale = maxPlans
	s.open = append(s.open, s.open[0])
	s.open[1].ID = 42
	if n, err := testEditor(t, s).Due(t.Context()); n != 1 || !errors.Is(err, news.ErrStale) || len(s.failed) != 0 {
		t.Errorf("got n=%d, err=%v, failed %v; want the stale edition left open and the other made", n, err, s.failed)
	}
}

// What one edition cannot be rendered for must not keep the others back.
func TestFailingEdition(t *testing.T) {
	s := world()
	broken := s.list
	broken.Template = "gone"
	s.lists = map[int64]news.List{41: broken}
	second := s.open[0]
	second.ID = 42
	s.open = append(s.open, second)
	s.groups[42] = s.groups[41]
	var ended []string
	e := testEditor(t, s)
	e.o.Ended = func(e news.Edition, _ time.Duration, err error) {
		ended = append(ended, fmt.Sprintf("%d %s %v", e.ID, e.State, err != nil))
	}
	n, err := e.Due(t.Context())
	if n != 2 || err == nil || !strings.Contains(err.Error(), `no template "gone"`) {
		t.Errorf("got n=%d, err=%v; want both ended and an error", n, err)
	}
	if diff := cmp.Diff([]string{"41 failed true", "42 closed false"}, ended); diff != "" {
		t.Errorf("told of (-want +got):\n%s", diff)
	}
	if _, failed := s.failed[42]; failed || s.failed[41] == "" {
		t.Errorf("failed: %v, want 41 alone", s.failed)
	}
}

func TestRenderingCatches(t *testing.T) {
	var unrendered *renderError
	_, err := rendering(func() (int, error) { panic("no such\npage") })
	if !errors.As(err, &unrendered) || err.Error() != "panic: no such page" || len(unrendered.Stack()) == 0 {
		t.Errorf("a panic: got %v, want it as the edition's failure, on one line, with its stack", err)
	}
	if _, err := rendering(func() (int, error) { return 0, context.Canceled }); errors.As(err, &unrendered) {
		t.Errorf("a shutdown: got %v, want it as it is", err)
	}
}

// Whoever is asked to stop gives back what is in hand.
func TestAStopGivesEditionsBack(t *testing.T) {
	for name, manual := range map[string]bool{"slot": false, "manual": true} {
		s := world()
		ctx, cancel := context.WithCancel(t.Context())
		s.asked = cancel
		e := testEditor(t, s)
		want := []int64{41}
		var err error
		if manual {
			second := worldEdition()
			second.ID = 42
			s.manual = []news.Edition{worldEdition(), second}
			_, err = e.Manual(ctx, "morning", "daily")
			want = append(want, 42)
		} else {
			_, err = e.Due(ctx)
		}
		if !errors.Is(err, context.Canceled) || len(s.failed)+len(s.closings) != 0 {
			t.Errorf("%s: %v, failed %v", name, err, s.failed)
		}
		if diff := cmp.Diff(want, s.returned); diff != "" {
			t.Errorf("%s: given back (-want +got):\n%s", name, diff)
		}
	}
}

// A template without end keeps nobody back: neither the steps of one rendering
// nor the time of all of them are without bounds.
func TestRenderingHasItsTime(t *testing.T) {
	s := world()
	e := testEditor(t, s)
	e.o.RenderFor = time.Nanosecond
	n, err := e.Due(t.Context())
	if n != 1 || err == nil || !strings.Contains(s.failed[41], `template "default": rendering takes longer than 1ns`) {
		t.Errorf("got n=%d, err=%v, failed %v", n, err, s.failed)
	}
}

// A source gone wrong must not mail its archive.
func TestAFloodWaitsForAnAdmin(t *testing.T) {
	s := world()
	e := testEditor(t, s)
	e.o.MaxArticles = len(worldArticles()) - 1
	if n, err := e.Due(t.Context()); n != 1 || err == nil || !strings.Contains(s.failed[41], "withdraw what is not to be mailed") || len(s.closings) != 0 {
		t.Errorf("got n=%d, err=%v, failed %v", n, err, s.failed)
	}
	if _, err := e.Retry(t.Context(), 41, false); err == nil {
		t.Error("it was made without being let through")
	}
	if done, err := e.Retry(t.Context(), 41, true); err != nil || done.State != news.EditionClosed {
		t.Errorf("let through: %+v, %v", done, err)
	}
}

func TestStoreErrorEndsTheRound(t *testing.T) {
	s := world()
	s.failClose = errors.New("disk full")
	s.open = append(s.open, s.open[0])
	n, err := testEditor(t, s).Due(t.Context())
	if n != 0 || err == nil || len(s.open) != 1 || len(s.failed) != 0 {
		t.Errorf("got n=%d, err=%v, %d slots left, failed %v; want the round ended and the edition kept", n, err, len(s.open), s.failed)
	}
}

func TestManual(t *testing.T) {
	s := world()
	s.open = nil
	s.manual = []news.Edition{worldEdition(), worldEdition()}
	s.manual[1].Zone = "Asia/Tokyo"
	got, err := testEditor(t, s).Manual(t.Context(), "morning", "daily")
	if err != nil || len(got) != 2 || got[1].Zone != "Asia/Tokyo" {
		t.Errorf("got %v, %v; want one edition for each zone", got, err)
	}
	if _, err := testEditor(t, s).Manual(t.Context(), "nope", "daily"); !errors.Is(err, news.ErrNotFound) {
		t.Errorf("unknown list: got %v, want ErrNotFound", err)
	}
}

// personal makes the list one in its subscribers' zones, with an archive.
func (s *fakeStore) personal(frequency, zone string) {
	s.list.Zone = news.ZoneSubscriber
	s.archived = []news.Edition{{ID: 39, Frequency: frequency, Zone: zone, CutoffSeq: 190}}
}

func TestSlug(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *fakeStore)
		want   string
	}{
		{"daily", func(*fakeStore) {}, "2025-11-20"},
		{"not the first frequency", func(s *fakeStore) { s.open[0].Frequency = "weekly" }, "2025-11-20-weekly"},
		{"instant", func(s *fakeStore) { s.open[0].Frequency = news.Instant }, "2025-11-20-200"},
		{"private", func(s *fakeStore) { s.list.Public = false }, ""},
		{"date of the zone", func(s *fakeStore) { s.open[0].Zone = "America/New_York" }, "2025-11-19"},
		{"first of all zones", func(s *fakeStore) { s.list.Zone = news.ZoneSubscriber }, "2025-11-20"},
		{"the zone that the archive follows", func(s *fakeStore) { s.personal("daily", "Europe/Istanbul") }, "2025-11-20"},
		{"another zone", func(s *fakeStore) {
			s.personal("daily", "Asia/Tokyo")
			s.past = []news.Edition{{ID: 39, Frequency: "daily", Zone: "Asia/Tokyo"}, {ID: 30, Frequency: "daily", Zone: "Europe/Istanbul"}}
		}, ""},
		{"another zone, where nobody is left", func(s *fakeStore) {
			s.personal("daily", "Asia/Tokyo")
			s.past = []news.Edition{{ID: 40, Frequency: "weekly", Zone: "Asia/Tokyo"}, {ID: 30, Frequency: "daily", Zone: "Europe/Istanbul"}, {ID: 29, Frequency: "daily", Zone: "Asia/Tokyo"}}
		}, "2025-11-20"},
		{"another frequency of another zone", func(s *fakeStore) { s.personal("weekly", "Asia/Tokyo") }, "2025-11-20"},
		{"instant, archived by another zone", func(s *fakeStore) {
			s.personal(news.Instant, "Asia/Tokyo")
			s.open[0].Frequency = news.Instant
			s.archived[0].CutoffSeq = 200
		}, ""},
		{"instant, not yet archived", func(s *fakeStore) {
			s.personal(news.Instant, "Asia/Tokyo")
			s.open[0].Frequency = news.Instant
		}, "2025-11-20-200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := world()
			tt.change(s)
			if got := due(t, s).Slug; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Bodies are read in pages, so that a long absence does not fill the memory.
func TestArticlesAreReadInPages(t *testing.T) {
	s := crowded(120, 100)
	if got := len(due(t, s).Variants[0].ArticleIDs); got != 120 {
		t.Errorf("got %d articles, want 120", got)
	}
	if diff := cmp.Diff([]int{50, 50, 20}, s.pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}
