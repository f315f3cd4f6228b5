package source

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

	"gazetted/internal/news"
	"gazetted/internal/wptest"
)

// wpSite is a fake site with n posts, its store and its watcher.
func wpSite(t *testing.T, n int) (*wptest.Site, *memStore, *Watcher) {
	t.Helper()
	f := wptest.Start(t)
	for id := range int64(n) {
		f.Publish(id+1, nil)
	}
	m := newMemStore(news.Source{Name: "site", Kind: news.SourceWordPress, Location: f.URL, Settings: news.SourceSettings{Settle: news.Duration(30 * time.Second)}})
	return f, m, newTestWatcher(t, m)
}

func mustLook(t *testing.T, w *Watcher, name string) Report {
	t.Helper()
	r, err := w.Look(context.Background(), name)
	if err != nil {
		t.Fatalf("look: %v", err)
	}
	return r
}

func TestWordPressFirstRun(t *testing.T) {
	f, m, w := wpSite(t, 250)
	if got := mustLook(t, w, "site").Counts; got.New != 250 {
		t.Fatalf("counts %+v, want 250 new", got)
	}
	if m.sources["site"].ActivatedAt.IsZero() {
		t.Error("not activated after the whole backfill")
	}
	if f.Asked("/users") != 1 || f.Asked("/media") != 3 {
		t.Errorf("%d requests for users and %d for media, want one for the only author and one per page of posts", f.Asked("/users"), f.Asked("/media"))
	}
	got := m.found["42"]
	if got.Title != "Post 42 & more" || got.URL != f.URL+"/post-42/" || got.GUID != f.URL+"/?p=42" || got.CommentsURL != f.URL+"/post-42/#comments" {
		t.Errorf("article %+v", got)
	}
	if !got.PublishedAt.Equal(time.Date(2026, 1, 2, 8, 4, 5, 0, time.UTC)) || !got.UpdatedAt.IsZero() {
		t.Errorf("published %v, updated %v", got.PublishedAt, got.UpdatedAt)
	}
	if len(got.Authors) != 1 || got.Authors[0].Name != "Ines O’Dell" {
		t.Errorf("authors %+v", got.Authors)
	}
	if got.Image == nil || got.Image.URL != f.URL+"/up/pier-1024.jpg" || got.Image.Width != 1024 || got.Image.Bytes != 80000 || got.Image.Alt != "A pier & boats" {
		t.Errorf("image %+v", got.Image)
	}
	if names := termNames(got, news.KindCategory); !slices.Equal(names, []string{"R&D", "World"}) {
		t.Errorf("categories %v", names)
	}
	if r := m.terms["category2"]; r.ParentNativeID != "1" || r.Name != "R&D" {
		t.Errorf("stored term %+v", r)
	}
	if !strings.Contains(got.ContentHTML, f.URL+"/relative/") || strings.Contains(got.ContentHTML, "script") {
		t.Errorf("content %q", got.ContentHTML)
	}
	if !strings.HasPrefix(got.Summary, "Body of post 42 with a link, long enough") {
		t.Errorf("summary %q", got.Summary)
	}
	f.Forget()
	if got := mustLook(t, w, "site").Counts; got != (news.StoreCounts{}) {
		t.Errorf("second look %+v, want nothing", got)
	}
	if f.Asked("title") != 0 {
		t.Error("the second look fetched posts in full")
	}
}

func TestWordPressFirstRunGoesOnAfterAFailure(t *testing.T) {
	f, m, w := wpSite(t, 250)
	full := 0
	f.AnswerWith(func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.RawQuery, "content") {
			if full++; full == 2 {
				rw.WriteHeader(http.StatusBadGateway)
				return true
			}
		}
		return false
	})
	if _, err := w.Look(context.Background(), "site"); err == nil {
		t.Fatal("a 502 did not fail the look")
	}
	if n := len(m.found); n != 100 || !m.sources["site"].ActivatedAt.IsZero() {
		t.Fatalf("%d stored, activated %v; want the first page only, not activated", n, m.sources["site"].ActivatedAt)
	}
	if got := mustLook(t, w, "site").Counts; got.New != 150 {
		t.Errorf("counts %+v, want the other 150", got)
	}
	if m.sources["site"].ActivatedAt.IsZero() {
		t.Error("not activated")
	}
}

