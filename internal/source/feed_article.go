package source

import (
	"regexp"
	"strings"

	"gazetted/internal/news"
)

// article makes a Found of an item, without its identity.
func (l *feedLook) article(it *feedItem, doc *feedDoc) news.Found {
	f := news.Found{
		URL: it.link, GUID: oneLine(clipBytes(it.guid, 4000), 500), Title: plainTitle(it.title),
		PublishedAt: it.published, UpdatedAt: it.updated, Authors: it.authors, CommentsURL: it.comments,
		Language: orElse(it.language, doc.language), Image: it.image, Terms: l.terms(it),
	}
	if !validGUID(f.GUID) {
		f.GUID = ""
	}
	if isPasswordForm(it.content) || isPasswordForm(it.summary) || doc.wordpress && strings.HasPrefix(f.Title, "Protected: ") {
		// WordPress puts the form into the feed, unless that has excerpts only,
		// and the word before the title in the site's language.
		f.Visibility = news.VisibilityPassword
		if _, title, ok := strings.Cut(f.Title, ": "); ok && title != "" {
			f.Title = title
		}
		return f
	}
	content := it.content
	if doc.wordpress {
		content = l.reader.footer.ReplaceAllString(content, "")
	}
	clean := l.cleaner.Clean(content, CleanOptions{Base: orElse(it.link, doc.home), Title: f.Title})
	f.ContentHTML = clean.HTML
	f.Summary = orElse(writtenExcerpt(it.summary, content), clean.Excerpt)
	if f.Title == "" {
		f.Title = clean.Heading
	}
	if f.Image == nil {
		f.Image = clean.Image
	}
	return f
}

// terms makes categories and tags of what feeds call categories. Most formats
// know one kind only; which of ours it is, the operator may say.
func (l *feedLook) terms(it *feedItem) []news.TermRef {
	var out []news.TermRef
	for _, t := range it.terms {
		ref := news.TermRef{Kind: news.KindCategory, Name: t.name}
		switch l.src.Settings.CategoriesAs {
		case news.AsTags:
			ref.Kind = news.KindTag
		case news.AsCategories:
		default:
			if t.tag {
				ref.Kind = news.KindTag
			}
		}
		if !strings.HasPrefix(t.name, "http://") && !strings.HasPrefix(t.name, "https://") {
			out = append(out, ref)
		}
	}
	return out
}

// validGUID tells whether a guid may stand as the id in our own feeds. One that
// several items share, or that is too long, may not; the former is for the
// store to see.
func validGUID(s string) bool { return s != "" && len(s) <= 500 && !strings.ContainsAny(s, " <>\"") }

// isPasswordForm tells whether a text is the form that WordPress shows in place
// of a protected post.
func isPasswordForm(s string) bool {
	return strings.Contains(s, "post-password-form") || strings.Contains(s, `name="post_password"`)
}

// newFooter finds the line that WordPress adds to every item of its feeds:
// "The post A appeared first on B." or, in other languages, a last paragraph
// that links the article and then the site, and a plugin's variants of it.
func newFooter() *regexp.Regexp {
	return regexp.MustCompile(`(?s)<p>\s*The post <a [^>]*>.{0,600}?</a>\s+(?:first appeared|appeared first) on <a [^>]*>.{0,300}?</a>\.\s*</p>\s*$`)
}

// writtenExcerpt is the summary that somebody wrote; "" for one that was cut
// off the content, which ours is better than.
func writtenExcerpt(excerpt, content string) string {
	text := plainHTML(excerpt, maxSummary)
	if strings.HasSuffix(text, "[…]") || strings.HasSuffix(text, "[...]") || strings.HasSuffix(text, "…") {
		return ""
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	if strings.HasPrefix(squeeze(plainHTML(clipBytes(content, 20_000), 4*maxSummary)), squeeze(text)) {
		return ""
	}
	return text
}
