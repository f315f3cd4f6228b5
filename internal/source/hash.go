package source

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"

	"gazetted/internal/news"
)

// seal makes what is common to all kinds of source right in f, and gives it
// its hash. Every Found passes here last.
func seal(f *news.Found) {
	f.Key = linkKey(f.URL)
	f.Title = oneLine(f.Title, maxTitle)
	if f.Title == "" {
		f.Title = firstWords(orElse(f.Summary, plainHTML(clipBytes(f.ContentHTML, 4000), maxSummary)))
	}
	if f.Title == "" {
		f.Title = titleFromURL(f.URL)
	}
	f.Summary = oneLine(f.Summary, maxSummary)
	if f.Visibility == "" {
		f.Visibility = news.VisibilityPublic
	}
	f.Image = tidyImage(f.Image, f.URL)
	f.Authors = cleanAuthors(f.Authors)
	f.Terms = cleanTerms(f.Terms)
	f.PublishedAt, f.UpdatedAt = instant(f.PublishedAt), instant(f.UpdatedAt)
	f.EmbargoAt, f.ExpiresAt = instant(f.EmbargoAt), instant(f.ExpiresAt)
	if !f.UpdatedAt.After(f.PublishedAt) {
		f.UpdatedAt = time.Time{}
	}
	f.Hash = hashOf(f)
}

// webURL tells whether raw is an absolute http or https URL of sane length.
func webURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && len(raw) <= maxURL && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && validText(raw) == raw
}

// instant drops what the databases do not keep. Years that no article has are
// a misread date.
func instant(t time.Time) time.Time {
	if t.IsZero() || t.Year() < 1900 || t.Year() > 2200 {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func titleFromURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return oneLine(raw, maxTitle)
	}
	p := strings.Trim(u.Path, "/")
	p = p[strings.LastIndexByte(p, '/')+1:]
	return orElse(oneLine(strings.NewReplacer("-", " ", "_", " ").Replace(p), maxTitle), u.Host)
}

// cleanAuthors drops empty and repeated names. An address in place of a name
// is cut at its @: it is never published.
func cleanAuthors(in []news.Author) []news.Author {
	var out []news.Author
	for _, a := range in {
		a.Name = clip(plainTitle(a.Name), maxName)
		if local, _, ok := strings.Cut(a.Name, "@"); ok && !strings.Contains(a.Name, " ") {
			a.Name = local
		}
		t := &tidier{}
		if a.URL = t.resolve(a.URL); strings.HasPrefix(a.URL, "mailto:") || strings.HasPrefix(a.URL, "tel:") {
			a.URL = ""
		}
		same := func(o news.Author) bool { return o.Name == a.Name }
		if a.Name != "" && !slices.ContainsFunc(out, same) && len(out) < 20 {
			out = append(out, a)
		}
	}
	return out
}

// maxTerms bounds the terms of one article: more is spam or a mistake.
const maxTerms = 100

func cleanTerms(in []news.TermRef) []news.TermRef {
	var out []news.TermRef
	seen := make(map[string]bool)
	for _, r := range in {
		r.Name = clip(plainTitle(r.Name), maxName)
		if !news.ValidSlug(r.Slug) {
			r.Slug = ""
		}
		key := string(r.Kind) + "\x00" + orElse(r.NativeID, "\x00"+news.FoldName(r.Name))
		if r.Name == "" || seen[key] || len(out) == maxTerms {
			continue
		}
		seen[key] = true
		out = append(out, r)
	}
	return out
}

// hashOf is the normalised hash of what readers see of f. White space, the
// query strings that only defeat caches, and the order of terms do not count;
// a term counts by its id, because its renaming is no edit of the article.
func hashOf(f *news.Found) string {
	h := sha256.New()
	put := func(parts ...string) {
		for _, p := range parts {
			h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
		}
	}
	put(f.URL, f.Title, f.Summary, normalHTML(f.ContentHTML), f.Language, string(f.Visibility), f.CommentsURL)
	for _, a := range f.Authors {
		put("a", a.Name, a.URL)
	}
	if f.Image != nil {
		put("i", withoutNonce(f.Image.URL), f.Image.Alt)
	}
	terms := make([]string, 0, len(f.Terms))
	for _, r := range f.Terms {
		terms = append(terms, string(r.Kind)+":"+orElse(r.NativeID, "="+news.FoldName(r.Name)))
	}
	slices.Sort(terms)
	put(terms...)
	embargo := f.EmbargoAt
	if embargo.Equal(f.PublishedAt) {
		embargo = time.Time{} // a future date, which is an embargo only until then
	}
	for _, t := range []time.Time{f.PublishedAt, embargo, f.ExpiresAt} {
		put("t", strconv.FormatInt(t.Unix(), 10))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// normalHTML is content reduced to what a reader would notice if it changed.
func normalHTML(content string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(content))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if text := strings.Join(strings.Fields(string(z.Text())), " "); text != "" {
				b.WriteString(text)
				b.WriteByte(' ')
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			b.WriteString("<" + tok.Data)
			for _, a := range tok.Attr {
				if a.Key == "src" || a.Key == "href" {
					b.WriteString(" " + a.Key + "=" + withoutNonce(a.Val))
				} else if a.Key == "alt" {
					b.WriteString(" alt=" + a.Val)
				}
			}
			b.WriteString(">")
		case html.EndTagToken, html.CommentToken, html.DoctypeToken:
		}
	}
}

// withoutNonce drops the query parameters that change without the target
// changing: WordPress nonces, cache busters, campaign marks.
func withoutNonce(raw string) string {
	base, query, ok := strings.Cut(raw, "?")
	if !ok {
		return raw
	}
	query, fragment, _ := strings.Cut(query, "#")
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(pair, "=")
		key = strings.ToLower(strings.TrimPrefix(key, "amp;"))
		switch {
		case key == "_wpnonce", key == "nonce", key == "ver", key == "_", key == "cachebust", strings.HasPrefix(key, "utm_"):
		default:
			kept = append(kept, pair)
		}
	}
	return base + "?" + strings.Join(kept, "&") + "#" + fragment
}