func TestWordPressFirstRunPausesWhenItsTimeIsUp(t *testing.T) {
	f, m, _ := wpSite(t, 250)
	now := testNow()
	f.AnswerWith(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.RawQuery, "content") {
			now = now.Add(lookBudget)
		}
		return false
	})
	w := New(Options{Store: m, Client: testClient(t), Now: func() time.Time { return now }})
	src, _ := m.SourceByName(context.Background(), "site")
	res, err := w.lookAt(context.Background(), src, false)
	if err != nil || !res.more || len(m.found) == 250 || !m.sources["site"].ActivatedAt.IsZero() {
		t.Fatalf("res %+v err %v, %d found: want a pause before the end", res, err, len(m.found))
	}
	if got := mustLook(t, w, "site").Counts; len(m.found) != 250 {
		t.Errorf("counts %+v, %d found: want all in the end", got, len(m.found))
	}
}

func TestWordPressChanges(t *testing.T) {
	tests := []struct {
		name string
		set  map[string]any
	}{
		{"edit", map[string]any{"modified_gmt": "2026-02-01T00:00:00", "title": map[string]any{"rendered": "New"}}},
		{"terms only", map[string]any{"tags": []int64{}}},
		{"slug only", map[string]any{"slug": "other", "link": "https://news.example.org/other/"}},
		{"image only", map[string]any{"featured_media": 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, m, w := wpSite(t, 5)
			mustLook(t, w, "site")
			before := m.found["3"]
			f.Publish(3, tt.set)
			if got := mustLook(t, w, "site").Counts; got != (news.StoreCounts{Changed: 1}) {
				t.Errorf("counts %+v, want one change", got)
			}
			if after := m.found["3"]; after.Hash == before.Hash {
				t.Error("the hash did not change")
			}
		})
	}
}

func TestWordPressNew(t *testing.T) {
	f, m, w := wpSite(t, 5)
	mustLook(t, w, "site")
	f.Publish(6, map[string]any{"date_gmt": "2019-01-01T00:00:00", "modified_gmt": "2019-01-01T00:00:00", "categories": []int64{1}, "tags": nil})
	if got := mustLook(t, w, "site").Counts; got.New != 1 {
		t.Fatalf("a back-dated post: counts %+v", got)
	}
	look := m.sources["site"].Look
	if wait := look.NextAt.Sub(testNow()); wait != 20*time.Second {
		t.Errorf("next look after %v, want two thirds of the settle delay", wait)
	}
	// Its categories come a moment after it, without a new modified date.
	f.Publish(6, map[string]any{"categories": []int64{2}})
	if got := mustLook(t, w, "site").Counts; got.Changed != 1 || !slices.Equal(termNames(m.found["6"], news.KindCategory), []string{"R&D"}) {
		t.Errorf("counts %+v, categories %v", got, termNames(m.found["6"], news.KindCategory))
	}
}

func TestWordPressRemoval(t *testing.T) {
	f, m, w := wpSite(t, 10)
	mustLook(t, w, "site")
	f.Remove(2, "trash")
	f.Remove(5, "deleted")
	if got := mustLook(t, w, "site").Counts; got.Withdrawn != 2 {
		t.Fatalf("counts %+v, want 2 withdrawn", got)
	}
	if live := m.live(); slices.Contains(live, "2") || slices.Contains(live, "5") || len(live) != 8 {
		t.Errorf("live %v", live)
	}
	f.Publish(2, nil) // out of the trash and published again, unchanged
	if got := mustLook(t, w, "site").Counts; got.Changed != 1 || !slices.Contains(m.live(), "2") {
		t.Errorf("counts %+v after republishing", got)
	}
}

