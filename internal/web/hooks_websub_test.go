package web_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"net/url"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
)

func TestHubIntent(t *testing.T) {
	h, site, _ := siteHouse(t)
	callback := h.links.HubCallback(site)
	const topic = "https://blog.example.org/feed.xml"
	ask := func(mode, topic string, more ...string) answer {
		q := url.Values{"hub.mode": {mode}, "hub.topic": {topic}, "hub.challenge": {"c<b>123"}, "hub.lease_seconds": {"864000"}}
		for i := 0; i < len(more); i += 2 {
			q.Set(more[i], more[i+1])
		}
		return h.do("GET", callback+"?"+q.Encode(), nil)
	}
	if a := ask("subscribe", topic); a.StatusCode != 404 {
		t.Errorf("nobody asked: %d", a.StatusCode)
	}
	h.ok(h.db.AskHub(t.Context(), site.ID, news.HubLease{Hub: "https://hub.example/", Topic: topic, Callback: callback, AskedAt: h.clock.Now()}))
	for name, a := range map[string]answer{
		"other topic":  ask("subscribe", "https://evil.example/feed"),
		"no topic":     ask("subscribe", ""),
		"removal":      ask("unsubscribe", topic),
		"no challenge": ask("subscribe", topic, "hub.challenge", ""),
		"wrong token":  h.do("GET", h.links.Path("hooks", "websub", site.Name, "AAAA")+"?hub.mode=subscribe&hub.challenge=x&hub.topic="+topic, nil),
		"head":         h.do("HEAD", callback+"?hub.mode=subscribe&hub.challenge=x&hub.topic="+topic, nil),
	} {
		if a.StatusCode != 404 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	lease := func() news.HubLease {
		l, err := h.db.HubLease(t.Context(), site.ID)
		h.ok(err)
		return l
	}
	if l := lease(); l.Holds(h.clock.Now()) {
		t.Errorf("granted by a wrong call: %+v", l)
	}
	a := ask("subscribe", topic)
	if a.StatusCode != 200 || a.body != "c<b>123" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") || a.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %q %v", a.StatusCode, a.body, a.Header)
	}
	if l := lease(); !l.To.Equal(h.clock.Now().Add(10 * 24 * time.Hour)) {
		t.Errorf("lease %+v", l)
	}
	if a := ask("subscribe", topic, "hub.lease_seconds", "99999999999999"); a.StatusCode != 200 || lease().To.Sub(h.clock.Now()) != 90*24*time.Hour {
		t.Errorf("%d, lease %+v", a.StatusCode, lease())
	}
	if a := ask("denied", topic, "hub.reason", "no\nthanks"); a.StatusCode != 200 || lease().Holds(h.clock.Now()) || !strings.Contains(lease().Err, "no thanks") {
		t.Errorf("%d, lease %+v", a.StatusCode, lease())
	}
	h.clock.Advance(25 * time.Hour)
	if a := ask("subscribe", topic); a.StatusCode != 404 {
		t.Errorf("a day after we asked: %d", a.StatusCode)
	}
}

func TestWatch_37_HubContentIsCheckedAndOnlyAHint(t *testing.T) {
	h, site, hints := siteHouse(t)
	callback := h.links.HubCallback(site)
	const body = `<rss><channel><item><title>Forged</title></item></channel></rss>`
	sum := func(method string, f func() hash.Hash, secret, body string) request {
		mac := hmac.New(f, []byte(secret))
		mac.Write([]byte(body))
		return with("X-Hub-Signature", method+"="+hex.EncodeToString(mac.Sum(nil)))
	}
	secret := h.links.HubSecret(site)
	for name, r := range map[string]request{
		"no signature":    with("X-Other", "x"),
		"wrong secret":    sum("sha1", sha1.New, "guess", body),
		"hook's secret":   sum("sha1", sha1.New, h.links.HookSecret(site), body),
		"other body":      sum("sha1", sha1.New, secret, body+" "),
		"other method":    sum("sha512", sha1.New, secret, body),
		"unknown method":  sum("md5", sha1.New, secret, body),
		"empty signature": with("X-Hub-Signature", "sha1="),
	} {
		if a := h.do("POST", callback, strings.NewReader(body), r); a.StatusCode != 403 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	if a := h.do("POST", h.links.Path("hooks", "websub", site.Name, "AAAA"), strings.NewReader(body), sum("sha1", sha1.New, secret, body)); a.StatusCode != 404 {
		t.Errorf("wrong token: %d", a.StatusCode)
	}
	if len(*hints) != 0 {
		t.Fatalf("hints %v", *hints)
	}
	for _, r := range []request{sum("sha1", sha1.New, secret, body), sum("SHA512", sha512.New, secret, body)} {
		if a := h.do("POST", callback, strings.NewReader(body), r); a.StatusCode != 202 {
			t.Errorf("genuine: %d %s", a.StatusCode, a.body)
		}
	}
	if len(*hints) != 2 {
		t.Errorf("hints %v, want one for each genuine call", *hints)
	}
}
