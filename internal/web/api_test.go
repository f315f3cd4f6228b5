package web_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"gazetted/internal/news"
	"gazetted/internal/web"
)

// press is a Push that notes what it is given.
type press struct {
	puts    []string
	deleted []string
}

func (p *press) Put(_ context.Context, source string, body io.Reader) (news.StoreCounts, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return news.StoreCounts{}, err
	}
	if strings.Contains(string(b), "untitled") {
		return news.StoreCounts{}, fmt.Errorf("read article: %w", &news.FieldError{Field: "title", Want: "a title"})
	}
	p.puts = append(p.puts, source+" "+string(b))
	if len(p.puts) > 1 {
		return news.StoreCounts{Unchanged: 1}, nil
	}
	return news.StoreCounts{New: 1}, nil
}

func (p *press) Delete(_ context.Context, source, id string) error {
	if id == "unknown" {
		return news.ErrNotFound
	}
	p.deleted = append(p.deleted, source+" "+id)
	return nil
}

func (h *house) key(name, key, scope string) {
	h.t.Helper()
	sum := sha256.Sum256([]byte(key))
	h.ok(h.db.AddKey(h.t.Context(), news.APIKey{Name: name, Scope: scope, Hash: hex.EncodeToString(sum[:])}))
}

func TestPublishAPI(t *testing.T) {
	p := &press{}
	h := newHouse(t, func(o *web.Options) { o.Push, o.MaxArticle = p, 1000 })
	h.key("cms", "right-key", news.ScopePublish)
	h.key("reader", "other-key", news.ScopePublish) // see store.KeyByHash
	good, typed := with("Authorization", "Bearer right-key"), with("Content-Type", "application/json; charset=utf-8")
	for name, tt := range map[string]struct {
		method, path, body string
		change             []request
		status             int
		says               string
	}{
		"no key":        {"POST", "/api/v1/articles", "{}", []request{typed}, 401, "Bearer"},
		"wrong key":     {"POST", "/api/v1/articles", "{}", []request{typed, with("Authorization", "Bearer wrong")}, 401, "Bearer"},
		"basic":         {"POST", "/api/v1/articles", "{}", []request{typed, with("Authorization", "Basic right-key")}, 401, "Bearer"},
		"key in query":  {"POST", "/api/v1/articles?key=right-key", "{}", []request{typed}, 401, "Bearer"},
		"other scope":   {"POST", "/api/v1/articles", "{}", []request{typed, with("Authorization", "Bearer other-key")}, 403, "message"},
		"no JSON type":  {"POST", "/api/v1/articles", "{}", []request{good}, 415, "application/json"},
		"form":          {"POST", "/api/v1/articles", "{}", []request{good, with("Content-Type", "application/x-www-form-urlencoded")}, 415, "application/json"},
		"no JSON":       {"POST", "/api/v1/articles", "{", []request{good, typed}, 400, "no JSON"},
		"too large":     {"POST", "/api/v1/articles", `"` + strings.Repeat("x", 2000) + `"`, []request{good, typed}, 413, "1000 bytes"},
		"mistake":       {"POST", "/api/v1/articles", `{"untitled":1}`, []request{good, typed}, 422, `"field":"title"`},
		"other source":  {"POST", "/api/v1/articles?source=none", `{}`, []request{good, typed}, 422, `"field":"source"`},
		"other id":      {"PUT", "/api/v1/articles/a", `{"id":"b"}`, []request{good, typed}, 422, `"field":"id"`},
		"list with id":  {"PUT", "/api/v1/articles/a", `[]`, []request{good, typed}, 422, `"field":"body"`},
		"get":           {"GET", "/api/v1/articles/a", ``, []request{good}, 405, "method not allowed"},
		"unknown":       {"DELETE", "/api/v1/articles/unknown", ``, []request{good}, 404, "not found"},
		"delete no key": {"DELETE", "/api/v1/articles/a", ``, nil, 401, "Bearer"},
	} {
		a := h.do(tt.method, tt.path, strings.NewReader(tt.body), tt.change...)
		if a.StatusCode != tt.status || !strings.Contains(a.body, tt.says) {
			t.Errorf("%s: status %d, want %d, %s", name, a.StatusCode, tt.status, a.body)
		}
		var failure struct{ Error struct{ Message string } }
		if err := json.Unmarshal([]byte(a.body), &failure); err != nil || failure.Error.Message == "" {
			t.Errorf("%s: no message in %q", name, a.body)
		}
		if tt.status == 401 && !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: WWW-Authenticate %q", name, a.Header.Get("WWW-Authenticate"))
		}
	}
	if len(p.puts)+len(p.deleted) != 0 {
		t.Fatalf("something was taken: %v %v", p.puts, p.deleted)
	}
	h.want(h.do("POST", "/api/v1/articles", strings.NewReader(`{"id":"a"}`), good, typed), 201)
	a := h.want(h.do("PUT", "/api/v1/articles/a%2Fb?source=wire", strings.NewReader(`{"title":"T"}`), good, typed), 200)
	if a.body != `{"new":0,"changed":0,"unchanged":1,"withdrawn":0}`+"\n" {
		t.Errorf("answer %s", a.body)
	}
	h.want(h.do("DELETE", "/api/v1/articles/a", nil, good), 204)
	if want := `[wire {"id":"a"} wire {"id":"a/b","title":"T"}] [wire a]`; fmt.Sprint(p.puts, p.deleted) != want {
		t.Errorf("got  %s\nwant %s", fmt.Sprint(p.puts, p.deleted), want)
	}
	h.ok(h.db.RemoveKey(t.Context(), "cms"))
	h.want(h.do("DELETE", "/api/v1/articles/a", nil, good), 401)
	if strings.Contains(h.log.String(), "right-key") {
		t.Error("the key was logged")
	}
}

func TestTheAPIIsAbsentWithoutPush(t *testing.T) {
	h := newHouse(t)
	h.want(h.do("POST", "/api/v1/articles", strings.NewReader("{}"), with("Authorization", "Bearer x")), 404)
}
