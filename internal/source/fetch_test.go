package source

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestGuardAddresses(t *testing.T) {
	g, err := NewGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := []string{
		"127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "0.0.0.0", "0.1.2.3", "::",
		"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "::ffff:192.168.1.1", "fd00::1", "fc00::1", "fd00:ec2::254",
		"169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16",
		"198.18.0.1", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
		"2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "fec0::1", "100::1", "2001:db8::1", "203.0.113.9", "::ffff:0:7f00:1",
	}
	for _, s := range refused {
		var blocked *BlockedError
		if err := g.Check(netip.MustParseAddr(s)); !errors.As(err, &blocked) {
			t.Errorf("%s: %v, want refused", s, err)
		}
	}
	for _, s := range []string{"93.184.215.14", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2a00:1450::1", "::ffff:93.184.215.14"} {
		if err := g.Check(netip.MustParseAddr(s)); err != nil {
			t.Errorf("%s: %v, want let through", s, err)
		}
	}
}

func TestGuardAllow(t *testing.T) {
	g, err := NewGuard([]string{"10.1.0.0/16", "192.168.7.7", "fd00::/8", "cms.internal", "[::1]"})
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "192.168.7.7": true, "192.168.7.8": false, "fd12::1": true, "::1": true, "127.0.0.1": false} {
		if err := g.Check(netip.MustParseAddr(s)); (err == nil) != want {
			t.Errorf("%s: %v, want allowed %v", s, err, want)
		}
	}
	for _, bad := range []string{"", "http://x/", "10.0.0.0/99", "a b"} {
		if _, err := NewGuard([]string{bad}); err == nil {
			t.Errorf("NewGuard(%q) took it", bad)
		}
	}
}

// server answers on 127.0.0.1 and counts.
func server(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.Add(1); h(w, r) }))
	t.Cleanup(s.Close)
	return s, &n
}

func TestClientRefusesInnerAddresses(t *testing.T) {
	s, hits := server(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c, err := NewClient(ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "0.0.0.0", "127.0.0.1."} {
		_, err := c.Get(context.Background(), "http://"+host+":"+port+"/", "")
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want refused", host, err)
		}
	}
	for _, u := range []string{"file:///etc/passwd", "gopher://127.0.0.1/", "ftp://x/", "//x/", "http:///x"} {
		var blocked *BlockedError
		if _, err := c.Get(context.Background(), u, ""); !errors.As(err, &blocked) {
			t.Errorf("%s: %v, want blocked", u, err)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d requests got through", hits.Load())
	}
}

func TestClientChecksEveryHop(t *testing.T) {
	inner, hits := server(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") })
	_, port, _ := net.SplitHostPort(inner.Listener.Addr().String())
	outer, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.2:"+port+"/", http.StatusFound)
	})
	c := testClient(t) // allows 127.0.0.1 only
	_, err := c.Get(context.Background(), outer.URL, "")
	var blocked *BlockedError
	if !errors.As(err, &blocked) || hits.Load() != 0 {
		t.Errorf("%v, %d hits; want the redirect refused", err, hits.Load())
	}
	toFile, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "file:///etc/passwd")
		w.WriteHeader(http.StatusFound)
	})
	if _, err := c.Get(context.Background(), toFile.URL, ""); !errors.As(err, &blocked) {
		t.Errorf("%v, want a redirect to a file refused", err)
	}
}

// nameServer answers every A question with one address.
func nameServer(t *testing.T, addr [4]byte) *net.Resolver {
	t.Helper()
	pc, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			m.Response = true
			m.Additionals = nil
			if m.Questions[0].Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 1}, Body: &dnsmessage.AResource{A: addr}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func TestGuardChecksWhatANameResolvesTo(t *testing.T) {
	s, hits := server(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	resolver := nameServer(t, [4]byte{127, 0, 0, 1})
	for _, tt := range []struct {
		allow []string
		ok    bool
	}{{nil, false}, {[]string{"127.0.0.0/8"}, true}, {[]string{"cms.example.org"}, true}, {[]string{"other.example.org"}, false}} {
		g, err := NewGuard(tt.allow)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DialContext: g.dial(&net.Dialer{Resolver: resolver})}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://cms.example.org:"+port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		client.CloseIdleConnections()
		var blocked *BlockedError
		if tt.ok != (err == nil) || err != nil && !errors.As(err, &blocked) {
			t.Errorf("allow %v: %v", tt.allow, err)
		}
	}
	if hits.Load() != 2 {
		t.Errorf("%d requests got through, want 2", hits.Load())
	}
}

