package source_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/source"
)

func TestWebSubSubscription(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		var asked []url.Values
		status := http.StatusAccepted
		hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			asked = append(asked, r.PostForm)
			w.WriteHeader(status)
		}))
		defer hub.Close()
		s := newFeedSite(t)
		s.publish(1, db.Clock.Now().Add(-time.Hour))
		s.head = `<atom:link rel="hub" href="` + hub.URL + `"/><atom:link rel="self" href="` + s.URL + `/feed/?canonical"/>`
		s.watch(t, db, nil)
		watcher := func(callback string, allow ...string) *source.Watcher {
			client, err := source.NewClient(source.ClientOptions{Now: db.Clock.Now, Allow: allow})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			return source.New(source.Options{Store: db, Client: client, Now: db.Clock.Now, Rand: func() float64 { return 0.5 },
				Pace: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
				Hub:  &source.Hub{Callback: func(news.Source) string { return callback }, Secret: func(src news.Source) string { return fmt.Sprint("secret-", src.ID) }}})
		}
		lease := func() news.HubLease {
			l, err := db.HubLease(context.Background(), theSource(t, db).ID)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		const callback = "https://gazette.example/hooks/websub/site/token"
		w := watcher(callback, "127.0.0.1")
		look(t, w)
		if len(asked) != 1 {
			t.Fatalf("asked %d times", len(asked))
		}
		if a := asked[0]; a.Get("hub.mode") != "subscribe" || a.Get("hub.topic") != s.URL+"/feed/?canonical" || a.Get("hub.callback") != callback ||
			a.Get("hub.secret") != fmt.Sprint("secret-", theSource(t, db).ID) || a.Get("hub.lease_seconds") != "864000" {
			t.Errorf("request %v", a)
		}
		now := db.Clock.Now()
		l := lease()
		l.From, l.To = now, now.Add(9*24*time.Hour)
		if err := db.GrantHub(context.Background(), theSource(t, db).ID, l); err != nil {
			t.Fatal(err)
		}
		// Held: not asked again, until a third of the lease is left.
		for _, days := range []int{1, 5} {
			db.Clock.Set(now.Add(time.Duration(days) * 24 * time.Hour))
			look(t, w)
			if len(asked) != 1 {
				t.Errorf("asked again after %d days", days)
			}
		}
		db.Clock.Set(now.Add(7 * 24 * time.Hour))
		look(t, w)
		look(t, w)
		if len(asked) != 2 || !lease().Holds(db.Clock.Now()) {
			t.Errorf("renewal: asked %d times, lease %+v", len(asked), lease())
		}
		// A hub that refuses is a note, asked again later, and no failure.
		status = http.StatusForbidden
		db.Clock.Set(now.Add(7*24*time.Hour + 7*time.Hour))
		look(t, w)
		if len(asked) != 3 || lease().Err == "" || theSource(t, db).Look.Failures != 0 {
			t.Errorf("refused: asked %d times, %+v", len(asked), lease())
		}
		status = http.StatusAccepted
		// Another callback: the old lease is of no use.
		look(t, watcher("https://gazette.example/new", "127.0.0.1"))
		if len(asked) != 4 || lease().Holds(db.Clock.Now()) || lease().Err != "" {
			t.Errorf("new callback: asked %d times, lease %+v", len(asked), lease())
		}
		if err := db.GrantHub(context.Background(), theSource(t, db).ID, news.HubLease{Topic: "https://other.example/"}); err == nil {
			t.Error("a lease for another topic was recorded")
		}
	})
}

// A hub is fetched through the guard, and is not asked to call where only we are.
func TestWebSubAddresses(t *testing.T) {
	db := dbtest.SQLite(t)
	asked := 0
	hub := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer hub.Close()
	s := newFeedSite(t)
	s.publish(1, db.Clock.Now().Add(-time.Hour))
	s.head = `<atom:link rel="hub" href="http://169.254.169.254/latest/"/>`
	s.watch(t, db, nil)
	client, err := source.NewClient(source.ClientOptions{Now: db.Clock.Now, Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	callback := "https://gazette.example/x"
	w := source.New(source.Options{Store: db, Client: client, Now: db.Clock.Now,
		Hub: &source.Hub{Callback: func(news.Source) string { return callback }, Secret: func(news.Source) string { return "s" }}})
	look(t, w)
	if l, err := db.HubLease(context.Background(), theSource(t, db).ID); err != nil || l.Err == "" {
		t.Errorf("an inner hub: %+v, %v", l, err)
	}
	s.change(func() { s.head = `<atom:link rel="hub" href="` + hub.URL + `"/>`; s.touched++ })
	for _, callback = range []string{"http://10.0.0.7/x", "http://[::1]/x", "http://gazette/x", "http://169.254.1.1/x"} {
		look(t, w)
	}
	if asked != 0 {
		t.Errorf("asked to call where nobody can, %d times", asked)
	}
	callback = "https://gazette.example/y"
	look(t, w)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
