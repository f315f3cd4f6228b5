package web_test

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
	"gazetted/internal/web"
)

func newTown(t testing.TB, change ...func(*web.Options)) *house {
	t.Helper()
	h := newHouse(t, change...)
	h.publish("a", "US", "#Mexico")
	h.people()
	return h
}

func TestEveryPageAnnouncesTheFeeds(t *testing.T) {
	h := newTown(t)
	for _, p := range h.pages() {
		a := h.want(h.get(p), 200)
		if strings.Contains(p, "/view/") {
			continue // a mail as it was sent
		}
		for _, f := range news.FeedFormats() {
			if !strings.Contains(a.body, `rel="alternate"`) || !strings.Contains(a.body, `href="`+h.links.FeedAll(f)+`"`) {
				t.Errorf("%s does not announce %s", p, h.links.FeedAll(f))
			}
		}
	}
	if a := h.get("/topics/category/us"); !strings.Contains(a.body, h.links.FeedTerm(news.KindCategory, "us", news.FormatAtom)) {
		t.Error("a section's page does not announce its own feed")
	}
}

// What another site's Host header says must reach no link (S25).
func TestLinksIgnoreTheHost(t *testing.T) {
	h := newTown(t)
	for _, p := range append(h.pages(), "/feeds/all.rss", "/feeds.opml", "/lists/world", "/nothing") {
		a := h.get(p, host("evil.example"), with("X-Forwarded-Host", "evil.example"))
		if strings.Contains(a.body, "evil.example") || strings.Contains(a.Header.Get("Location"), "evil.example") {
			t.Errorf("%s repeats the Host", p)
		}
	}
}

// Mail scanners open every link, several times over (S11).
func TestPrefetchingChangesNothing(t *testing.T) {
	h := newTown(t)
	before := h.state()
	for _, method := range []string{"GET", "HEAD"} {
		for _, p := range h.pages() {
			for range 5 {
				h.want(h.do(method, p, nil, with("Sec-Purpose", "prefetch")), 200)
			}
		}
	}
	if after := h.state(); after != before {
		t.Errorf("changed\nfrom %s\nto   %s", before, after)
	}
	for range 2 {
		h.want(h.form(h.links.Confirm(h.ben, h.clock.Now().Add(time.Hour)), ""), 200)
		h.want(h.form(h.links.Unsubscribe(h.ana), ""), 200)
	}
	ana, _ := h.subscription(h.ana)
	ben, _ := h.subscription(h.ben)
	if ana.State != news.SubscriptionUnsubscribed || ben.State != news.SubscriptionActive || ben.Consent.ConfirmIP != "192.0.2.0" {
		t.Errorf("the links work no more: %+v, %+v", ana, ben)
	}
}

func TestOneClickUnsubscribe(t *testing.T) {
	h := newTown(t)
	link := h.links.Unsubscribe(h.ana)
	// As a mail provider does: another origin, no cookies (RFC 8058 §3.2).
	for range 2 {
		a := h.want(h.form(link, "List-Unsubscribe=One-Click", with("Sec-Fetch-Site", "cross-site"), with("Origin", "https://mail.example")), 200)
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("answer %v", a.Header)
		}
	}
	if sub, _ := h.subscription(h.ana); sub.State != news.SubscriptionUnsubscribed {
		t.Errorf("state %s", sub.State)
	}
	multi := "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"
	h.want(h.do("POST", h.links.Unsubscribe(h.dan), strings.NewReader(multi), with("Content-Type", "multipart/form-data; boundary=b")), 200)
	if sub, _ := h.subscription(h.dan); sub.State != news.SubscriptionUnsubscribed {
		t.Errorf("by multipart: state %s", sub.State)
	}
	if a := h.want(h.get(link), 200); !strings.Contains(a.body, "You are unsubscribed") {
		t.Error("the page does not tell")
	}
}

