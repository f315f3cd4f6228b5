package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"gazetted/internal/news"
)

func pushStore() *memStore {
	return newMemStore(news.Source{Name: "cms", Kind: news.SourcePush}, news.Source{Name: "site", Kind: news.SourceFolder})
}

const fullArticle = `{"id":"42","url":"https://news.example.org/42","title":" Quay\r\nopens & closes ","content_html":"<p>The quay <a href=\"/x\">opens</a>.</p><script>x</script>",
	"language":"nl","authors":["Ines",{"name":"Tom","url":"https://t.example/"}],"image":{"url":"https://c.example/q.jpg","alt":"The quay","width":1200,"height":630},
	"categories":["Harbour",{"id":"7","name":"Towns","slug":"towns","parent":"1"}],"tags":["R&D"],"comments_url":"https://news.example.org/42#c",
	"published_at":"2026-03-01T10:00:00+01:00","updated_at":"2026-03-01T12:00:00Z","embargo_at":"2026-03-03T00:00:00Z","expires_at":"2027-03-01T00:00:00Z","visibility":"public","guid":"urn:x:42"}`

func TestPush(t *testing.T) {
	m := pushStore()
	p := NewPush(m)
	put := func(body string, lines bool) news.PushReport {
		t.Helper()
		report, err := p.Put(context.Background(), "cms", strings.NewReader(body), news.PushOptions{Lines: lines})
		if err != nil || report.Refused > 0 {
			t.Fatal(report.Results, err)
		}
		return report
	}
	if got := put(fullArticle, false); got.New != 1 || got.Batch || len(got.Results) != 1 || got.Results[0].ID != "42" {
		t.Errorf("report %+v", got)
	}
	f := m.found["42"]
	if f.Title != "Quay opens & closes" || f.ContentHTML != `<p>The quay <a href="https://news.example.org/x">opens</a>.</p>` || f.Summary != "The quay opens." || f.GUID != "urn:x:42" ||
		len(f.Authors) != 2 || f.Image.Alt != "The quay" || len(f.Terms) != 3 || f.Terms[1].ParentNativeID != "1" || f.EmbargoAt.IsZero() || f.PublishedAt.Hour() != 9 || f.Version.Hour() != 12 {
		t.Errorf("found %+v", f)
	}
	if got := put(fullArticle, false); got.Unchanged != 1 {
		t.Errorf("again: %+v", got)
	}
	if got := put(`[{"id":"1","url":"https://n.example/1","title":"One","content_markdown":"# One\n\nText *one*"},{"id":"2","url":"https://n.example/2","title":"Two"}]`, false); got.New != 2 || !got.Batch || got.Results[1].Line != 2 {
		t.Errorf("array: %+v", got)
	}
	if got := m.found["1"].ContentHTML; got != "<p>Text <em>one</em></p>" {
		t.Errorf("markdown: %q", got)
	}
	if got := put("\uFEFF{\"id\":\"3\",\"url\":\"https://n.example/3\",\"title\":\"Three\"}\r\n\r\n{\"id\":\"4\",\"url\":\"https://n.example/4\",\"title\":\"Four\"}", true); got.New != 2 || got.Results[1].Line != 3 {
		t.Errorf("lines: %+v", got)
	}
	if got := put(`[{"id":"5","url":"https://n.example/5","title":"Five"},{"id":"5","url":"https://n.example/5","title":"Five, again"}]`, false); got.New != 1 || got.Changed != 1 || m.found["5"].Title != "Five, again" {
		t.Errorf("twice in a call: %+v %q", got, m.found["5"].Title)
	}
	put(`{"id":"6","url":"https://n.example/6","title":"Six","visibility":"members","content_html":"<p>Paid text</p>","summary":"For all"}`, false)
	if f := m.found["6"]; f.ContentHTML != "" || f.Summary != "For all" {
		t.Errorf("members' article %+v", f)
	}
}

// One bad line does not lose the others; each is named by its number.
func TestPushLinesAreTakenOneByOne(t *testing.T) {
	m := pushStore()
	lines := []string{
		`{"id":"1","url":"https://n.example/1","title":"One"}`,
		`{"id":"2","url":"/2","title":""}`,
		`{"id":"3","url":"https://n.example/3","title":"Three"`,
		`[]`,
		`{"id":"4","url":"https://n.example/4","title":"` + strings.Repeat("x", maxPushLine) + `"}`,
		`{"id":"5","url":"https://n.example/5","title":"Five"}`,
	}
	body := strings.Join(lines, "\n")
	report, err := NewPush(m).Put(context.Background(), "cms", strings.NewReader(body), news.PushOptions{Lines: true})
	if err != nil || report.New != 2 || report.Refused != 4 || !slices.Equal(m.live(), []string{"1", "5"}) {
		t.Fatalf("%+v, %v, stored %v", report, err, m.live())
	}
	var got []string
	for _, f := range report.Faults() {
		got = append(got, fmt.Sprint(f.Line, f.Field))
	}
	if want := []string{"2url", "2title", "3body", "4article", "5body"}; !slices.Equal(got, want) {
		t.Errorf("faults %v, want %v", got, want)
	}
	if id := report.Results[1].ID; id != "2" {
		t.Errorf("the refused article is called %q", id)
	}
	m = pushStore()
	report, err = NewPush(m).Put(context.Background(), "cms", strings.NewReader(body), news.PushOptions{Lines: true, Atomic: true})
	if err != nil || report.Refused != 4 || len(report.Results) != 4 || len(m.found) != 0 {
		t.Errorf("atomic: %+v, %v, stored %v", report, err, m.live())
	}
	report, err = NewPush(m).Put(context.Background(), "cms", strings.NewReader(lines[0]+"\n"+lines[5]), news.PushOptions{Lines: true, Atomic: true})
	if err != nil || report.New != 2 || m.batches != 2 {
		t.Errorf("atomic and good: %+v, %v", report, err)
	}
}