func TestClientLimits(t *testing.T) {
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.CopyN(z, zeros{}, 50<<20)
			_ = z.Close()
		case "/exact":
			_, _ = io.CopyN(w, zeros{}, 1000)
		case "/over":
			_, _ = io.CopyN(w, zeros{}, 1001)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/five", "/hop1", "/hop2", "/hop3", "/hop4":
			next := map[string]string{"/five": "/hop1", "/hop1": "/hop2", "/hop2": "/hop3", "/hop3": "/hop4", "/hop4": "/exact"}
			http.Redirect(w, r, next[r.URL.Path], http.StatusFound)
		case "/short":
			w.Header().Set("Content-Length", "500")
			fmt.Fprint(w, "cut")
		case "/agent":
			fmt.Fprint(w, r.UserAgent())
		case "/gone":
			http.Error(w, "secret body", http.StatusGone)
		}
	})
	c, err := NewClient(ClientOptions{Version: "1.2", URL: "https://n.example/", Allow: []string{"127.0.0.1"}, MaxBody: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	get := func(path string) (*Answer, error) { return c.Get(context.Background(), s.URL+path, "") }
	var large *TooLargeError
	var loop *RedirectError
	var network *NetworkError
	var status *StatusError
	if _, err := get("/bomb"); !errors.As(err, &large) || Temporary(err) {
		t.Errorf("bomb: %v", err)
	}
	if _, err := get("/over"); !errors.As(err, &large) {
		t.Errorf("over: %v", err)
	}
	if a, err := get("/exact"); err != nil || len(a.Body) != 1000 {
		t.Errorf("exact: %v", err)
	}
	if _, err := get("/loop"); !errors.As(err, &loop) {
		t.Errorf("loop: %v", err)
	}
	if a, err := get("/five"); err != nil || !strings.HasSuffix(a.URL, "/exact") {
		t.Errorf("five redirects: %v", err)
	}
	if _, err := get("/short"); !errors.As(err, &network) || !Temporary(err) {
		t.Errorf("short: %v", err)
	}
	if _, err := get("/gone"); !errors.As(err, &status) || status.Code != 410 || Temporary(err) || strings.Contains(err.Error(), "secret") {
		t.Errorf("gone: %v", err)
	}
	if a, err := get("/agent"); err != nil || string(a.Body) != "gazetted/1.2 (+https://n.example/)" {
		t.Errorf("agent: %s %v", a.Body, err)
	}
	_, err = c.Get(context.Background(), strings.Replace(s.URL, "http://", "http://user:hunter2@", 1)+"/gone", "")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("credentials in %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestClientTimeout(t *testing.T) {
	release := make(chan struct{})
	s, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-release
	})
	defer close(release)
	c, err := NewClient(ClientOptions{Allow: []string{"127.0.0.1"}, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Get(context.Background(), s.URL, ""); !Temporary(err) || err == nil {
		t.Errorf("%v, want a temporary failure", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := testNow()
	for in, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-5": 0, "0": 0, "soon": 0, "99999999999": MaxRetryAfter,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second, now.Add(-time.Hour).Format(http.TimeFormat): 0,
		now.Add(9999 * time.Hour).Format(http.TimeFormat): MaxRetryAfter,
	} {
		if got := retryAfter(in, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestClientLeavesAHostAlone(t *testing.T) {
	now := testNow()
	s, hits := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	c, err := NewClient(ClientOptions{Allow: []string{"127.0.0.1"}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		var status *StatusError
		if _, err := c.Get(context.Background(), s.URL, ""); !errors.As(err, &status) || status.RetryAfter != time.Minute {
			t.Errorf("%v", err)
		}
	}
	if hits.Load() != 1 {
		t.Errorf("%d requests, want 1", hits.Load())
	}
	now = now.Add(time.Minute)
	_, _ = c.Get(context.Background(), s.URL, "")
	if hits.Load() != 2 {
		t.Errorf("%d requests after the wait, want 2", hits.Load())
	}
}