// Whoever left comes back by a new confirmation, and to a private list only
// by its publisher.
func TestSubscribingAgain(t *testing.T) {
	h := newTown(t)
	h.want(h.form(h.links.Unsubscribe(h.ana), ""), 200)
	h.want(h.form(h.links.Unsubscribe(h.dan), ""), 200)
	if a := h.want(h.get(h.links.Preferences(h.ana)), 200); !strings.Contains(a.body, "Subscribe again") {
		t.Error("no way back")
	}
	h.want(h.form(h.links.Preferences(h.ana), "frequency=instant"), 409)
	h.want(h.form(h.links.Preferences(h.ana), "again=yes"), 200)
	if sub, _ := h.subscription(h.ana); sub.State != news.SubscriptionPending || len(h.confirmations()) != 1 {
		t.Errorf("state %s, %d confirmations", sub.State, len(h.confirmations()))
	}
	if a := h.want(h.get(h.links.Preferences(h.dan)), 200); strings.Contains(a.body, "<button") || strings.Contains(a.body, "/subscribe/staff") {
		t.Error("a private list offers itself")
	}
	h.want(h.form(h.links.Preferences(h.dan), "again=yes"), 404)
}

func TestTokensAreForOnePurpose(t *testing.T) {
	h := newTown(t)
	before := h.state()
	tokens := map[string]string{
		"confirm": h.links.Confirm(h.ben, h.clock.Now().Add(time.Hour)), "preferences": h.links.Preferences(h.ana),
		"unsubscribe": h.links.Unsubscribe(h.ana), "view": h.links.WebView(h.delivery),
	}
	for of, link := range tokens {
		token := link[strings.LastIndexByte(link, '/')+1:]
		for path := range tokens {
			if path == of {
				continue
			}
			h.want(h.get("/"+path+"/"+token), 404)
			if path != "view" {
				h.want(h.form("/"+path+"/"+token, "paused=yes&frequency=daily"), 404)
			}
		}
		forged := []byte(token)
		forged[len(forged)-3] ^= 1
		h.want(h.get("/"+of+"/"+string(forged)), 404)
	}
	expired := h.links.Confirm(h.ben, h.clock.Now().Add(time.Hour))
	h.clock.Advance(2 * time.Hour)
	h.want(h.form(expired, ""), 404)
	h.clock.Advance(5 * 365 * 24 * time.Hour)
	h.want(h.get(tokens["unsubscribe"]), 200)
	if h.state() != before {
		t.Error("something changed")
	}
}

var stampField = regexp.MustCompile(`name="stamp" value="([^"]+)"`)

// signUp opens the form and sends it.
func (h *house) signUp(values string, change ...request) answer {
	h.t.Helper()
	m := stampField.FindStringSubmatch(h.want(h.get("/subscribe/world"), 200).body)
	if m == nil {
		h.t.Fatal("the form has no stamp")
	}
	return h.form("/subscribe/world", values+"&stamp="+url.QueryEscape(m[1]), change...)
}

func TestSignUp(t *testing.T) {
	h := newTown(t)
	h.want(h.signUp("address=Cara%40Example.org&name=Cara%0d%0aBcc:+x&frequency=instant&zone=istanbul&topic=tag:mexico&topic=category:us&topic=category:none"), 200)
	cara, ok := h.person("cara@example.org")
	if !ok || len(cara.Subscriptions) != 1 {
		t.Fatalf("stored %+v", cara)
	}
	sub := cara.Subscriptions[0]
	if cara.Address != "Cara@example.org" || cara.Name != "Cara Bcc: x" || cara.Zone != "Europe/Istanbul" || sub.Frequency != "instant" || sub.State != news.SubscriptionPending {
		t.Errorf("stored %+v", cara)
	}
	if !slices.Equal(sub.Topics, []news.Topic{"category:us", "tag:mexico"}) {
		t.Errorf("topics %v", sub.Topics)
	}
	if c := sub.Consent; c.Source != "form" || c.Form == "" || c.RequestIP != "192.0.2.0" || c.RequestedAt.IsZero() {
		t.Errorf("consent %+v", c)
	}
	queued := h.confirmations()
	if len(queued) != 1 || queued[0].SubscriptionID != sub.ID {
		t.Fatalf("queued %+v", queued)
	}
	v, err := h.db.Variant(t.Context(), queued[0].VariantID)
	h.ok(err)
	for _, part := range []string{v.HTML, v.Text} {
		if !strings.Contains(part, news.Mark(v.Nonce, news.PlaceConfirm)) || strings.Contains(part, "Cara") {
			t.Errorf("confirmation without its link, or with a visitor's text (S8):\n%s", part)
		}
	}
	h.want(h.signUp("address=eve%40example.org"), 200)
	if queued := h.confirmations(); len(queued) != 2 || queued[0].VariantID != queued[1].VariantID {
		t.Errorf("not one rendering for all: %+v", queued)
	}
	h.want(h.form(h.links.Confirm(sub.ID, h.clock.Now().Add(time.Hour)), ""), 200)
	if got, _ := h.subscription(sub.ID); got.State != news.SubscriptionActive {
		t.Errorf("state %s", got.State)
	}
}

