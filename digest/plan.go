package digest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
	"gazetted/templates"
)

// nonceLen is the length of a nonce in hex digits: 64 bits that nobody can
// guess who writes an article before the edition exists.
const nonceLen = 16

// shelfPage is how many articles with their bodies are in memory at once.
const shelfPage = 50

// draft is what the variants of one edition have in common.
type draft struct {
	edition    news.Edition
	list       news.List
	zone       *time.Location
	tree       *news.TermTree
	rarity     rarity
	items      []item // of the list, since the group that is furthest behind; in order
	candidates []news.Article
}

// plan makes everything that closes an edition.
func (e *Editor) plan(ctx context.Context, edition news.Edition, list news.List, anyNumber bool) (news.Closing, error) {
	groups, err := e.o.Store.Audience(ctx, edition)
	if err != nil {
		return news.Closing{}, fmt.Errorf("read audience: %w", err)
	}
	sortGroups(groups)
	from := edition.FromSeq
	for _, g := range groups {
		from = min(from, g.ServedThrough)
	}
	d, err := e.draft(ctx, edition, list, from)
	if err != nil {
		return news.Closing{}, err
	}
	if n := len(d.since(edition.FromSeq)); n > e.o.MaxArticles && !anyNumber {
		return news.Closing{}, &renderError{reason: fmt.Sprintf("%d new articles are more than the %d of one edition: withdraw what is not to be mailed", n, e.o.MaxArticles)}
	}
	c, err := e.rendered(ctx, d, groups)
	if err != nil || len(d.since(edition.FromSeq)) == 0 {
		return c, err
	}
	c.Slug, err = e.slug(ctx, d)
	return c, err
}

// rendered is closing within its time: a template that takes longer fails its
// edition and keeps nobody else back for ever.
func (e *Editor) rendered(ctx context.Context, d *draft, groups []news.AudienceGroup) (news.Closing, error) {
	limited, cancel := context.WithTimeout(ctx, e.o.RenderFor)
	defer cancel()
	c, err := rendering(func() (news.Closing, error) { return e.closing(limited, d, groups) })
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return c, &renderError{reason: fmt.Sprintf("template %q: rendering takes longer than %s", d.list.Template, e.o.RenderFor)}
	}
	return c, err
}

// sortGroups makes the order of variants, and so their nonces, depend on
// nothing but who they are for.
func sortGroups(groups []news.AudienceGroup) {
	slices.SortFunc(groups, func(a, b news.AudienceGroup) int {
		return cmp.Or(
			cmp.Compare(a.ServedThrough, b.ServedThrough),
			slices.Compare(a.Topics, b.Topics),
			strings.Compare(a.Language, b.Language),
		)
	})
}

// draft reads the articles after from and their relations.
func (e *Editor) draft(ctx context.Context, edition news.Edition, list news.List, from int64) (*draft, error) {
	terms, err := e.o.Store.Terms(ctx)
	if err != nil {
		return nil, fmt.Errorf("read terms: %w", err)
	}
	d := &draft{edition: edition, list: list, tree: news.NewTermTree(terms), rarity: newRarity(terms), zone: zoneOf(edition.Zone)}
	if d.items, err = e.gather(ctx, d, from); err != nil {
		return nil, err
	}
	return d, e.findCandidates(ctx, d)
}

func (e *Editor) findCandidates(ctx context.Context, d *draft) error {
	ids := d.rarity.terms(d.items)
	if len(ids) == 0 {
		return nil
	}
	var err error
	if d.candidates, err = e.o.Store.RelatedCandidates(ctx, ids, candidatesPerTerm); err != nil {
		return fmt.Errorf("read related articles: %w", err)
	}
	return nil
}

// gather reads the list's articles of the edition, page by page from the
// newest down, and lets each page's bodies go before it reads the next.
func (e *Editor) gather(ctx context.Context, d *draft, from int64) ([]item, error) {
	var items []item
	for cutoff := d.edition.CutoffSeq; cutoff > from; {
		page, err := e.o.Store.ArticlesBetween(ctx, from, cutoff, shelfPage)
		if err != nil {
			return nil, fmt.Errorf("read articles: %w", err)
		}
		for i := range page {
			cutoff = min(cutoff, page[i].Seq-1)
			if !d.tree.Matches(&page[i], d.list.Filter) {
				continue
			}
			it, err := rendering(func() (item, error) { return newItem(page[i], &d.list, d.tree), nil })
			if err != nil {
				return nil, fmt.Errorf("article %d: %w", page[i].ID, err)
			}
			items = append(items, it)
		}
		if len(page) < shelfPage {
			break
		}
	}
	order(items)
	return items, nil
}

// zoneOf falls back to UTC: a zone that this machine does not know must not
// keep the news back.
func zoneOf(name string) *time.Location {
	if loc, err := news.LoadZone("zone", name); err == nil {
		return loc
	}
	return time.UTC
}