func TestPushBatchIsBounded(t *testing.T) {
	m := pushStore()
	n := 0
	body := readFunc(func(p []byte) (int, error) {
		if n > MaxPush+10 {
			t.Error("read on after the last article")
			return 0, io.EOF
		}
		n++
		return copy(p, fmt.Sprintf("{\"id\":\"%d\",\"url\":\"https://n.example/%d\",\"title\":\"T\"}\n", n, n)), nil
	})
	report, err := NewPush(m).Put(context.Background(), "cms", body, news.PushOptions{Lines: true})
	if err != nil || report.New != MaxPush || report.Refused != 1 || len(m.found) != MaxPush {
		t.Errorf("%d new, %d refused, %v, %d stored", report.New, report.Refused, err, len(m.found))
	}
	_, err = NewPush(m).Put(context.Background(), "cms", io.MultiReader(strings.NewReader(`{"id":"cut","url":"https://n.example/","title":"T"}`+"\n"), iotest.ErrReader(io.ErrUnexpectedEOF)), news.PushOptions{Lines: true})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body cut short: %v", err)
	}
	m.failing = news.ErrUnavailable
	if _, err = NewPush(m).Put(context.Background(), "cms", strings.NewReader(fullArticle), news.PushOptions{}); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("a full disk: %v", err)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestPushFaults(t *testing.T) {
	ok := `"id":"1","url":"https://n.example/1","title":"One"`
	tests := []struct{ name, body, field string }{
		{"empty", ``, "body"},
		{"not JSON", `hello`, "body"},
		{"number", `5`, "article"},
		{"null", `null`, "id"},
		{"empty array", `[]`, "body"},
		{"cut short", `{"id":"1"`, "body"},
		{"no id", `{"url":"https://n.example/1","title":"One"}`, "id"},
		{"id of two lines", `{"id":"1\n2","url":"https://n.example/1","title":"One"}`, "id"},
		{"numeric id", `{"id":1,"url":"https://n.example/1","title":"One"}`, "id"},
		{"no url", `{"id":"1","title":"One"}`, "url"},
		{"relative url", `{"id":"1","url":"/1","title":"One"}`, "url"},
		{"script url", `{"id":"1","url":"javascript:x","title":"One"}`, "url"},
		{"no title", `{"id":"1","url":"https://n.example/1","title":" \n"}`, "title"},
		{"unknown field", `{` + ok + `,"titel":"x"}`, "titel"},
		{"unknown field of an image", `{` + ok + `,"image":{"url":"https://n.example/i","src":"x"}}`, "src"},
		{"unknown field of a term", `{` + ok + `,"tags":[{"name":"x","naam":"y"}]}`, "naam"},
		{"bad time", `{` + ok + `,"published_at":"2026-03-01"}`, "published_at"},
		{"bad embargo", `{` + ok + `,"embargo_at":"soon"}`, "embargo_at"},
		{"both contents", `{` + ok + `,"content_html":"x","content_markdown":"y"}`, "content_markdown"},
		{"visibility", `{` + ok + `,"visibility":"secret"}`, "visibility"},
		{"language", `{` + ok + `,"language":"english please"}`, "language"},
		{"image", `{` + ok + `,"image":{"url":"data:x"}}`, "image.url"},
		{"comments", `{` + ok + `,"comments_url":"ftp://x"}`, "comments_url"},
		{"tag without a name", `{` + ok + `,"tags":["x",""]}`, "tags[1].name"},
		{"slug", `{` + ok + `,"tags":[{"name":"x","slug":"../x"}]}`, "tags[0].slug"},
		{"author", `{` + ok + `,"authors":[{"url":"https://x.example"}]}`, "authors[0].name"},
		{"tags are no list", `{` + ok + `,"tags":"x"}`, "tags"},
		{"too many tags", `{` + ok + `,"tags":[` + strings.TrimSuffix(strings.Repeat(`"x",`, maxTerms+1), ",") + `]}`, "tags"},
		{"long content", `{` + ok + `,"content_html":"` + strings.Repeat("x", maxContent+1) + `"}`, "content_html"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := pushStore()
			report, err := NewPush(m).Put(context.Background(), "cms", strings.NewReader(tt.body), news.PushOptions{})
			faults := append(news.Faults(err, 0), report.Faults()...)
			if len(faults) == 0 || faults[0].Field != tt.field {
				t.Errorf("got %v, %v, want a fault of %s", faults, err, tt.field)
			}
			if len(m.found) != 0 {
				t.Error("something was stored")
			}
		})
	}
	report, err := NewPush(pushStore()).Put(context.Background(), "cms", strings.NewReader(`{"id":"","url":"x","title":"","tags":[""],"updated_at":"?"}`), news.PushOptions{})
	if err != nil || len(report.Faults()) != 5 {
		t.Errorf("not all mistakes at once: %+v, %v", report, err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestPushBodyIsBounded(t *testing.T) {
	_, err := NewPush(pushStore()).Put(context.Background(), "cms", endless{}, news.PushOptions{})
	var fe *news.FieldError
	if !errors.As(err, &fe) || fe.Field != "body" {
		t.Errorf("got %v", err)
	}
}

func TestPushSource(t *testing.T) {
	p := NewPush(pushStore())
	if _, err := p.Put(context.Background(), "nobody", strings.NewReader(fullArticle), news.PushOptions{}); !errors.Is(err, news.ErrNotFound) {
		t.Errorf("unknown source: %v", err)
	}
	var fe *news.FieldError
	if _, err := p.Put(context.Background(), "site", strings.NewReader(fullArticle), news.PushOptions{}); !errors.As(err, &fe) || fe.Field != "source" {
		t.Errorf("a folder: %v", err)
	}
}

func TestPushDelete(t *testing.T) {
	m := pushStore()
	p := NewPush(m)
	if _, err := p.Put(context.Background(), "cms", strings.NewReader(fullArticle), news.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := p.Delete(context.Background(), "cms", "42", time.Time{}); got != news.PutWithdrawn || err != nil || len(m.live()) != 0 {
			t.Errorf("%v, %v, live %v", got, err, m.live())
		}
	}
	for _, id := range []string{"43", "\n", ""} {
		if _, err := p.Delete(context.Background(), "cms", id, time.Time{}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("delete %q: %v", id, err)
		}
	}
	if a, err := p.Get(context.Background(), "cms", "42"); err != nil || a.State != news.ArticleWithdrawn {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := p.Get(context.Background(), "cms", "43"); !errors.Is(err, news.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
}

func FuzzPush(f *testing.F) {
	f.Add(fullArticle)
	f.Add(`[{"id":"1","url":"https://n.example/1","title":"One","tags":[null,{}],"authors":[null]}]`)
	f.Add(`{"id":"1","url":"http://[::1]/%zz","title":"\u0000"}{"id":`)
	read := newPushReader(NewCleaner(), newMarkdown())
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 1<<16 {
			return
		}
		items, _, err := pushItems(strings.NewReader(body), strings.Contains(body, "\n"))
		if err != nil {
			if len(news.Faults(err, 0)) == 0 {
				t.Fatalf("%v is no FieldError", err)
			}
			return
		}
		for item, err := range items {
			if err != nil {
				t.Fatal(err)
			}
			if item.err != nil {
				continue
			}
			a, err := read.article(item.raw)
			if err != nil {
				if len(news.Faults(err, 1)) == 0 {
					t.Fatalf("%v is no FieldError", err)
				}
				continue
			}
			if a.NativeID == "" || a.Title == "" || !webURL(a.URL) || a.Hash == "" || strings.ContainsAny(a.Title, "\r\n\x00") {
				t.Fatalf("let through: %+v", a)
			}
		}
	})
}

// The published description names the fields that are really taken.
func TestOpenAPIHasTheFields(t *testing.T) {
	raw, err := os.ReadFile("../web/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties           map[string]any
				Required             []string
				AdditionalProperties *bool
			}
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for name, taken := range map[string]struct {
		value    any
		required []string
	}{
		"Article": {pushArticle{}, []string{"id", "url", "title"}}, "Author": {pushAuthor{}, []string{"name"}},
		"Image": {pushImage{}, []string{"url"}}, "Term": {pushTerm{}, []string{"name"}},
	} {
		var fields []string
		typ := reflect.TypeOf(taken.value)
		for i := range typ.NumField() {
			fields = append(fields, typ.Field(i).Tag.Get("json"))
		}
		slices.Sort(fields)
		schema := doc.Components.Schemas[name]
		if said := slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(said, fields) {
			t.Errorf("%s: described %v, taken %v", name, said, fields)
		}
		if !slices.Equal(schema.Required, taken.required) || schema.AdditionalProperties == nil || *schema.AdditionalProperties {
			t.Errorf("%s: required %v, additional %v", name, schema.Required, schema.AdditionalProperties)
		}
		if name != "Article" {
			continue
		}
		// What is described as required is refused if it is missing, and only that.
		_, err := newPushReader(NewCleaner(), newMarkdown()).article([]byte(`{}`))
		var missing []string
		for _, f := range news.Faults(err, 0) {
			missing = append(missing, f.Field)
		}
		if !slices.Equal(missing, taken.required) {
			t.Errorf("missing %v, described as required %v", missing, taken.required)
		}
	}
}
