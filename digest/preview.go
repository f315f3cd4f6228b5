package digest

import (
	"context"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"gazetted/internal/news"
	"gazetted/templates"
)

// Preview is an edition as it would go out now. Nothing of it is stored.
type Preview struct {
	// New is false if there is nothing new: then nobody would be mailed, and the
	// newest articles are shown instead, to show what a mail looks like.
	New bool `json:"new"`
	// Variant is what would be stored, with its marks.
	Variant news.Variant `json:"-"`
	// Mail has the recipient's values in place of the marks.
	Mail templates.Mail `json:"mail"`
	Zone string         `json:"zone"`
	// Articles are those in it, in order, without their bodies.
	Articles []news.Article `json:"articles"`
}

// sampleArticles is how many of the newest articles stand in for news.
const sampleArticles = 5

// previewPool is how many of the newest articles are looked through for them.
const previewPool = 200

// recent is how many past editions are looked through for the last of a frequency.
const recent = 200

// Preview renders what a subscriber would get now, or, if address is empty,
// the list's next edition as a subscriber without topics would get it. An
// empty frequency means the subscriber's, or the list's first. Unknown lists,
// subscribers and frequencies are news.ErrNotFound.
func (e *Editor) Preview(ctx context.Context, list, frequency, address string) (Preview, error) {
	p, err := e.preview(ctx, list, frequency, address)
	if err != nil {
		return p, fmt.Errorf("preview %s: %w", list, err)
	}
	return p, nil
}

// previewed is whom a preview is for.
type previewed struct {
	edition      news.Edition
	list         news.List
	group        news.AudienceGroup
	subscription int64
	address      string
}

func (e *Editor) preview(ctx context.Context, list, frequency, address string) (Preview, error) {
	who, err := e.previewed(ctx, list, frequency, address)
	if err != nil {
		return Preview{}, err
	}
	d, err := e.draft(ctx, who.edition, who.list, who.group.ServedThrough)
	if err != nil {
		return Preview{}, err
	}
	if address == "" && who.edition.FromSeq == 0 {
		// No edition yet: its subscribers came when the list did, or later.
		d.items = slices.DeleteFunc(d.items, func(it item) bool { return it.article.ReleasedAt.Before(who.list.CreatedAt) })
	}
	p := Preview{New: true, Zone: d.zone.String()}
	items := d.forGroup(who.group)
	if len(items) == 0 {
		p.New = false
		if items, err = e.samples(ctx, d, who.group); err != nil {
			return p, err
		}
		d.items = items
		if err := e.findCandidates(ctx, d); err != nil {
			return p, err
		}
	}
	for i := range items {
		p.Articles = append(p.Articles, items[i].article)
	}
	if len(items) == 0 {
		return p, nil
	}
	p.Variant, err = rendering(func() (news.Variant, error) { return newPress(e, d).variant(ctx, items, who.group, 0) })
	if err != nil {
		return p, err
	}
	p.Mail = e.filled(p.Variant, who)
	return p, nil
}

// previewed finds where the reader stands.
func (e *Editor) previewed(ctx context.Context, list, frequency, address string) (previewed, error) {
	var who previewed
	var err error
	if who.list, err = e.o.Store.ListByName(ctx, list); err != nil {
		return who, err
	}
	zone := who.list.Zone
	if address != "" {
		sub, row, err := e.subscription(ctx, list, address)
		if err != nil {
			return who, err
		}
		who.subscription, who.address = sub.ID, row.Address
		who.group = news.AudienceGroup{Topics: sub.Topics, ServedThrough: sub.ServedThrough, Language: row.Language, Subscribers: 1}
		if frequency == "" {
			frequency = sub.Frequency
		}
		if zone == news.ZoneSubscriber {
			zone = sub.Zone
		}
	}
	if frequency == "" && len(who.list.Frequencies) > 0 {
		frequency = who.list.Frequencies[0].Name
	}
	if _, ok := who.list.Frequency(frequency); !ok {
		return who, fmt.Errorf("frequency %q: %w", frequency, news.ErrNotFound)
	}
	if address == "" {
		if who.group.ServedThrough, err = e.lastCutoff(ctx, list, frequency); err != nil {
			return who, err
		}
	}
	who.edition = news.Edition{
		ListID: who.list.ID, ListName: who.list.Name, Frequency: frequency, Zone: zoneOf(zone).String(),
		DueAt: e.o.Now(), FromSeq: who.group.ServedThrough, CutoffSeq: math.MaxInt64,
	}
	return who, nil
}

