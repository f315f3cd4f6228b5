package source

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseFrontMatter(t *testing.T) {
	tests := []struct{ name, in, title, tags, body string }{
		{"yaml", "---\ntitle: Ships\ntags: [a, b]\n---\nText\n", "Ships", "a b", "Text\n"},
		{"yaml with BOM and CRLF", "\xEF\xBB\xBF---\r\nTitle: Ships\r\ntags:\r\n  - a\r\n---\r\nText\r\n", "Ships", "a", "Text\n"},
		{"yaml ended by dots", "---\ntitle: Ships\n...\nText", "Ships", "", "Text"},
		{"yaml folded", "---\ntitle: \"Ships\n  sail\"\n---\n", "Ships sail", "", ""},
		{"yaml number", "---\ntitle: 2023\n---\n", "2023", "", ""},
		{"commas", "---\ntitle: x\ntags: a, b ,c\n---\n", "x", "a b c", ""},
		{"alias", "---\nx: &t [a, b]\ntitle: x\ntags: *t\n---\n", "x", "a b", ""},
		{"toml", "+++\ntitle = \"Ships\"\n[taxonomies]\ntags = [\"a\"]\n+++\nText", "Ships", "a", "Text"},
		{"toml date", "+++\ntitle = \"Ships\"\ndate = 2025-11-19\n+++\n", "Ships", "", ""},
		{"json", "{\n\"title\": \"Ships\", \"tags\": [\"a\"]\n}\nText", "Ships", "a", "Text"},
		{"json fenced", ";;;\n{\"title\": \"Ships\"}\n;;;\nText", "Ships", "", "Text"},
		{"extra", "---\ntitle: x\nextra:\n  tags: [deep]\n---\n", "x", "deep", ""},
		{"none", "# Ships\nText", "", "", "# Ships\nText"},
		{"template at the top", "{{ shortcode }}\nText", "", "", "{{ shortcode }}\nText"},
		{"empty", "---\n---\nText", "", "", "Text"},
		{"nothing", "", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fm, err := parseFrontMatter([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			title, _ := fm.text("title")
			if tags := strings.Join(asTexts(fm.keys["tags"]), " "); title != tt.title || tags != tt.tags || fm.body != tt.body {
				t.Errorf("title %q tags %q body %q", title, tags, fm.body)
			}
		})
	}
}

func TestFrontMatterFaults(t *testing.T) {
	tests := []struct {
		name, in string
		line     int
		part     string
	}{
		{"duplicate key", "---\ntitle: a\ndate: 2025-01-01\ntitle: b\n---\n", 4, "title"},
		{"bad yaml", "---\ntitle: a\nb: [1\n---\n", 3, "YAML"},
		{"no end", "---\ntitle: a\n", 1, "does not end"},
		{"only a fence", "---", 1, "does not end"},
		{"bad toml", "+++\ntitle = \"a\"\ndate = nope\n+++\n", 3, "TOML"},
		{"toml twice", "+++\na = 1\na = 2\n+++\n", 3, "TOML"},
		{"bad json", "{\n\"title\": \"a\",\n}\n", 3, "JSON"},
		{"json array", ";;;\n[1]\n;;;\n", 2, "JSON"},
		{"yaml list", "---\n- a\n- b\n---\n", 2, "YAML"},
		{"too long", "---\nx: \"" + strings.Repeat("y", maxFrontMatter) + "\"\n---\n", 1, "does not end"},
		{"alias bomb", "---\n" + aliasBomb() + "---\n", 2, "aliases"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseFrontMatter([]byte(tt.in))
			var le *lineError
			if !errors.As(err, &le) || le.Line != tt.line || !strings.Contains(le.Text, tt.part) || strings.Contains(le.Text, "\n") {
				t.Errorf("got %v, want line %d with %q", err, tt.line, tt.part)
			}
		})
	}
}

func aliasBomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	return b.String()
}

