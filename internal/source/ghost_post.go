package source

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gazetted/internal/news"
)

// ghostPost is a post as the Content API gives it, in part or in full.
type ghostPost struct {
	ID            string        `json:"id"`
	Slug          string        `json:"slug"`
	Title         string        `json:"title"`
	HTML          string        `json:"html"`
	URL           string        `json:"url"`
	CanonicalURL  string        `json:"canonical_url"`
	CustomExcerpt string        `json:"custom_excerpt"`
	FeatureImage  string        `json:"feature_image"`
	FeatureAlt    string        `json:"feature_image_alt"`
	OGImage       string        `json:"og_image"`
	Visibility    string        `json:"visibility"`
	PublishedAt   string        `json:"published_at"`
	UpdatedAt     string        `json:"updated_at"`
	Tags          []ghostTag    `json:"tags"` // the first public one is the primary
	Authors       []ghostAuthor `json:"authors"`
}

type ghostTag struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Slug       string `json:"slug"`
	Visibility string `json:"visibility"`
}

// internal tags ("#newsletter-only") are for the publisher's theme alone.
func (t ghostTag) internal() bool {
	return t.Visibility == "internal" || strings.HasPrefix(t.Name, "#")
}

func (t ghostTag) ref(kind news.TermKind) news.TermRef {
	r := news.TermRef{Kind: kind, NativeID: t.ID, Name: oneLine(t.Name, maxName)}
	if news.ValidSlug(t.Slug) {
		r.Slug = t.Slug
	}
	return r
}

type ghostAuthor struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Slug string `json:"slug"`
	URL  string `json:"url"`
}

// fingerprint is whatever may change of a post without its updated_at changing.
func (p *ghostPost) fingerprint(c *ghostCursor) string {
	tags := c.TagIDs
	if c.WithTags {
		ids := make([]string, len(p.Tags))
		for i, t := range p.Tags {
			ids[i] = t.ID
		}
		first := ""
		if len(ids) > 0 {
			first = ids[0]
		}
		slices.Sort(ids)
		tags = first + ":" + strings.Join(ids, ",")
	}
	return fmt.Sprintf("%d|%s|%s|%s|%s|%s", ghostVersion, c.People, p.UpdatedAt, clipBytes(p.Slug, 200), p.Visibility, tags)
}

// visibility maps public, members, paid, tiers and whatever is to come.
func (p *ghostPost) visibility() news.Visibility {
	if p.Visibility == "" || p.Visibility == "public" {
		return news.VisibilityPublic
	}
	return news.VisibilityMembers
}

// article makes a Found of a post in full.
func (l *ghostLook) article(p *ghostPost) news.Found {
	f := news.Found{
		NativeID: p.ID, URL: p.URL, Title: oneLine(p.Title, maxTitle), Visibility: p.visibility(),
		PublishedAt: ghostTime(p.PublishedAt), UpdatedAt: ghostTime(p.UpdatedAt), Fingerprint: p.fingerprint(&l.cursor),
	}
	if webURL(p.CanonicalURL) {
		f.URL = p.CanonicalURL // the publisher says that it belongs there
	}
	for _, a := range p.Authors {
		f.Authors = append(f.Authors, news.Author{Name: a.Name, URL: a.URL})
	}
	kind := news.KindCategory
	for _, t := range p.Tags {
		if t.internal() {
			continue
		}
		f.Terms = append(f.Terms, t.ref(kind))
		kind = news.KindTag // only the first is the primary
	}
	if p.FeatureImage != "" {
		f.Image = &news.Image{URL: p.FeatureImage, Alt: p.FeatureAlt}
	} else if p.OGImage != "" {
		f.Image = &news.Image{URL: p.OGImage}
	}
	if f.Visibility != news.VisibilityPublic {
		return f // and not a word of its body, of which Ghost gives the free part
	}
	got := l.cleaner.Clean(p.HTML, CleanOptions{Base: p.URL, Title: f.Title})
	f.ContentHTML = got.HTML
	f.Summary = orElse(oneLine(p.CustomExcerpt, maxSummary), got.Excerpt)
	if f.Image == nil {
		f.Image = got.Image
	}
	return f
}

func ghostTime(s string) time.Time {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{} // the instant of first sight stands in
	}
	return at
}
