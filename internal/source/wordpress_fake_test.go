package source

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fakeWP is a WordPress site as its REST API shows it.
type fakeWP struct {
	*httptest.Server
	mu    sync.Mutex
	posts map[int64]map[string]any
	// gone: what asking for one id answers, for posts that are not in the list.
	gone       map[int64]string // "trash" or "deleted"
	categories map[int64]map[string]any
	tags       map[int64]map[string]any
	users      map[int64]map[string]any
	media      map[int64]map[string]any
	// intercept, if set, may answer instead.
	intercept func(w http.ResponseWriter, r *http.Request) bool
	requests  []string
}

func newFakeWP(t *testing.T) *fakeWP {
	t.Helper()
	f := &fakeWP{posts: map[int64]map[string]any{}, gone: map[int64]string{}, categories: map[int64]map[string]any{},
		tags: map[int64]map[string]any{}, users: map[int64]map[string]any{}, media: map[int64]map[string]any{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	f.categories[1] = map[string]any{"id": 1, "name": "World", "slug": "world", "parent": 0}
	f.categories[2] = map[string]any{"id": 2, "name": "R&amp;D", "slug": "r-d", "parent": 1}
	f.tags[7] = map[string]any{"id": 7, "name": "C++", "slug": "c"}
	f.users[3] = map[string]any{"id": 3, "name": "Ines O&#8217;Dell", "url": "", "link": f.URL + "/author/ines/"}
	f.media[9] = map[string]any{
		"id": 9, "alt_text": "A pier &amp; boats", "mime_type": "image/jpeg", "source_url": f.URL + "/up/pier.jpg",
		"media_details": map[string]any{"width": 2400, "height": 1600, "filesize": 900000, "sizes": map[string]any{
			"large":  map[string]any{"width": 1024, "height": 683, "filesize": "80000", "mime_type": "image/jpeg", "source_url": f.URL + "/up/pier-1024.jpg"},
			"webp":   map[string]any{"width": 1200, "height": 800, "mime_type": "image/webp", "source_url": f.URL + "/up/pier-1200.webp"},
			"medium": map[string]any{"width": 300, "height": 200, "mime_type": "image/jpeg", "source_url": f.URL + "/up/pier-300.jpg"},
		}},
	}
	return f
}

// publish puts a post into the list; set changes its fields.
func (f *fakeWP) publish(id int64, set map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := map[string]any{
		"id": id, "date": "2026-01-02T03:04:05", "date_gmt": "2026-01-02T08:04:05", "modified": "2026-01-02T03:04:05", "modified_gmt": "2026-01-02T08:04:05",
		"slug": fmt.Sprintf("post-%d", id), "status": "publish", "link": fmt.Sprintf("%s/post-%d/", f.URL, id),
		"guid":  map[string]any{"rendered": fmt.Sprintf("%s/?p=%d", f.URL, id)},
		"title": map[string]any{"rendered": fmt.Sprintf("Post %d &#038; more", id)},
		"content": map[string]any{"protected": false, "rendered": fmt.Sprintf(
			`<p>Body of post %d with a <a href="/relative/">link</a>, long enough to be the lead of an article and then some more words to fill it up.</p><script>x</script>`, id)},
		"excerpt": map[string]any{"protected": false, "rendered": "<p>Body of post [&hellip;]</p>"},
		"author":  3, "featured_media": 9, "comment_status": "open", "categories": []int64{1, 2}, "tags": []int64{7},
	}
	if old, ok := f.posts[id]; ok {
		p = old
	}
	for k, v := range set {
		p[k] = v
	}
	f.posts[id] = p
	delete(f.gone, id)
}

// remove takes a post off the list.
func (f *fakeWP) remove(id int64, how string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.posts, id)
	f.gone[id] = how
}

// asked tells how many requests were for a path that contains part, since the last call.
func (f *fakeWP) asked(part string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if strings.Contains(r, part) {
			n++
		}
	}
	return n
}

func (f *fakeWP) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

