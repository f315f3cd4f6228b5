// Package wptest is a WordPress site for tests, as its REST API shows it: paging
// with X-WP-Total, a 400 past the end, 401 for what is in the trash, names and
// titles with entities.
package wptest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Site is a WordPress site as its REST API shows it.
type Site struct {
	*httptest.Server
	// Mu guards the maps, which a test may change.
	Mu    sync.Mutex
	Posts map[int64]map[string]any
	// Gone: what asking for one id answers, for posts that are not in the list.
	Gone       map[int64]string // "trash" or "deleted"
	Categories map[int64]map[string]any
	Tags       map[int64]map[string]any
	Users      map[int64]map[string]any
	Media      map[int64]map[string]any
	// intercept, if set, may answer instead.
	intercept func(w http.ResponseWriter, r *http.Request) bool
	requests  []string
}

// Start serves a site with some terms, an author and a picture, and no posts.
func Start(t testing.TB) *Site {
	t.Helper()
	f := &Site{Posts: map[int64]map[string]any{}, Gone: map[int64]string{}, Categories: map[int64]map[string]any{},
		Tags: map[int64]map[string]any{}, Users: map[int64]map[string]any{}, Media: map[int64]map[string]any{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	f.Categories[1] = map[string]any{"id": 1, "name": "World", "slug": "world", "parent": 0}
	f.Categories[2] = map[string]any{"id": 2, "name": "R&amp;D", "slug": "r-d", "parent": 1}
	f.Tags[7] = map[string]any{"id": 7, "name": "C++", "slug": "c"}
	f.Users[3] = map[string]any{"id": 3, "name": "Ines O&#8217;Dell", "url": "", "link": f.URL + "/author/ines/"}
	f.Media[9] = map[string]any{
		"id": 9, "alt_text": "A pier &amp; boats", "mime_type": "image/jpeg", "source_url": f.URL + "/up/pier.jpg",
		"media_details": map[string]any{"width": 2400, "height": 1600, "filesize": 900000, "sizes": map[string]any{
			"large":  map[string]any{"width": 1024, "height": 683, "filesize": "80000", "mime_type": "image/jpeg", "source_url": f.URL + "/up/pier-1024.jpg"},
			"webp":   map[string]any{"width": 1200, "height": 800, "mime_type": "image/webp", "source_url": f.URL + "/up/pier-1200.webp"},
			"medium": map[string]any{"width": 300, "height": 200, "mime_type": "image/jpeg", "source_url": f.URL + "/up/pier-300.jpg"},
		}},
	}
	return f
}

// Publish puts a post into the list; set changes its fields.
func (f *Site) Publish(id int64, set map[string]any) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
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
	if old, ok := f.Posts[id]; ok {
		p = old
	}
	for k, v := range set {
		p[k] = v
	}
	f.Posts[id] = p
	delete(f.Gone, id)
}

// Remove takes a post off the list.
func (f *Site) Remove(id int64, how string) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	delete(f.Posts, id)
	f.Gone[id] = how
}

// Asked tells how many requests were for a path that contains part, since the last call.
func (f *Site) Asked(part string) int {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// Forget forgets the requests so far.
func (f *Site) Forget() {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.requests = nil
}

// AnswerWith lets h answer first; it returns false for what it leaves to the site.
func (f *Site) AnswerWith(h func(w http.ResponseWriter, r *http.Request) bool) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.intercept = h
}

// ServeHTTP answers as WordPress does.
func (f *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Mu.Lock()
	intercept := f.intercept
	f.requests = append(f.requests, r.URL.String())
	f.Mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	f.Mu.Lock()
	defer f.Mu.Unlock()
	route := strings.TrimPrefix(r.URL.Path, "/wp-json")
	if rr := r.URL.Query().Get("rest_route"); rr != "" {
		route = rr
	}
	if strings.HasSuffix(r.URL.Path, "/feed/") || r.URL.Query().Get("feed") == "rss2" {
		f.feed(w, r)
		return
	}
	route, ok := strings.CutPrefix(route, "/wp/v2/")
	if !ok {
		w.Header().Set("Link", "<"+f.URL+`/wp-json/>; rel="https://api.w.org/"`)
		fmt.Fprint(w, "<!DOCTYPE html><title>Home</title>")
		return
	}
	kind, one, single := strings.Cut(route, "/")
	all := map[string]map[int64]map[string]any{"posts": f.Posts, "categories": f.Categories, "tags": f.Tags, "users": f.Users, "media": f.Media}[kind]
	if single {
		id, _ := strconv.ParseInt(one, 10, 64)
		f.single(w, all, id)
		return
	}
	f.list(w, r, all)
}

