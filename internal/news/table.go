package news

import (
	"net/url"
	"slices"
	"strings"
)

// SourceTable says how a table or view of a publisher's own PostgreSQL is read.
type SourceTable struct {
	Name string `json:"name"` // of a table or view: articles, or cms.articles
	// Columns maps a field of TableFields to the column that holds it; "-" says
	// that none does. A field that is not named is read from the column of its
	// own name, if there is one.
	Columns map[string]string `json:"columns,omitempty"`
	// Published are the values of status that mean that an article is published,
	// in any case; empty: DefaultPublished.
	Published []string `json:"published,omitempty"`
	// Channel is where the database says NOTIFY when something has changed.
	Channel string `json:"channel,omitempty"`
}

// TableFields lists what a table can say of an article.
func TableFields() []string {
	return []string{
		"id", "url", "title", "html", "markdown", "summary", "status", "published_at", "updated_at", "embargo_at", "expires_at",
		"categories", "tags", "author", "image", "image_alt", "language", "visibility", "comments_url", "guid",
	}
}

// DefaultPublished is what content management systems write.
func DefaultPublished() []string {
	return []string{"published", "publish", "public", "live", "true", "yes", "1"}
}

// maxIdentifier is PostgreSQL's limit of names, in bytes.
const maxIdentifier = 63

// IsIdentifier tells whether s can be the name of something in PostgreSQL. It
// is quoted wherever it is used, so any text will do.
func IsIdentifier(s string) bool {
	return s != "" && len(s) <= maxIdentifier && !strings.ContainsRune(s, 0) && strings.ToValidUTF8(s, "") == s
}

// validatePostgres checks the location and the table. No error shows the
// location, which may hold a password by mistake.
func (s *Source) validatePostgres() error {
	bad := func(want string) error { return &FieldError{Field: "location", Value: "…", Want: want} }
	u, err := url.Parse(s.Location)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && u.Query().Get("host") == "" || strings.Trim(u.Path, "/") == "" {
		return bad("a database such as postgres://reader@db.example.org/cms")
	}
	if _, given := u.User.Password(); given {
		return bad("no password in it: it goes into a file")
	}
	for name := range u.Query() {
		if !slices.Contains([]string{"host", "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "search_path"}, name) {
			return bad("no parameters but host, sslmode, sslrootcert, sslcert, sslkey, connect_timeout and search_path")
		}
	}
	t := s.Settings.Table
	if t == nil {
		return &FieldError{Field: "table", Want: "the table or view to read, such as articles or cms.articles"}
	}
	schema, name, qualified := strings.Cut(t.Name, ".")
	if !IsIdentifier(schema) || qualified && !IsIdentifier(name) {
		return &FieldError{Field: "table", Value: t.Name, Want: "a table or view, such as articles or cms.articles"}
	}
	for field, column := range t.Columns {
		if !slices.Contains(TableFields(), field) {
			return &FieldError{Field: "column", Value: field, Want: "one of " + strings.Join(TableFields(), ", ")}
		}
		if !IsIdentifier(column) || column == "-" && slices.Contains([]string{"id", "url", "title"}, field) {
			return &FieldError{Field: "column " + field, Value: column, Want: "the name of a column"}
		}
	}
	if t.Channel != "" && !IsIdentifier(t.Channel) {
		return &FieldError{Field: "channel", Value: t.Channel, Want: "a name of at most 63 bytes"}
	}
	return nil
}
