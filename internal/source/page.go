package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// How the pages of a site are read.
const (
	// pageVersion is part of every fingerprint.
	pageVersion = 1
	// pageFirst is how many articles a first run reads, the newest first: each
	// costs its site a page.
	pageFirst = 200
	// pageLook bounds the pages of one look.
	pageLook = 30
	// pagePace is the least time between two pages, unless robots.txt asks for more.
	pagePace = time.Second
	// pageAgain is after how long an article is read again whose list does not
	// tell when it changed, while it is among the newest pageWindow.
	pageAgain  = 24 * time.Hour
	pageWindow = 50
	// pageRetry is after how long a page that could not be had is tried again.
	pageRetry = time.Hour
	// pageMemory bounds the addresses remembered as no articles of ours.
	pageMemory = 20_000
	// pageFaults is how many pages may fail before the site is given a rest.
	pageFaults = 3
)

const pageAccept = "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.1"

// page looks at a site that has neither API nor feed: at its sitemap, its news
// sitemap, or a page that links to its articles. It reads the pages that are
// new or changed, few at a time and as robots.txt allows, and takes for an
// article what says that it is one or gives a date.
type page struct {
	client  *Client
	robots  *robots
	reader  *pageReader
	decl    *declaration
	pace    func(ctx context.Context, d time.Duration) error
	cleaner *Cleaner
}

func newPage(c *Cleaner, client *Client, now func() time.Time, pace func(context.Context, time.Duration) error) *page {
	return &page{client: client, robots: newRobots(client, now), reader: &pageReader{cleaner: c}, decl: newDeclaration(), pace: pace, cleaner: c}
}

// pageCursor is what a look leaves for the next.
type pageCursor struct {
	freshness

	// Files are the sitemaps of an index, with the dates of their last reading.
	Files map[string]int64 `json:"files,omitempty"`
	// FullAt is when all of them were read.
	FullAt time.Time `json:"full_at,omitzero"`
	// More: there are pages left to read.
	More bool `json:"more,omitempty"`
	// Left is how many articles a first run still reads.
	Left int `json:"left,omitempty"`
	// Since: what is older and unknown is archive that the first run left out.
	Since time.Time `json:"since,omitzero"`
	// Others are addresses that are no articles, the same as others, or, if they
	// have no date, left out by the first run.
	Others hashSet `json:"others,omitempty"`
	// Broken are pages that could not be had, and when they were tried.
	Broken map[string]int64 `json:"broken,omitempty"`
	// Listed are the known articles that the last full reading listed.
	Listed  hashSet `json:"listed,omitempty"`
	Window  []seat  `json:"window,omitempty"`
	Missing []seat  `json:"missing,omitempty"`
}

// pageLooking is one look at one site.
type pageLooking struct {
	*job
	*page
	zone   *time.Location
	cursor pageCursor
	known  map[string]news.Known
	live   int
	faults int
	fresh  int
	delay  time.Duration
}

func (p *page) look(ctx context.Context, j *job) (outcome, error) {
	l := &pageLooking{job: j, page: p, zone: time.UTC}
	if j.src.Look.Cursor != "" && json.Unmarshal([]byte(j.src.Look.Cursor), &l.cursor) != nil {
		l.cursor = pageCursor{} // of another version: costs one reading
	}
	if j.src.Settings.Zone != "" {
		var err error
		if l.zone, err = news.LoadZone("zone", j.src.Settings.Zone); err != nil {
			return outcome{}, err // a FieldError speaks for itself
		}
	}
	err := l.run(ctx)
	if err == nil {
		err = l.flush(ctx)
	}
	if err != nil {
		return outcome{}, err
	}
	b, err := json.Marshal(l.cursor)
	if err != nil {
		return outcome{}, fmt.Errorf("write cursor: %w", err)
	}
	out := outcome{cursor: string(b), complete: !l.cursor.More}
	if l.cursor.More {
		out.again = time.Millisecond
		if !j.src.ActivatedAt.IsZero() {
			out.again = news.MinPoll
		}
	}
	return out, nil
}