func TestWordPressOddAnswersRemoveNothing(t *testing.T) {
	page := func(w http.ResponseWriter, status int) bool {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprint(w, "<html><body>Checking your browser</body></html>")
		return true
	}
	isList := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/posts") }
	isOne := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/posts/") }
	tests := []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request) bool
	}{
		{"empty list", func(w http.ResponseWriter, r *http.Request) bool {
			if isList(r) {
				fmt.Fprint(w, "[]")
			}
			return isList(r)
		}},
		{"challenge page with 200", func(w http.ResponseWriter, r *http.Request) bool { return isList(r) && page(w, 200) }},
		{"403 page", func(w http.ResponseWriter, r *http.Request) bool { return isList(r) && page(w, 403) }},
		{"login required", func(w http.ResponseWriter, r *http.Request) bool {
			if isList(r) {
				wptest.WriteJSON(w, 401, wptest.Fault("rest_login_required", 401))
			}
			return isList(r)
		}},
		{"401 on the list", func(w http.ResponseWriter, r *http.Request) bool {
			if isList(r) {
				wptest.WriteJSON(w, 401, wptest.Fault("rest_forbidden", 401))
			}
			return isList(r)
		}},
		{"other JSON", func(w http.ResponseWriter, r *http.Request) bool {
			if isList(r) {
				fmt.Fprint(w, `{"a":1}`)
			}
			return isList(r)
		}},
		{"cut short", func(w http.ResponseWriter, r *http.Request) bool {
			if isList(r) {
				w.Header().Set("Content-Length", "5000")
				fmt.Fprint(w, `[{"id":1`)
			}
			return isList(r)
		}},
		{"500", func(w http.ResponseWriter, r *http.Request) bool { return page(w, 500) }},
		{"page for one post", func(w http.ResponseWriter, r *http.Request) bool { return isOne(r) && page(w, 200) }},
		{"403 page for one post", func(w http.ResponseWriter, r *http.Request) bool { return isOne(r) && page(w, 403) }},
		{"login required for one post", func(w http.ResponseWriter, r *http.Request) bool {
			if isOne(r) {
				wptest.WriteJSON(w, 401, wptest.Fault("rest_login_required", 401))
			}
			return isOne(r)
		}},
		{"no such route", func(w http.ResponseWriter, r *http.Request) bool {
			if isOne(r) {
				wptest.WriteJSON(w, 404, wptest.Fault("rest_no_route", 404))
			}
			return isOne(r)
		}},
		{"503 for one post", func(w http.ResponseWriter, r *http.Request) bool { return isOne(r) && page(w, 503) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, m, w := wpSite(t, 10)
			mustLook(t, w, "site")
			f.Remove(4, "trash")
			f.AnswerWith(func(w http.ResponseWriter, r *http.Request) bool { // its feed is no way out
				return strings.Contains(r.URL.String(), "feed") && page(w, 403) || tt.answer(w, r)
			})
			_, err := w.Look(context.Background(), "site")
			if err == nil {
				t.Fatal("the look succeeded")
			}
			if strings.Contains(err.Error(), "Checking your browser") {
				t.Errorf("the error shows the answer's body: %v", err)
			}
			if n := len(m.live()); n != 10 {
				t.Errorf("%d articles left of 10", n)
			}
			if l := m.sources["site"].Look; l.Failures != 1 || l.Err == "" {
				t.Errorf("look %+v", l)
			}
			f.AnswerWith(nil)
			if got := mustLook(t, w, "site").Counts; got.Withdrawn != 1 || m.sources["site"].Look.Failures != 0 {
				t.Errorf("after recovery: %+v", got)
			}
		})
	}
}

func TestWordPressListCutShort(t *testing.T) {
	// A page of the list goes missing, but the posts are there: nothing happens.
	f, m, w := wpSite(t, 205)
	mustLook(t, w, "site")
	f.AnswerWith(func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.RawQuery, "page=3&") {
			fmt.Fprint(rw, "[]")
			return true
		}
		return false
	})
	if got := mustLook(t, w, "site").Counts; got != (news.StoreCounts{}) || len(m.live()) != 205 {
		t.Errorf("counts %+v, %d live", got, len(m.live()))
	}
}

