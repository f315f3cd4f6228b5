package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Defaults of a Client.
const (
	// DefaultMaxBody bounds the decoded bytes of one answer: forty times a
	// hundred average posts of a WordPress site.
	DefaultMaxBody = 10 << 20
	// DefaultFetchTimeout bounds one exchange, redirects and body included.
	DefaultFetchTimeout = 60 * time.Second
	// MaxRedirects is how many hops a fetch follows.
	MaxRedirects = 5
	// MaxRetryAfter caps what a server may ask us to wait.
	MaxRetryAfter = 24 * time.Hour
)

// ClientOptions configures a Client.
type ClientOptions struct {
	// Version and URL name this program and its operator's site in the
	// User-Agent: "gazetted/1.2 (+https://news.example.org/)".
	Version string
	URL     string
	// Allow lists what the guard lets through although it is not public:
	// CIDR prefixes, single addresses or host names.
	Allow []string
	// Timeout of one exchange; zero: DefaultFetchTimeout.
	Timeout time.Duration
	// MaxBody of decoded bytes; zero: DefaultMaxBody.
	MaxBody int64
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Client makes every HTTP request of the product that leaves for a place
// somebody else named: sources, images, hooks, callbacks. It connects to
// public addresses only (see Guard), follows at most MaxRedirects hops, bounds
// time and decoded bytes, and leaves a host alone for as long as that host
// asked for with Retry-After (RFC 9110 §10.2.3). It is safe for concurrent use.
type Client struct {
	http    *http.Client
	guard   *Guard
	agent   string
	maxBody int64
	now     func() time.Time

	mu   sync.Mutex
	hold map[string]time.Time // host → not before
}

// NewClient makes a Client. A fault in Allow is a *news.FieldError.
func NewClient(o ClientOptions) (*Client, error) {
	guard, err := NewGuard(o.Allow)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultFetchTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	agent := "gazetted/" + orElse(o.Version, "unknown")
	if o.URL != "" {
		agent += " (+" + o.URL + ")"
	}
	c := &Client{guard: guard, agent: agent, maxBody: o.MaxBody, now: o.Now, hold: make(map[string]time.Time)}
	c.http = &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			// A proxy would connect where we cannot see, so none is used.
			Proxy:                  nil,
			DialContext:            guard.dial(&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}),
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           50,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: c.checkRedirect,
	}
	return c, nil
}

// checkRedirect decides about one hop before it is made.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > MaxRedirects {
		return &RedirectError{URL: shownURL(via[0].URL)}
	}
	if err := checkURL(req.URL); err != nil {
		return err
	}
	req.Header.Del("Referer") // it repeats the last URL, a key in its query included
	if wait := c.heldFor(strings.ToLower(req.URL.Host)); wait > 0 {
		return &StatusError{Code: http.StatusTooManyRequests, URL: shownURL(req.URL), RetryAfter: wait, held: true}
	}
	if t, ok := req.Context().Value(trailKey{}).(*trail); ok && req.Response != nil {
		t.add(req.Response.StatusCode, req.URL)
	}
	return nil
}

// secretParameter tells whether a query parameter of this name holds a key in
// the APIs that are asked, Ghost's above all.
func secretParameter(name string) bool {
	switch strings.ToLower(name) {
	case "key", "api_key", "apikey", "token", "access_token", "secret", "password", "auth":
		return true
	}
	return false
}

// shownURL is u as it may be told to people and logs: without a password before
// the host, and without a key in the query.
func shownURL(u *url.URL) string {
	if u.RawQuery == "" {
		return u.Redacted()
	}
	shown := *u
	pairs := strings.Split(u.RawQuery, "&")
	for i, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err != nil || secretParameter(plain) {
			pairs[i] = name + "=xxxxx"
		}
	}
	shown.RawQuery = strings.Join(pairs, "&")
	return shown.Redacted()
}

// shownRawURL is shownURL for a URL that is text.
func shownRawURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "a URL that cannot be read"
	}
	return shownURL(u)
}

// trail follows the redirects of one fetch.
type trail struct {
	moved     string // how far permanent redirects alone have led
	temporary bool
}

type trailKey struct{}

// add takes a hop. Once one was temporary the rest says nothing about where the
// resource lives (RFC 9110 §15.4).
func (t *trail) add(status int, to *url.URL) {
	if status != http.StatusMovedPermanently && status != http.StatusPermanentRedirect {
		t.temporary = true
	}
	if !t.temporary {
		t.moved = to.String()
	}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends req through the guard with our User-Agent. The body of the answer
// ends with a *TooLargeError after the client's limit of decoded bytes; the
// caller closes it. The status is the caller's business, except that a
// Retry-After is remembered and the host left alone until then.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	return c.do(req, c.maxBody)
}

