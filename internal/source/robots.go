package source

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of robots.txt (RFC 9309).
const (
	maxRobots = 500 << 10 // §2.5
	// robotsFor is how long a file is remembered (§2.4).
	robotsFor = 24 * time.Hour
	// maxCrawlDelay bounds what a site may ask for between two requests.
	maxCrawlDelay = 30 * time.Second
	// robotsAgent is our product token.
	robotsAgent = "gazetted"
	// maxRobotsHosts bounds what is remembered.
	maxRobotsHosts = 500
)

// RobotsError is an address that its site does not want to be read by programs.
type RobotsError struct{ URL string }

// Error names the address.
func (e *RobotsError) Error() string {
	return e.URL + " may not be read: the site's robots.txt forbids it"
}

// Temporary is always false.
func (e *RobotsError) Temporary() bool { return false }

// robots keeps the robots.txt of hosts. It is safe for concurrent use.
type robots struct {
	client *Client
	now    func() time.Time

	mu   sync.Mutex
	kept map[string]robotsEntry // scheme://host
}

type robotsEntry struct {
	rules *robotsRules
	at    time.Time
}

func newRobots(c *Client, now func() time.Time) *robots {
	return &robots{client: c, now: now, kept: map[string]robotsEntry{}}
}

// of returns the rules of an address's host. A file that is not there allows
// everything (§2.3.1.3); one that cannot be had forbids everything for now
// (§2.3.1.4), and so is an error.
func (r *robots) of(ctx context.Context, u *url.URL) (*robotsRules, error) {
	host := u.Scheme + "://" + u.Host
	r.mu.Lock()
	e, ok := r.kept[host]
	r.mu.Unlock()
	if age := r.now().Sub(e.at); ok && age >= 0 && age < robotsFor {
		return e.rules, nil
	}
	ans, err := r.client.get(ctx, request{url: host + "/robots.txt", accept: "text/plain", maxBody: maxRobots})
	rules := &robotsRules{}
	var status *StatusError
	switch {
	case err == nil:
		rules = parseRobots(string(ans.Body))
	case errors.As(err, &status) && !status.Temporary():
	case as[*TooLargeError](err) != nil, as[*RedirectError](err) != nil: // unavailable by the letter; no rule of it is known
	default:
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) >= maxRobotsHosts {
		clear(r.kept)
	}
	r.kept[host] = robotsEntry{rules: rules, at: r.now()}
	return rules, nil
}

// robotsRules is what a file says to us.
type robotsRules struct {
	rules    []robotsRule
	delay    time.Duration // between requests; not of the RFC, but meant
	sitemaps []string
}

type robotsRule struct {
	pattern string
	allow   bool
}

// parseRobots reads a file: the groups for our token together, or, if there
// are none, those for everybody (§2.2.1).
func parseRobots(text string) *robotsRules {
	var own, all, out robotsRules
	named, mine, everybody, inRules := false, false, false, true
	for line := range strings.Lines(strings.ReplaceAll(strings.TrimPrefix(text, "\uFEFF"), "\r", "\n")) {
		line, _, _ = strings.Cut(line, "#")
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch key {
		case "user-agent":
			if inRules {
				mine, everybody, inRules = false, false, false
			}
			token, _, _ := strings.Cut(strings.ToLower(value), "/")
			mine = mine || token == robotsAgent
			everybody = everybody || token == "*"
			named = named || mine
		case "sitemap":
			if webURL(value) && len(out.sitemaps) < 20 {
				out.sitemaps = append(out.sitemaps, value)
			}
		case "allow", "disallow", "crawl-delay":
			inRules = true
			for group, in := range map[*robotsRules]bool{&own: mine, &all: everybody} {
				if in {
					group.take(key, value)
				}
			}
		}
	}
	chosen := all
	if named {
		chosen = own
	}
	out.rules, out.delay = chosen.rules, chosen.delay
	return &out
}

func (r *robotsRules) take(key, value string) {
	switch {
	case key == "crawl-delay":
		if s, err := strconv.ParseFloat(value, 64); err == nil && s > 0 {
			r.delay = min(time.Duration(min(s, 1e6)*float64(time.Second)), maxCrawlDelay)
		}
	case value != "" && len(r.rules) < 5000: // an empty disallow forbids nothing
		r.rules = append(r.rules, robotsRule{pattern: normalEscapes(value), allow: key == "allow"})
	}
}

// allows tells whether an address may be read: the longest rule that matches
// decides, of two equal ones the allowing (§2.2.2).
func (r *robotsRules) allows(u *url.URL) bool {
	target := normalEscapes(orElse(u.EscapedPath(), "/"))
	if u.RawQuery != "" {
		target += "?" + normalEscapes(u.RawQuery)
	}
	if target == "/robots.txt" {
		return true
	}
	best, allowed := -1, true
	for _, rule := range r.rules {
		if n := len(rule.pattern); n > best || n == best && rule.allow {
			if robotsMatch(rule.pattern, target) {
				best, allowed = n, rule.allow
			}
		}
	}
	return allowed
}

// robotsMatch matches a pattern with its special characters * and a final $
// (§2.2.3) from the beginning of target. It never goes back further than to the
// last *, so that no pattern makes it slow.
func robotsMatch(pattern, target string) bool {
	end := strings.HasSuffix(pattern, "$")
	pattern = strings.TrimSuffix(pattern, "$")
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(target, parts[0]) {
		return false
	}
	rest := target[len(parts[0]):]
	for i, part := range parts[1:] {
		if end && i == len(parts)-2 {
			return strings.HasSuffix(rest, part)
		}
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return !end || rest == ""
}

// normalEscapes makes percent-encodings comparable: unreserved characters bare,
// others escaped, in capitals (§2.2.2).
func normalEscapes(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		escaped := false
		if c == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				c, escaped = byte(v), true
				i += 2
			}
		}
		unreserved := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
		if unreserved || !escaped && c < 0x80 {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
	}
	return b.String()
}