func TestWordPressDropIsHeld(t *testing.T) {
	f, m, w := wpSite(t, 40)
	mustLook(t, w, "site")
	for id := range int64(20) {
		f.Remove(id+1, "trash")
	}
	f.Publish(41, nil)
	_, err := w.Look(context.Background(), "site")
	var held *HeldError
	if !errors.As(err, &held) || held.Gone != 20 || held.Known != 40 {
		t.Fatalf("err %v, want a HeldError", err)
	}
	if n := len(m.live()); n != 41 {
		t.Errorf("%d live, want all 40 and the new one", n)
	}
	if wait := m.sources["site"].Look.NextAt.Sub(testNow()); wait != time.Minute {
		t.Errorf("next look after %v, want the usual interval", wait)
	}
	r, err := w.Accept(context.Background(), "site")
	if err != nil || r.Counts.Withdrawn != 20 {
		t.Errorf("accepting: %+v, %v", r.Counts, err)
	}
}

func TestWordPressDropOfALargeSite(t *testing.T) {
	f, m, w := wpSite(t, wpSweepAlways+50)
	mustLook(t, w, "site")
	for id := range int64(400) {
		f.Remove(id+1, "trash")
	}
	for i := range 2 {
		var held *HeldError
		if _, err := w.Look(context.Background(), "site"); !errors.As(err, &held) {
			t.Errorf("look %d: %v; the alarm must not go away by itself between sweeps", i, err)
		}
	}
	withdrawn := 0
	for range 3 { // wpCheckOne in each
		r, err := w.Accept(context.Background(), "site")
		if err != nil {
			t.Fatal(err)
		}
		withdrawn += r.Counts.Withdrawn
	}
	if withdrawn != 400 || len(m.live()) != 650 {
		t.Errorf("%d withdrawn, %d live", withdrawn, len(m.live()))
	}
}

func TestWordPressOddPosts(t *testing.T) {
	f, m, w := wpSite(t, 0)
	f.Publish(1, map[string]any{"title": map[string]any{"rendered": ""}, "content": map[string]any{"rendered": "<p>No title was given to this one by the editor, who was in a hurry.</p>"}})
	f.Publish(2, map[string]any{"title": map[string]any{"rendered": "Briefing"}, "content": map[string]any{"rendered": "<form>secret</form>", "protected": true}, "excerpt": map[string]any{"rendered": "secret", "protected": true}})
	f.Publish(3, map[string]any{"title": "A plugin's title", "categories": nil, "tags": map[string]any{}, "author": nil, "featured_media": false})
	f.Publish(4, map[string]any{"date_gmt": "0000-00-00T00:00:00", "date": "2026-01-02T03:00:00"})
	f.Publish(5, map[string]any{"excerpt": map[string]any{"rendered": "<p>What the editor wrote.</p>"}})
	f.Publish(6, map[string]any{"link": "javascript:alert(1)"})
	f.Publish(7, map[string]any{"featured_media": 0, "content": map[string]any{"rendered": `<p>Text</p><img src="/in.png" alt="In">`}})
	f.Publish(8, map[string]any{"featured_media": 0, "yoast_head_json": map[string]any{"og_image": []any{map[string]any{"url": "https://cdn.example.org/og.jpg", "width": 1200, "height": 630}}}})
	f.Publish(9, map[string]any{"link": 5})
	r := mustLook(t, w, "site")
	if got := m.found["1"].Title; got != "No title was given to this one by the editor…" {
		t.Errorf("empty title became %q", got)
	}
	if p := m.found["2"]; p.Visibility != news.VisibilityPassword || p.ContentHTML != "" || p.Summary != "" || p.Title != "Briefing" {
		t.Errorf("protected %+v", p)
	}
	if p := m.found["3"]; p.Title != "A plugin's title" || len(p.Terms) != 0 || p.Image != nil {
		t.Errorf("plugin's post %+v", p)
	}
	if p := m.found["4"]; !p.PublishedAt.Equal(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)) {
		t.Errorf("local date read as %v", p.PublishedAt)
	}
	if p := m.found["5"]; p.Summary != "What the editor wrote." {
		t.Errorf("summary %q", p.Summary)
	}
	if p := m.found["7"]; p.Image == nil || p.Image.URL != f.URL+"/in.png" {
		t.Errorf("content image %+v", p.Image)
	}
	if p := m.found["8"]; p.Image == nil || p.Image.URL != "https://cdn.example.org/og.jpg" {
		t.Errorf("og:image %+v", p.Image)
	}
	if len(m.found) != 7 || len(r.Notes) != 3 {
		t.Errorf("%d articles, notes %q", len(m.found), r.Notes)
	}
}

