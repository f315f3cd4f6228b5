package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// OddAnswerError is a 2xx answer that is not what was asked for: a challenge
// page, an empty list, a list that repeats itself. Nothing is concluded from it.
type OddAnswerError struct {
	URL  string
	Text string // what came instead
	// noJSON: a page for people, or nothing, where an API should answer.
	noJSON bool
}

// Error names the URL and what came.
func (e *OddAnswerError) Error() string { return fmt.Sprintf("%s answered %s", e.URL, e.Text) }

// Temporary is always true.
func (e *OddAnswerError) Temporary() bool { return true }

// wpAPI speaks to the REST API of one site.
type wpAPI struct {
	client *Client
	root   string   // "https://a.example/wp-json/" or "https://a.example/?rest_route=/"
	moved  *url.URL // where permanent redirects led from the root's host; nil: nowhere
}

// endpoint is the URL of a route below wp/v2.
func (a *wpAPI) endpoint(route, query string) (string, error) {
	u, err := url.Parse(a.root)
	if err != nil {
		return "", fmt.Errorf("read API address: %w", err)
	}
	q := u.Query()
	if base := q.Get("rest_route"); base != "" {
		q.Set("rest_route", strings.TrimSuffix(base, "/")+"/wp/v2/"+route)
	} else {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/wp/v2/" + route
	}
	u.RawQuery = q.Encode()
	if u.RawQuery != "" && query != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += query
	return u.String(), nil
}

