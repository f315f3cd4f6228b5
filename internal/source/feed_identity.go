package source

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// An item is the article that has its guid; else the one that has its address;
// else, if so many at once that the publisher must have changed how items are
// named, the one of the same title and date. What an article was known by
// stands in its fingerprint, so that a look needs only what the store lists.

// feedPrint is a fingerprint taken apart.
type feedPrint struct {
	content string // of the item as the feed has it
	link    string // of linkKey; "": too common to tell articles apart
	title   string // of title and date; "": no date
	guid    string // of guidKey: an article may have taken over another's name
}

func (p feedPrint) String() string {
	return "f" + strconv.Itoa(feedVersion) + "|" + p.content + "|" + p.link + "|" + p.title + "|" + p.guid
}

func parseFeedPrint(s string) (feedPrint, bool) {
	parts := strings.Split(s, "|")
	if len(parts) != 5 || !strings.HasPrefix(parts[0], "f") {
		return feedPrint{}, false
	}
	return feedPrint{content: parts[1], link: parts[2], title: parts[3], guid: parts[4]}, true
}

func shortHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hexOf(sum[:], 8)
}

// marks takes an item's marks; how covers the settings that change how it is read.
func (i *feedItem) marks(how string) feedPrint {
	p := feedPrint{}
	if key := linkKey(i.link); strings.ContainsAny(key, "/?") {
		p.link = shortHash(key)
	}
	if title := news.FoldName(plainTitle(i.title)); title != "" && !i.published.IsZero() {
		p.title = shortHash(title, strconv.FormatInt(i.published.Unix(), 10))
	}
	if key := guidKey(i.guid); key != "" {
		p.guid = shortHash(key)
	}
	all, _ := json.Marshal([]any{how, i.guid, i.link, i.title, i.content, i.summary, i.published.Unix(), i.updated.Unix(), i.authors, fmt.Sprint(i.terms), i.image, i.comments, i.language})
	p.content = shortHash(string(all))
	return p
}

func (i *feedItem) fingerprint(s news.SourceSettings) string {
	return i.marks(s.CategoriesAs + "|" + s.Zone).String()
}

// guidKey is the identity that a guid gives: guids that are addresses are
// compared as addresses; long ones by a hash.
func guidKey(guid string) string {
	guid = oneLine(clipBytes(guid, 4000), 4000)
	if webURL(guid) {
		guid = linkKey(guid)
	}
	if len(guid) > maxNativeID {
		return "sha256:" + shortHash(guid)
	}
	return guid
}

// linkKey is what all spellings of an address have in common: no scheme, no
// www., no trailing slash or index file, no campaign marks.
func linkKey(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return raw
	}
	host := strings.TrimPrefix(strings.ToLower(u.Host), "www.")
	host = strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80")
	p := u.EscapedPath()
	for _, index := range []string{"/index.html", "/index.htm", "/index.php"} {
		p = strings.TrimSuffix(p, index)
	}
	key := host + strings.TrimRight(p, "/")
	if q := withoutMarks(u.RawQuery); q != "" {
		key += "?" + q
	}
	if f := u.EscapedFragment(); f != "" && withoutMarks(f) != "" && !strings.HasPrefix(f, "xtor=") {
		key += "#" + f
	}
	return key
}