// Known, unknown and suppressed addresses, and robots, get the same answer (S9).
func TestSignUpTellsNobodyWhoIsKnown(t *testing.T) {
	h := newTown(t)
	var first answer
	for i, values := range []string{"address=new%40example.org", "address=ana%40example.org", "address=gus%40example.org", "address=robot%40example.org&website=spam"} {
		a := h.want(h.signUp(values), 200)
		if i == 0 {
			first = a
		}
		if a.body != first.body || !maps.EqualFunc(a.Header, first.Header, slices.Equal) {
			t.Errorf("%s: another answer\n%s", values, a.body)
		}
		if strings.Contains(a.body, "example.org&") || strings.Contains(a.body, "@") {
			t.Error("the answer repeats the address")
		}
	}
	if _, ok := h.person("robot@example.org"); ok {
		t.Error("the robot was signed up")
	}
}

func TestSignUpFaultsAreShownInTheForm(t *testing.T) {
	h := newTown(t)
	for values, want := range map[string]string{
		"address=nonsense":                                          "Write an e-mail address",
		"address=a%40example.org%0d%0aX:+1":                         "Write an e-mail address",
		"address=a%40example.org&frequency=never":                   "Choose one of the rhythms",
		"address=a%40example.org&zone=Mars/Base":                    "Choose a time zone",
		"address=a%40example.org&zone=../../etc/passwd":             "Choose a time zone",
		"address=a%40example.org&topic=nonsense":                    "Choose at most 100 topics",
		"address=" + url.QueryEscape(`"><script>alert(1)</script>`): "Write an e-mail address",
	} {
		a := h.want(h.signUp(values), 422)
		if !strings.Contains(a.body, want) || strings.Contains(a.body, "<script>alert") {
			t.Errorf("%s: %s", values, a.body)
		}
	}
	if a := h.want(h.form("/subscribe/world", "address=a%40example.org"), 422); !strings.Contains(a.body, "send it once more") {
		t.Error("a form without a stamp was taken")
	}
	m := stampField.FindStringSubmatch(h.get("/subscribe/world").body)
	h.clock.Advance(25 * time.Hour)
	h.want(h.form("/subscribe/world", "address=a%40example.org&stamp="+m[1]), 422)
	h.want(h.get("/subscribe/staff"), 404) // private: not to be guessed (S35)
	h.want(h.form("/subscribe/staff", "address=a%40example.org"), 404)
	h.want(h.get("/lists/staff/"), 404)
	if _, ok := h.person("a@example.org"); ok {
		t.Error("signed up all the same")
	}
}

func TestSignUpsAreLimited(t *testing.T) {
	h := newTown(t, func(o *web.Options) {
		o.Limits = web.SignUpLimits{Client: web.Rate{Burst: 2, Every: time.Minute}, Network: web.Rate{Burst: 4, Every: time.Minute}}
	})
	status := func(n int, addr string) int {
		return h.signUp(fmt.Sprintf("address=a%d%%40example.org", n), from(addr)).StatusCode
	}
	var got []int
	for i, addr := range []string{
		"198.51.100.1:1", "198.51.100.1:2", "198.51.100.1:3", "198.51.100.2:1", "198.51.100.3:1", "198.51.100.4:1", "203.0.113.1:1",
		"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1",
	} {
		got = append(got, status(i, addr))
	}
	if want := []int{200, 200, 429, 200, 200, 429, 200, 200, 200, 429}; !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	h.clock.Advance(time.Minute)
	if got := status(99, "198.51.100.1:1"); got != 200 {
		t.Errorf("after a minute: %d", got)
	}
}

