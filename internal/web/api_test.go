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
	"time"

	"gazetted/internal/news"
	"gazetted/internal/web"
)

// press is a Push that notes what it is given.
type press struct {
	puts    []string
	deleted []string
}

func (p *press) Put(_ context.Context, source string, body io.Reader, o news.PushOptions) (news.PushReport, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return news.PushReport{}, fmt.Errorf("read body: %w", err)
	}
	var r news.PushReport
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		res := news.PushResult{Line: i + 1, ID: "x", Result: news.PutNew}
		if strings.Contains(line, "untitled") {
			res = news.PushResult{Line: i + 1, Result: news.PutRefused, Errors: []news.FieldFault{{Line: i + 1, Field: "title", Detail: "want a title"}}}
		} else if len(p.puts) > 0 {
			res.Result = news.PutUnchanged
		}
		r.Add(res)
		if res.Result != news.PutRefused {
			p.puts = append(p.puts, source+" "+line+fmt.Sprint(o))
		}
	}
	r.Batch = o.Lines
	return r, nil
}

func (p *press) Get(_ context.Context, source, id string) (news.Article, error) {
	if id == "unknown" {
		return news.Article{}, news.ErrNotFound
	}
	return news.Article{NativeID: id, Title: "From " + source, State: news.ArticleReleased, Tags: []news.Term{{ID: 9, Name: "Ports", Slug: "ports"}}}, nil
}

func (p *press) Delete(_ context.Context, source, id string, at time.Time) (news.PutOutcome, error) {
	if id == "unknown" {
		return "", news.ErrNotFound
	}
	if !at.IsZero() {
		return news.PutOlder, nil
	}
	p.deleted = append(p.deleted, source+" "+id)
	return news.PutWithdrawn, nil
}

func (h *house) key(name, key string, scope news.KeyScope) {
	h.t.Helper()
	sum := sha256.Sum256([]byte(key))
	h.ok(h.db.AddKey(h.t.Context(), news.APIKey{Name: name, Scope: scope, Hash: hex.EncodeToString(sum[:])}))
}

func TestPublishAPI(t *testing.T) {
	p := &press{}
	h := newHouse(t, func(o *web.Options) { o.Push, o.MaxArticle, o.MaxBatch = p, 1000, 3000 })
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
		"other scope":   {"POST", "/api/v1/articles", "{}", []request{typed, with("Authorization", "Bearer other-key")}, 403, "not for publishing"},
		"no JSON type":  {"POST", "/api/v1/articles", "{}", []request{good}, 415, "application/json"},
		"form":          {"POST", "/api/v1/articles", "{}", []request{good, with("Content-Type", "application/x-www-form-urlencoded")}, 415, "application/json"},
		"large batch":   {"POST", "/api/v1/articles", strings.Repeat("x", 4000), []request{good, with("Content-Type", "application/x-ndjson")}, 413, "3000 bytes"},
		"atomic":        {"POST", "/api/v1/articles?atomic=please", "{}", []request{good, typed}, 422, `"field":"atomic"`},
		"lines by PUT":  {"PUT", "/api/v1/articles/a", "{}", []request{good, with("Content-Type", "application/x-ndjson")}, 415, "application/json"},
		"too large":     {"POST", "/api/v1/articles", `"` + strings.Repeat("x", 2000) + `"`, []request{good, typed}, 413, "1000 bytes"},
		"mistake":       {"POST", "/api/v1/articles", `{"untitled":1}`, []request{good, typed}, 422, `"field":"title"`},
		"other source":  {"POST", "/api/v1/articles?source=none", `{}`, []request{good, typed}, 422, `"field":"source"`},
		"other id":      {"PUT", "/api/v1/articles/a", `{"id":"b"}`, []request{good, typed}, 422, `"field":"id"`},
		"list with id":  {"PUT", "/api/v1/articles/a", `[]`, []request{good, typed}, 422, `"field":"body"`},
		"list":          {"GET", "/api/v1/articles", ``, []request{good}, 405, "Method Not Allowed"},
		"get unknown":   {"GET", "/api/v1/articles/unknown", ``, []request{good}, 404, "Not Found"},
		"get no key":    {"GET", "/api/v1/articles/a", ``, nil, 401, "Bearer"},
		"bad time":      {"DELETE", "/api/v1/articles/a?updated_at=now", ``, []request{good}, 422, `"field":"updated_at"`},
		"unknown":       {"DELETE", "/api/v1/articles/unknown", ``, []request{good}, 404, "Not Found"},
		"delete no key": {"DELETE", "/api/v1/articles/a", ``, nil, 401, "Bearer"},
	} {
		a := h.do(tt.method, tt.path, strings.NewReader(tt.body), tt.change...)
		if a.StatusCode != tt.status || !strings.Contains(a.body, tt.says) {
			t.Errorf("%s: status %d, want %d, %s", name, a.StatusCode, tt.status, a.body)
		}
		var problem struct {
			Type, Title string
			Status      int
		}
		if err := json.Unmarshal([]byte(a.body), &problem); err != nil || problem.Type != "about:blank" || problem.Title == "" || problem.Status != tt.status {
			t.Errorf("%s: no problem (RFC 9457): %q", name, a.body)
		}
		if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s: Content-Type %q", name, got)
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
	if a.body != `{"new":0,"changed":0,"unchanged":1,"older":0,"refused":0,"results":[{"line":1,"id":"x","result":"unchanged"}]}`+"\n" {
		t.Errorf("answer %s", a.body)
	}
	h.want(h.do("DELETE", "/api/v1/articles/a", nil, good), 204)
	if want := `[wire {"id":"a"}{false false} wire {"id":"a/b","title":"T"}{false false}] [wire a]`; fmt.Sprint(p.puts, p.deleted) != want {
		t.Errorf("got  %s\nwant %s", fmt.Sprint(p.puts, p.deleted), want)
	}
	h.ok(h.db.RemoveKey(t.Context(), "cms"))
	h.want(h.do("DELETE", "/api/v1/articles/a", nil, good), 401)
	if strings.Contains(h.log.String(), "right-key") {
		t.Error("the key was logged")
	}
}