func (l *pageLooking) run(ctx context.Context) error {
	u, err := url.Parse(l.src.Location)
	if err != nil {
		return fmt.Errorf("read location: %w", err)
	}
	rules, err := l.robots.of(ctx, u)
	if err != nil {
		return err
	}
	if !rules.allows(u) {
		return &RobotsError{URL: u.Redacted()}
	}
	l.delay = max(pagePace, rules.delay)
	q := request{url: l.src.Location, accept: pageAccept}
	full := l.accept || l.src.ActivatedAt.IsZero() || l.past(l.cursor.FullAt, trustTime)
	busy := full || l.cursor.More || len(l.cursor.Missing) > 0
	if !busy {
		l.cursor.ask(l.job, &q)
	}
	ans, err := l.client.get(ctx, q)
	if err != nil {
		return err
	}
	if unchanged := l.cursor.take(l.job, ans, strconv.Itoa(pageVersion)); ans.NotModified || unchanged && !busy && len(l.cursor.Files) == 0 {
		return nil
	}
	list, err := l.list(ctx, ans, full)
	if err != nil {
		return err
	}
	known, err := l.job.known(ctx)
	if err != nil {
		return err
	}
	l.known = make(map[string]news.Known, len(known))
	for _, k := range known {
		l.known[k.NativeID] = k
		if k.State != news.ArticleWithdrawn {
			l.live++
		}
	}
	if len(list.urls) == 0 && list.whole {
		if l.live > 0 {
			return &OddAnswerError{URL: l.src.Location, Text: "a list without articles"}
		}
		l.notes.add("no article is listed so far")
		return nil
	}
	if err := l.readAll(ctx, l.choose(list)); err != nil {
		return err
	}
	return l.removeGone(ctx, list)
}

// pageList is what a site lists.
type pageList struct {
	urls []sitemapURL // newest first, as far as there are dates
	// whole: all there is was read. window: only the latest are ever listed.
	whole, window bool
}

// list reads the list that a location is: a sitemap, an index of them, or a page.
func (l *pageLooking) list(ctx context.Context, ans *Answer, full bool) (*pageList, error) {
	body, err := unpacked(ans.Body)
	if err != nil {
		return nil, err
	}
	text := l.decl.text(body, ans.Header.Get("Content-Type"))
	if !isSitemap(text) {
		urls, err := articleLinks(text, ans.URL)
		if err != nil {
			return nil, err
		}
		l.cursor.FullAt = l.started.UTC()
		return &pageList{urls: urls, whole: true, window: true}, nil
	}
	dates := newDateReader(l.zone)
	s, err := parseSitemap(text, ans.URL, dates)
	if err != nil {
		return nil, l.odd(err, ans.URL)
	}
	list := &pageList{urls: s.urls, whole: true, window: s.news}
	if s.index {
		list.urls, list.window = nil, false
		if err := l.files(ctx, s, list, dates, full); err != nil {
			return nil, err
		}
	}
	if list.whole && full {
		l.cursor.FullAt = l.started.UTC()
	}
	list.whole = list.whole && (full || !s.index)
	slices.SortStableFunc(list.urls, func(a, b sitemapURL) int { return b.newest().Compare(a.newest()) })
	return list, nil
}

func (l *pageLooking) odd(err error, address string) error {
	if as[*noFeedError](err) != nil {
		return &OddAnswerError{URL: address, Text: err.Error()}
	}
	return err
}

// files reads the sitemaps of an index: all of them if the reading is full,
// else those that have changed, and of those without a date the first and last.
func (l *pageLooking) files(ctx context.Context, index *sitemap, list *pageList, dates *dateReader, full bool) error {
	if len(index.urls) > maxSitemapFiles {
		return &FeedLimitError{What: "sitemaps in one index", Limit: maxSitemapFiles}
	}
	was := l.cursor.Files
	l.cursor.Files = make(map[string]int64, len(index.urls))
	for i, f := range index.urls {
		key := hexKey(f.loc)
		l.cursor.Files[key] = f.lastmod.Unix()
		if !full {
			undated := f.lastmod.IsZero() && i > 1 && i < len(index.urls)-2
			if before, ok := was[key]; undated || ok && !f.lastmod.IsZero() && before == f.lastmod.Unix() {
				continue
			}
		}
		if err := l.waitTurn(ctx); err != nil {
			return err
		}
		ans, err := l.client.get(ctx, request{url: f.loc, accept: pageAccept})
		if err == nil {
			var body []byte
			if body, err = unpacked(ans.Body); err == nil {
				var s *sitemap
				if s, err = parseSitemap(l.decl.text(body, ans.Header.Get("Content-Type")), f.loc, dates); err == nil && !s.index {
					list.urls = append(list.urls, s.urls...)
				}
			}
		}
		if err != nil {
			if ctx.Err() != nil || asksForRest(err) {
				return err
			}
			delete(l.cursor.Files, key)
			list.whole = false
			l.notes.add(fmt.Sprintf("sitemap %s: %v", f.loc, err))
		}
		if len(list.urls) > 2*maxSitemapURLs {
			return &FeedLimitError{What: "addresses in all sitemaps", Limit: 2 * maxSitemapURLs}
		}
	}
	return nil
}

func hexKey(s string) string { k := shortSum(s); return hexOf(k[:], 5) }