// closing renders a variant for each group that has something to read. It asks
// the store for nothing more.
func (e *Editor) closing(ctx context.Context, d *draft, groups []news.AudienceGroup) (news.Closing, error) {
	c := news.Closing{Edition: d.edition, Now: e.o.Now()}
	press := newPress(e, d)
	carried := map[int64]bool{}
	for _, g := range groups {
		items := d.forGroup(g)
		if len(items) == 0 {
			c.ServedEmpty = append(c.ServedEmpty, g)
			continue
		}
		v, err := press.variant(ctx, items, g, len(c.Variants))
		if err != nil {
			return c, err
		}
		for _, id := range v.ArticleIDs {
			carried[id] = true
		}
		c.Variants = append(c.Variants, v)
	}
	public := d.since(d.edition.FromSeq)
	for i := range public {
		carried[public[i].article.ID] = true
	}
	for i := range d.items {
		if carried[d.items[i].article.ID] {
			c.Articles = append(c.Articles, d.items[i].article)
		}
	}
	if len(public) > 0 {
		c.Subject = press.writer("", d.list.Language).subject(public)
	} else if len(c.Variants) > 0 {
		c.Subject = c.Variants[0].Subject
	}
	return c, nil
}

// since are the items that are new after seq.
func (d *draft) since(seq int64) []item {
	var out []item
	for _, it := range d.items {
		if it.article.Seq > seq {
			out = append(out, it)
		}
	}
	return out
}

// forGroup are the items that a group has not been served and asked for.
func (d *draft) forGroup(g news.AudienceGroup) []item {
	var out []item
	for _, it := range d.since(g.ServedThrough) {
		if d.tree.Matches(&it.article, g.Topics) {
			out = append(out, it)
		}
	}
	return out
}

// mailed tells whether a reader with these topics gets a by mail from this
// list at some time: before, now, or next. Such an article is never "related".
func (d *draft) mailed(a *news.Article, topics []news.Topic) bool {
	return !a.Archive && !a.ReleasedAt.Before(d.list.CreatedAt) && d.tree.Matches(a, d.list.Filter) && d.tree.Matches(a, topics)
}

// press renders the variants of one edition. Groups with the same articles in
// the same language get the same mail but for its nonce, so it is rendered once.
type press struct {
	e       *Editor
	d       *draft
	edition map[int64]bool // articles in it, for any group
	printed map[string]proof
}

type proof struct {
	nonce string
	mail  templates.Mail
}

func newPress(e *Editor, d *draft) *press {
	p := &press{e: e, d: d, edition: map[int64]bool{}, printed: map[string]proof{}}
	for i := range d.items {
		p.edition[d.items[i].article.ID] = true
	}
	return p
}

func (p *press) writer(nonce, lang string) *writer {
	lang = cmp.Or(lang, p.d.list.Language, "en")
	return &writer{
		set: p.e.o.Templates, links: p.e.o.Links, site: p.e.o.Site, list: p.d.list,
		frequency: p.d.edition.Frequency, lang: lang, zone: p.d.zone, date: p.d.edition.DueAt.In(p.d.zone), nonce: nonce,
	}
}

// variant renders the mail of one group. index tells the edition's variants apart.
func (p *press) variant(ctx context.Context, items []item, g news.AudienceGroup, index int) (news.Variant, error) {
	if err := ctx.Err(); err != nil {
		return news.Variant{}, err
	}
	nonce := p.e.o.Links.Signer().Digest(news.PurposeNonce, p.d.edition.ID, int64(index))[:nonceLen]
	w := p.writer(nonce, g.Language)
	related := p.d.rarity.related(items, p.d.candidates, p.d.edition.DueAt, func(a *news.Article) bool {
		return p.edition[a.ID] || p.d.mailed(a, g.Topics)
	})
	v := news.Variant{
		EditionID: p.d.edition.ID, ListID: p.d.list.ID, Kind: news.VariantEdition, Language: w.lang, Nonce: nonce, Group: g,
	}
	v.Freeze(&p.d.list, p.e.o.From)
	for i := range items {
		v.ArticleIDs = append(v.ArticleIDs, items[i].article.ID)
	}
	key := printKey(w.lang, v.ArticleIDs, related)
	done, ok := p.printed[key]
	if !ok {
		m, err := w.fit(ctx, items, related, p.d.list.Template)
		if err != nil {
			return v, err
		}
		done = proof{nonce: nonce, mail: m}
		p.printed[key] = done
	}
	v.Subject = done.mail.Subject
	v.HTML = strings.ReplaceAll(done.mail.HTML, done.nonce, nonce)
	v.Text = strings.ReplaceAll(done.mail.Text, done.nonce, nonce)
	return v, nil
}

func printKey(lang string, ids []int64, related []news.Article) string {
	b := []byte(lang)
	for _, id := range ids {
		b = strconv.AppendInt(append(b, ' '), id, 10)
	}
	b = append(b, '|')
	for i := range related {
		b = strconv.AppendInt(append(b, ' '), related[i].ID, 10)
	}
	return string(b)
}
