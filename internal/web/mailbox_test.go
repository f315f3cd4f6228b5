package web_test

import (
	"net/netip"
	"strings"
	"testing"

	"gazetted/internal/web"
)

const captured = "From: =?utf-8?q?W=C3=B6rld?= <news@example.org>\r\nTo: ana@example.org\r\nSubject: Hello <b>\r\nX-Long: a\r\n b\r\nDate: Mon, 02 Mar 2026 09:00:00 +0000\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=xx\r\n\r\n--xx\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8g\r\ndGV4dA==\r\n" +
	"--xx\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html><head></head><body><a href=3D\"https://x\">Hel=\r\nlo</a><script>x()</script></body></html>\r\n--xx--\r\n"

func TestMailboxIsShownToThisMachineOnly(t *testing.T) {
	box, name := capture(t, captured)
	h := newHouse(t, func(o *web.Options) {
		o.Mailbox, o.MailboxKey, o.TrustedProxies = box, "sesame", []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("127.0.0.9/32")}
	})
	for name, tt := range map[string]struct {
		path   string
		change []request
		status int
	}{
		"this machine":            {"", []request{from("127.0.0.1:5"), host("localhost:8080")}, 200},
		"this machine, IPv6":      {"", []request{from("[::1]:5"), host("[::1]:8080")}, 200},
		"mapped":                  {"", []request{from("[::ffff:127.0.0.1]:5"), host("127.0.0.1")}, 200},
		"public name":             {"", []request{from("127.0.0.1:5")}, 200},
		"elsewhere":               {"", []request{from("192.0.2.1:5")}, 403},
		"claims to be local":      {"", []request{from("192.0.2.1:5"), with("X-Forwarded-For", "127.0.0.1")}, 403},
		"rebound name":            {"", []request{from("127.0.0.1:5"), host("evil.example")}, 403},
		"unknown proxy":           {"", []request{from("127.0.0.1:5"), with("X-Forwarded-For", "192.0.2.1")}, 403},
		"unknown proxy, local":    {"", []request{from("127.0.0.1:5"), with("X-Forwarded-For", "127.0.0.1")}, 403},
		"trusted proxy":           {"", []request{from("10.0.0.1:5"), with("X-Forwarded-For", "192.0.2.1")}, 403},
		"trusted, forged first":   {"", []request{from("10.0.0.1:5"), with("X-Forwarded-For", "127.0.0.1, 192.0.2.1")}, 403},
		"trusted local proxy":     {"", []request{from("127.0.0.9:5"), with("X-Forwarded-For", "192.0.2.1")}, 403},
		"trusted proxy for local": {"", []request{from("127.0.0.9:5"), with("X-Forwarded-For", "127.0.0.1")}, 200},
		"key":                     {"?key=sesame", []request{from("192.0.2.1:5")}, 200},
		"wrong key":               {"?key=sesam", []request{from("192.0.2.1:5")}, 403},
		"no such mail":            {"/b.eml", []request{from("127.0.0.1:5")}, 404},
		"outside":                 {"/..%2f..%2fetc%2fpasswd", []request{from("127.0.0.1:5")}, 404},
	} {
		if a := h.get("/mailbox"+tt.path, tt.change...); a.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d", name, a.StatusCode, tt.status)
		}
	}
	for _, p := range []string{"", "/html", "/text", "/raw"} {
		h.want(h.get("/mailbox/"+name+p, from("192.0.2.1:5")), 403)
	}
	if a := h.get("/mailbox?key=sesame"); !strings.Contains(a.body, "/mailbox/"+name+"?key=sesame") {
		t.Error("the key is not handed on")
	}
	if a := h.get("/mailbox?key=sesame"); strings.Contains(a.body, "Only this machine") || !strings.Contains(a.body, "whoever has the key") {
		t.Error("the page claims to be for this machine alone")
	}
	none := newHouse(t)
	none.want(none.get("/mailbox", from("127.0.0.1:5")), 404)
}

func TestMailboxShowsAllParts(t *testing.T) {
	box, name := capture(t, captured)
	h := newHouse(t, func(o *web.Options) { o.Mailbox = box })
	local := from("127.0.0.1:5")
	page := h.want(h.get("/mailbox/"+name, local), 200)
	for _, want := range []string{"Wörld", "Hello &lt;b&gt;", "<td>a b</td>", `sandbox="allow-popups allow-popups-to-escape-sandbox"`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("lacks %s:\n%s", want, page.body)
		}
	}
	text := h.want(h.get("/mailbox/"+name+"/text", local), 200)
	if text.body != "Hello text" || text.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("text %q", text.body)
	}
	html := h.want(h.get("/mailbox/"+name+"/html", local), 200)
	if !strings.Contains(html.body, `<base target="_blank">`) || !strings.Contains(html.body, ">Hello</a>") {
		t.Errorf("html %q", html.body)
	}
	if csp := html.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "sandbox") || strings.Contains(csp, "allow-scripts") || strings.Contains(csp, "script-src") {
		t.Errorf("policy %q", csp)
	}
	if raw := h.want(h.get("/mailbox/"+name+"/raw", local), 200); raw.body != captured {
		t.Error("not the message as it was")
	}
}

func TestMetricsAreNotForTheWorld(t *testing.T) {
	h := newTown(t)
	h.get("/feeds/all.rss")
	h.get("/unsubscribe/whatever")
	a := h.want(h.get("/metrics", from("127.0.0.1:5")), 200)
	for _, want := range []string{"gazetted_articles 4", "gazetted_seq 4", `gazetted_feed_builds_total{result="ok"} 1`, `gazetted_http_requests_total{route="/unsubscribe/{token}",status="4xx"} 1`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("lacks %s", want)
		}
	}
	h.want(h.get("/metrics", from("10.1.2.3:5")), 200)
	h.want(h.get("/metrics", from("192.0.2.1:5")), 403)
	h.want(h.get("/metrics", from("127.0.0.1:5"), with("X-Forwarded-For", "192.0.2.1")), 403)
	h.want(h.get("/metrics", from("10.1.2.3:5"), with("X-Forwarded-For", "192.0.2.1")), 403)
}
