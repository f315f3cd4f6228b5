package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gazetted/internal/news"
)

// ghostAPI speaks to the Content API of one site.
type ghostAPI struct {
	client *Client
	root   string // "https://a.example/ghost/api/content/"
	key    string // goes into the query (there is no other place for it), and nowhere else
	public bool   // only what everybody may read
}

// ghostPaging is the meta.pagination of a list.
type ghostPaging struct {
	Pages int  `json:"pages"`
	Total int  `json:"total"`
	Next  *int `json:"next"`
}

// get fetches a resource below the root.
func (a *ghostAPI) get(ctx context.Context, route string, q url.Values, into any) error {
	if q == nil {
		q = url.Values{}
	}
	q.Set("key", a.key)
	ans, err := a.client.Get(ctx, a.root+route+"?"+q.Encode(), "application/json")
	var status *StatusError
	if errors.As(err, &status) && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden) {
		return fmt.Errorf("Ghost does not accept the Content API key: %w", err) //nolint:staticcheck // a name
	}
	if err != nil {
		return err
	}
	return decodeJSON(ans, into)
}

// list fetches one page of a list.
func (a *ghostAPI) list(ctx context.Context, resource string, q url.Values, page int) ([]json.RawMessage, ghostPaging, error) {
	q.Set("page", strconv.Itoa(page))
	var answer map[string]json.RawMessage
	if err := a.get(ctx, resource+"/", q, &answer); err != nil {
		return nil, ghostPaging{}, err
	}
	var items []json.RawMessage
	var meta struct {
		Pagination *ghostPaging `json:"pagination"`
	}
	if json.Unmarshal(answer[resource], &items) != nil || items == nil || json.Unmarshal(answer["meta"], &meta) != nil || meta.Pagination == nil {
		return nil, ghostPaging{}, &OddAnswerError{URL: a.root + resource + "/", Text: "JSON of another shape than Ghost gives"}
	}
	return items, *meta.Pagination, nil
}

// find finds the root below a site's address. Ghost before 5 had a version in it.
func (a *ghostAPI) find(ctx context.Context, location string) error {
	u, err := url.Parse(location)
	if err != nil {
		return fmt.Errorf("read location: %w", err)
	}
	u.RawQuery, u.Fragment = "", ""
	path, api, given := strings.Cut(u.Path, "/ghost")
	u.Path = strings.TrimSuffix(path, "/") + "/"
	candidates := []string{"ghost/api/content/", "ghost/api/v4/content/", "ghost/api/v3/content/"}
	if given && strings.HasPrefix(api, "/api/") {
		candidates = []string{"ghost" + strings.TrimSuffix(api, "/") + "/"}
	}
	var first error
	for _, c := range candidates {
		a.root = u.JoinPath(c).String()
		_, _, err := a.list(ctx, "posts", url.Values{"limit": {"1"}, "fields": {"id"}}, 1)
		if err == nil {
			return nil
		}
		var status *StatusError
		if !errors.As(err, &status) || status.Code != http.StatusNotFound {
			return fmt.Errorf("find the Content API: %w", err)
		}
		if first == nil {
			first = err
		}
	}
	a.root = ""
	return fmt.Errorf("find the Content API: %w", first)
}

// only restricts a list of posts.
func (a *ghostAPI) only(filters ...string) string {
	if a.public {
		filters = append(filters, "visibility:public")
	}
	return strings.Join(filters, "+")
}

// briefs lists a page of posts with what a sweep compares. Ghost says that
// fields and include do not go well together: where it leaves the tags out, a new
// or a deleted tag has all posts read anew.
func (a *ghostAPI) briefs(ctx context.Context, page int, order string) ([]ghostPost, ghostPaging, error) {
	q := url.Values{"limit": {strconv.Itoa(ghostPage)}, "fields": {"id,updated_at,slug,visibility"}, "include": {"tags"}, "order": {order}}
	if f := a.only(); f != "" {
		q.Set("filter", f)
	}
	items, paging, err := a.list(ctx, "posts", q, page)
	if err != nil {
		return nil, paging, err
	}
	posts, err := a.read(items)
	return posts, paging, err
}

func (a *ghostAPI) read(items []json.RawMessage) ([]ghostPost, error) {
	posts := make([]ghostPost, 0, len(items))
	for _, raw := range items {
		var p ghostPost
		if err := json.Unmarshal(raw, &p); err != nil || !ghostID(p.ID) {
			return nil, &OddAnswerError{URL: a.root, Text: "posts of another shape than Ghost gives"}
		}
		posts = append(posts, p)
	}
	return posts, nil
}

