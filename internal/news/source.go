package news

import (
	"net/url"
	"strings"
	"time"
)

// SourceKind names how a Source is watched.
type SourceKind string

// The kinds of source.
const (
	SourceWordPress SourceKind = "wordpress"
	SourceFeed      SourceKind = "feed"
	SourceFolder    SourceKind = "folder"
	SourceGhost     SourceKind = "ghost"
	SourcePostgres  SourceKind = "postgres"
	SourcePush      SourceKind = "push"
	SourcePage      SourceKind = "page"
)

// Defaults of a Source where its settings are silent.
const (
	DefaultPoll   = 60 * time.Second
	DefaultSettle = 30 * time.Second
	// DefaultMaxAge is long enough for back-dated posts and dates without a time.
	DefaultMaxAge = 7 * 24 * time.Hour
	// MinPoll keeps a mistyped interval from becoming an attack on a publisher.
	MinPoll = time.Second
)

// Source is a place that is watched for newly published articles.
type Source struct {
	ID       int64          `json:"id"`
	Name     string         `json:"name"` // unique, a Slug
	Kind     SourceKind     `json:"kind"`
	Location string         `json:"location"` // a URL, or an absolute path; empty for push; never with a password
	Settings SourceSettings `json:"settings"`
	// Secret is the key or password that the source is read with.
	Secret Hidden `json:"secret,omitzero"`
	// HookSerial is part of the address of the source's hook.
	HookSerial int64 `json:"-"`

	CreatedAt time.Time `json:"created_at"`
	// ActivatedAt is when the first run ended. Until then everything found is
	// archive: it fills the feeds and is never mailed.
	ActivatedAt time.Time `json:"activated_at,omitzero"`

	Look Look `json:"look"`
}

// SourceSettings is what an operator may tune per source. It is stored as JSON.
type SourceSettings struct {
	Poll     Duration `json:"poll"`               // time between two looks
	Settle   Duration `json:"settle"`             // time between first sight and Release
	Zone     string   `json:"zone,omitempty"`     // how times without an offset are read; IANA name, default UTC
	Priority int      `json:"priority,omitempty"` // the higher one wins when two sources carry the same article
	BaseURL  string   `json:"base_url,omitempty"` // folder: where the articles are published, for canonical URLs
	// MaxAge: what was published longer than this before the last look is no
	// news, only fed: an old post that was mended or imported. Default DefaultMaxAge.
	MaxAge Duration `json:"max_age,omitempty"`
	// CategoriesAs: feed: what its categories become, AsCategories or AsTags.
	// Default: categories, except what the feed itself calls tags or keywords.
	CategoriesAs string `json:"categories_as,omitempty"`
	// OmitMembers: ghost: articles that not everybody may read are left out;
	// otherwise they appear with title and link.
	OmitMembers bool `json:"omit_members,omitempty"`
	// Table: postgres: what is read, and how.
	Table *SourceTable `json:"table,omitempty"`
}

// What the categories of a feed may become.
const (
	AsCategories = "categories"
	AsTags       = "tags"
)

// Look is the outcome of the latest look at a Source and the memory of the next.
type Look struct {
	LastAt   time.Time `json:"last_at,omitzero"`
	NextAt   time.Time `json:"next_at,omitzero"`
	Failures int       `json:"failures,omitempty"` // consecutive
	Err      string    `json:"error,omitempty"`    // of the latest look, for people
	Notes    []string  `json:"notes,omitempty"`    // what the look could not use, e.g. "a.md:3: bad date"; at most 20
	Cursor   string    `json:"cursor,omitempty"`   // the source's own memory (validators, page of a first run), opaque
}

// Never is when a source is looked at again that is gone for good: not until
// somebody asks for it.
func Never() time.Time { return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }

// Stopped tells whether no further look will come by itself.
func (l *Look) Stopped() bool { return !l.NextAt.Before(Never()) }

// Validate reports the first fault of s that a user could mend.
func (s *Source) Validate() error {
	if err := ValidateName("name", s.Name); err != nil {
		return err
	}
	switch s.Kind {
	case SourceWordPress, SourceFeed, SourceGhost, SourcePage:
		u, err := url.Parse(s.Location)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return &FieldError{Field: "location", Value: s.Location, Want: "a URL such as https://news.example.org"}
		}
	case SourceFolder:
		if s.Location == "" {
			return &FieldError{Field: "location", Value: s.Location, Want: "the path of a folder"}
		}
	case SourcePostgres:
		if err := s.validatePostgres(); err != nil {
			return err
		}
	case SourcePush:
	default:
		return &FieldError{Field: "kind", Value: string(s.Kind), Want: "one of wordpress, feed, ghost, page, postgres, folder, push"}
	}
	if time.Duration(s.Settings.Poll) < MinPoll {
		return &FieldError{Field: "poll", Value: s.Settings.Poll.String(), Want: "a duration of at least 1s, such as 60s"}
	}
	switch s.Settings.CategoriesAs {
	case "", AsCategories, AsTags:
	default:
		return &FieldError{Field: "categories-as", Value: s.Settings.CategoriesAs, Want: "categories or tags"}
	}
	if s.Settings.Settle < 0 {
		return &FieldError{Field: "settle", Value: s.Settings.Settle.String(), Want: "a duration such as 30s or 0s"}
	}
	if _, err := LoadZone("zone", s.Settings.Zone); s.Settings.Zone != "" && err != nil {
		return err
	}
	return nil
}

// ValidateName checks the name of a source, list, frequency, key or template:
// lower-case ASCII letters, digits, '-', '_' and '.', at most 64, starting with a letter or digit.
func ValidateName(field, name string) error {
	bad := name == "" || len(name) > 64 || strings.Contains(name, "..") || strings.Trim(name[:1], "-_.") == ""
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' {
			bad = true
		}
	}
	if bad {
		return &FieldError{Field: field, Value: name, Want: "lower-case letters, digits, '-', '_' or '.', at most 64, such as world-news"}
	}
	return nil
}

// LoadZone loads an IANA time zone; "Local" is refused because it names a
// different zone on every machine.
func LoadZone(field, name string) (*time.Location, error) {
	if name != "" && name != "Local" {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	return nil, &FieldError{Field: field, Value: name, Want: "an IANA time zone such as Europe/Istanbul or UTC"}
}

// Duration is a time.Duration written as text ("90s", "1h30m") in JSON and TOML.
type Duration time.Duration

// String renders the duration as Go does: "1m30s".
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return &FieldError{Field: "duration", Value: string(b), Want: "a number with a unit, such as 90s, 5m or 1h30m"}
	}
	*d = Duration(v)
	return nil
}
