package source_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/ghosttest"
	"gazetted/internal/news"
	"gazetted/internal/source"
)

// ghostSite is a Ghost site with n posts, watched over the real store.
func ghostSite(t *testing.T, db *dbtest.DB, n int, change ...func(*news.Source)) (*ghosttest.Site, *source.Watcher) {
	t.Helper()
	site := ghosttest.Start(t)
	for i := range n {
		site.Publish(i+1, nil)
	}
	client, err := source.NewClient(source.ClientOptions{Now: db.Clock.Now, Allow: []string{"127.0.0.1/32"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	src := news.Source{Name: "site", Kind: news.SourceGhost, Location: site.URL, Secret: news.Hide(ghosttest.Key)}
	for _, f := range change {
		f(&src)
	}
	if _, err := db.AddSource(context.Background(), src); err != nil {
		t.Fatal(err)
	}
	return site, source.New(source.Options{Store: db, Client: client, Now: db.Clock.Now})
}

func TestGhostFirstRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		site, w := ghostSite(t, db, 120)
		site.Publish(121, map[string]any{"title": "Elsewhere", "canonical_url": "https://other.example.org/first/", "feature_image": nil, "tags": []int{3}, "custom_excerpt": "In short."})
		if got := look(t, w); got.New != 121 {
			t.Fatalf("first run %+v", got)
		}
		all := released(t, db)
		a, ok := all["Post 7 & more"]
		if !ok || len(all) != 100 { // as many as released lists
			t.Fatalf("%d articles", len(all))
		}
		if !a.Archive || a.URL != site.URL+"/post-7/" || a.Image == nil || a.Image.Alt != "A pier" || len(a.Authors) != 1 || a.Authors[0].Name != "Ines O'Dell" {
			t.Errorf("article %+v", a)
		}
		if len(a.Categories) != 1 || a.Categories[0].Name != "World" || len(a.Tags) != 1 || a.Tags[0].Name != "R&D" {
			t.Errorf("categories %+v, tags %+v", a.Categories, a.Tags)
		}
		if !strings.HasPrefix(a.Summary, "Body of post 7 with a link") || strings.Contains(a.ContentHTML, "script") || !strings.Contains(a.ContentHTML, site.URL+"/x/") {
			t.Errorf("summary %q, content %q", a.Summary, a.ContentHTML)
		}
		if e := all["Elsewhere"]; e.URL != "https://other.example.org/first/" || e.Summary != "In short." || len(e.Categories)+len(e.Tags) != 0 {
			t.Errorf("article %+v", e)
		}
		site.Asked("")
		db.Clock.Advance(time.Minute)
		if got := look(t, w); got != (news.StoreCounts{}) || site.Asked("formats=html") != 0 {
			t.Errorf("nothing changed: %+v", got)
		}
	})
}

// What an editor does is seen, although Ghost's updated_at does not tell all of it.
func TestWatch_19_GhostChanges(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*ghosttest.Site)
		noTags bool
		want   func(news.Article) bool
	}{
		{"edit", func(s *ghosttest.Site) {
			s.Publish(1, map[string]any{"title": "Mended", "updated_at": "2026-03-01T00:00:00.000+00:00"})
		}, false, func(a news.Article) bool { return a.Title == "Mended" && !a.UpdatedAt.IsZero() }},
		{"tags only", func(s *ghosttest.Site) { s.Publish(1, map[string]any{"tags": []int{2}}) }, false,
			func(a news.Article) bool { return len(a.Tags) == 0 && a.Categories[0].Name == "R&D" }},
		{"primary tag only", func(s *ghosttest.Site) { s.Publish(1, map[string]any{"tags": []int{2, 1, 3}}) }, false,
			func(a news.Article) bool { return a.Tags[0].Name == "World" && a.Categories[0].Name == "R&D" }},
		{"tag deleted", func(s *ghosttest.Site) { s.DeleteTag(2) }, false, func(a news.Article) bool { return len(a.Tags) == 0 }},
		{"tag deleted, sweep without tags", func(s *ghosttest.Site) { s.DeleteTag(2) }, true, func(a news.Article) bool { return len(a.Tags) == 0 }},
		{"tag renamed", func(s *ghosttest.Site) { s.SetTag(1, "The World", "public") }, false,
			func(a news.Article) bool {
				return a.Categories[0].Name == "The World" && a.Categories[0].Slug == "the-world"
			}},
		{"author renamed", func(s *ghosttest.Site) { s.SetAuthor(1, "Ines Ruiz") }, false, func(a news.Article) bool { return a.Authors[0].Name == "Ines Ruiz" }},
		{"slug", func(s *ghosttest.Site) {
			s.Publish(1, map[string]any{"slug": "other", "url": "https://news.example.org/other/"})
		}, false, func(a news.Article) bool { return a.URL == "https://news.example.org/other/" }},
		{"members only now", func(s *ghosttest.Site) { s.Publish(1, map[string]any{"visibility": "paid"}) }, false,
			func(a news.Article) bool {
				return a.Visibility == news.VisibilityMembers && a.ContentHTML == "" && a.Summary == ""
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := dbtest.SQLite(t)
			site, w := ghostSite(t, db, 1)
			site.NoTagsInBrief = tt.noTags
			look(t, w)
			before := released(t, db)
			tt.change(site)
			db.Clock.Advance(6 * time.Minute)
			look(t, w)
			for _, a := range released(t, db) {
				if !tt.want(a) || a.Seq != before["Post 1 & more"].Seq {
					t.Errorf("article %+v", a)
				}
			}
			db.Clock.Advance(6 * time.Minute)
			if got := look(t, w); got.Changed > 0 {
				t.Errorf("changes without end: %+v", got)
			}
		})
	}
}