// asksForRest tells whether a host wants to be left alone.
func asksForRest(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && (status.Code == 429 || status.RetryAfter > 0)
}

// waitTurn keeps the distance between two requests.
func (l *pageLooking) waitTurn(ctx context.Context) error {
	if err := l.pace(ctx, l.delay); err != nil {
		return fmt.Errorf("wait between pages: %w", err)
	}
	return nil
}

// wanted is a page to read.
type wanted struct {
	sitemapURL
	id string
}

// choose picks the pages to read.
func (l *pageLooking) choose(list *pageList) []wanted {
	first := l.src.ActivatedAt.IsZero()
	var out []wanted
	changed := 0
	seen := map[string]bool{}
	for i, u := range list.urls {
		id := guidKey(u.loc)
		if seen[id] || l.cursor.Others.has(id) || l.triedLately(id) {
			continue
		}
		seen[id] = true
		k, known := l.known[id]
		switch {
		case known:
			lastmod, readAt := parsePagePrint(k.Fingerprint)
			if !u.lastmod.IsZero() && lastmod != 0 {
				if lastmod == u.lastmod.Unix() {
					continue
				}
				changed++
			} else if i >= pageWindow || l.started.Sub(time.Unix(readAt, 0)) < pageAgain {
				continue
			}
		case !l.cursor.Since.IsZero() && !u.newest().IsZero() && u.newest().Before(l.cursor.Since):
			continue
		}
		out = append(out, wanted{u, id})
	}
	if changed > pageLook && changed > len(l.known)/2 {
		// The dates are those of a build of the site. They tell nothing.
		l.notes.add(fmt.Sprintf("%d articles have a new date at once: their dates are passed over", changed))
		out = slices.DeleteFunc(out, func(w wanted) bool {
			k, known := l.known[w.id]
			_, readAt := parsePagePrint(k.Fingerprint)
			return known && l.started.Sub(time.Unix(readAt, 0)) < pageAgain
		})
	}
	if first {
		out = l.cutArchive(out)
	}
	return out
}

// cutArchive leaves out of a first run what is beyond its measure, and
// remembers how to tell it from news.
func (l *pageLooking) cutArchive(all []wanted) []wanted {
	if l.cursor.Left == 0 && !l.cursor.More {
		l.cursor.Left = pageFirst
	}
	// What is known already was read by an earlier look of this run.
	if len(all) <= l.cursor.Left {
		return all
	}
	kept, rest := all[:l.cursor.Left], all[l.cursor.Left:]
	left := 0
	for _, w := range rest {
		if w.newest().IsZero() {
			l.cursor.Others.add(w.id, pageMemory)
			left++
		} else if l.cursor.Since.IsZero() || w.newest().After(l.cursor.Since) {
			l.cursor.Since = w.newest().Add(time.Second)
		}
	}
	if left > pageMemory {
		l.notes.add(fmt.Sprintf("%d articles without a date are listed; only %d can be told from news: rather watch a feed or a news sitemap of the site", left, pageMemory))
	}
	return kept
}

func (l *pageLooking) triedLately(id string) bool {
	at, ok := l.cursor.Broken[hexKey(id)]
	return ok && l.started.Unix()-at < int64(pageRetry/time.Second)
}

func pagePrint(lastmod, readAt time.Time) string {
	mod := int64(0)
	if !lastmod.IsZero() {
		mod = lastmod.Unix()
	}
	return fmt.Sprintf("p%d|%d|%d", pageVersion, mod, readAt.Unix())
}

func parsePagePrint(s string) (lastmod, readAt int64) {
	parts := strings.Split(s, "|")
	if len(parts) != 3 || parts[0] != "p"+strconv.Itoa(pageVersion) {
		return 0, 0
	}
	lastmod, _ = strconv.ParseInt(parts[1], 10, 64) // 0 where it is none
	readAt, _ = strconv.ParseInt(parts[2], 10, 64)
	return lastmod, readAt
}

// readAll reads pages, as many as a look may.
func (l *pageLooking) readAll(ctx context.Context, pages []wanted) error {
	l.cursor.More = len(pages) > pageLook
	// The oldest of them first, so that the order of publication is kept.
	pages = pages[:min(len(pages), pageLook)]
	slices.Reverse(pages)
	for _, w := range pages {
		if l.now().Sub(l.started) > lookBudget {
			l.cursor.More = true
			return nil
		}
		if err := l.readOne(ctx, w); err != nil {
			return err
		}
		l.cursor.Left = max(l.cursor.Left-1, 0)
	}
	return nil
}

