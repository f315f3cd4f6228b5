package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gazetted/internal/news"
)

// article makes a Found of a row. An error names the column's field; the row is
// then left as it is known.
func (l *pgLook) article(r pgRow) (news.Found, error) {
	v := r.values
	f := news.Found{NativeID: r.id, Title: plainTitle(v["title"]), GUID: oneLine(v["guid"], 500), Language: languageTag(v["language"]), Visibility: news.VisibilityPublic}
	var err error
	if f.URL, err = l.address(strings.TrimSpace(v["url"])); err != nil {
		return f, err
	}
	if u := strings.TrimSpace(v["comments_url"]); webURL(u) {
		f.CommentsURL = u
	}
	for _, t := range []struct {
		field string
		into  *time.Time
	}{{"published_at", &f.PublishedAt}, {"updated_at", &f.UpdatedAt}, {"embargo_at", &f.EmbargoAt}, {"expires_at", &f.ExpiresAt}} {
		text := strings.TrimSpace(v[t.field])
		if text == "" || text == "infinity" || text == "-infinity" {
			continue
		}
		var note string
		if *t.into, note, err = l.dates.parse(text); err != nil {
			// An article without its date would be news again.
			return f, fmt.Errorf("%s: %w", t.field, err)
		}
		if note != "" {
			l.notes.add(fmt.Sprintf("row %s: %s: %s", clip(r.id, 60), t.field, note))
		}
	}
	if f.PublishedAt.After(l.now()) && f.EmbargoAt.IsZero() {
		f.EmbargoAt = f.PublishedAt // published ahead of its time
	}
	for _, name := range pgList(v["author"], false) {
		f.Authors = append(f.Authors, news.Author{Name: name})
	}
	for _, name := range pgList(v["categories"], true) {
		f.Terms = append(f.Terms, news.TermRef{Kind: news.KindCategory, Name: name})
	}
	for _, name := range pgList(v["tags"], true) {
		f.Terms = append(f.Terms, news.TermRef{Kind: news.KindTag, Name: name})
	}
	if image := strings.TrimSpace(v["image"]); image != "" {
		f.Image = &news.Image{URL: image, Alt: v["image_alt"]}
	}
	if text := strings.ToLower(strings.TrimSpace(v["visibility"])); text != "" && text != string(news.VisibilityPublic) {
		f.Visibility = news.VisibilityMembers
		return f, nil // and not a word of its body
	}
	return f, l.content(&f, v)
}

func (l *pgLook) content(f *news.Found, v map[string]string) error {
	body := v["html"]
	if body == "" && v["markdown"] != "" {
		var err error
		if body, err = l.md.render(v["markdown"]); err != nil {
			return err
		}
	}
	got := l.cleaner.Clean(body, CleanOptions{Base: f.URL, Title: f.Title})
	f.ContentHTML = got.HTML
	f.Summary = orElse(plainHTML(v["summary"], maxSummary), got.Excerpt)
	if f.Image == nil {
		f.Image = got.Image
	}
	return nil
}

// address is the article's: whole in the table, or a path or slug below the
// source's base URL.
func (l *pgLook) address(text string) (string, error) {
	if webURL(text) {
		return text, nil
	}
	switch {
	case text == "":
		return "", errors.New("url: there is none")
	case l.base == nil:
		return "", fmt.Errorf("url: %q is no address on the web; give the source a --base-url", clip(oneLine(text, 80), 80))
	}
	base := *l.base
	if !strings.HasSuffix(base.Path, "/") {
		base.Path += "/"
	}
	u, err := base.Parse(text)
	if err != nil || !webURL(u.String()) || u.Host != base.Host {
		return "", fmt.Errorf("url: %q is no address below %s", clip(oneLine(text, 80), 80), l.base)
	}
	return u.String(), nil
}

// pgList reads an array (as JSON), a JSON list of texts or of objects with a
// name, or one text; commas says whether that may hold several.
func pgList(text string, commas bool) []string {
	text = strings.TrimSpace(text)
	var list []any
	if strings.HasPrefix(text, "[") && json.Unmarshal([]byte(text), &list) == nil {
		return asTexts(list)
	}
	if commas {
		return asTexts(text)
	}
	if text == "" {
		return nil
	}
	return []string{text}
}