func (f *fakeWP) answerWith(h func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.intercept = h
}

func (f *fakeWP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	intercept := f.intercept
	f.requests = append(f.requests, r.URL.String())
	f.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	route := strings.TrimPrefix(r.URL.Path, "/wp-json")
	if rr := r.URL.Query().Get("rest_route"); rr != "" {
		route = rr
	}
	route, ok := strings.CutPrefix(route, "/wp/v2/")
	if !ok {
		w.Header().Set("Link", "<"+f.URL+`/wp-json/>; rel="https://api.w.org/"`)
		fmt.Fprint(w, "<!DOCTYPE html><title>Home</title>")
		return
	}
	kind, one, single := strings.Cut(route, "/")
	all := map[string]map[int64]map[string]any{"posts": f.posts, "categories": f.categories, "tags": f.tags, "users": f.users, "media": f.media}[kind]
	if single {
		id, _ := strconv.ParseInt(one, 10, 64)
		f.single(w, all, id)
		return
	}
	f.list(w, r, all)
}

func (f *fakeWP) single(w http.ResponseWriter, all map[int64]map[string]any, id int64) {
	switch p, ok := all[id]; {
	case ok:
		writeJSON(w, http.StatusOK, p)
	case f.gone[id] == "trash":
		writeJSON(w, http.StatusUnauthorized, restFault("rest_forbidden", 401))
	default:
		writeJSON(w, http.StatusNotFound, restFault("rest_post_invalid_id", 404))
	}
}

func (f *fakeWP) list(w http.ResponseWriter, r *http.Request, all map[int64]map[string]any) {
	q := r.URL.Query()
	perPage, page := 10, 1
	if v := q.Get("per_page"); v != "" {
		perPage, _ = strconv.Atoi(v)
	}
	if v := q.Get("page"); v != "" {
		page, _ = strconv.Atoi(v)
	}
	if perPage < 1 || perPage > 100 {
		writeJSON(w, http.StatusBadRequest, restFault("rest_invalid_param", 400))
		return
	}
	var ids []int64
	for id := range all {
		if inc := q.Get("include"); inc == "" || slices.Contains(strings.Split(inc, ","), strconv.FormatInt(id, 10)) {
			ids = append(ids, id)
		}
	}
	order := q.Get("orderby")
	slices.SortFunc(ids, func(a, b int64) int {
		c := 0
		if order == "date" || order == "modified" {
			c = strings.Compare(fmt.Sprint(all[a][order]), fmt.Sprint(all[b][order]))
		}
		if c == 0 {
			c = int(a - b)
		}
		if q.Get("order") != "asc" {
			c = -c
		}
		return c
	})
	pages := (len(ids) + perPage - 1) / perPage
	if page > 1 && page > pages {
		writeJSON(w, http.StatusBadRequest, restFault("rest_post_invalid_page_number", 400))
		return
	}
	w.Header().Set("X-WP-Total", strconv.Itoa(len(ids)))
	w.Header().Set("X-WP-TotalPages", strconv.Itoa(pages))
	out := []map[string]any{}
	for _, id := range ids[min(len(ids), (page-1)*perPage):min(len(ids), page*perPage)] {
		item := map[string]any{}
		fields := strings.Split(q.Get("_fields"), ",")
		for k, v := range all[id] {
			if q.Get("_fields") == "" || slices.ContainsFunc(fields, func(s string) bool { return s == k || strings.HasPrefix(s, k+".") }) {
				item[k] = v
			}
		}
		out = append(out, item)
	}
	writeJSON(w, http.StatusOK, out)
}

func restFault(code string, status int) map[string]any {
	return map[string]any{"code": code, "message": "…", "data": map[string]any{"status": status}}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err) // the test server's own values
	}
}

func decodePosts(b []byte) ([]wpPost, error) {
	var posts []wpPost
	err := json.Unmarshal(b, &posts)
	return posts, err
}

func decodeMedia(b []byte, m *wpMedia) error { return json.Unmarshal(b, m) }
