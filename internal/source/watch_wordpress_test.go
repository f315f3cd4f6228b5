package source_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/source"
	"gazetted/internal/wptest"
)

func wpWatch(t *testing.T, db *dbtest.DB, posts int) (*wptest.Site, *source.Watcher) {
	t.Helper()
	f := wptest.Start(t)
	for id := range int64(posts) {
		publish(f, id+1, db.Clock.Now().Add(time.Duration(id-100)*time.Hour))
	}
	return f, watchSource(t, db, news.SourceWordPress, f.URL, func(s *news.SourceSettings) { s.Poll = news.Duration(10 * time.Minute) })
}

func publish(f *wptest.Site, id int64, at time.Time) {
	stamp := at.UTC().Format("2006-01-02T15:04:05")
	f.Publish(id, map[string]any{"date": stamp, "date_gmt": stamp, "modified": stamp, "modified_gmt": stamp})
}

// blockREST closes the API, as plugins and firewalls do; the feed stays open.
func blockREST(f *wptest.Site, answer func(w http.ResponseWriter)) {
	f.AnswerWith(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/wp-json") || r.URL.Query().Has("rest_route") {
			answer(w)
			return true
		}
		return false
	})
}

func TestWatch_36_WordPressFallsBackToItsFeed(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"login required": func(w http.ResponseWriter) {
			wptest.WriteJSON(w, http.StatusUnauthorized, wptest.Fault("rest_login_required", 401))
		},
		"firewall": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<html>Blocked</html>")
		},
		"challenge": func(w http.ResponseWriter) { fmt.Fprint(w, "<!doctype html><title>Just a moment…</title>") },
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
				f, w := wpWatch(t, db, 30)
				if got := look(t, w); got.New != 30 {
					t.Fatalf("first look %+v", got)
				}
				mailed(t, db)
				blockREST(f, answer)
				publish(f, 31, db.Clock.Now())
				if got, err := next(t, db, w); err != nil || got != (news.StoreCounts{New: 1}) {
					t.Fatalf("blocked: %+v, %v; want the new post from the feed", got, err)
				}
				src := theSource(t, db)
				if src.Look.Failures != 0 || !strings.Contains(strings.Join(src.Look.Notes, ""), "the feed is read instead") {
					t.Errorf("does not say so: %+v", src.Look)
				}
				if n := mailed(t, db); n != 1 {
					t.Errorf("%d are news", n)
				}
				a := released(t, db)["Post 31 & more"]
				if a.NativeID != "31" || len(a.Categories) != 2 || len(a.Tags) != 1 || a.Tags[0].Name != "C++" {
					t.Errorf("from the feed: %s, categories %v, tags %v", a.NativeID, a.Categories, a.Tags)
				}
				f.AnswerWith(nil)
				if got, err := next(t, db, w); err != nil || got.New != 0 || got.Withdrawn != 0 || got.Changed != 1 {
					t.Errorf("open again: %+v, %v; want the post read in full and nothing new", got, err)
				}
				b := released(t, db)["Post 31 & more"]
				if n := len(released(t, db)); n != 31 || b.Seq != a.Seq || b.Image == nil || !strings.Contains(b.Image.URL, "pier") {
					t.Errorf("%d articles; read in full: %+v", n, b)
				}
				if src := theSource(t, db); len(src.Look.Notes) != 0 {
					t.Errorf("still says %v", src.Look.Notes)
				}
			})
		})
	}
}

// A site that never opens its API is read through its feed from the start, all
// pages of it, and mails nothing of that.
func TestWatch_36_WordPressFeedOnly(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		f, w := wpWatch(t, db, 35)
		blockREST(f, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) })
		if got := look(t, w); got.New != 35 {
			t.Errorf("first look %+v", got)
		}
		publish(f, 36, db.Clock.Now())
		if got, err := next(t, db, w); err != nil || got.New != 1 {
			t.Errorf("news: %+v, %v", got, err)
		}
		if n := mailed(t, db); n != 1 || len(released(t, db)) != 36 {
			t.Errorf("%d of %d are news", n, len(released(t, db)))
		}
		f.Remove(36, "trash")
		f.AnswerWith(nil)
		if got, err := next(t, db, w); err != nil || got.New != 0 || got.Withdrawn != 1 {
			t.Errorf("opened: %+v, %v", got, err)
		}
		f.AnswerWith(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true })
		if _, err := next(t, db, w); err == nil || !strings.Contains(err.Error(), "and its feed") || len(released(t, db)) != 35 {
			t.Errorf("all closed: %v, %d articles", err, len(released(t, db)))
		}
	})
}

func TestWatch_05_WordPressNewIDsAreHeld(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		f, w := wpWatch(t, db, 8)
		look(t, w)
		mailed(t, db)
		// The site is imported anew: the same posts under other ids.
		for id := range int64(8) {
			old := f.Posts[id+1]
			f.Remove(id+1, "deleted")
			set := map[string]any{}
			for k, v := range old {
				if k != "id" {
					set[k] = v
				}
			}
			f.Publish(id+1001, set)
		}
		got, err := next(t, db, w)
		if renamed := as[*source.IdentityError](err); renamed == nil || got != (news.StoreCounts{}) {
			t.Fatalf("%+v, %v; want it held", got, err)
		}
		r, err := w.Accept(context.Background(), "site")
		if err != nil || r.Counts.New != 0 || r.Counts.Withdrawn != 0 {
			t.Errorf("accepted: %+v, %v", r.Counts, err)
		}
		all := released(t, db)
		if n := mailed(t, db); n != 0 || len(all) != 8 || all["Post 3 & more"].NativeID != "1003" {
			t.Errorf("%d of %d would be mailed again; %+v", n, len(all), all["Post 3 & more"])
		}
		if got, err := next(t, db, w); err != nil || got != (news.StoreCounts{}) {
			t.Errorf("afterwards: %+v, %v", got, err)
		}
	})
}

func TestWatch_35_WordPressMoves(t *testing.T) {
	db := dbtest.SQLite(t)
	f, w := wpWatch(t, db, 3)
	look(t, w)
	to := wptest.Start(t)
	for id := range int64(3) {
		publish(to, id+1, db.Clock.Now().Add(time.Duration(id-100)*time.Hour))
	}
	f.AnswerWith(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, to.URL+r.URL.RequestURI(), http.StatusMovedPermanently)
		return true
	})
	for n := 0; n < 200 && theSource(t, db).Location == f.URL; n++ {
		if _, err := next(t, db, w); err != nil {
			t.Fatal(err)
		}
	}
	if src := theSource(t, db); src.Location != to.URL {
		t.Fatalf("not moved: %+v", src)
	}
	f.Close()
	publish(to, 4, db.Clock.Now())
	if got, err := next(t, db, w); err != nil || got.New != 1 || mailed(t, db) != 1 {
		t.Errorf("at the new place: %+v, %v, %d articles", got, err, len(released(t, db)))
	}
}
