package templates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func mustLoad(t testing.TB, override fs.FS) *Set {
	t.Helper()
	s, err := Load(override)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// file is an override of one file.
func file(name, text string) fstest.MapFS {
	return fstest.MapFS{name: {Data: []byte(text)}}
}

func TestShippedTemplatesLoad(t *testing.T) {
	s := mustLoad(t, nil)
	if got := s.Digests(); len(got) != 1 || got[0] != DefaultDigest {
		t.Errorf("digests: got %v, want [default]", got)
	}
}

// A mistake is found when templates are loaded, and says where it is.
func TestMistakesNameFileAndLine(t *testing.T) {
	for _, tt := range []struct {
		name, file, text string
		want             []string
	}{
		{"syntax", "mail/default.html", "<p>\n<p>\n{{if}}", []string{"mail/default.html:3: ", "missing value for if"}},
		{"syntax of the text part", "mail/default.txt", "\n{{range .Sections}}", []string{"mail/default.txt:2: ", "unexpected EOF"}},
		{"misspelt field", "mail/default.html", "\n{{.Sujbect}}", []string{"mail/default.html:2:", "Sujbect"}},
		{"misspelt field of an article", "mail/default.txt", "{{range .Sections}}\n{{range .Articles}}\n\n{{.Headline}}{{end}}{{end}}", []string{"mail/default.txt:4:", "Headline"}},
		{"misspelt field of the confirmation", "mail/confirm.txt", "{{.Confrim}}", []string{"mail/confirm.txt:1:", "Confrim"}},
		{"unknown function", "mail/default.html", "\n\n\n{{env \"HOME\"}}", []string{"mail/default.html:4: ", `"env"`}},
		{"builtin that is not on the list", "mail/default.html", "\n{{js .Subject}}", []string{"mail/default.html:2:", `function "js" is not available`}},
		{"call", "mail/default.txt", "{{if true}}{{range .Sections}}{{with (call .Name)}}{{end}}{{end}}{{end}}", []string{"mail/default.txt:1:", `"call"`}},
		{"unsafe HTML", "mail/default.html", "<p>\n<a href=\"{{if .Subject}}\">{{end}}", []string{"mail/default.html:2"}},
		{"page syntax", "pages/feeds.html", "{{define \"main\"}}\n{{end", []string{"pages/feeds.html:2: "}},
		{"page function", "pages/layout.html", "\n{{template \"main\" .}}{{print 1}}", []string{"pages/layout.html:2:", `"print"`}},
		{"words: syntax", "lang/de.json", "{\n\"by\": \"Von\"\n\"and\": \"und\"}", []string{"lang/de.json:3: "}},
		{"words: kind", "lang/de.json", "{\"by\": 3}", []string{"lang/de.json:1: ", "want a text"}},
		{"words: misspelt key", "lang/de.json", "{\n\"by\": \"Von {authors}\",\n\"amd\": \"und\"}", []string{"lang/de.json:3: ", `"amd"`}},
		{"words: endless", "lang/de.json", `{"by": "` + strings.Repeat("{authors}", 500) + `"}`, []string{"lang/de.json: ", `"by"`}},
		{"words: no language", "lang/german.json", "{}", []string{"lang/german.json: ", "name of a language"}},
		{"no text part", "mail/extra.html", "x", []string{"mail/extra.txt: missing"}},
		{"misspelt page", "pages/feedz.html", "x", []string{"pages/feedz.html: no template has this name", "feeds.html"}},
		{"too large", "mail/default.html", strings.Repeat("x", maxSource+1), []string{"mail/default.html: larger than 1 MB"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(file(tt.file, tt.text))
			if err == nil {
				t.Fatal("loaded")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestAllMistakesAreReported(t *testing.T) {
	_, err := Load(fstest.MapFS{
		"mail/default.html": {Data: []byte("{{.One}}")},
		"mail/default.txt":  {Data: []byte("{{.Two}}")},
		"mail/confirm.html": {Data: []byte("{{.Three}}")},
		"pages/feeds.html":  {Data: []byte("{{four}}")},
	})
	for _, want := range []string{"One", "Two", "Three", "four"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of %s: %v", want, err)
		}
	}
}

func TestOverrides(t *testing.T) {
	s := mustLoad(t, fstest.MapFS{
		"mail/brief.html":      {Data: []byte(`<p>{{.Subject}}</p>`)},
		"mail/brief.txt":       {Data: []byte(`{{.Subject}}`)},
		"mail/.brief.html.swp": {Data: []byte(`{{`)},
		"mail/brief.html~":     {Data: []byte(`{{`)},
		"static/site.css":      {Data: []byte("p{color:red}")},
		"lang/de.json":         {Data: []byte(`{"and": "und", "unsubscribe": "Abbestellen"}`)},
	})
	m, err := s.Digest(t.Context(), "brief", DigestView{Subject: "A & B"})
	if err != nil || m.Subject != "A & B" || m.HTML != "<p>A &amp; B</p>" || m.Text != "A & B\n" {
		t.Errorf("got %+v, %v", m, err)
	}
	if _, err := s.Digest(t.Context(), "gone", DigestView{}); err == nil || !strings.Contains(err.Error(), "brief, default") {
		t.Errorf("unknown template: got %v, want the names of those that are", err)
	}
	css, err := fs.ReadFile(s.Static(), "site.css")
	if err != nil || string(css) != "p{color:red}" {
		t.Errorf("static/site.css: got %q, %v; want the operator's", css, err)
	}
	if _, err := fs.ReadFile(s.Static(), "icon.svg"); err != nil {
		t.Errorf("static/icon.svg: got %v, want ours", err)
	}
	if _, err := fs.ReadFile(s.Static(), "../mail/default.html"); err == nil {
		t.Error("a path out of static was opened")
	}
	d := sampleDigests()[0]
	d.Lang = "de-AT"
	if m, err := s.Digest(t.Context(), "", d); err != nil || !strings.Contains(m.HTML, "Abbestellen") || !strings.Contains(m.HTML, "YOU MIGHT ALSO LIKE") {
		t.Errorf("want German where it is given and English elsewhere; %v", err)
	}
}

// Content is data: what looks like a template in it stays as it is (S4).
func TestContentIsNotParsed(t *testing.T) {
	d := sampleDigests()[0]
	d.Sections[0].Articles[0].Title = `{{.Unsubscribe}}<script>`
	m, err := mustLoad(t, nil).Digest(t.Context(), "", d)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(m.HTML, "{{.Unsubscribe}}&lt;script&gt;") || !strings.Contains(m.Text, "{{.Unsubscribe}}<script>") {
		t.Error("the title was changed")
	}
}

// bomb is 20 templates, each of which uses the next one twice.
func bomb() string {
	var b strings.Builder
	for n := range 20 {
		fmt.Fprintf(&b, `{{define "t%d"}}{{template "t%d"}}{{template "t%d"}}{{end}}`, n, n+1, n+1)
	}
	return b.String() + `{{define "t20"}}{{end}}{{template "t0"}}`
}

// No template can hold the daemon up or fill its memory (S4).
func TestRenderingIsLimited(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want error
	}{
		"silent loop":   {`{{range 1000000000000}}{{end}}`, errSteps},
		"nested loops":  {`{{range 100000}}{{range 100000}}{{end}}{{end}}`, errSteps},
		"bomb":          {bomb(), errSteps},
		"uses itself":   {`{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`, errDepth},
		"endless text":  {`{{range 100000000}}xxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{end}}`, ErrTooLarge},
		"doubled text":  {`{{$x := "xxxxxxxxxxxxxxxx"}}{{range 60}}{{$x = printf "%s%s" $x $x}}{{end}}`, ErrTooLarge},
		"padded number": {`{{printf "%1000000d" 1}}`, ErrTooLarge},
		"much padding":  {`{{printf "` + strings.Repeat("%0999d", 2000) + `" 1}}`, ErrTooLarge},
		"star":          {`{{printf "%*d" 100000 1}}`, ErrTooLarge},
		"again, again":  {`{{printf "` + strings.Repeat("%[1]s", 800) + `" "x"}}`, ErrTooLarge},
		"wide indent":   {`{{$x := printf "%999s" "x"}}{{$x = printf "%s%s" $x $x}}{{wrap 1 $x "a b c d"}}`, ErrTooLarge},
	} {
		p, err := newProgram(htmlPart, &words{}, limits{steps: 20_000, depth: 100, bytes: 100_000}, []part{{"mail/x.html", tt.text}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.run(t.Context(), nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

// The context ends what the limits would let run for a second.
func TestRenderingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := newProgram(textPart, &words{}, mailLimits(), []part{{"mail/x.txt", `{{range .}}{{if .Stop}}{{end}}{{range 500000}}{{end}}{{end}}`}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.run(ctx, []stopper{{cancel}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
	if out, err := p.run(t.Context(), nil); out != "" || err != nil {
		t.Errorf("the next run: %q, %v", out, err)
	}
}

type stopper struct{ cancel func() }

// Stop is called by the template.
func (s stopper) Stop() bool { s.cancel(); return true }

func TestProgramsRunAtOnce(t *testing.T) {
	s := mustLoad(t, nil)
	want, err := s.Digest(t.Context(), "", sampleDigests()[0])
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan Mail)
	for range 8 {
		go func() {
			m, _ := s.Digest(t.Context(), "", sampleDigests()[0])
			done <- m
		}()
	}
	for range 8 {
		if got := <-done; got != want {
			t.Error("two renderings of one view differ")
		}
	}
}

func TestPageWritesNothingOnFailure(t *testing.T) {
	s := mustLoad(t, nil)
	var out strings.Builder
	if err := s.Page(&out, "feeds", struct{}{}); err == nil || out.Len() != 0 {
		t.Errorf("got %v and %d bytes, want an error and nothing", err, out.Len())
	}
	if err := s.Page(io.Discard, "gone", nil); err == nil {
		t.Error("a page without template was rendered")
	}
}

func TestConfirm(t *testing.T) {
	v := sampleConfirms()[0]
	v.Until = time.Date(2025, 11, 22, 9, 5, 0, 0, time.UTC)
	m, err := mustLoad(t, nil).Confirm(v)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "Please confirm: World news" {
		t.Errorf("subject: got %q", m.Subject)
	}
	for _, want := range []string{"gzczg", "gzazg", "22 November 2025, 09:05", "1 Example Street, Example Town"} {
		if !strings.Contains(m.HTML, want) || !strings.Contains(m.Text, want) {
			t.Errorf("want %q in both parts", want)
		}
	}
}
