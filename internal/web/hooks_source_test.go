package web_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
	"gazetted/internal/web"
)

// siteHouse is a house with a watched site; hints counts what its hook has passed on.
func siteHouse(t *testing.T) (h *house, site news.Source, hints *[]string) {
	t.Helper()
	hints = new([]string)
	h = newHouse(t, func(o *web.Options) {
		o.Hint = func(_ context.Context, src news.Source) error {
			*hints = append(*hints, src.Name)
			return nil
		}
		o.API = web.APILimits{Hook: web.Rate{Burst: 3, Every: time.Second}, Failures: web.Rate{Burst: 100, Every: time.Second}}
	})
	var err error
	site, err = h.db.AddSource(t.Context(), news.Source{Name: "blog", Kind: news.SourceGhost, Location: "https://blog.example.org/"})
	h.ok(err)
	return h, site, hints
}

// sign is Ghost's X-Ghost-Signature.
func sign(secret, body string, at time.Time) request {
	stamp := fmt.Sprint(at.UnixMilli())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body + stamp))
	return with("X-Ghost-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil))+", t="+stamp)
}

func TestWatch_37_HooksAreCheckedAndOnlyHints(t *testing.T) {
	h, site, hints := siteHouse(t)
	other, err := h.db.AddSource(t.Context(), news.Source{Name: "other", Kind: news.SourceGhost, Location: "https://other.example.org/"})
	h.ok(err)
	const body = `{"post":{"current":{"title":"x"}}}`
	secret, now := h.links.HookSecret(site), h.clock.Now()
	signedPath := h.links.HookSigned(site)
	post := func(path string, change ...request) answer {
		return h.do("POST", path, strings.NewReader(body), append(change, with("Content-Type", "application/json"))...)
	}
	for name, a := range map[string]answer{
		"no proof":           post(signedPath),
		"wrong token":        post(signedPath + "/AAAA"),
		"another's token":    post(signedPath + "/" + h.links.HookToken(other)),
		"unsubscribe token":  post(signedPath + "/" + strings.TrimPrefix(h.links.Unsubscribe(site.ID), h.links.Path("unsubscribe")+"/")),
		"push source":        post(h.links.Hook(h.source)),
		"unknown source":     post(h.links.Path("hooks", "source", "nobody") + "/" + h.links.HookToken(site)),
		"unknown, signed":    post(h.links.Path("hooks", "source", "nobody"), sign(secret, body, now)),
		"wrong bearer":       post(signedPath, with("Authorization", "Bearer x")),
		"wrong secret":       post(signedPath, sign("guess", body, now)),
		"other's secret":     post(signedPath, sign(h.links.HookSecret(other), body, now)),
		"other body":         post(signedPath, sign(secret, body+" ", now)),
		"unsigned time":      post(signedPath, with("X-Ghost-Signature", "sha256=00")),
		"bad time":           post(signedPath, with("X-Ghost-Signature", "sha256=00, t=now")),
		"no hex":             post(signedPath, with("X-Ghost-Signature", "sha256=zz, t=1")),
		"empty signature":    post(signedPath, with("X-Ghost-Signature", "sha256=, t="+fmt.Sprint(now.UnixMilli()))),
		"old":                post(signedPath, sign(secret, body, now.Add(-6*time.Minute))),
		"from the future":    post(signedPath, sign(secret, body, now.Add(6*time.Minute))),
		"not even a token":   post(signedPath + "/" + strings.Repeat("x", 3000)),
		"signature, tokened": post(signedPath+"/AAAA", sign(secret, body, now)),
	} {
		want := 401
		if name == "old" || name == "from the future" {
			want = 403
		}
		if a.StatusCode != want {
			t.Errorf("%s: status %d, want %d: %s", name, a.StatusCode, want, a.body)
		}
	}
	if len(*hints) > 0 {
		t.Fatalf("hints were taken: %v", *hints)
	}
	unknown, wrong := post(h.links.Path("hooks", "source", "nobody")+"/AAAA"), post(signedPath+"/AAAA")
	if unknown.body != wrong.body || unknown.StatusCode != wrong.StatusCode {
		t.Errorf("an unknown source is told from a wrong token: %s %s", unknown.body, wrong.body)
	}

	h.want(post(h.links.Hook(site)), 202)
	h.want(post(signedPath, with("Authorization", "Bearer "+h.links.HookToken(site))), 202)
	h.want(post(signedPath, sign(secret, body, now.Add(-4*time.Minute))), 202)
	if len(*hints) != 3 {
		t.Errorf("hints %v", *hints)
	}
	// Too often: 429, never 410, and the others go on.
	a := h.want(post(h.links.Hook(site)), 429)
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.want(post(h.links.Hook(other)), 202)
	h.clock.Advance(time.Minute)
	h.want(post(signedPath, sign(secret, body, now.Add(-4*time.Minute))), 403) // replayed
	h.want(h.get(h.links.Hook(site)), 405)

	// A new address, and the former is no more.
	renewed, err := h.db.RenewHook(t.Context(), "blog")
	h.ok(err)
	h.want(post(h.links.Hook(site)), 401)
	h.want(post(h.links.Hook(renewed)), 202)
	h.ok(h.db.RemoveSource(t.Context(), "blog"))
	h.want(post(h.links.Hook(renewed)), 401)
	for _, secret := range []string{h.links.HookToken(site), h.links.HookToken(renewed), h.links.HookSecret(site)} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("logged: %s", secret)
		}
	}
}

func TestHooksOfSourcesAreAbsentWithoutWatcher(t *testing.T) {
	h := newHouse(t)
	h.want(h.do("POST", "/hooks/source/wire/x", nil), 404)
}
