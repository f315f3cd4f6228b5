package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// Many sites close the REST API: plugins against spying, firewalls, login
// walls. Their feed mostly stays open. It tells of new posts only, and tells
// them apart by the ids that the API would give, so that nothing is found twice
// once the API answers again.

const (
	// wpAskAgain is how long a closed API is left alone.
	wpAskAgain = 5 * time.Minute
	// wpShortlinks bounds the pages that a look asks for their post's id.
	wpShortlinks = 10
	// wpFeedMark is the fingerprint of what was read from the feed. No post of
	// the API has it, so each is read in full later.
	wpFeedMark = "feed"
)

// restClosed tells whether an error says that the API does not want us, rather
// than that it is out of order.
func restClosed(err error) bool {
	var status *StatusError
	var odd *OddAnswerError
	switch {
	case errors.As(err, &status):
		switch status.Code {
		case 401, 403, 404, 405, 406, 451:
			return !status.held
		}
		return false
	case errors.As(err, &odd):
		return odd.noJSON
	}
	return false
}

// readFeed is the look at a site whose API is closed: cause is how it said so.
// Where the feed cannot be read either, both are the failure.
func (l *wpLook) readFeed(ctx context.Context, reader *feedReader, cause error) (complete bool, err error) {
	known, err := l.known(ctx)
	if err != nil {
		return false, err
	}
	f := &wpFeed{wpLook: l, reader: reader, index: newWPIndex(known)}
	doc, at, err := f.find(ctx)
	if err == nil && len(doc.items) == 0 && len(known) > 0 {
		err = &OddAnswerError{URL: at, Text: "a feed without items"}
	}
	if err != nil {
		return false, fmt.Errorf("%w; and its feed: %w", cause, err)
	}
	l.notes.add("the REST API is closed (" + cause.Error() + "): the feed is read instead, which tells of no edits and removals")
	for page := 1; doc != nil && page <= feedFirstPages; page++ {
		fresh, err := f.take(ctx, doc)
		if err != nil {
			return false, err
		}
		first := l.src.ActivatedAt.IsZero()
		if fresh < len(doc.items) && !first || fresh == 0 || l.now().Sub(l.started) > lookBudget {
			break
		}
		at = nextPage(doc, at)
		if doc, err = f.page(ctx, at); err != nil {
			l.notes.add(fmt.Sprintf("older items: %v", err))
		}
	}
	return true, l.flush(ctx)
}

// wpFeed is the reading of a site's feed in place of its API.
type wpFeed struct {
	*wpLook
	reader *feedReader
	index  *wpIndex
	asked  int // pages asked for their id
}

// find fetches the site's main feed.
func (f *wpFeed) find(ctx context.Context) (doc *feedDoc, at string, err error) {
	sites := []string{f.src.Location}
	if root, _, ok := strings.Cut(orElse(f.cursor.API, f.src.Location), "/wp-json"); ok {
		sites = append([]string{root + "/"}, sites...)
	}
	if root, _, ok := strings.Cut(f.cursor.API, "?rest_route="); ok {
		sites = append([]string{root}, sites...)
	}
	for _, site := range sites {
		u, perr := url.Parse(site)
		if perr != nil {
			continue
		}
		u.RawQuery, u.Fragment = "", ""
		for _, at := range []string{u.JoinPath("feed").String() + "/", u.String() + "?feed=rss2"} {
			if doc, err = f.page(ctx, at); err == nil && doc != nil {
				return doc, at, nil
			}
			if ctx.Err() != nil {
				return nil, "", err
			}
		}
	}
	return nil, "", err
}

// page reads one page of the feed; nil where there is none.
func (f *wpFeed) page(ctx context.Context, at string) (*feedDoc, error) {
	if at == "" {
		return nil, nil
	}
	ans, err := f.api.client.get(ctx, request{url: at, accept: feedAccept})
	var status *StatusError
	if errors.As(err, &status) && status.Code == 404 && strings.Contains(at, "paged=") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	doc, err := f.reader.read(ans, f.zone)
	if doc != nil {
		doc.wordpress = true // some sites hide what they are made with
	}
	return doc, err
}

// take stores the items whose posts are not known yet, the oldest first.
func (f *wpFeed) take(ctx context.Context, doc *feedDoc) (fresh int, err error) {
	l := &feedLook{job: f.job, feed: &feed{cleaner: f.cleaner, reader: f.reader}, zone: f.zone}
	for i := len(doc.items) - 1; i >= 0; i-- {
		it := &doc.items[i]
		it.link = cleanLink(it.link)
		id := f.id(ctx, it)
		if id == 0 {
			f.notes.add(fmt.Sprintf("%q: left out, because the feed does not tell its id", clip(plainTitle(it.title), 80)))
			continue
		}
		if k, ok := f.index.known[id]; ok && k.State != news.ArticleWithdrawn {
			continue
		}
		fresh++
		found := l.article(it, doc)
		found.NativeID, found.Fingerprint = strconv.FormatInt(id, 10), wpFeedMark
		for n := range found.Terms {
			found.Terms[n].Kind = news.KindAny // the feed calls categories and tags the same
		}
		if err := f.put(ctx, found); err != nil {
			return fresh, err
		}
		f.index.known[id] = news.Known{NativeID: found.NativeID, Fingerprint: wpFeedMark, State: news.ArticleWaiting}
	}
	return fresh, ctx.Err()
}

// id finds the id of an item's post: in its guid, by the slug of a known post,
// or from the page, which names it as its short link. 0: nobody says.
func (f *wpFeed) id(ctx context.Context, it *feedItem) int64 {
	if id, err := strconv.ParseInt(it.wpID, 10, 64); err == nil && id > 0 {
		return id
	}
	if u, err := url.Parse(it.link); err == nil {
		p := strings.Trim(u.EscapedPath(), "/")
		if id := f.index.slugs[strings.ToLower(p[strings.LastIndexByte(p, '/')+1:])]; id > 0 {
			return id
		}
	}
	if f.asked++; f.asked > wpShortlinks || it.link == "" {
		return 0
	}
	ans, err := f.api.client.Get(ctx, it.link, "text/html")
	if err != nil {
		return 0
	}
	for _, header := range ans.Header.Values("Link") {
		for link := range strings.SplitSeq(header, ",") {
			target, params, _ := strings.Cut(strings.TrimSpace(link), ">")
			if strings.Contains(params, "shortlink") && strings.HasPrefix(target, "<") {
				if id, err := strconv.ParseInt(wordPressID(target[1:], nil), 10, 64); err == nil {
					return id
				}
			}
		}
	}
	return 0
}

// wpIndex finds known posts by id and by slug.
type wpIndex struct {
	known map[int64]news.Known
	slugs map[string]int64 // of live posts; -1: of several
	live  int
}

func newWPIndex(all []news.Known) *wpIndex {
	x := &wpIndex{known: make(map[int64]news.Known, len(all)), slugs: make(map[string]int64, len(all))}
	for _, k := range all {
		id, err := strconv.ParseInt(k.NativeID, 10, 64)
		if err != nil {
			continue
		}
		x.known[id] = k
		if k.State == news.ArticleWithdrawn {
			continue
		}
		x.live++
		if parts := strings.Split(k.Fingerprint, "|"); len(parts) > 2 && parts[2] != "" {
			slug := strings.ToLower(parts[2])
			if _, taken := x.slugs[slug]; taken {
				id = -1
			}
			x.slugs[slug] = id
		}
	}
	return x
}
