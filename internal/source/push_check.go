package source

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"gazetted/internal/news"
)

// check reports the first field that breaks a rule.
func (a *pushArticle) check(prefix string) error {
	bad := func(field, value, want string) error {
		return &news.FieldError{Field: prefix + field, Value: oneLine(clipBytes(value, 400), 100), Want: want}
	}
	switch {
	case a.ID == "" || len(a.ID) > maxNativeID || oneLine(a.ID, maxNativeID) != a.ID:
		return bad("id", a.ID, "your system's own id of the article, 1 to 250 bytes on one line")
	case !webURL(strings.TrimSpace(a.URL)):
		return bad("url", a.URL, "the article's address, such as https://news.example.org/a/")
	case strings.TrimSpace(oneLine(a.Title, maxTitle)) == "":
		return bad("title", a.Title, "the article's title")
	case a.ContentHTML != "" && a.ContentMarkdown != "":
		return bad("content_markdown", a.ContentMarkdown, "either content_html or content_markdown, not both")
	case len(a.ContentHTML) > maxContent:
		return bad("content_html", "", "at most 4 MiB")
	case len(a.ContentMarkdown) > maxContent:
		return bad("content_markdown", "", "at most 4 MiB")
	case a.Language != "" && languageTag(a.Language) == "":
		return bad("language", a.Language, "a language tag such as en or pt-BR (BCP 47)")
	case a.CommentsURL != "" && !webURL(a.CommentsURL):
		return bad("comments_url", a.CommentsURL, "an address such as https://news.example.org/a/#comments")
	case a.Image != nil && !webURL(a.Image.URL):
		return bad("image.url", a.Image.URL, "an address such as https://news.example.org/a.jpg")
	case len(a.GUID) > 500 || a.GUID != oneLine(a.GUID, 500):
		return bad("guid", a.GUID, "at most 500 bytes on one line")
	case len(a.Categories)+len(a.Tags) > maxTerms:
		return bad("tags", strconv.Itoa(len(a.Categories)+len(a.Tags)), "at most 100 categories and tags together")
	}
	switch news.Visibility(a.Visibility) {
	case "", news.VisibilityPublic, news.VisibilityMembers, news.VisibilityPassword:
	default:
		return bad("visibility", a.Visibility, "one of public, members, password")
	}
	return a.checkTerms(bad)
}

func (a *pushArticle) checkTerms(bad func(field, value, want string) error) error {
	for field, terms := range map[string][]pushTerm{"categories": a.Categories, "tags": a.Tags} {
		for i, t := range terms {
			at := field + "[" + strconv.Itoa(i) + "]"
			switch {
			case strings.TrimSpace(oneLine(t.Name, maxName)) == "":
				return bad(at+".name", t.Name, "a name")
			case t.Slug != "" && !news.ValidSlug(t.Slug):
				return bad(at+".slug", t.Slug, "letters, digits, '-', '_' or '.', such as world-news")
			case len(t.ID) > maxNativeID || len(t.Parent) > maxNativeID:
				return bad(at+".id", t.ID, "at most 250 bytes")
			}
		}
	}
	for i, author := range a.Authors {
		if strings.TrimSpace(oneLine(author.Name, maxName)) == "" {
			return bad("authors["+strconv.Itoa(i)+"].name", author.Name, "a name")
		}
	}
	return nil
}

// jsonField names the field that encoding/json stumbled over.
func jsonField(err error, raw []byte, prefix string) error {
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		field := orElse(te.Field, "article")
		return &news.FieldError{Field: prefix + field, Value: te.Value, Want: "a JSON " + jsonKind(te)}
	}
	// encoding/json has no type for this one; the text is part of its promise of
	// compatibility only by habit, so a change of it costs the name, no more.
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &news.FieldError{Field: prefix + strings.Trim(name, `"`), Value: "", Want: "a field of the publish API; there is none of this name"}
	}
	return &news.FieldError{Field: strings.TrimSuffix(orElse(prefix, "body"), "."), Value: oneLine(clipBytes(string(raw), 60), 60), Want: "an article as a JSON object"}
}

func jsonKind(te *json.UnmarshalTypeError) string {
	switch te.Type.Kind().String() {
	case "string":
		return "string"
	case "slice":
		return "array"
	case "int", "int64":
		return "whole number"
	}
	return "object"
}