func (c *Client) do(req *http.Request, maxBody int64) (*http.Response, error) {
	if err := checkURL(req.URL); err != nil {
		return nil, err
	}
	host := strings.ToLower(req.URL.Host)
	if wait := c.heldFor(host); wait > 0 {
		return nil, &StatusError{Code: http.StatusTooManyRequests, URL: shownURL(req.URL), RetryAfter: wait, held: true}
	}
	req.Header.Set("User-Agent", c.agent)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fetchError(err, req.URL)
	}
	if wait := retryAfter(resp.Header.Get("Retry-After"), c.now()); wait > 0 && temporaryStatus(resp.StatusCode) {
		c.holdHost(strings.ToLower(resp.Request.URL.Host), wait) // of the last hop: it is the one that asks
	}
	resp.Body = &cappedBody{body: resp.Body, left: maxBody, limit: maxBody, url: shownURL(req.URL)}
	return resp, nil
}

// Answer is a successful fetch.
type Answer struct {
	URL    string // the final one, after redirects
	Header http.Header
	Body   []byte
	// Moved is where permanent redirects (301, 308) alone led; "": nowhere.
	Moved string
	// NotModified is a 304: the server has nothing newer than what the request named.
	NotModified bool
}

// request is one GET.
type request struct {
	url    string
	accept string
	// Validators of what we have (RFC 9110 §13.1), if a 304 is welcome.
	etag, modified string
	maxBody        int64 // of decoded bytes; 0: the client's
}

// Get fetches a URL. Any status but 2xx is a *StatusError.
func (c *Client) Get(ctx context.Context, rawURL, accept string) (*Answer, error) {
	return c.get(ctx, request{url: rawURL, accept: accept})
}

func (c *Client) get(ctx context.Context, r request) (*Answer, error) {
	t := &trail{}
	req, err := http.NewRequestWithContext(context.WithValue(ctx, trailKey{}, t), http.MethodGet, r.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	for name, value := range map[string]string{"Accept": r.accept, "If-None-Match": r.etag, "If-Modified-Since": r.modified} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if r.maxBody == 0 {
		r.maxBody = c.maxBody
	}
	resp, err := c.do(req, r.maxBody)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written, nothing can be lost
	if resp.StatusCode == http.StatusNotModified && (r.etag != "" || r.modified != "") {
		return &Answer{URL: resp.Request.URL.String(), Header: resp.Header, Moved: t.moved, NotModified: true}, nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil && resp.StatusCode < 300 {
		return nil, fetchError(err, req.URL)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, &StatusError{
			Code: resp.StatusCode, URL: shownURL(req.URL), body: bytes.TrimSpace(body),
			RetryAfter: retryAfter(resp.Header.Get("Retry-After"), c.now()),
		}
	}
	return &Answer{URL: resp.Request.URL.String(), Header: resp.Header, Body: body, Moved: t.moved}, nil
}

// unpacked takes gzip off a body that its server has sent as a file of it
// (sitemap.xml.gz, and feeds of servers that name no encoding).
func unpacked(body []byte) ([]byte, error) {
	if !bytes.HasPrefix(body, []byte("\x1f\x8b")) {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, DefaultMaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if len(out) > DefaultMaxBody {
		return nil, &TooLargeError{URL: "the unpacked file", Limit: DefaultMaxBody}
	}
	return out, nil
}

func (c *Client) heldFor(host string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.hold[host]
	if !ok {
		return 0
	}
	wait := until.Sub(c.now())
	if wait <= 0 {
		delete(c.hold, host)
	}
	return wait
}

func (c *Client) holdHost(host string, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold[host] = c.now().Add(wait)
}

// retryAfter reads delay-seconds or an HTTP-date (RFC 9110 §10.2.3), capped at
// MaxRetryAfter; 0 where there is none or it has passed.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		if n <= 0 {
			return 0
		}
		return time.Duration(min(n, int64(MaxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

func checkURL(u *url.URL) error {
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return &BlockedError{Host: u.Host, Reason: "only http and https are fetched"}
	}
	return nil
}

// cappedBody ends with an error instead of the byte after the limit. It counts
// what the transport has already unpacked, so a compressed bomb counts in full.
type cappedBody struct {
	body  io.ReadCloser
	left  int64
	limit int64
	url   string
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		var one [1]byte
		n, err := b.body.Read(one[:])
		if n > 0 {
			return 0, &TooLargeError{URL: b.url, Limit: b.limit}
		}
		return 0, err // io.EOF must stay itself
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	return n, err // io.EOF must stay itself
}

func (b *cappedBody) Close() error { return b.body.Close() } // transparent

// fetchError turns what net/http returns into one of the package's types, and
// cuts the credentials that a URL may carry out of the text.
func fetchError(err error, u *url.URL) error {
	for _, own := range []func() error{
		func() error { return as[*BlockedError](err) },
		func() error { return as[*RedirectError](err) },
		func() error { return as[*TooLargeError](err) },
		func() error { return as[*StatusError](err) },
	} {
		if e := own(); e != nil {
			return e
		}
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("fetch %s: %w", shownURL(u), context.Canceled)
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return &NetworkError{URL: shownURL(u), Err: err}
}

// as finds an error of type E in err's chain; nil where there is none.
func as[E error](err error) error {
	var e E
	if errors.As(err, &e) {
		return e
	}
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
