package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

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
	p := NewPush(m, testNow)
	put := func(body string) news.StoreCounts {
		t.Helper()
		counts, err := p.Put(context.Background(), "cms", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return counts
	}
	if got := put(fullArticle); got != (news.StoreCounts{New: 1}) {
		t.Errorf("counts %+v", got)
	}
	if m.sources["cms"].ActivatedAt.IsZero() {
		t.Error("not activated: the first article would be archive")
	}
	f := m.found["42"]
	if f.Title != "Quay opens & closes" || f.ContentHTML != `<p>The quay <a href="https://news.example.org/x">opens</a>.</p>` || f.Summary != "The quay opens." || f.GUID != "urn:x:42" ||
		len(f.Authors) != 2 || f.Image.Alt != "The quay" || len(f.Terms) != 3 || f.Terms[1].ParentNativeID != "1" || f.EmbargoAt.IsZero() || f.PublishedAt.Hour() != 9 {
		t.Errorf("found %+v", f)
	}
	if got := put(fullArticle); got != (news.StoreCounts{Unchanged: 1}) {
		t.Errorf("again: %+v", got)
	}
	if got := put(`[{"id":"1","url":"https://n.example/1","title":"One","content_markdown":"# One\n\nText *one*"},{"id":"2","url":"https://n.example/2","title":"Two"}]`); got.New != 2 {
		t.Errorf("array: %+v", got)
	}
	if got := m.found["1"].ContentHTML; got != "<p>Text <em>one</em></p>" {
		t.Errorf("markdown: %q", got)
	}
	if got := put("{\"id\":\"3\",\"url\":\"https://n.example/3\",\"title\":\"Three\"}\n{\"id\":\"4\",\"url\":\"https://n.example/4\",\"title\":\"Four\"}\n"); got.New != 2 {
		t.Errorf("lines: %+v", got)
	}
	if got := put(`[{"id":"5","url":"https://n.example/5","title":"Five"},{"id":"5","url":"https://n.example/5","title":"Five, again"}]`); got.New != 1 || m.found["5"].Title != "Five, again" {
		t.Errorf("twice in a call: %+v %q", got, m.found["5"].Title)
	}
	put(`{"id":"6","url":"https://n.example/6","title":"Six","visibility":"members","content_html":"<p>Paid text</p>","summary":"For all"}`)
	if f := m.found["6"]; f.ContentHTML != "" || f.Summary != "For all" {
		t.Errorf("members' article %+v", f)
	}
}

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
		{"second of two", `[{` + ok + `},{"id":"2","title":"x"}]`, "[1].url"},
		{"too many", `[` + strings.TrimSuffix(strings.Repeat(`{"id":"1"},`, MaxPush+1), ",") + `]`, "body"},
		{"too many tags", `{` + ok + `,"tags":[` + strings.TrimSuffix(strings.Repeat(`"x",`, maxTerms+1), ",") + `]}`, "tags"},
		{"long content", `{` + ok + `,"content_html":"` + strings.Repeat("x", maxContent+1) + `"}`, "content_html"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := pushStore()
			_, err := NewPush(m, testNow).Put(context.Background(), "cms", strings.NewReader(tt.body))
			var fe *news.FieldError
			if !errors.As(err, &fe) || fe.Field != tt.field {
				t.Errorf("got %v, want a fault of %s", err, tt.field)
			}
			if len(m.found) != 0 {
				t.Error("something was stored")
			}
		})
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
	_, err := NewPush(pushStore(), testNow).Put(context.Background(), "cms", endless{})
	var fe *news.FieldError
	if !errors.As(err, &fe) || fe.Field != "body" {
		t.Errorf("got %v", err)
	}
}

func TestPushSource(t *testing.T) {
	p := NewPush(pushStore(), testNow)
	if _, err := p.Put(context.Background(), "nobody", strings.NewReader(fullArticle)); !errors.Is(err, news.ErrNotFound) {
		t.Errorf("unknown source: %v", err)
	}
	var fe *news.FieldError
	if _, err := p.Put(context.Background(), "site", strings.NewReader(fullArticle)); !errors.As(err, &fe) || fe.Field != "source" {
		t.Errorf("a folder: %v", err)
	}
}

func TestPushDelete(t *testing.T) {
	m := pushStore()
	p := NewPush(m, testNow)
	if _, err := p.Put(context.Background(), "cms", strings.NewReader(fullArticle)); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(context.Background(), "cms", "42"); err != nil || len(m.live()) != 0 {
		t.Errorf("%v, live %v", err, m.live())
	}
	for _, id := range []string{"42", "43", "\n", ""} {
		if err := p.Delete(context.Background(), "cms", id); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("delete %q: %v", id, err)
		}
	}
}

func FuzzPush(f *testing.F) {
	f.Add(fullArticle)
	f.Add(`[{"id":"1","url":"https://n.example/1","title":"One","tags":[null,{}],"authors":[null]}]`)
	f.Add(`{"id":"1","url":"http://[::1]/%zz","title":"\u0000"}{"id":`)
	p := NewPush(pushStore(), testNow)
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 1<<16 {
			return
		}
		found, err := p.parse(strings.NewReader(body))
		var fe *news.FieldError
		if err != nil && !errors.As(err, &fe) {
			t.Fatalf("%v is no FieldError", err)
		}
		for _, a := range found {
			if a.NativeID == "" || a.Title == "" || !webURL(a.URL) || a.Hash == "" || strings.ContainsAny(a.Title, "\r\n\x00") {
				t.Fatalf("let through: %s", fmt.Sprintf("%+v", a))
			}
		}
	})
}