// An old draft that is published now, and one among siblings of the same second.
func TestWatch_11_GhostSiblings(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		site, w := ghostSite(t, db, 0)
		for n := 10; n < 130; n++ {
			site.Publish(n, nil)
		}
		look(t, w)
		at := db.Clock.Now().Format(time.RFC3339)
		site.Publish(1, map[string]any{"published_at": at, "updated_at": "2025-01-01T00:00:00Z"}) // an id before all others
		site.Publish(200, map[string]any{"published_at": at})
		site.Publish(201, map[string]any{"published_at": at})
		db.Clock.Advance(time.Minute)
		if got := look(t, w); got.New != 3 {
			t.Errorf("found %+v, want 3 new", got)
		}
		db.Clock.Advance(time.Minute)
		for _, a := range released(t, db) {
			if slices.Contains([]string{"Post 1 & more", "Post 200 & more", "Post 201 & more"}, a.Title) == a.Archive {
				t.Errorf("%s: archive %v", a.Title, a.Archive)
			}
		}
	})
}

func TestWatch_20_GhostUnpublished(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		site, w := ghostSite(t, db, 3)
		look(t, w)
		site.Remove(2)
		if got := look(t, w); got.Withdrawn != 1 || len(released(t, db)) != 2 {
			t.Errorf("%+v", got)
		}
		site.Publish(2, nil)
		if got := look(t, w); got.Changed != 1 || !released(t, db)["Post 2 & more"].Archive {
			t.Errorf("back again: %+v", got)
		}
	})
}

// No odd answer empties a feed; each is a failure that says what it was, without the key.
func TestWatch_21_GhostFailures(t *testing.T) {
	db := dbtest.SQLite(t)
	site, w := ghostSite(t, db, 15)
	look(t, w)
	text := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"key revoked":    text(401, `{"errors":[{"message":"Unknown Content API Key"}]}`),
		"forbidden":      text(403, "<html>blocked</html>"),
		"challenge":      text(200, "<html>are you human?</html>"),
		"nothing":        text(200, ""),
		"other JSON":     text(200, `{"data":[]}`),
		"no meta":        text(200, `{"posts":[],"tags":[],"authors":[]}`),
		"empty list":     text(200, `{"posts":[],"tags":[],"authors":[],"meta":{"pagination":{"page":1,"pages":1,"total":0,"next":null}}}`),
		"odd posts":      text(200, `{"posts":[{"id":5}],"tags":[],"authors":[],"meta":{"pagination":{"page":1,"pages":1,"total":1,"next":null}}}`),
		"id of a filter": text(200, `{"posts":[{"id":"],visibility:[x"}],"tags":[],"authors":[],"meta":{"pagination":{"page":1,"pages":1,"total":1,"next":null}}}`),
		"endless list":   text(200, `{"posts":[],"tags":[],"authors":[],"meta":{"pagination":{"page":1,"pages":9,"total":1,"next":2}}}`),
		"error":          text(502, "bad gateway"),
		"maintenance":    text(503, `{"errors":[{"message":"maintenance"}]}`),
		"gone from list, page for people on the post": func(w http.ResponseWriter, r *http.Request) bool {
			switch q := r.URL.Query(); {
			case strings.HasSuffix(r.URL.Path, "/posts/") && strings.HasPrefix(q.Get("filter"), "id:"):
				fmt.Fprint(w, `{"posts":[],"meta":{"pagination":{"page":1,"pages":1,"total":0,"next":null}}}`)
			case strings.HasSuffix(r.URL.Path, "/posts/"):
				posts := []string{}
				for n := 2; n <= 15; n++ {
					posts = append(posts, fmt.Sprintf(`{"id":%q,"slug":"post-%d","visibility":"public","updated_at":"2026-01-02T08:04:05.000+00:00","tags":[{"id":%q},{"id":%q},{"id":%q}]}`,
						ghosttest.ID(n), n, ghosttest.ID(1), ghosttest.ID(2), ghosttest.ID(3)))
				}
				fmt.Fprint(w, `{"posts":[`+strings.Join(posts, ",")+`],"meta":{"pagination":{"page":1,"pages":1,"total":14,"next":null}}}`)
			case strings.Contains(r.URL.Path, "/posts/"):
				w.WriteHeader(404)
				fmt.Fprint(w, "<html>not found</html>")
			default:
				return false
			}
			return true
		},
	} {
		site.AnswerWith(answer)
		db.Clock.Advance(6 * time.Minute)
		_, err := w.Look(t.Context(), "site")
		if err == nil && !strings.HasPrefix(name, "gone from list") {
			t.Errorf("%s: no failure", name)
		}
		if err != nil && strings.Contains(err.Error(), ghosttest.Key) {
			t.Errorf("%s: the key is shown: %v", name, err)
		}
		if n := len(released(t, db)); n != 15 {
			t.Fatalf("%s: %d articles are left", name, n)
		}
	}
	site.AnswerWith(nil)
	for n := range 15 {
		if n > 2 {
			site.Remove(n)
		}
	}
	_, err := w.Look(t.Context(), "site")
	var held *source.HeldError
	if !errors.As(err, &held) || held.Gone != 12 {
		t.Errorf("a great loss: %v", err)
	}
	if _, err := w.Accept(t.Context(), "site"); err != nil || len(released(t, db)) != 3 {
		t.Errorf("accepted: %v, %d left", err, len(released(t, db)))
	}
	src, err := db.SourceByName(t.Context(), "site")
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal(src)
	if err != nil || strings.Contains(string(shown), ghosttest.Key) {
		t.Errorf("the key is shown: %s", shown)
	}
}