// readOne reads one page and stores the article that it is.
func (l *pageLooking) readOne(ctx context.Context, w wanted) error {
	u, err := url.Parse(w.loc)
	if err != nil {
		l.cursor.Others.add(w.id, pageMemory)
		return nil
	}
	rules, err := l.robots.of(ctx, u)
	if err != nil {
		return err
	}
	if !rules.allows(u) {
		l.notes.add((&RobotsError{URL: u.Redacted()}).Error())
		l.cursor.Others.add(w.id, pageMemory)
		return nil
	}
	if err := l.waitTurn(ctx); err != nil {
		return err
	}
	ans, err := l.client.get(ctx, request{url: w.loc, accept: pageAccept})
	if err != nil {
		return l.fault(ctx, w, err)
	}
	delete(l.cursor.Broken, hexKey(w.id))
	found, ok, err := l.reader.read(ans, l.zone)
	if err != nil || !ok {
		if err != nil {
			l.notes.add(fmt.Sprintf("%s: %v", w.loc, err))
		}
		if _, known := l.known[w.id]; !known {
			l.cursor.Others.add(w.id, pageMemory)
		}
		return nil
	}
	if own := guidKey(found.URL); own != w.id {
		if _, known := l.known[own]; known { // the same article under a second address
			l.cursor.Others.add(w.id, pageMemory)
			return nil
		}
	}
	found.NativeID, found.Fingerprint = w.id, pagePrint(w.lastmod, l.started)
	if found.PublishedAt.IsZero() {
		found.PublishedAt = w.published
	}
	if _, known := l.known[w.id]; !known {
		l.fresh++
	}
	l.known[w.id] = news.Known{NativeID: w.id, Fingerprint: found.Fingerprint, State: news.ArticleWaiting}
	return l.put(ctx, found)
}

// fault takes a page that could not be had. One page's trouble is its own; a
// host's ends the look.
func (l *pageLooking) fault(ctx context.Context, w wanted, err error) error {
	if l.faults++; ctx.Err() != nil || asksForRest(err) || Temporary(err) && l.faults >= pageFaults {
		return err
	}
	l.notes.add(err.Error())
	if l.cursor.Broken == nil || len(l.cursor.Broken) > 500 {
		l.cursor.Broken = map[string]int64{}
	}
	l.cursor.Broken[hexKey(w.id)] = l.started.Unix()
	return nil
}

// removeGone withdraws the articles that have left the list and whose own
// pages say that they are gone.
func (l *pageLooking) removeGone(ctx context.Context, list *pageList) error {
	if !list.whole {
		return nil
	}
	there := make(map[string]bool, len(list.urls))
	var window []seat
	var listed hashSet
	var witnesses []string
	for _, u := range list.urls {
		id := guidKey(u.loc)
		there[id] = true
		if _, known := l.known[id]; known {
			if len(window) < feedWindow {
				window = append(window, seat{ID: id, URL: u.loc})
			}
			witnesses = append(witnesses, u.loc)
			listed.add(id, pageMemory)
		}
	}
	var left []seat
	if list.window {
		left = missing(l.cursor.Missing, l.cursor.Window, there, feedWindow)
		l.cursor.Window = window
	} else {
		var err error
		if left, err = l.unlisted(ctx, there); err != nil {
			return err
		}
	}
	state := func(id string) (news.ArticleState, bool) { k, ok := l.known[id]; return k.State, ok }
	gone, later, err := l.confirmGone(ctx, l.client, left, state, witnesses)
	if err != nil {
		return err
	}
	l.cursor.Missing, l.cursor.Listed = later, nil
	if !list.window {
		for _, s := range later {
			listed.add(s.ID, pageMemory+feedWindow)
		}
		l.cursor.Listed, l.cursor.Missing = listed, later[:min(len(later), 1)] // enough to look again
	}
	if err := l.guardDrop(len(gone), l.live, feedDrop); err != nil {
		return err
	}
	if err := l.flush(ctx); err != nil {
		return err
	}
	return l.withdraw(ctx, gone)
}

// unlisted are the live articles that the last full reading listed and this
// one does not.
func (l *pageLooking) unlisted(ctx context.Context, there map[string]bool) ([]seat, error) {
	var ids []string
	for id, k := range l.known {
		if !there[id] && k.State != news.ArticleWithdrawn && l.cursor.Listed.has(id) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, cmp.Compare[string])
	ids = ids[:min(len(ids), maxWithdraw)]
	if len(ids) == 0 {
		return nil, nil
	}
	urls, err := l.job.store.ArticleURLs(ctx, l.src.ID, ids)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	out := make([]seat, 0, len(ids))
	for _, id := range ids {
		if urls[id] != "" {
			out = append(out, seat{ID: id, URL: urls[id]})
		}
	}
	return out, nil
}