// list fetches a list. A page past the end, which WordPress answers with an
// error, is an empty list. total is -1 where the site does not say.
func (a *wpAPI) list(ctx context.Context, route, query string) (items []json.RawMessage, total int, err error) {
	target, err := a.endpoint(route, query)
	if err != nil {
		return nil, 0, err
	}
	ans, err := a.client.Get(ctx, target, "application/json")
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusBadRequest && restCode(status.body) == "rest_post_invalid_page_number" {
		return nil, -1, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if err := decodeJSON(ans, &items); err != nil {
		return nil, 0, err
	}
	if to, err := url.Parse(ans.Moved); err == nil && to.Host != "" {
		a.moved = to
	}
	total, err = strconv.Atoi(ans.Header.Get("X-WP-Total"))
	if err != nil || total < 0 {
		total = -1
	}
	return items, total, nil
}

// decodeJSON reads an answer, and tells a page for people from a broken answer.
func decodeJSON(ans *Answer, into any) error {
	body := bytes.TrimSpace(bytes.TrimPrefix(ans.Body, []byte("\xEF\xBB\xBF")))
	if len(body) == 0 {
		return &OddAnswerError{URL: shownRawURL(ans.URL), Text: "nothing", noJSON: true}
	}
	if body[0] == '<' {
		return &OddAnswerError{URL: shownRawURL(ans.URL), Text: "a page for people instead of JSON", noJSON: true}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &OddAnswerError{URL: shownRawURL(ans.URL), Text: "JSON of another shape than it should have"}
	}
	return nil
}

// restCode is the "code" of an error answer of the REST API; "" for anything else.
func restCode(body []byte) string {
	var e struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return e.Code
}

// briefPage lists posts as briefs.
func (a *wpAPI) briefPage(ctx context.Context, query string) ([]wpBrief, int, error) {
	items, total, err := a.list(ctx, "posts", query+"&_fields=id,modified_gmt,slug,status,categories,tags,featured_media")
	if err != nil {
		return nil, 0, err
	}
	briefs := make([]wpBrief, 0, len(items))
	for _, raw := range items {
		var b wpBrief
		if err := json.Unmarshal(raw, &b); err != nil || b.ID <= 0 {
			return nil, 0, &OddAnswerError{URL: a.root, Text: "posts without an id"}
		}
		briefs = append(briefs, b)
	}
	return briefs, total, nil
}

// maxWPPages bounds a sweep: a million posts.
const maxWPPages = 10_000

// sweep lists all posts in order of id, so that posts which appear meanwhile
// come last and shift nothing.
func (a *wpAPI) sweep(ctx context.Context) (posts map[int64]wpBrief, total int, err error) {
	posts = make(map[int64]wpBrief)
	for page := 1; page <= maxWPPages; page++ {
		briefs, n, err := a.briefPage(ctx, "per_page=100&orderby=id&order=asc&page="+strconv.Itoa(page))
		if err != nil {
			return nil, 0, err
		}
		before := len(posts)
		for _, b := range briefs {
			posts[b.ID] = b
		}
		if n >= 0 {
			total = n
		}
		if len(briefs) > 0 && len(posts) == before {
			return nil, 0, &OddAnswerError{URL: a.root, Text: fmt.Sprintf("page %d with nothing new on it", page)}
		}
		if len(briefs) < wpPage {
			break
		}
	}
	return posts, max(total, len(posts)), nil
}

// posts fetches posts in full.
func (a *wpAPI) posts(ctx context.Context, ids []int64) ([]json.RawMessage, error) {
	items, _, err := a.list(ctx, "posts", "per_page=100&orderby=id&order=asc&include="+joinIDs(ids)+
		"&_fields=id,date,date_gmt,modified,modified_gmt,slug,status,link,guid,title,content,excerpt,author,featured_media,comment_status,categories,tags,lang,yoast_head_json.og_image")
	return items, err
}

// survivors asks which of ids are still published.
func (a *wpAPI) survivors(ctx context.Context, ids []int64) (map[int64]bool, error) {
	briefs, _, err := a.briefPage(ctx, "per_page=100&include="+joinIDs(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[int64]bool, len(briefs))
	for _, b := range briefs {
		out[b.ID] = b.Status == "" || b.Status == "publish"
	}
	return out, nil
}

// isGone asks for one post. To be gone, the REST API itself must say so, with
// one of the codes that it uses for a trashed, private or deleted post;
// anything else is an error, because it may be a firewall's or a login wall's.
func (a *wpAPI) isGone(ctx context.Context, id int64) (bool, error) {
	target, err := a.endpoint("posts/"+strconv.FormatInt(id, 10), "_fields=id,status")
	if err != nil {
		return false, err
	}
	ans, err := a.client.Get(ctx, target, "application/json")
	var status *StatusError
	if errors.As(err, &status) {
		code := restCode(status.body)
		switch {
		case status.Code == http.StatusGone:
			return true, nil
		case (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden) && (code == "rest_forbidden" || code == "rest_cannot_read"):
			return true, nil
		case status.Code == http.StatusNotFound && strings.HasPrefix(code, "rest_") && code != "rest_no_route":
			return true, nil
		}
	}
	if err != nil {
		return false, err
	}
	var b wpBrief
	if err := decodeJSON(ans, &b); err != nil {
		return false, err
	}
	if b.ID != id {
		return false, &OddAnswerError{URL: shownRawURL(ans.URL), Text: "another post than was asked for"}
	}
	return b.Status != "" && b.Status != "publish", nil
}

// allTerms lists all categories and the tags in use.
func (a *wpAPI) allTerms(ctx context.Context) ([]wpTerm, error) {
	var all []wpTerm
	for _, route := range []string{"categories", "tags"} {
		query := "per_page=100&orderby=id&order=asc&_fields=id,name,slug,parent"
		if route == "tags" {
			query += "&hide_empty=true"
		}
		for page := 1; page <= maxWPPages; page++ {
			terms, err := a.termPage(ctx, route, query+"&page="+strconv.Itoa(page))
			if err != nil {
				return nil, err
			}
			all = append(all, terms...)
			if len(terms) < wpPage {
				break
			}
		}
	}
	return all, nil
}

func (a *wpAPI) termPage(ctx context.Context, route, query string) ([]wpTerm, error) {
	items, _, err := a.list(ctx, route, query)
	if err != nil {
		return nil, err
	}
	terms := make([]wpTerm, 0, len(items))
	for _, raw := range items {
		var t wpTerm
		if err := json.Unmarshal(raw, &t); err != nil || t.ID <= 0 {
			return nil, &OddAnswerError{URL: a.root, Text: route + " without an id"}
		}
		t.tag = route == "tags"
		terms = append(terms, t)
	}
	return terms, nil
}

// byID fetches the items of a route that have these ids.
func byID[T any](ctx context.Context, a *wpAPI, route, fields string, ids []int64) ([]T, error) {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var out []T
	for batch := range slices.Chunk(ids, wpPage) {
		items, _, err := a.list(ctx, route, "per_page=100&include="+joinIDs(batch)+"&_fields="+fields)
		if err != nil {
			return nil, err
		}
		for _, raw := range items {
			var t T
			if json.Unmarshal(raw, &t) == nil { // one that cannot be read is one that is not there
				out = append(out, t)
			}
		}
	}
	return out, nil
}

// findAPI finds the root of a site's REST API: where the location itself says
// (https://developer.wordpress.org/rest-api/using-the-rest-api/discovery/), or
// at the two usual places.
func findAPI(ctx context.Context, c *Client, location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", fmt.Errorf("read location: %w", err)
	}
	if i := strings.Index(u.Path+"/", "/wp-json/"); i >= 0 {
		u.Path, u.RawQuery, u.Fragment = u.Path[:min(i+len("/wp-json"), len(u.Path))]+"/", "", ""
		return u.String(), probeAPI(ctx, c, u.String())
	}
	var candidates []string
	ans, firstErr := c.Get(ctx, location, "text/html")
	if firstErr == nil {
		if link := apiLink(ans); link != "" {
			candidates = append(candidates, link)
		}
		if final, err := url.Parse(ans.URL); err == nil {
			u = final
		}
	}
	site := *u
	site.RawQuery, site.Fragment = "", ""
	site.Path = strings.TrimSuffix(site.Path, "/") + "/"
	candidates = append(candidates, site.JoinPath("wp-json").String()+"/", site.String()+"?rest_route=/")
	for _, candidate := range slices.Compact(candidates) {
		err := probeAPI(ctx, c, candidate)
		if err == nil {
			return candidate, nil
		}
		if firstErr == nil || ctx.Err() != nil {
			firstErr = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return "", fmt.Errorf("find the WordPress REST API: %w", firstErr)
}

// probeAPI checks that root is a REST API that has posts.
func probeAPI(ctx context.Context, c *Client, root string) error {
	a := &wpAPI{client: c, root: root}
	_, _, err := a.briefPage(ctx, "per_page=1")
	return err
}

// apiLink reads the Link header (RFC 8288) or the <link> of a page.
func apiLink(ans *Answer) string {
	const rel = "https://api.w.org/"
	resolve := func(ref string) string {
		base, err := url.Parse(ans.URL)
		if err != nil {
			return ""
		}
		u, err := base.Parse(ref)
		if err != nil || checkURL(u) != nil {
			return ""
		}
		return u.String()
	}
	for _, header := range ans.Header.Values("Link") {
		for link := range strings.SplitSeq(header, ",") {
			target, params, ok := strings.Cut(strings.TrimSpace(link), ">")
			if ok && strings.HasPrefix(target, "<") && strings.Contains(params, rel) {
				return resolve(target[1:])
			}
		}
	}
	doc, err := html.Parse(bytes.NewReader(ans.Body))
	if err != nil {
		return ""
	}
	for n := range doc.Descendants() {
		if n.DataAtom == atom.Link && attr(n, "rel") == rel {
			return resolve(attr(n, "href"))
		}
	}
	return ""
}