func TestPublishBatch(t *testing.T) {
	p := &press{}
	h := newHouse(t, func(o *web.Options) { o.Push = p })
	h.key("cms", "right-key", news.ScopePublish)
	good, lines := with("Authorization", "Bearer right-key"), with("Content-Type", "application/x-ndjson; charset=utf-8")
	a := h.want(h.do("POST", "/api/v1/articles?atomic=1", strings.NewReader("good\nuntitled\n"), good, lines), 207)
	if !strings.Contains(a.body, `{"line":2,"result":"refused","errors":[{"line":2,"field":"title","detail":"want a title"}]}`) {
		t.Errorf("answer %s", a.body)
	}
	if want := `[wire good{true true}]`; fmt.Sprint(p.puts) != want {
		t.Errorf("got %v, want %s", p.puts, want)
	}
	a = h.want(h.do("POST", "/api/v1/articles", strings.NewReader("untitled\nuntitled\n"), good, lines), 422)
	if !strings.Contains(a.body, `"errors":[{"line":1,`) || !strings.Contains(a.body, `{"line":2,`) {
		t.Errorf("answer %s", a.body)
	}
	a = h.want(h.do("DELETE", "/api/v1/articles/a?updated_at=2026-03-01T00:00:00%2B03:00", nil, good), 200)
	if !strings.Contains(a.body, `"result":"older"`) {
		t.Errorf("answer %s", a.body)
	}
	a = h.want(h.do("GET", "/api/v1/articles/a%2Fb", nil, good), 200)
	if !strings.Contains(a.body, `"id":"a/b","url":"","guid":"","title":"From wire"`) || !strings.Contains(a.body, `"tags":[{"name":"Ports","slug":"ports"}]`) || strings.Contains(a.body, "updated_at") {
		t.Errorf("article %s", a.body)
	}
}

