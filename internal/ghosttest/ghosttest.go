// Package ghosttest is a Ghost site for tests, as its Content API shows it:
// published posts only, a key in the query, paging, filters by id and
// visibility, errors of its own shape.
package ghosttest

import (
	"cmp"
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

// Key is the site's Content API key.
const Key = "22444f78447824223cefc48062"

// Site is a Ghost site.
type Site struct {
	*httptest.Server
	mu      sync.Mutex
	posts   map[string]map[string]any
	tags    map[string]map[string]any
	authors map[string]map[string]any

	requests  []string
	intercept func(w http.ResponseWriter, r *http.Request) bool
	// NoTagsInBrief lets fields win over include, as some versions do.
	NoTagsInBrief bool
}

// Start serves a site with two tags, an internal one and an author, and no posts.
func Start(t testing.TB) *Site {
	t.Helper()
	s := &Site{posts: map[string]map[string]any{}, tags: map[string]map[string]any{}, authors: map[string]map[string]any{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	s.SetTag(1, "World", "public")
	s.SetTag(2, "R&D", "public")
	s.SetTag(3, "#internal", "internal")
	s.SetAuthor(1, "Ines O'Dell")
	return s
}

// ID is the id of the nth thing.
func ID(n int) string { return fmt.Sprintf("5ddc9141c35e7700%08x", n) }

// SetTag makes or renames a tag.
func (s *Site) SetTag(n int, name, visibility string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slug := strings.Trim(strings.ToLower(strings.NewReplacer("&", "", "#", "hash-", " ", "-").Replace(name)), "-")
	s.tags[ID(n)] = map[string]any{"id": ID(n), "name": name, "slug": slug, "visibility": visibility}
}

// DeleteTag deletes a tag; posts that carry it keep their updated_at.
func (s *Site) DeleteTag(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tags, ID(n))
}

// SetAuthor makes or renames an author.
func (s *Site) SetAuthor(n int, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authors[ID(n)] = map[string]any{"id": ID(n), "name": name, "slug": "author-" + strconv.Itoa(n), "url": s.URL + "/author/" + strconv.Itoa(n) + "/"}
}

// Publish puts the nth post into the list; set changes its fields. Tags and
// authors are numbers of tags and authors.
func (s *Site) Publish(n int, set map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := ID(n)
	p, ok := s.posts[id]
	if !ok {
		p = map[string]any{
			"id": id, "slug": fmt.Sprintf("post-%d", n), "title": fmt.Sprintf("Post %d & more", n), "url": fmt.Sprintf("%s/post-%d/", s.URL, n),
			"html":          fmt.Sprintf(`<p>Body of post %d with a <a href="/x/">link</a>, long enough to be the lead of an article and some words more.</p><script>x</script>`, n),
			"feature_image": s.URL + "/pier.jpg", "feature_image_alt": "A pier", "visibility": "public", "custom_excerpt": nil, "canonical_url": nil,
			"published_at": "2026-01-02T08:04:05.000+00:00", "updated_at": "2026-01-02T08:04:05.000+00:00", "tags": []int{1, 2, 3}, "authors": []int{1},
		}
	}
	for k, v := range set {
		p[k] = v
	}
	s.posts[id] = p
}

// Remove unpublishes or deletes the nth post.
func (s *Site) Remove(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.posts, ID(n))
}

// AnswerWith lets h answer first; it returns false for what it leaves to the site.
func (s *Site) AnswerWith(h func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = h
}

// Asked tells how many requests contained part, and forgets them all.
func (s *Site) Asked(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if strings.Contains(r, part) {
			n++
		}
	}
	s.requests = nil
	return n
}

// ServeHTTP answers as Ghost 5 does.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	intercept := s.intercept
	s.requests = append(s.requests, r.URL.String())
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	route, ok := strings.CutPrefix(r.URL.Path, "/ghost/api/content/")
	switch {
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<!DOCTYPE html><title>404</title>")
		return
	case r.URL.Query().Get("key") != Key:
		fault(w, http.StatusUnauthorized, "Unknown Content API Key")
		return
	}
	resource, id, _ := strings.Cut(strings.TrimSuffix(route, "/"), "/")
	all, ok := map[string]map[string]map[string]any{"posts": s.posts, "tags": s.tags, "authors": s.authors}[resource]
	switch {
	case !ok:
		fault(w, http.StatusNotFound, "Resource not found")
	case id == "":
		s.list(w, r, resource, all)
	case all[id] == nil:
		fault(w, http.StatusNotFound, "Resource not found error, cannot read post.")
	default:
		answer(w, http.StatusOK, map[string]any{resource: []any{s.shown(all[id], r)}})
	}
}

func (s *Site) list(w http.ResponseWriter, r *http.Request, resource string, all map[string]map[string]any) {
	q := r.URL.Query()
	limit, page := 15, 1
	if n, err := strconv.Atoi(q.Get("limit")); err == nil {
		limit = min(n, 100)
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil {
		page = n
	}
	var found []map[string]any
	for _, item := range all {
		// Tags and authors: by default Ghost leaves internal tags out.
		if matches(item, q.Get("filter")) && (resource == "posts" || item["visibility"] != "internal") {
			found = append(found, item)
		}
	}
	field, direction, _ := strings.Cut(cmp.Or(q.Get("order"), "published_at desc"), " ")
	slices.SortFunc(found, func(a, b map[string]any) int {
		c := cmp.Or(strings.Compare(fmt.Sprint(a[field]), fmt.Sprint(b[field])), strings.Compare(fmt.Sprint(a["id"]), fmt.Sprint(b["id"])))
		if direction == "desc" {
			c = -c
		}
		return c
	})
	total := len(found)
	pages := max((total+limit-1)/limit, 1)
	items := []any{}
	for _, item := range found[min(total, (page-1)*limit):min(total, page*limit)] {
		items = append(items, s.shown(item, r))
	}
	var next any
	if page < pages {
		next = page + 1
	}
	answer(w, http.StatusOK, map[string]any{resource: items, "meta": map[string]any{"pagination": map[string]any{
		"page": page, "limit": limit, "pages": pages, "total": total, "next": next, "prev": nil,
	}}})
}

// matches knows "id:[a,b]" and "field:value", joined by "+".
func matches(item map[string]any, filter string) bool {
	for part := range strings.SplitSeq(filter, "+") {
		name, want, ok := strings.Cut(part, ":")
		if !ok {
			continue
		}
		list := strings.Split(strings.Trim(want, "[]"), ",")
		if !slices.Contains(list, fmt.Sprint(item[name])) {
			return false
		}
	}
	return true
}

// shown picks the fields that were asked for and joins tags and authors.
func (s *Site) shown(item map[string]any, r *http.Request) map[string]any {
	q := r.URL.Query()
	fields, include := q.Get("fields"), strings.Split(q.Get("include"), ",")
	out := map[string]any{}
	for k, v := range item {
		related := map[string]map[string]map[string]any{"tags": s.tags, "authors": s.authors}[k]
		switch {
		case related != nil && (!slices.Contains(include, k) || fields != "" && s.NoTagsInBrief):
		case related != nil:
			joined := []any{}
			for _, n := range v.([]int) {
				if one := related[ID(n)]; one != nil {
					joined = append(joined, one)
				}
			}
			out[k] = joined
		case fields == "" || slices.Contains(strings.Split(fields, ","), k):
			out[k] = v
		}
	}
	return out
}

func fault(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"errors": []any{map[string]any{"message": message, "type": "Error"}}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err) // the test server's own values
	}
}