func TestPreferences(t *testing.T) {
	h := newTown(t)
	link := h.links.Preferences(h.ana)
	a := h.want(h.form(link, "name=Ana+Ruiz&frequency=instant&zone=Asia/Tokyo&language=tr&topic=tag:mexico&paused=yes"), 200)
	if !strings.Contains(a.body, "Saved.") || !strings.Contains(a.body, `value="tag:mexico" checked`) || !strings.Contains(a.body, `value="Asia/Tokyo"`) {
		t.Errorf("the page does not show what was saved:\n%s", a.body)
	}
	sub, who := h.subscription(h.ana)
	if sub.Frequency != "instant" || sub.State != news.SubscriptionPaused || who.Zone != "Asia/Tokyo" || who.Language != "tr" || who.Name != "Ana Ruiz" {
		t.Errorf("stored %+v, %+v", sub, who)
	}
	for values, want := range map[string]string{"frequency=daily&topic=tag:none&topic=category:gone": "no longer offered", "frequency=x": "rhythms", "frequency=daily&zone=x": "time zone", "frequency=daily&language=%21%21": "language code"} {
		if a := h.want(h.form(link, values), 422); !strings.Contains(a.body, want) {
			t.Errorf("%s: %s", values, a.body)
		}
	}
	if sub, _ := h.subscription(h.ana); !slices.Equal(sub.Topics, []news.Topic{"tag:mexico"}) {
		t.Errorf("a form with faults left topics %v", sub.Topics)
	}
	// A topic that was renamed while the form was open is followed; a tag too
	// rare to be offered stays chosen.
	for i := range 20 {
		h.publish(fmt.Sprintf("p%d", i), fmt.Sprintf("#Tag %d", i), fmt.Sprintf("#Other %d", i))
	}
	h.publish("rare", "#Rare one")
	h.ok(h.db.StoreTerms(t.Context(), h.source.ID, []news.TermRef{{Kind: news.KindCategory, NativeID: "US", Name: "America", Slug: "america"}}))
	h.clock.Advance(2 * time.Second)
	a = h.want(h.form(link, "frequency=daily&topic=category:us&topic=tag:rare-one&topic=tag:none"), 200)
	if sub, _ := h.subscription(h.ana); !slices.Equal(sub.Topics, []news.Topic{"category:america", "tag:rare-one"}) {
		t.Errorf("topics %v", sub.Topics)
	}
	if !strings.Contains(a.body, `value="tag:rare-one" checked`) || !strings.Contains(a.body, `value="category:america" checked`) {
		t.Error("a choice is missing")
	}
}

