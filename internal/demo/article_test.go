package demo

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sample is an article with the fields that only tests look at.
type sample struct {
	article
	front, body      string
	id               string
	categories, tags []string
}

func samples(t *testing.T) []sample {
	t.Helper()
	articles, err := loadArticles(articleFiles)
	if err != nil {
		t.Fatal(err)
	}
	var out []sample
	for _, a := range articles {
		s := sample{article: a}
		if s.front, s.body, err = splitFront(a.text); err != nil {
			t.Fatalf("%s: %v", a.file, err)
		}
		if s.id, err = field(s.front, "id"); err != nil {
			t.Fatalf("%s: %v", a.file, err)
		}
		s.categories, s.tags = words(t, s, "categories"), words(t, s, "tags")
		out = append(out, s)
	}
	return out
}

// words reads a list on one line: [Ports, "R&D"].
func words(t *testing.T, s sample, name string) []string {
	t.Helper()
	value, err := field(s.front, name)
	if err != nil {
		t.Fatalf("%s: %v", s.file, err)
	}
	var out []string
	for word := range strings.SplitSeq(strings.Trim(value, "[]"), ",") {
		out = append(out, strings.Trim(word, ` "`))
	}
	return out
}

func TestEveryArticleIsComplete(t *testing.T) {
	all := samples(t)
	if len(all) != 30 {
		t.Errorf("%d articles, want 30", len(all))
	}
	ids, files := map[string]string{}, map[string]bool{}
	for _, s := range all {
		if other, ok := ids[s.id]; ok || s.id == "" {
			t.Errorf("%s: id %q is empty or that of %s", s.file, s.id, other)
		}
		if files[s.file] {
			t.Errorf("%s: file name used twice", s.file)
		}
		ids[s.id], files[s.file] = s.file, true
		if n := len(s.categories); n < 1 || n > 2 || s.categories[0] == "" {
			t.Errorf("%s: categories %q, want one or two", s.file, s.categories)
		}
		if n := len(s.tags); n < 2 || n > 5 || s.tags[0] == "" {
			t.Errorf("%s: tags %q, want two to five", s.file, s.tags)
		}
		if n := len(strings.Fields(s.body)); n < 150 || n > 600 {
			t.Errorf("%s: %d words, want 150 to 600", s.file, n)
		}
		if date, _ := field(s.front, "date"); date != "{{date}}" {
			t.Errorf("%s: date %q, want the placeholder", s.file, date)
		}
		alt, _ := field(s.front, "image_alt")
		if (s.image == "") != (alt == "") {
			t.Errorf("%s: image %q has alt %q", s.file, s.image, alt)
		}
	}
}

func TestJSONFrontMatterIsJSON(t *testing.T) {
	n := 0
	for _, s := range samples(t) {
		if !strings.HasPrefix(s.front, "{") {
			continue
		}
		n++
		var fields struct {
			Title, ID, Image string
			Categories, Tags []string
		}
		if err := json.Unmarshal([]byte(s.front), &fields); err != nil {
			t.Errorf("%s: %v", s.file, err)
		}
		if fields.Title != s.title || fields.ID != s.id || !slices.Equal(fields.Tags, s.tags) {
			t.Errorf("%s: read as %q %q %q, is %+v", s.file, s.title, s.id, s.tags, fields)
		}
	}
	if n != 2 {
		t.Errorf("%d articles with JSON front matter, want 2", n)
	}
}

// Related articles, feeds per section and feeds per tag need company.
func TestSectionsAndTagsAreShared(t *testing.T) {
	sections := map[string]int{
		"Sports": 0, "Business": 0, "Technology": 0, "Culture": 0, "Travel": 0, "Asia": 0, "US": 0,
		"UK": 0, "Europe": 0, "Africa": 0, "Latin America": 0, "Australia": 0,
	}
	tags := map[string]int{}
	for _, s := range samples(t) {
		for _, c := range s.categories {
			if _, ok := sections[c]; !ok {
				t.Errorf("%s: unknown section %q", s.file, c)
			}
			sections[c]++
		}
		for _, tag := range s.tags {
			tags[tag]++
		}
	}
	for name, n := range sections {
		if n < 2 {
			t.Errorf("section %q has %d articles, want at least 2", name, n)
		}
	}
	for name, n := range tags {
		if n < 2 {
			t.Errorf("tag %q has %d articles, want at least 2", name, n)
		}
	}
}

// The cases that a demonstration should meet.
func TestSpecialArticlesAreThere(t *testing.T) {
	has := func(pattern string) func(sample) bool {
		re := regexp.MustCompile(pattern)
		return func(s sample) bool { return re.MatchString(s.text) }
	}
	for name, c := range map[string]struct {
		is    func(sample) bool
		least int
	}{
		"TOML front matter": {has(`^\+\+\+\n`), 3},
		"no image":          {func(s sample) bool { return s.image == "" }, 1},
		"no author":         {func(s sample) bool { return !has(`authors?"?( =|:)`)(s) }, 1},
		"updated later":     {has(`updated: \{\{updated\}\}`), 1},
		"summary":           {has(`(?m)^ *"?summary"?( =|:)`), 12},
		"table":             {has(`(?m)^\|.*\|$`), 2},
		"contents and FAQs": {has(`(?s)## Contents.*## FAQs`), 1},
		"several authors":   {has(`authors: \[.*,.*\]`), 2},
		"&, quotes and < in title": {func(s sample) bool {
			return strings.Contains(s.title, "&") && strings.Contains(s.title, `"`) && strings.Contains(s.title, "<")
		}, 1},
		"very long title": {func(s sample) bool { return len(s.title) > 200 }, 1},
		"other scripts":   {func(s sample) bool { return has(`\p{Han}`)(s) && has(`\p{Arabic}`)(s) && has(`\p{Cyrillic}`)(s) }, 1},
	} {
		n := 0
		for _, s := range samples(t) {
			if c.is(s) {
				n++
			}
		}
		if n < c.least {
			t.Errorf("%s: %d articles, want at least %d", name, n, c.least)
		}
	}
}

func TestFrontMatterFields(t *testing.T) {
	for _, c := range []struct{ text, title, image string }{
		{"---\ntitle: 'It''s \"x\" < y'\nimage: /images/a.png\n---\nbody\n", `It's "x" < y`, "a.png"},
		{"---\ntitle: \"A: b = c\"\n---\nbody\n", "A: b = c", ""},
		{"+++\ntitle = \"A: b = c\"\nimage = \"/images/a.png\"\n+++\nbody\n", "A: b = c", "a.png"},
		{"{\n \"title\": \"A \\\"b\\\"\",\n \"image\": \"/images/a.png\"\n}\nbody\n", `A "b"`, "a.png"},
	} {
		a, err := readArticle("01-a.md", c.text)
		if err != nil || a.title != c.title || a.image != c.image || a.file != "a.md" {
			t.Errorf("readArticle(%q) = %+v, %v", c.text, a, err)
		}
	}
	for _, text := range []string{"", "no fence", "---\ntitle: x\n", "---\nid: x\n---\n", "{\"title\": ", "---\ntitle: \"x\n---\n"} {
		if a, err := readArticle("01-a.md", text); err == nil {
			t.Errorf("readArticle(%q) = %+v, want an error", text, a)
		}
	}
}