// withoutMarks drops the parameters that tell where a reader came from.
func withoutMarks(query string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(strings.ToLower(pair), "=")
		switch {
		case key == "", strings.HasPrefix(key, "utm_"), key == "fbclid", key == "gclid", key == "mc_cid", key == "mc_eid", key == "at_medium", key == "at_campaign":
		default:
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// cleanLink is an address without campaign marks: ours would be counted under
// theirs.
func cleanLink(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.RawQuery == "" && u.Fragment == "" {
		return raw
	}
	if u.RawQuery != "" {
		u.RawQuery = withoutMarks(u.RawQuery)
	}
	if strings.HasPrefix(u.Fragment, "xtor=") || u.Fragment != "" && withoutMarks(u.Fragment) == "" {
		u.Fragment = ""
	}
	return u.String()
}

// feedIndex finds known articles by what they were known by.
type feedIndex struct {
	known  map[string]news.Known // by native id
	links  map[string]string     // hash of linkKey → native id; "": of several
	titles map[string]string
	guids  map[string]string
	live   int
}

func newFeedIndex(known []news.Known) *feedIndex {
	x := &feedIndex{known: make(map[string]news.Known, len(known)), links: map[string]string{}, titles: map[string]string{}, guids: map[string]string{}}
	for _, k := range known {
		x.add(k)
	}
	return x
}

func (x *feedIndex) size() int { return len(x.known) }

func (x *feedIndex) add(k news.Known) {
	if old, ok := x.known[k.NativeID]; !ok || old.State == news.ArticleWithdrawn {
		if k.State != news.ArticleWithdrawn {
			x.live++
		}
	}
	x.known[k.NativeID] = k
	p, ok := parseFeedPrint(k.Fingerprint)
	if !ok {
		return
	}
	for m, key := range map[*map[string]string]string{&x.links: p.link, &x.titles: p.title, &x.guids: p.guid} {
		if old, taken := (*m)[key]; key != "" && taken && old != k.NativeID {
			(*m)[key] = "" // tells none of them
		} else if key != "" {
			(*m)[key] = k.NativeID
		}
	}
}

// state tells how a known article stands.
func (x *feedIndex) state(id string) (news.ArticleState, bool) {
	k, ok := x.known[id]
	return k.State, ok
}

// marks gives the marks of a known article.
func (x *feedIndex) marks(id string) feedPrint {
	p, _ := parseFeedPrint(x.known[id].Fingerprint)
	return p
}

// feedPage is a page of a feed whose items have been recognised.
type feedPage struct {
	seats   []placed
	unknown int // neither by guid nor by address
	renamed int // of these: articles under another name, or older than the last look
}

type placed struct {
	item *feedItem
	id   string // native id
}

// place gives every item of a page its identity. The same item twice counts once.
func (l *feedLook) place(doc *feedDoc) *feedPage {
	page := &feedPage{}
	guids := map[string]map[string]bool{} // guid → the addresses it stands with
	links := map[string]int{}
	prints := make([]feedPrint, len(doc.items))
	for i := range doc.items {
		it := &doc.items[i]
		it.link = cleanLink(it.link)
		if it.link == "" && it.permalink && webURL(it.guid) {
			it.link = cleanLink(it.guid)
		}
		prints[i] = it.marks("")
		if key := guidKey(it.guid); key != "" {
			if guids[key] == nil {
				guids[key] = map[string]bool{}
			}
			guids[key][linkKey(it.link)] = true
		}
		links[prints[i].link]++
	}
	claimed := map[string]bool{}
	var nameless []int
	for i := range doc.items {
		it := &doc.items[i]
		id, known := "", false
		if key := guidKey(it.guid); key != "" {
			id, known = l.index.byGUID(key, it, prints[i], len(guids[key]) > 1)
		} else if it.link != "" {
			id, known = l.index.byLink(it, prints[i], prints[i].link != "" && links[prints[i].link] == 1)
		}
		if id == "" {
			l.notes.add(fmt.Sprintf("item %d %q: left out, because it has neither an id nor a link", i+1, clip(plainTitle(it.title), 60)))
			continue
		}
		if claimed[id] {
			continue
		}
		page.seats = append(page.seats, placed{item: it, id: id})
		claimed[id] = true
		if !known {
			nameless = append(nameless, len(page.seats)-1)
		}
	}
	l.recognise(page, nameless, claimed, links)
	return page
}

// byGUID finds the article of a guid. shared: on this page the guid stands with
// several addresses, so it does not tell them apart by itself.
func (x *feedIndex) byGUID(key string, it *feedItem, p feedPrint, shared bool) (id string, known bool) {
	own := narrower(key, linkKey(it.link))
	if _, ok := x.known[own]; ok {
		return own, true
	}
	if _, known = x.known[key]; !known {
		if id := x.guids[p.guid]; id != "" && !shared {
			return id, true
		}
	}
	switch {
	case shared && (!known || x.marks(key).link != p.link):
		return own, false
	default: // another address under the guid of one article is a changed address
		return key, known
	}
}

// byLink finds the article of an address, for items without a guid. Where the
// address is that of several items, or of the site, the title tells them apart.
func (x *feedIndex) byLink(it *feedItem, p feedPrint, unique bool) (id string, known bool) {
	key := guidKey(it.link)
	own := narrower(key, news.FoldName(plainTitle(it.title)))
	if _, ok := x.known[own]; ok {
		return own, true
	}
	if !unique {
		return own, false
	}
	if _, ok := x.known[key]; ok {
		return key, true
	}
	if id := x.links[p.link]; id != "" {
		return id, true
	}
	return key, false
}

// narrower makes a native id of one that is shared and what tells its bearers apart.
func narrower(key, by string) string {
	return clipBytes(key, maxNativeID-20) + "|" + shortHash(by)
}

// recognise looks at the items whose name is unknown: they are new, or have a
// new name. A new guid with a known address, or with a known title and date, is
// the old article, provided that nothing else on the page claims it.
func (l *feedLook) recognise(page *feedPage, nameless []int, claimed map[string]bool, links map[string]int) {
	for _, n := range nameless {
		s := &page.seats[n]
		p := s.item.marks("")
		old := ""
		if links[p.link] == 1 {
			old = l.index.links[p.link]
		}
		old = orElse(old, l.index.titles[p.title])
		switch {
		case old != "" && !claimed[old]:
			claimed[old] = true
			s.id = old
			page.renamed++
			continue
		case l.wasThere(s.item):
			page.renamed++
		}
		page.unknown++
	}
}

// wasThere tells whether an unknown item should have been seen by an earlier
// look: its date lies well before that, but within what the feed then held.
func (l *feedLook) wasThere(it *feedItem) bool {
	c := &l.cursor
	return !it.published.IsZero() && !c.Oldest.IsZero() && it.published.After(c.Oldest) &&
		it.published.Before(l.lastRead.Add(-time.Hour))
}

// Parts of a page's items, in percent, and their least number, that may change
// their identity in one look.
const (
	maxRenamed = 30
	minRenamed = 3
)

// guardIdentity holds a look in which so many items have a new identity that
// mailing them as news would be a mistake: a site that has moved, a feed made
// by another program, another feed altogether.
func (l *feedLook) guardIdentity(page *feedPage) error {
	return l.guardRenamed(page.renamed, len(page.seats))
}

func (j *job) guardRenamed(renamed, of int) error {
	if j.accept || j.src.ActivatedAt.IsZero() || renamed < minRenamed || renamed*100 <= of*maxRenamed {
		return nil
	}
	return &IdentityError{Renamed: renamed, Of: of}
}

// IdentityError is a look in which too many articles had changed their
// identity. Nothing of it was stored; it waits for Watcher.Accept or for the
// old identities' return.
type IdentityError struct {
	Renamed, Of int
}

// Error says what happened and what the operator can do.
func (e *IdentityError) Error() string {
	return fmt.Sprintf("%d of %d articles have changed their identity at once: nothing was stored, because they might all be mailed again; if that is as it should be, accept it (gazetted source poll NAME --accept)", e.Renamed, e.Of)
}

// seatsOf lists the window for the cursor.
func (p *feedPage) seatsOf() (window []seat, oldest time.Time) {
	for _, s := range p.seats {
		if len(window) < feedWindow {
			window = append(window, seat{ID: s.id, URL: s.item.link})
		}
		if at := s.item.published; !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return slices.Clip(window), oldest
}