// ghostID tells whether s can stand in a filter: Ghost's are 24 hexadecimal digits.
func ghostID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}

// maxGhostPages bounds a sweep: a million posts.
const maxGhostPages = 10_000

// sweep lists all posts in the order of their making, so that new ones come last.
func (a *ghostAPI) sweep(ctx context.Context) (map[string]ghostPost, int, error) {
	posts := make(map[string]ghostPost)
	for page := 1; page <= maxGhostPages; page++ {
		list, paging, err := a.briefs(ctx, page, "id asc")
		if err != nil {
			return nil, 0, err
		}
		before := len(posts)
		for _, p := range list {
			posts[p.ID] = p
		}
		if paging.Next == nil {
			return posts, paging.Total, nil
		}
		if len(posts) == before {
			return nil, 0, &OddAnswerError{URL: a.root, Text: "a list that repeats itself"}
		}
	}
	return nil, 0, &OddAnswerError{URL: a.root, Text: "a list without end"}
}

// posts reads posts in full.
func (a *ghostAPI) posts(ctx context.Context, ids []string) ([]ghostPost, error) {
	q := url.Values{"limit": {strconv.Itoa(ghostPage)}, "include": {"tags,authors"}, "formats": {"html"}, "filter": {a.only("id:[" + strings.Join(ids, ",") + "]")}}
	items, _, err := a.list(ctx, "posts", q, 1)
	if err != nil {
		return nil, err
	}
	return a.read(items)
}

// survivors tells which of ids are still in the list.
func (a *ghostAPI) survivors(ctx context.Context, ids []string) (map[string]bool, error) {
	q := url.Values{"limit": {strconv.Itoa(ghostPage)}, "fields": {"id"}, "filter": {a.only("id:[" + strings.Join(ids, ",") + "]")}}
	items, _, err := a.list(ctx, "posts", q, 1)
	if err != nil {
		return nil, err
	}
	posts, err := a.read(items)
	there := make(map[string]bool, len(posts))
	for _, p := range posts {
		there[p.ID] = true
	}
	return there, err
}

// isGone asks for one post: only a 404 of the API itself says that it is not
// published any more. Of a post for members that are to be left out, its
// visibility does.
func (a *ghostAPI) isGone(ctx context.Context, id string) (bool, error) {
	if !ghostID(id) {
		return true, nil
	}
	var answer struct {
		Posts []ghostPost `json:"posts"`
	}
	err := a.get(ctx, "posts/"+id+"/", url.Values{"fields": {"id,visibility"}}, &answer)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return ghostFault(status.body), nil
	}
	if err != nil {
		return false, err
	}
	return a.public && len(answer.Posts) == 1 && answer.Posts[0].visibility() != news.VisibilityPublic, nil
}

// ghostFault tells an error of the API from a page for people.
func ghostFault(body []byte) bool {
	var e struct {
		Errors []json.RawMessage `json:"errors"`
	}
	return json.Unmarshal(body, &e) == nil && len(e.Errors) > 0
}

func (a *ghostAPI) tags(ctx context.Context) ([]ghostTag, error) {
	return ghostAll[ghostTag](ctx, a, "tags", "id,name,slug,visibility")
}

func (a *ghostAPI) authors(ctx context.Context) ([]ghostAuthor, error) {
	return ghostAll[ghostAuthor](ctx, a, "authors", "id,name,slug,url")
}

// ghostAll lists a whole resource.
func ghostAll[T any](ctx context.Context, a *ghostAPI, resource, fields string) ([]T, error) {
	var all []T
	for page := 1; page <= maxGhostPages; page++ {
		items, paging, err := a.list(ctx, resource, url.Values{"limit": {strconv.Itoa(ghostPage)}, "fields": {fields}, "order": {"id asc"}}, page)
		if err != nil {
			return nil, err
		}
		for _, raw := range items {
			var t T
			if err := json.Unmarshal(raw, &t); err != nil {
				return nil, &OddAnswerError{URL: a.root, Text: resource + " of another shape than Ghost gives"}
			}
			all = append(all, t)
		}
		if paging.Next == nil || len(items) == 0 {
			break
		}
	}
	return all, nil
}