func TestWordPressUsersHidden(t *testing.T) {
	f, m, w := wpSite(t, 3)
	f.AnswerWith(func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/users") {
			wptest.WriteJSON(rw, 401, wptest.Fault("rest_user_cannot_view", 401))
			return true
		}
		return false
	})
	r := mustLook(t, w, "site")
	if len(m.found) != 3 || len(m.found["1"].Authors) != 0 || len(r.Notes) != 1 {
		t.Errorf("%d articles, notes %q", len(m.found), r.Notes)
	}
}

func TestWordPressTermRename(t *testing.T) {
	f, m, _ := wpSite(t, 3)
	now := testNow()
	w := New(Options{Store: m, Client: testClient(t), Now: func() time.Time { return now }})
	mustLook(t, w, "site")
	f.Mu.Lock()
	f.Categories[1]["name"], f.Categories[1]["slug"] = "The World", "the-world"
	f.Mu.Unlock()
	now = now.Add(wpTermsEvery)
	if got := mustLook(t, w, "site").Counts; got != (news.StoreCounts{}) {
		t.Errorf("a rename changed articles: %+v", got)
	}
	if r := m.terms["category1"]; r.Name != "The World" || r.Slug != "the-world" {
		t.Errorf("term %+v", r)
	}
}

func TestWordPressLargeSite(t *testing.T) {
	f, m, _ := wpSite(t, wpSweepAlways+50)
	now := testNow()
	w := New(Options{Store: m, Client: testClient(t), Now: func() time.Time { return now }})
	mustLook(t, w, "site")
	f.Forget()
	mustLook(t, w, "site")
	if n := f.Asked("/posts"); n != 2 {
		t.Errorf("%d requests for posts between sweeps, want 2", n)
	}
	f.Publish(5000, map[string]any{"date_gmt": "2010-01-01T00:00:00", "date": "2010-01-01T00:00:00", "modified": "2010-01-01T00:00:00", "modified_gmt": "2010-01-01T00:00:00"})
	if got := mustLook(t, w, "site").Counts; got.New != 1 {
		t.Errorf("a back-dated post changes the total: %+v", got)
	}
	// Its terms arrive late, far from the newest by any date.
	f.Publish(5000, map[string]any{"categories": []int64{2}})
	if got := mustLook(t, w, "site").Counts; got.Changed != 1 {
		t.Errorf("late terms: %+v", got)
	}
	f.Publish(600, map[string]any{"slug": "silently-changed", "link": f.URL + "/silently-changed/"})
	if got := mustLook(t, w, "site").Counts; got.Changed != 0 {
		t.Errorf("an old post changed silently and was seen between sweeps: %+v", got)
	}
	now = now.Add(wpSweepEvery)
	if got := mustLook(t, w, "site").Counts; got.Changed != 1 {
		t.Errorf("the sweep did not see it: %+v", got)
	}
}