func (e *Editor) subscription(ctx context.Context, list, address string) (news.Subscription, news.SubscriberRow, error) {
	addr, err := news.ParseAddress("address", address)
	if err != nil {
		return news.Subscription{}, news.SubscriberRow{}, err
	}
	row, err := e.o.Store.SubscriberByAddress(ctx, addr)
	if err != nil {
		return news.Subscription{}, row, fmt.Errorf("subscriber: %w", err)
	}
	for _, sub := range row.Subscriptions {
		if sub.ListName == list {
			return sub, row, nil
		}
	}
	return news.Subscription{}, row, fmt.Errorf("subscription: %w", news.ErrNotFound)
}

// lastCutoff is where the last edition of a frequency ended.
func (e *Editor) lastCutoff(ctx context.Context, list, frequency string) (int64, error) {
	past, err := e.o.Store.Editions(ctx, list, 0, recent)
	if err != nil {
		return 0, fmt.Errorf("read past editions: %w", err)
	}
	last := int64(0)
	for _, p := range past {
		ended := p.State == news.EditionQueueing || p.State == news.EditionClosed || p.State == news.EditionDone || p.State == news.EditionEmpty
		if ended && p.Frequency == frequency {
			last = max(last, p.CutoffSeq)
		}
	}
	return last, nil
}

// samples are the newest articles of the reader's choice, whether mailed or not.
func (e *Editor) samples(ctx context.Context, d *draft, g news.AudienceGroup) ([]item, error) {
	newest, err := e.o.Store.Articles(ctx, news.ArticleQuery{Limit: previewPool, WithoutContent: true})
	if err != nil {
		return nil, fmt.Errorf("read newest articles: %w", err)
	}
	var items []item
	for i := range newest {
		if len(items) == sampleArticles || !d.tree.Matches(&newest[i], d.list.Filter) || !d.tree.Matches(&newest[i], g.Topics) {
			continue
		}
		a, err := e.o.Store.Article(ctx, newest[i].ID)
		if err != nil {
			return nil, fmt.Errorf("read article %d: %w", newest[i].ID, err)
		}
		items = append(items, newItem(a, &d.list, d.tree))
	}
	order(items)
	return items, nil
}

// filled puts the recipient's values where the marks are. Without a
// subscriber the links lead to the front page: a preview must not unsubscribe
// anybody.
func (e *Editor) filled(v news.Variant, who previewed) templates.Mail {
	home := e.o.Links.Home()
	values := map[news.Place]string{
		news.PlaceUnsubscribe: home, news.PlacePreferences: home, news.PlaceWebView: home, news.PlaceConfirm: home,
		news.PlaceAddress: "you@example.org",
	}
	if who.address != "" {
		values[news.PlaceAddress] = who.address
		values[news.PlaceUnsubscribe] = e.o.Links.Unsubscribe(who.subscription)
		values[news.PlacePreferences] = e.o.Links.Preferences(who.subscription)
	}
	var plain, escaped []string
	for _, p := range news.Places() {
		plain = append(plain, news.Mark(v.Nonce, p), values[p])
		escaped = append(escaped, news.Mark(v.Nonce, p), html.EscapeString(values[p]))
	}
	return templates.Mail{
		Subject: v.Subject,
		HTML:    strings.NewReplacer(escaped...).Replace(v.HTML),
		Text:    strings.NewReplacer(plain...).Replace(v.Text),
	}
}
