package demo

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func noonOf(day int) func() time.Time {
	return func() time.Time { return time.Date(2025, 11, day, 12, 0, 0, 0, time.UTC) }
}

func newsroom(t *testing.T, dir string, now func() time.Time) *Newsroom {
	t.Helper()
	n, err := New(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tree is every file below dir with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func dateOf(t *testing.T, text, name string) time.Time {
	t.Helper()
	m := regexp.MustCompile(`(?m)^"? *"?` + name + `"?(?::| =) "?([0-9TZ:-]+)"?,?$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in %.200s", name, text)
	}
	at, err := time.Parse(time.RFC3339, m[1])
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestInitialArticlesEndBeforeNow(t *testing.T) {
	dir := t.TempDir()
	n := newsroom(t, dir, noonOf(19))
	if err := n.PublishInitial(5); err != nil {
		t.Fatal(err)
	}
	files := tree(t, dir)
	last := time.Time{}
	for i, a := range n.articles {
		text, ok := files["articles/"+a.file]
		if ok != (i < 5) {
			t.Errorf("%s: published %v", a.file, ok)
		}
		if !ok {
			continue
		}
		if strings.Contains(text, "{{") {
			t.Errorf("%s: placeholder left", a.file)
		}
		if _, ok := files["images/"+a.image]; !ok && a.image != "" {
			t.Errorf("%s: picture %s is missing", a.file, a.image)
		}
		date := dateOf(t, text, "date")
		if !date.After(last) {
			t.Errorf("%s: %v is not after %v", a.file, date, last)
		}
		last = date
	}
	now := noonOf(19)()
	if age := now.Sub(last); age < 0 || age > 2*time.Hour {
		t.Errorf("newest is %v old", age)
	}
	recount := files["articles/vermont-town-recount.md"]
	if by := dateOf(t, recount, "updated").Sub(dateOf(t, recount, "date")); by != 100*time.Minute {
		t.Errorf("updated %v after publication", by)
	}
}

func TestPublishNextGoesThroughAll(t *testing.T) {
	dir := t.TempDir()
	n := newsroom(t, dir, noonOf(19))
	for _, a := range n.articles[:n.Total()-2] { // as a former run left them
		if err := os.WriteFile(filepath.Join(dir, ArticleDir, a.file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := n.Total() - 2; i < n.Total(); i++ {
		title, ok, err := n.PublishNext()
		if err != nil || !ok || title != n.articles[i].title {
			t.Fatalf("PublishNext = %q, %v, %v; want %q", title, ok, err, n.articles[i].title)
		}
		text := tree(t, dir)["articles/"+n.articles[i].file]
		if date := dateOf(t, text, "date"); !date.Equal(noonOf(19)()) {
			t.Errorf("%s: dated %v, want now", n.articles[i].file, date)
		}
	}
	if title, ok, err := n.PublishNext(); title != "" || ok || err != nil {
		t.Errorf("PublishNext after the last = %q, %v, %v", title, ok, err)
	}
	for name := range tree(t, dir) {
		if strings.HasPrefix(filepath.Base(name), ".") {
			t.Errorf("%s was left behind", name)
		}
	}
}

func TestASecondRunChangesNothing(t *testing.T) {
	dir := t.TempDir()
	first := newsroom(t, dir, noonOf(19))
	if err := first.PublishInitial(3); err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.PublishNext(); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)

	second := newsroom(t, dir, noonOf(21))
	if err := second.PublishInitial(3); err != nil {
		t.Fatal(err)
	}
	after := tree(t, dir)
	if len(after) != len(before) {
		t.Errorf("%d files, were %d", len(after), len(before))
	}
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s changed", name)
		}
	}
	if title, ok, err := second.PublishNext(); err != nil || !ok || title != second.articles[4].title {
		t.Errorf("PublishNext = %q, %v, %v; want the fifth article", title, ok, err)
	}
}

// Whoever has the old file open goes on reading it whole: the new one took its name, not its bytes.
func TestWritesAreRenames(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := writeWhole(root, ".", "a.md", []byte("old")); err != nil {
		t.Fatal(err)
	}
	open, err := root.Open("a.md")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := writeWhole(root, ".", "a.md", []byte("new text")); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(open); err != nil || string(data) != "old" {
		t.Errorf("the open file reads %q, %v", data, err)
	}
	if files := tree(t, dir); len(files) != 1 || files["a.md"] != "new text" {
		t.Errorf("folder holds %q", files)
	}
}

// A picture that cannot be written keeps its article back; the next try publishes both.
func TestNoArticleWithoutItsPicture(t *testing.T) {
	dir := t.TempDir()
	n := newsroom(t, dir, noonOf(19))
	blocker := filepath.Join(dir, ImageDir, n.articles[0].image)
	if err := os.MkdirAll(filepath.Join(blocker, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if title, ok, err := n.PublishNext(); err == nil || ok || title != "" {
		t.Fatalf("PublishNext = %q, %v, %v; want an error", title, ok, err)
	}
	if files := tree(t, dir); len(files) != 0 {
		t.Errorf("left behind: %d files", len(files))
	}
	if err := os.RemoveAll(blocker); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := n.PublishNext(); err != nil || !ok {
		t.Errorf("second try: %v, %v", ok, err)
	}
}