func TestWordPressLargePosts(t *testing.T) {
	f, m, _ := wpSite(t, 0)
	for id := range int64(8) {
		f.Publish(id+1, map[string]any{"content": map[string]any{"rendered": "<p>" + strings.Repeat("long ", 6000) + "</p>"}})
	}
	c, err := NewClient(ClientOptions{Allow: []string{"127.0.0.1"}, MaxBody: 100_000, Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := New(Options{Store: m, Client: c, Now: testNow})
	if got := mustLook(t, w, "site").Counts; got.New != 8 {
		t.Errorf("counts %+v", got)
	}
}

func TestFindAPI(t *testing.T) {
	f := wptest.Start(t)
	f.Publish(1, nil)
	c := testClient(t)
	noLink := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/" && r.URL.RawQuery == "" {
			fmt.Fprint(w, "<p>Home")
			return true
		}
		return false
	}
	tests := []struct {
		name, location, want string
		answer               func(w http.ResponseWriter, r *http.Request) bool
	}{
		{"link header", f.URL, f.URL + "/wp-json/", nil},
		{"given", f.URL + "/wp-json", f.URL + "/wp-json/", nil},
		{"given with route", f.URL + "/wp-json/wp/v2/posts?x=1", f.URL + "/wp-json/", nil},
		{"usual place", f.URL, f.URL + "/wp-json/", noLink},
		{"link element", f.URL, f.URL + "/wp-json/", func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/" {
				fmt.Fprint(w, `<link rel="https://api.w.org/" href="/wp-json/">`)
			}
			return r.URL.Path == "/"
		}},
		{"plain permalinks", f.URL + "/", f.URL + "/?rest_route=/", func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/wp-json") {
				w.WriteHeader(404)
				return true
			}
			return noLink(w, r)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.AnswerWith(tt.answer)
			got, err := findAPI(context.Background(), c, tt.location)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	f.AnswerWith(func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "<p>Not WordPress"); return true })
	if got, err := findAPI(context.Background(), c, f.URL); err == nil {
		t.Errorf("found %q on a site that is not WordPress", got)
	}
}

func TestWordPressMovedAPI(t *testing.T) {
	f, m, w := wpSite(t, 3)
	mustLook(t, w, "site")
	f.AnswerWith(func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/wp-json") {
			rw.WriteHeader(404)
			return true
		}
		return false
	})
	if got := mustLook(t, w, "site").Counts; got != (news.StoreCounts{}) || !strings.Contains(m.sources["site"].Look.Cursor, "rest_route") {
		t.Errorf("counts %+v, cursor %s", got, m.sources["site"].Look.Cursor)
	}
}

func FuzzWordPressPost(f *testing.F) {
	f.Add(`{"id":1,"date_gmt":"2026-01-02T08:04:05","link":"https://a.example/1","title":{"rendered":"a &amp; b"},"content":{"rendered":"<p>x</p>","protected":false},"categories":[1],"featured_media":9}`)
	f.Add(`{"id":"x","title":5,"categories":{"a":1},"media_details":[]}`)
	f.Add(`{"id":2,"lang":["en"],"yoast_head_json":{"og_image":[5]},"excerpt":{"rendered":"x […]"}}`)
	c := NewCleaner()
	f.Fuzz(func(t *testing.T, in string) {
		l := &wpLook{job: &job{now: testNow}, cleaner: c, zone: time.UTC, terms: map[int64]wpTerm{}, users: map[int64]wpUser{}}
		posts, _ := decodePosts([]byte("[" + in + "]"))
		for i := range posts {
			found := l.article(&posts[i], nil)
			seal(&found)
			_ = posts[i].brief().fingerprint()
			if found.Title == "" && webURL(found.URL) {
				t.Errorf("no title in %+v", found)
			}
		}
		var m wpMedia
		if decodeMedia([]byte(in), &m) == nil {
			_ = m.image()
		}
	})
}

func decodePosts(b []byte) ([]wpPost, error) {
	var posts []wpPost
	err := json.Unmarshal(b, &posts)
	return posts, err
}

func decodeMedia(b []byte, m *wpMedia) error { return json.Unmarshal(b, m) }