// A key may be for one source only.
func TestPublishScope(t *testing.T) {
	p := &press{}
	h := newHouse(t, func(o *web.Options) { o.Push = p })
	_, err := h.db.AddSource(t.Context(), news.Source{Name: "desk", Kind: news.SourcePush})
	h.ok(err)
	h.key("all", "wide", news.ScopePublish)
	h.key("one", "narrow", "publish:desk")
	h.key("lost", "lost", "publish:gone")
	typed := with("Content-Type", "application/json")
	post := func(key, query string) answer {
		return h.do("POST", "/api/v1/articles"+query, strings.NewReader("{}"), typed, with("Authorization", "Bearer "+key))
	}
	h.want(post("wide", ""), 422) // which of the two?
	h.want(post("wide", "?source=wire"), 201)
	h.want(post("narrow", ""), 200)
	h.want(post("narrow", "?source=desk"), 200)
	if a := h.want(post("narrow", "?source=wire"), 403); !strings.Contains(a.body, "publishes to desk only") {
		t.Errorf("answer %s", a.body)
	}
	h.want(h.do("GET", "/api/v1/articles/a?source=wire", nil, with("Authorization", "Bearer narrow")), 403)
	h.want(post("lost", ""), 422)
	if want := "[wire {}{false false} desk {}{false false} desk {}{false false}]"; fmt.Sprint(p.puts) != want {
		t.Errorf("got  %v\nwant %s", p.puts, want)
	}
	for _, scope := range []news.KeyScope{"", "read", "publish:", "publish:../x", "publishx", "publish:a:b"} {
		if err := h.db.AddKey(t.Context(), news.APIKey{Name: "bad", Scope: scope, Hash: string(scope) + "x"}); err == nil {
			t.Errorf("scope %q was taken", scope)
		}
	}
}

// Calls are bounded per key, wrong keys per client; who waits is served again.
func TestPublishLimits(t *testing.T) {
	h := newHouse(t, func(o *web.Options) {
		o.Push = &press{}
		o.API = web.APILimits{Key: web.Rate{Burst: 3, Every: time.Second}, Failures: web.Rate{Burst: 2, Every: 10 * time.Second}}
	})
	h.key("cms", "right-key", news.ScopePublish)
	h.key("other", "other-key", news.ScopePublish+":wire")
	get := func(key, addr string) answer {
		return h.do("GET", "/api/v1/articles/a", nil, with("Authorization", "Bearer "+key), from(addr))
	}
	for range 3 {
		h.want(get("right-key", "192.0.2.1:1"), 200)
	}
	if a := h.want(get("right-key", "192.0.2.1:1"), 429); a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	h.want(get("other-key", "192.0.2.1:1"), 200)
	h.clock.Advance(time.Second)
	h.want(get("right-key", "192.0.2.1:1"), 200)

	for range 2 {
		h.want(get("guess", "[2001:db8::1]:1"), 401)
	}
	h.want(get("guess", "[2001:db8::2]:1"), 429) // the same /64
	h.want(get("other-key", "[2001:db8::3]:1"), 429)
	h.want(get("other-key", "192.0.2.1:1"), 200)
	h.clock.Advance(20 * time.Second)
	h.want(get("other-key", "[2001:db8::3]:1"), 200)
}

// A key's last use is kept to the minute: a busy key costs no write per call.
func TestKeyUseIsNoted(t *testing.T) {
	h := newHouse(t, func(o *web.Options) { o.Push = &press{} })
	h.key("cms", "right-key", news.ScopePublish)
	began := h.clock.Now()
	used := func() time.Duration {
		t.Helper()
		h.want(h.do("GET", "/api/v1/articles/a", nil, with("Authorization", "Bearer right-key")), 200)
		keys, err := h.db.Keys(t.Context())
		h.ok(err)
		return keys[0].LastUsedAt.Sub(began)
	}
	for _, want := range []time.Duration{0, 0, time.Minute} {
		if got := used(); got != want {
			t.Errorf("last used after %v, want %v", got, want)
		}
		h.clock.Advance(30 * time.Second)
	}
}

func TestTheAPIIsAbsentWithoutPush(t *testing.T) {
	h := newHouse(t)
	h.want(h.do("POST", "/api/v1/articles", strings.NewReader("{}"), with("Authorization", "Bearer x")), 404)
	h.want(h.get("/api/v1/openapi.json"), 404)
}
