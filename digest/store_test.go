package digest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// The store fits the editor by shape.
var _ Store = (*store.Store)(nil)

// newspaper is a source and an editor over a real database.
type newspaper struct {
	*dbtest.DB
	t      *testing.T
	source news.Source
	editor *Editor
	n      int
}

func newNewspaper(t *testing.T, db *dbtest.DB) *newspaper {
	t.Helper()
	p := &newspaper{DB: db, t: t}
	var err error
	if p.source, err = db.AddSource(t.Context(), news.Source{Name: "site", Kind: news.SourceFeed, Location: "https://www.example.org/feed/", Settings: news.SourceSettings{Poll: news.Duration(time.Minute)}}); err != nil {
		t.Fatal(err)
	}
	p.publish("An article of the archive on wheat", "Business", "Wheat")
	p.publish("An article of the archive on museums", "Culture", "Museums")
	if err := db.FinishLook(t.Context(), p.source.ID, news.Look{LastAt: db.Clock.Now(), NextAt: db.Clock.Now().Add(time.Hour)}, true); err != nil {
		t.Fatal(err)
	}
	p.editor = New(Options{Store: db.Store, Templates: testTemplates(t), Links: testLinks(t), Site: testSite(), Now: db.Clock.Now})
	return p
}

// publish stores an article and releases what waits.
func (p *newspaper) publish(title, category, tag string) {
	p.t.Helper()
	p.n++
	url := fmt.Sprintf("https://www.example.org/%d/", p.n)
	found := news.Found{
		NativeID: url, URL: url, Title: title, Summary: "The beginning of " + title + ".", Visibility: news.VisibilityPublic,
		PublishedAt: p.Clock.Now(), Fingerprint: title, Hash: title,
		Terms: []news.TermRef{{Kind: news.KindCategory, Name: category}, {Kind: news.KindTag, Name: tag}},
	}
	if _, err := p.StoreArticles(p.t.Context(), p.source.ID, []news.Found{found}); err != nil {
		p.t.Fatal(err)
	}
	p.Clock.Advance(time.Minute)
	if _, _, err := p.ReleaseDue(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *newspaper) subscribe(address, zone, frequency string, topics ...news.Topic) {
	p.t.Helper()
	addr, err := news.ParseAddress("address", address)
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = p.Subscribe(p.t.Context(), news.SubscribeRequest{Address: addr, Zone: zone, List: "daily", Frequency: frequency, Topics: topics, Confirmed: true}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
}

// run makes the due editions and returns who is mailed what by them.
func (p *newspaper) run() map[string]string {
	p.t.Helper()
	if _, err := p.editor.Due(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	deliveries, err := p.ClaimDeliveries(p.t.Context(), 100, time.Hour)
	if err != nil {
		p.t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range deliveries {
		v, err := p.Variant(p.t.Context(), d.VariantID)
		if err != nil {
			p.t.Fatal(err)
		}
		checkMail(p.t, v, len(v.ArticleIDs))
		_, subject, _ := strings.Cut(v.Subject, ": ")
		got[d.Address] += subject
	}
	return got
}

func (p *newspaper) want(want map[string]string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.run()); diff != "" {
		p.t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// From an article to the outbox: everybody gets what is theirs, once, at their
// hour, and never the archive.
func TestEditionsOverRealStores(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		p := newNewspaper(t, db)
		_, err := db.AddList(t.Context(), news.List{
			Name: "daily", Title: "Daily", Language: "en", Zone: "Europe/Istanbul", Template: "default", Public: true,
			Frequencies: []news.Frequency{{Name: "morning", Cron: "0 7 * * *"}, {Name: "weekly", Cron: "0 7 * * sun"}, {Name: news.Instant}},
			CatchUp:     news.CatchUpOne, MaxLate: news.DefaultMaxLate, OnUncertain: news.UncertainResend,
		})
		if err != nil {
			t.Fatal(err)
		}
		p.subscribe("all@example.net", "", "morning")
		p.subscribe("wheat@example.net", "", "morning", "tag:wheat")
		p.subscribe("now@example.net", "", news.Instant, "category:culture")
		p.want(map[string]string{})

		p.publish("Wheat falls", "Business", "Wheat")
		p.want(map[string]string{})
		p.publish("A museum opens", "Culture", "Museums")
		p.want(map[string]string{"now@example.net": "A museum opens"})

		db.Clock.Set(time.Date(2026, 3, 3, 4, 0, 1, 0, time.UTC)) // 07:00 in Istanbul
		p.want(map[string]string{"all@example.net": "Wheat falls and 1 more", "wheat@example.net": "Wheat falls"})
		p.want(map[string]string{})

		editions, err := db.ArchiveEditions(t.Context(), 1, 0, 10)
		if err != nil || len(editions) == 0 || editions[0].Slug != "2026-03-03" || editions[0].Subject != "Daily: Wheat falls and 1 more" {
			t.Fatalf("archive: got %+v, %v", editions, err)
		}
		frozen, err := db.EditionArticles(t.Context(), editions[0].ID)
		if err != nil || len(frozen) != 2 || frozen[0].Title != "Wheat falls" || frozen[0].Summary == "" {
			t.Errorf("frozen articles: got %+v, %v; want both, Business before Culture", frozen, err)
		}

		db.Clock.Set(time.Date(2026, 3, 4, 4, 0, 1, 0, time.UTC))
		p.want(map[string]string{}) // nothing new: no mail
		p.publish("Wheat rises", "Business", "Wheat")
		p.subscribe("late@example.net", "", "morning")
		p.publish("Wheat stands still", "Business", "Wheat")
		db.Clock.Set(time.Date(2026, 3, 5, 4, 0, 1, 0, time.UTC))
		p.want(map[string]string{
			"all@example.net": "Wheat stands still and 1 more", "wheat@example.net": "Wheat stands still and 1 more", "late@example.net": "Wheat stands still",
		})
	})
}

// On a list in its subscribers' zones, each zone has its edition; the archive
// has one.
func TestZonesOverRealStores(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		p := newNewspaper(t, db)
		_, err := db.AddList(t.Context(), news.List{
			Name: "daily", Title: "Daily", Language: "en", Zone: news.ZoneSubscriber, Template: "default", Public: true,
			Frequencies: []news.Frequency{{Name: "morning", Cron: "0 7 * * *"}}, CatchUp: news.CatchUpOne, MaxLate: news.DefaultMaxLate, OnUncertain: news.UncertainResend,
		})
		if err != nil {
			t.Fatal(err)
		}
		p.subscribe("tokyo@example.net", "Asia/Tokyo", "morning")
		p.subscribe("lima@example.net", "America/Lima", "morning")
		p.publish("Wheat falls", "Business", "Wheat")
		db.Clock.Set(time.Date(2026, 3, 2, 12, 0, 1, 0, time.UTC)) // 07:00 in Lima
		p.want(map[string]string{"lima@example.net": "Wheat falls"})
		db.Clock.Set(time.Date(2026, 3, 2, 22, 0, 1, 0, time.UTC)) // 07:00 on the 3rd in Tokyo
		p.want(map[string]string{"tokyo@example.net": "Wheat falls"})
		p.publish("Wheat rises", "Business", "Wheat")
		db.Clock.Set(time.Date(2026, 3, 3, 12, 0, 1, 0, time.UTC))
		p.want(map[string]string{"lima@example.net": "Wheat rises"})
		db.Clock.Set(time.Date(2026, 3, 3, 22, 0, 1, 0, time.UTC))
		p.want(map[string]string{"tokyo@example.net": "Wheat rises"})
		editions, err := db.ArchiveEditions(t.Context(), 1, 0, 10)
		if err != nil || len(editions) != 2 || editions[0].Zone != "America/Lima" || editions[1].Zone != "America/Lima" {
			t.Errorf("archive: got %+v, %v; want Lima's alone", editions, err)
		}
	})
}

func TestPreviewAndManualOverRealStores(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		p := newNewspaper(t, db)
		_, err := db.AddList(t.Context(), news.List{
			Name: "daily", Title: "Daily", Language: "en", Zone: "UTC", Template: "default",
			Frequencies: []news.Frequency{{Name: "morning", Cron: "0 7 * * *"}}, CatchUp: news.CatchUpOne, MaxLate: news.DefaultMaxLate, OnUncertain: news.UncertainResend,
		})
		if err != nil {
			t.Fatal(err)
		}
		p.subscribe("ana@example.net", "", "morning")
		before, err := p.editor.Preview(t.Context(), "daily", "", "ana@example.net")
		if err != nil || before.New || len(before.Articles) != 2 {
			t.Errorf("without news: got new=%v, %d articles, %v; want the archive's 2 as samples", before.New, len(before.Articles), err)
		}
		p.publish("Wheat falls", "Business", "Wheat")
		for _, address := range []string{"", "ana@example.net"} {
			got, err := p.editor.Preview(t.Context(), "daily", "", address)
			if err != nil || !got.New || got.Mail.Subject != "Daily: Wheat falls" || !strings.Contains(got.Mail.Text, "archive on wheat") {
				t.Errorf("for %q: got new=%v, subject %q, %v; want the news, and a related article of the archive\n%s", address, got.New, got.Mail.Subject, err, got.Mail.Text)
			}
		}
		editions, err := p.editor.Manual(t.Context(), "daily", "morning")
		if err != nil || len(editions) != 1 || editions[0].Intended != 1 {
			t.Fatalf("manual: got %+v, %v; want one edition for one reader", editions, err)
		}
		p.want(map[string]string{"ana@example.net": "Wheat falls"})
		db.Clock.Advance(24 * time.Hour)
		p.want(map[string]string{})
	})
}
