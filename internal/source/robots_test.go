package source

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"
)

func TestRobotsRules(t *testing.T) {
	const file = "\uFEFF# ours\r\nUser-Agent: other\nUser-agent: Gazetted/2.0\nDisallow: /private # not this\nAllow: /private/but\n" +
		"Disallow: /*.pdf$\nDisallow: /search?q=\nDisallow: /caf%C3%A9\nDisallow:\nCrawl-delay: 2.5\n\n" +
		"Sitemap: https://n.example/sitemap.xml\nUser-agent: *\nDisallow: /\n\nuser-agent: gazetted\nDisallow: /second-group\nAllow: /tie\nDisallow: /tie\n"
	r := parseRobots(file)
	if r.delay != 2500*time.Millisecond || len(r.sitemaps) != 1 {
		t.Errorf("%+v", r)
	}
	for path, want := range map[string]bool{
		"/": true, "/private": false, "/private/x": false, "/private/but/x": true, "/a/b.pdf": false, "/a/b.pdf?x": true, "/search?q=1": false, "/search": true,
		"/café": false, "/caf%c3%a9/x": false, "/second-group": false, "/tie": true, "/robots.txt": true, "/%70rivate": false,
	} {
		u, err := url.Parse("https://n.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.allows(u); got != want {
			t.Errorf("%s: allowed %v, want %v", path, got, want)
		}
	}
	all := parseRobots("User-agent: *\nDisallow: /x*y*z$\nCrawl-delay: 99999999999\n")
	for path, want := range map[string]bool{"/x1y2z": false, "/xyz": false, "/xyz1": true, "/xy": true, "/zxyz": true} {
		if got := all.allows(&url.URL{Path: path}); got != want {
			t.Errorf("for everybody %s: %v, want %v", path, got, want)
		}
	}
	if all.delay != maxCrawlDelay {
		t.Errorf("delay %v", all.delay)
	}
	if !parseRobots("").allows(&url.URL{Path: "/x"}) || !parseRobots("User-agent: other\nDisallow: /").allows(&url.URL{Path: "/x"}) {
		t.Error("what does not speak to us forbids us")
	}
}

func TestRobotsFetch(t *testing.T) {
	status, body := http.StatusOK, "User-agent: *\nDisallow: /x"
	s, hits := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = w.Write([]byte(body)) })
	u, err := url.Parse(s.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	now := testNow()
	r := newRobots(testClient(t), func() time.Time { return now })
	for range 3 {
		if rules, err := r.of(context.Background(), u); err != nil || rules.allows(u) {
			t.Errorf("%v, %v", rules, err)
		}
	}
	if hits.Load() != 1 {
		t.Errorf("asked %d times within a day", hits.Load())
	}
	now = now.Add(25 * time.Hour)
	status = http.StatusForbidden
	if rules, err := r.of(context.Background(), u); err != nil || !rules.allows(u) {
		t.Errorf("a file that is not for us: %v, %v", rules, err)
	}
	now = now.Add(25 * time.Hour)
	status = http.StatusServiceUnavailable
	if _, err := r.of(context.Background(), u); err == nil {
		t.Error("a server out of order allows everything")
	}
}

func FuzzRobots(f *testing.F) {
	f.Add("User-agent: *\nDisallow: /*a*b$\n", "/xaxb")
	f.Add("user-agent:gazetted\nallow:%zz%", "/%")
	f.Fuzz(func(_ *testing.T, file, path string) {
		r := parseRobots(file)
		r.allows(&url.URL{Path: path, RawQuery: path})
	})
}