func TestMarkdownTemplates(t *testing.T) {
	m := newMarkdown()
	tests := []struct{ name, in, want string }{
		{"url filter", `[x]({{ "/about/" | relative_url }})`, `<p><a href="/about/">x</a></p>`},
		{"embed", `{{ "https://v.example/1" | embed: "Title" }}`, `<p><a href="https://v.example/1">https://v.example/1</a></p>`},
		{"shortcode", "a {{< figure src=\"x.png\" >}} b", `<p>a  b</p>`},
		{"percent shortcode", "{{% note %}}\nText\n{{% /note %}}", `<p>Text</p>`},
		{"tag over lines", "{% include \"x.html\",\n  alt: \"100% of it\" %}\nText", `<p>Text</p>`},
		{"variable", `![x]({{ image | url }})`, `<p><img src="" alt="x"></p>`},
		{"attribute list", "Text\n{: .lead }", `<p>Text</p>`},
		{"code span", "Use `{{ \"x\" | url }}` here", `<p>Use <code>{{ &quot;x&quot; | url }}</code> here</p>`},
		{"code block", "```\n{% raw %}\n```", "<pre><code>{% raw %}\n</code></pre>"},
		{"indented code", "Text\n\n    {% raw %}\n", "<p>Text</p>\n<pre><code>{% raw %}\n</code></pre>"},
		{"braces in prose", "A set {{1, 2}} of sets", `<p>A set {{1, 2}} of sets</p>`},
		{"table", "|a|b|\n|-|-|\n|1|2|", "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>"},
		{"heading id", "## The quay {#quay}", `<h2 id="quay">The quay</h2>`},
		{"strike", "~~no~~", `<p><del>no</del></p>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := m.render(tt.in)
			if err != nil || strings.TrimSpace(got) != tt.want {
				t.Errorf("got %q, %v\nwant %q", got, err, tt.want)
			}
		})
	}
}

func FuzzFrontMatter(f *testing.F) {
	f.Add([]byte("---\ntitle: x\ndate: 2025-01-01 10:00:00 -5\n---\n# H\n{{< x >}}\n"))
	f.Add([]byte("+++\ntitle = 'x'\n[extra]\na=1\n+++\n"))
	f.Add([]byte("{\"title\":1e999}\n"))
	f.Add([]byte("---\na: &a [*a]\nb: *a\n? [x]: y\n---\n|a|\n|-|\n"))
	f.Add([]byte("<!doctype html><script type='application/ld+json'>{\"@type\":\"Article\",\"author\":[1,{\"name\":[]}]}</script><article>"))
	c, md := NewCleaner(), newMarkdown()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<15 {
			return
		}
		for _, name := range []string{"2025-01-02-a.md", "b/index.html"} {
			r := newFileReader(c, md, nil, nil, "https://news.example.org/", testNow())
			found, kind, _, err := r.read(folderFile{Path: name, Data: data})
			if err == nil && kind == isArticle {
				seal(&found)
				if found.Title == "" || !webURL(found.URL) {
					t.Fatalf("title %q url %q", found.Title, found.URL)
				}
			}
		}
	})
}

func TestMarkdownLimits(t *testing.T) {
	m := newMarkdown()
	for name, text := range map[string]string{
		"one long line": strings.Repeat("_a*", 40_000), "long paragraph": strings.Repeat(strings.Repeat("[a](", 200)+"\n", 100), "deep quotation": strings.Repeat("> ", 200) + "x",
		"deep list": strings.Repeat("- ", 200) + "x", "deep numbers": strings.Repeat("1. ", 150) + "x", "long text": strings.Repeat("word\n\n", 200_000),
	} {
		if _, err := m.render(text); err == nil {
			t.Errorf("%s was rendered", name)
		}
	}
	for name, text := range map[string]string{
		"rule": strings.Repeat("-", 300) + "\n", "number": strings.Repeat("1", 300) + " is long", "long list": strings.Repeat("- an item of the list\n", 10_000),
		"long text": strings.Repeat("A paragraph of words.\n\n", 20_000),
	} {
		if _, err := m.render(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