func (f *Site) single(w http.ResponseWriter, all map[int64]map[string]any, id int64) {
	switch p, ok := all[id]; {
	case ok:
		WriteJSON(w, http.StatusOK, p)
	case f.Gone[id] == "trash":
		WriteJSON(w, http.StatusUnauthorized, Fault("rest_forbidden", 401))
	default:
		WriteJSON(w, http.StatusNotFound, Fault("rest_post_invalid_id", 404))
	}
}

func (f *Site) list(w http.ResponseWriter, r *http.Request, all map[int64]map[string]any) {
	q := r.URL.Query()
	perPage, page := 10, 1
	if v := q.Get("per_page"); v != "" {
		perPage, _ = strconv.Atoi(v)
	}
	if v := q.Get("page"); v != "" {
		page, _ = strconv.Atoi(v)
	}
	if perPage < 1 || perPage > 100 {
		WriteJSON(w, http.StatusBadRequest, Fault("rest_invalid_param", 400))
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
		WriteJSON(w, http.StatusBadRequest, Fault("rest_post_invalid_page_number", 400))
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
	WriteJSON(w, http.StatusOK, out)
}

// feed is the site's RSS: ten posts by date, categories and tags mixed, and the
// older ones with ?paged=.
func (f *Site) feed(w http.ResponseWriter, r *http.Request) {
	ids := slices.Collect(maps.Keys(f.Posts))
	slices.SortFunc(ids, func(a, b int64) int {
		return cmp.Or(strings.Compare(fmt.Sprint(f.Posts[b]["date_gmt"]), fmt.Sprint(f.Posts[a]["date_gmt"])), int(b-a))
	})
	page, err := strconv.Atoi(r.URL.Query().Get("paged"))
	if err != nil {
		page = 1
	}
	if page > 1 && (page-1)*10 >= len(ids) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/rss+xml; charset=UTF-8")
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Site</title><link>%s</link><generator>https://wordpress.org/?v=6.5.5</generator>`, f.URL)
	for _, id := range ids[min(len(ids), (page-1)*10):min(len(ids), page*10)] {
		p := f.Posts[id]
		rendered := func(field string) string {
			m, _ := p[field].(map[string]any)
			return fmt.Sprint(m["rendered"])
		}
		at, _ := time.Parse("2006-01-02T15:04:05", fmt.Sprint(p["date_gmt"]))
		fmt.Fprintf(w, `<item><title>%s</title><link>%s</link><dc:creator><![CDATA[Ines]]></dc:creator><pubDate>%s</pubDate><guid isPermaLink="false">%s</guid>`,
			html.EscapeString(rendered("title")), p["link"], at.Format(time.RFC1123Z), html.EscapeString(rendered("guid")))
		for kind, terms := range map[string]map[int64]map[string]any{"categories": f.Categories, "tags": f.Tags} {
			list, _ := p[kind].([]int64)
			for _, t := range list {
				fmt.Fprintf(w, `<category><![CDATA[%s]]></category>`, html.UnescapeString(fmt.Sprint(terms[t]["name"])))
			}
		}
		fmt.Fprintf(w, `<content:encoded><![CDATA[%s]]></content:encoded></item>`, rendered("content"))
	}
	fmt.Fprint(w, `</channel></rss>`)
}

// Fault is the body of a REST error.
func Fault(code string, status int) map[string]any {
	return map[string]any{"code": code, "message": "…", "data": map[string]any{"status": status}}
}

// WriteJSON answers with JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err) // the test server's own values
	}
}