// Articles for members are shown with title and link, or left out; their body never.
func TestWatch_46_GhostMembers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		site, w := ghostSite(t, db, 2)
		for i, v := range []string{"members", "paid", "tiers", "filter"} {
			site.Publish(10+i, map[string]any{"visibility": v, "title": v, "html": "<p>Free part.</p><p>canary</p>", "custom_excerpt": "canary"})
		}
		look(t, w)
		all := released(t, db)
		for _, v := range []string{"members", "paid", "tiers", "filter"} {
			if a := all[v]; a.Title == "" || a.Visibility != news.VisibilityMembers || a.ContentHTML+a.Summary != "" {
				t.Errorf("%s: %+v", v, a)
			}
		}
		if _, err := db.AddSource(t.Context(), news.Source{Name: "strict", Kind: news.SourceGhost, Location: site.URL + "/", Secret: news.Hide(ghosttest.Key),
			Settings: news.SourceSettings{OmitMembers: true}}); err != nil {
			t.Fatal(err)
		}
		r, err := w.Look(t.Context(), "strict")
		if err != nil || r.Counts.New != 2 {
			t.Errorf("with members left out: %+v, %v", r, err)
		}
		site.Publish(2, map[string]any{"visibility": "paid"})
		if r, err = w.Look(t.Context(), "strict"); err != nil || r.Counts.Withdrawn != 1 {
			t.Errorf("members only now: %+v, %v", r, err)
		}
	})
}

// A large site is swept now and then, and asked for its newest between.
func TestGhostLargeSite(t *testing.T) {
	db := dbtest.SQLite(t)
	site, w := ghostSite(t, db, 1100)
	look(t, w)
	site.Asked("")
	db.Clock.Advance(time.Minute)
	look(t, w)
	if n := site.Asked("posts"); n != 2 {
		t.Errorf("%d requests for posts between sweeps", n)
	}
	site.Publish(500, map[string]any{"title": "Edited", "updated_at": "2026-03-01T00:00:00Z"})
	site.Publish(2000, map[string]any{"published_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}) // dated back: the total tells
	db.Clock.Advance(time.Minute)
	if got := look(t, w); got.New != 1 || got.Changed != 1 {
		t.Errorf("%+v", got)
	}
	site.Remove(3)
	site.Publish(2001, map[string]any{"published_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}) // the total is as before
	db.Clock.Advance(6 * time.Minute)
	if got := look(t, w); got.New != 1 || got.Withdrawn != 1 {
		t.Errorf("a sweep: %+v", got)
	}
}

func TestGhostFindsItsAPI(t *testing.T) {
	db := dbtest.SQLite(t)
	for _, path := range []string{"", "/", "/ghost/", "/ghost/#/settings", "/ghost/api/content/", "/ghost/api/content"} {
		site, w := ghostSite(t, db, 1, func(s *news.Source) { s.Location += path })
		look(t, w)
		if err := db.RemoveSource(t.Context(), "site"); err != nil {
			t.Fatal(err)
		}
		site.AnswerWith(func(rw http.ResponseWriter, r *http.Request) bool { // Ghost 4
			if strings.HasPrefix(r.URL.Path, "/ghost/api/content") {
				rw.WriteHeader(404)
				return true
			}
			r.URL.Path = strings.Replace(r.URL.Path, "/v4/", "/", 1)
			return false
		})
		if _, err := db.AddSource(t.Context(), news.Source{Name: "site", Kind: news.SourceGhost, Location: site.URL + "/?old", Secret: news.Hide(ghosttest.Key)}); err != nil {
			t.Fatal(err)
		}
		look(t, w)
		if err := db.RemoveSource(t.Context(), "site"); err != nil {
			t.Fatal(err)
		}
	}
	_, w := ghostSite(t, db, 1, func(s *news.Source) { s.Secret = news.Hidden{} })
	var field *news.FieldError
	if _, err := w.Look(t.Context(), "site"); !errors.As(err, &field) || field.Field != "key" {
		t.Errorf("without a key: %v", err)
	}
}
