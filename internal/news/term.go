package news

import (
	"html"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// TermKind tells a category from a tag.
type TermKind string

// The kinds of term.
const (
	KindCategory TermKind = "category"
	KindTag      TermKind = "tag"
	// KindAny, in a TermRef, is whichever term has the name already, else a
	// category: the source does not tell the two apart.
	KindAny TermKind = ""
)

// Term is a category or a tag. Its ID is stable; its name and slug may change,
// and its past slugs keep leading to it.
type Term struct {
	ID       int64    `json:"id"`
	Kind     TermKind `json:"kind"`
	Slug     string   `json:"slug"`
	Name     string   `json:"name"`
	ParentID int64    `json:"parent_id,omitempty"` // categories only; 0: a root
	Articles int      `json:"articles,omitempty"`  // released articles that carry it, where the query counts them
	Gone     TermGone `json:"gone,omitempty"`
}

// TermGone says why a term is offered no more; empty: it is.
type TermGone string

// The reasons. A source that has a term again brings it back; what the operator
// has retired, only the operator does.
const (
	GoneAtSource TermGone = "source"
	GoneByAdmin  TermGone = "admin"
)

// Offered tells whether readers are to see the term: its feed, its page, and as a
// topic to choose. One that a source has deleted stays as long as articles carry it.
func (t Term) Offered() bool {
	return t.Gone == "" || t.Gone == GoneAtSource && t.Articles > 0
}

// Topic is the term written as people write it: "category:us", "tag:mexico".
func (t Term) Topic() Topic { return Topic(string(t.Kind) + ":" + t.Slug) }

// TermRef is a term as a source names it.
type TermRef struct {
	Kind           TermKind
	NativeID       string // the source's own id; empty where the source has only names
	ParentNativeID string
	Slug           string // empty: made from the name
	Name           string // plain text, entities decoded
	// KnownOnly: learn its name if an article of the source has carried it, else
	// leave it: a Ghost tag is a category, a tag, or neither yet.
	KnownOnly bool
}

// Topic is a subscriber's or list's choice of a category or tag by slug.
type Topic string

// ParseTopic reads "category:us" or "tag:u-s-military".
func ParseTopic(s string) (Topic, error) {
	kind, slug, ok := strings.Cut(s, ":")
	if ok && (kind == string(KindCategory) || kind == string(KindTag)) && ValidSlug(slug) {
		return Topic(s), nil
	}
	return "", &FieldError{Field: "topic", Value: s, Want: "category:SLUG or tag:SLUG, such as category:us"}
}

// Split returns the kind and the slug.
func (t Topic) Split() (TermKind, string) {
	kind, slug, _ := strings.Cut(string(t), ":")
	return TermKind(kind), slug
}

// FoldName is the identity of a term's name: entities decoded once, Unicode
// NFC, case folded, inner white space collapsed. "R&amp;D" and "r&d" are one;
// "C++", "C#" and "C" are three; İ and i are one.
func FoldName(name string) string {
	name = html.UnescapeString(name)
	name = strings.Join(strings.Fields(name), " ")
	name = cases.Fold().String(norm.NFC.String(name))
	// Full case folding turns İ (U+0130) into i + U+0307; readers mean one letter.
	return norm.NFC.String(strings.ReplaceAll(name, "i\u0307", "i"))
}

// MaxSlug bounds a slug in bytes.
const MaxSlug = 100

// Slugify makes a URL path segment from a name: "U.S. Military" becomes
// "u-s-military", "C++" "cplusplus", "São Paulo" "sao-paulo". Letters of other
// scripts are kept. A name without any letter or digit gives "".
func Slugify(name string) string {
	name = strings.NewReplacer("+", "plus", "#", "sharp", "&", " and ", "ı", "i", "ß", "ss", "ø", "o", "Ø", "o", "ł", "l", "Ł", "l").Replace(html.UnescapeString(name))
	var b strings.Builder
	dash := false
	for _, r := range norm.NFKD.String(FoldName(name)) {
		switch {
		case unicode.Is(unicode.Mn, r):
			continue
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			dash = false
			b.WriteRune(r)
		default:
			dash = true
		}
		if b.Len() >= MaxSlug-utf8Max {
			break
		}
	}
	return norm.NFC.String(b.String())
}

const utf8Max = 4

// ValidSlug tells whether s can be a path segment and a file name everywhere:
// letters, digits, marks, '-', '_' and '.', not starting with a dot, and not a
// device name of Windows.
func ValidSlug(s string) bool {
	if s == "" || len(s) > MaxSlug || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '-' && r != '_' && r != '.' {
			return false
		}
	}
	base, _, _ := strings.Cut(strings.ToLower(s), ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return false
	}
	device := len(base) == 4 && (strings.HasPrefix(base, "com") || strings.HasPrefix(base, "lpt")) && base[3] >= '0' && base[3] <= '9'
	return !device
}

// TermTree answers questions about the category hierarchy. It is built from
// one read of all terms and is immutable.
type TermTree struct {
	byID    map[int64]Term
	byTopic map[Topic]int64
}

// NewTermTree indexes terms.
func NewTermTree(terms []Term) *TermTree {
	t := &TermTree{byID: make(map[int64]Term, len(terms)), byTopic: make(map[Topic]int64, len(terms))}
	for _, term := range terms {
		t.byID[term.ID] = term
		t.byTopic[term.Topic()] = term.ID
	}
	return t
}

// Term returns the term with that id.
func (t *TermTree) Term(id int64) (Term, bool) { term, ok := t.byID[id]; return term, ok }

// ByTopic returns the term that a topic names now.
func (t *TermTree) ByTopic(topic Topic) (Term, bool) {
	id, ok := t.byTopic[topic]
	return t.byID[id], ok
}

// maxDepth ends a walk up the tree even if two categories were made each
// other's parent.
const maxDepth = 32

// Within tells whether the term id is ancestor itself or below it.
func (t *TermTree) Within(id, ancestor int64) bool {
	for range maxDepth {
		if id == ancestor {
			return true
		}
		term, ok := t.byID[id]
		if !ok || term.ParentID == 0 {
			return false
		}
		id = term.ParentID
	}
	return false
}

// Ancestors lists the parents of id, nearest first.
func (t *TermTree) Ancestors(id int64) []int64 {
	var up []int64
	for range maxDepth {
		term, ok := t.byID[id]
		if !ok || term.ParentID == 0 {
			break
		}
		id = term.ParentID
		up = append(up, id)
	}
	return up
}

// Matches tells whether an article with these terms belongs to any of topics.
// No topics at all match everything.
func (t *TermTree) Matches(a *Article, topics []Topic) bool {
	if len(topics) == 0 {
		return true
	}
	for _, topic := range topics {
		want, ok := t.byTopic[topic]
		if !ok {
			continue
		}
		for _, id := range a.TermIDs() {
			if t.Within(id, want) {
				return true
			}
		}
	}
	return false
}