func TestWebViewShowsThePersonsOwnLinks(t *testing.T) {
	h := newTown(t)
	a := h.want(h.get(h.links.WebView(h.delivery)), 200)
	for _, want := range []string{h.links.Unsubscribe(h.ana), h.links.Preferences(h.ana), h.links.WebView(h.delivery), "ana@example.org"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("lacks %s:\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, "n0nce") {
		t.Error("a mark is left")
	}
	csp := a.Header.Get("Content-Security-Policy")
	if strings.Contains(csp, "script") || !strings.Contains(csp, "form-action 'none'") || !strings.Contains(csp, "sandbox") {
		t.Errorf("policy %q", csp)
	}
	h.want(h.signUp("address=cara%40example.org"), 200)
	h.want(h.get(h.links.WebView(h.confirmations()[0].ID)), 404)
	h.want(h.get(h.links.WebView(99999)), 404)
}

func TestArchive(t *testing.T) {
	h := newTown(t)
	a := h.want(h.get("/lists/world/"), 200)
	for _, want := range []string{"Edition first", "Edition third", "/lists/world/edition-second"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the archive lacks %s", want)
		}
	}
	if strings.Index(a.body, "third") > strings.Index(a.body, "first") {
		t.Error("not the newest first")
	}
	if strings.Contains(a.body, "World news: Edition") {
		t.Error("the list's title is repeated in each row")
	}
	a = h.want(h.get("/lists/world/edition-second"), 200)
	for _, want := range []string{"Title of second", `rel="prev" href="/lists/world/edition-first"`, `rel="next" href="/lists/world/edition-third"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the edition lacks %s:\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, "World news: Edition") || strings.Contains(a.body, "<span></span>") {
		t.Error("the list's title is repeated in the subject, or a neighbour is empty")
	}
	_, err := h.db.WithdrawArticles(t.Context(), h.source.ID, []string{"second"})
	h.ok(err)
	if a := h.want(h.get("/lists/world/edition-second"), 200); strings.Contains(a.body, "Title of second") {
		t.Error("a withdrawn article is still published")
	}
	h.want(h.get("/lists/world/2026-01-01"), 404)
	if got := h.want(h.get("/lists/world"), 301).Header.Get("Location"); got != h.links.Archive("world") {
		t.Errorf("redirected to %q", got)
	}
}

func TestSharePage(t *testing.T) {
	h := newTown(t)
	articles, err := h.db.Articles(t.Context(), news.ArticleQuery{Limit: 1})
	h.ok(err)
	link := h.links.Share(articles[0].ID)
	a := h.want(h.get(link+"?print"), 200)
	for _, want := range []string{"https://example.org/third", "mailto:?subject=Title%20of%20third", "facebook.com", "/static/share.js"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("lacks %s", want)
		}
	}
	_, err = h.db.WithdrawArticles(t.Context(), h.source.ID, []string{"third"})
	h.ok(err)
	h.want(h.get(link), 410)
	for _, id := range []string{"0", "-1", "x", "99999", "99999999999999999999"} {
		h.want(h.get("/share/"+id), 404)
	}
}

// A members' article gives away its title and nothing more.
func TestHiddenArticlesShowTheirTitleOnly(t *testing.T) {
	h := newTown(t)
	_, err := h.db.StoreArticles(t.Context(), h.source.ID, []news.Found{{
		NativeID: "m", URL: "https://example.org/m", Title: "Members read this", Summary: "SECRET", ContentHTML: "<p>SECRET</p>", Visibility: news.VisibilityMembers,
		Image: &news.Image{URL: "https://example.org/SECRET.png"}, PublishedAt: h.clock.Now(),
	}})
	h.ok(err)
	h.clock.Advance(time.Minute)
	_, _, err = h.db.ReleaseDue(t.Context())
	h.ok(err)
	if a := h.get("/"); !strings.Contains(a.body, "Members read this") || strings.Contains(a.body, "SECRET") {
		t.Errorf("front page:\n%s", a.body)
	}
}

// Tokens never reach the log, and nothing a visitor sends breaks a line (S10, S34).
func TestTheLogHasNoTokensAndOneLinePerRequest(t *testing.T) {
	h := newTown(t)
	n := 0
	for _, link := range []string{h.links.Confirm(h.ben, h.clock.Now().Add(time.Hour)), h.links.Preferences(h.ana), h.links.Unsubscribe(h.ana), h.links.WebView(h.delivery)} {
		token := link[strings.LastIndexByte(link, '/')+1:]
		before := len(h.log.String())
		for _, p := range []string{link, link + "/", link + "/x", strings.ToUpper(link[len(publicURL):len(publicURL)+4]) + "/" + token, "/x?t=" + token, "/" + token} {
			h.get(p, with("User-Agent", "x\nlevel=ERROR msg=forged"), with("Referer", link))
			n++
		}
		if logged := h.log.String()[before:]; strings.Contains(logged, token[:16]) {
			t.Errorf("a token was logged:\n%s", logged)
		}
	}
	h.get("/feeds/category/a%0d%0alevel=ERROR%20msg=forged.rss")
	lines := strings.Split(strings.TrimSpace(h.log.String()), "\n")
	if len(lines) != n+1 {
		t.Errorf("%d lines for %d requests:\n%s", len(lines), n+1, h.log.String())
	}
	if strings.Contains(h.log.String(), "\nlevel=ERROR") {
		t.Error("a forged line")
	}
}
