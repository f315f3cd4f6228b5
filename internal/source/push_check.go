package source

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"gazetted/internal/news"
)

// maxFaults bounds what is told of one article.
const maxFaults = 20

// check lists the fields that break a rule; nil if none does.
func (a *pushArticle) check() (faults news.FieldErrors) {
	want := func(ok bool, field, value, want string) {
		if !ok && len(faults) < maxFaults {
			faults = append(faults, &news.FieldError{Field: field, Value: oneLine(clipBytes(value, 400), 100), Want: want})
		}
	}
	want(validID(a.ID), "id", a.ID, "your system's own id of the article, 1 to 250 bytes on one line")
	want(webURL(strings.TrimSpace(a.URL)), "url", a.URL, "the article's address, such as https://news.example.org/a/")
	want(strings.TrimSpace(oneLine(a.Title, maxTitle)) != "", "title", a.Title, "the article's title")
	want(a.ContentHTML == "" || a.ContentMarkdown == "", "content_markdown", a.ContentMarkdown, "either content_html or content_markdown, not both")
	want(len(a.ContentHTML) <= maxContent, "content_html", "", "at most 4 MiB")
	want(len(a.ContentMarkdown) <= maxContent, "content_markdown", "", "at most 4 MiB")
	want(a.Language == "" || languageTag(a.Language) != "", "language", a.Language, "a language tag such as en or pt-BR (BCP 47)")
	want(a.CommentsURL == "" || webURL(a.CommentsURL), "comments_url", a.CommentsURL, "an address such as https://news.example.org/a/#comments")
	want(a.Image == nil || webURL(a.Image.URL), "image.url", a.imageURL(), "an address such as https://news.example.org/a.jpg")
	want(len(a.GUID) <= 500 && a.GUID == oneLine(a.GUID, 500), "guid", a.GUID, "at most 500 bytes on one line")
	terms := len(a.Categories) + len(a.Tags)
	want(terms <= maxTerms, "tags", strconv.Itoa(terms), "at most 100 categories and tags together")
	switch news.Visibility(a.Visibility) {
	case "", news.VisibilityPublic, news.VisibilityMembers, news.VisibilityPassword:
	default:
		want(false, "visibility", a.Visibility, "one of public, members, password")
	}
	if terms <= maxTerms {
		a.checkTerms(want)
	}
	return faults
}

func (a *pushArticle) imageURL() string {
	if a.Image == nil {
		return ""
	}
	return a.Image.URL
}

func (a *pushArticle) checkTerms(want func(ok bool, field, value, want string)) {
	each := func(field string, terms []pushTerm) {
		for i, t := range terms {
			at := field + "[" + strconv.Itoa(i) + "]"
			want(strings.TrimSpace(oneLine(t.Name, maxName)) != "", at+".name", t.Name, "a name")
			want(t.Slug == "" || news.ValidSlug(t.Slug), at+".slug", t.Slug, "letters, digits, '-', '_' or '.', such as world-news")
			want(len(t.ID) <= maxNativeID && len(t.Parent) <= maxNativeID, at+".id", t.ID, "at most 250 bytes")
		}
	}
	each("categories", a.Categories)
	each("tags", a.Tags)
	for i, author := range a.Authors {
		want(strings.TrimSpace(oneLine(author.Name, maxName)) != "", "authors["+strconv.Itoa(i)+"].name", author.Name, "a name")
	}
}

// jsonField names the field that encoding/json stumbled over.
func jsonField(err error, raw []byte) error {
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		return &news.FieldError{Field: orElse(te.Field, "article"), Value: te.Value, Want: "a JSON " + jsonKind(te)}
	}
	// encoding/json has no type for this one; the text is part of its promise of
	// compatibility only by habit, so a change of it costs the name, no more.
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &news.FieldError{Field: oneLine(clipBytes(strings.Trim(name, `"`), 100), 60), Value: "", Want: "a field of the publish API; there is none of this name"}
	}
	return &news.FieldError{Field: "body", Value: oneLine(clipBytes(string(raw), 60), 60), Want: "an article as a JSON object"}
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
