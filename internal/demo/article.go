package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// article is one sample: a Markdown file with front matter, in which {{date}} and {{updated}} stand for the
// times of publication.
type article struct {
	file  string // name in the folder; the embedded name without the number that gives the order
	title string
	image string // name of its picture, or empty
	text  string
}

// loadArticles reads the samples in the order of their file names.
func loadArticles(files fs.FS) ([]article, error) {
	names, err := fs.Glob(files, "articles/*.md")
	if err != nil {
		return nil, err
	}
	articles := make([]article, 0, len(names))
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		a, err := readArticle(path.Base(name), string(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		articles = append(articles, a)
	}
	return articles, nil
}

// readArticle takes from the front matter the two fields that publishing needs. The samples keep them on one
// line each, so this needs no YAML or TOML parser.
func readArticle(name, text string) (article, error) {
	_, file, ok := strings.Cut(name, "-")
	if !ok {
		return article{}, errors.New("name: want NUMBER-SLUG.md")
	}
	front, _, err := splitFront(text)
	if err != nil {
		return article{}, err
	}
	a := article{file: file, text: text}
	if a.title, err = field(front, "title"); err != nil {
		return article{}, err
	}
	if a.title == "" {
		return article{}, errors.New("title: missing")
	}
	image, err := field(front, "image")
	if err != nil {
		return article{}, err
	}
	a.image = strings.TrimPrefix(image, "/"+ImageDir+"/")
	return a, nil
}

// splitFront cuts a file into front matter, without fences if it is YAML or TOML, and body.
func splitFront(text string) (front, body string, err error) {
	if strings.HasPrefix(text, "{") {
		decoder := json.NewDecoder(strings.NewReader(text))
		var object json.RawMessage
		if err := decoder.Decode(&object); err != nil {
			return "", "", fmt.Errorf("front matter: %w", err)
		}
		return string(object), text[decoder.InputOffset():], nil
	}
	for _, fence := range []string{"---\n", "+++\n"} {
		if rest, ok := strings.CutPrefix(text, fence); ok {
			if front, body, ok = strings.Cut(rest, "\n"+fence); ok {
				return front, body, nil
			}
		}
	}
	return "", "", errors.New("front matter: no fence, or none that closes it")
}

// field is a text field of front matter in any of the three forms; empty if it is not there.
func field(front, name string) (string, error) {
	for line := range strings.Lines(front) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), separator(front))
		if !ok || strings.Trim(key, `" `) != name {
			continue
		}
		value = strings.TrimSuffix(strings.TrimSpace(value), ",")
		switch {
		case strings.HasPrefix(value, `"`):
			value, err := strconv.Unquote(value)
			if err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
			return value, nil
		case strings.HasPrefix(value, "'"):
			return strings.ReplaceAll(strings.Trim(value, "'"), "''", "'"), nil
		}
		return value, nil
	}
	return "", nil
}

// separator between key and value: TOML's front matter is the one whose first line has " = ".
func separator(front string) string {
	first, _, _ := strings.Cut(front, "\n")
	if key, _, ok := strings.Cut(first, " = "); ok && !strings.Contains(key, ":") {
		return " = "
	}
	return ":"
}
