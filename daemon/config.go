package daemon

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/mail"
	"gazetted/internal/news"
)

// Config is the infrastructure: where things are and how the process reaches
// the world. Sources, lists and people are data, kept in the database.
//
// The tags are the single origin of the file's keys, of the environment's
// variables, of the commented file that `gazetted init` writes and of the
// reference: `toml` is the key, `doc` its explanation, `example` a value shown
// commented out where the default is empty.
type Config struct {
	Database  string       `toml:"database" doc:"Where everything is kept: sqlite:PATH (relative to this file) or postgres://USER@HOST/NAME."`
	Listen    string       `toml:"listen" doc:"Address and port that the web server listens on."`
	PublicURL string       `toml:"public_url" doc:"The URL under which readers reach the web server. All links in mails and feeds begin with it."`
	Site      SiteConfig   `toml:"site" doc:"The publication that the feeds and mails speak for."`
	Mail      MailConfig   `toml:"mail" doc:"How mail leaves."`
	Bounce    BounceConfig `toml:"bounce" doc:"Where mail that comes back is collected."`
	Hooks     HooksConfig  `toml:"hooks" doc:"Mail providers that tell of bounces and complaints over HTTP."`
	Feeds     FeedsConfig  `toml:"feeds" doc:"What feeds carry."`
	Web       WebConfig    `toml:"web" doc:"Who may see what of the web server."`
	Fetch     FetchConfig  `toml:"fetch" doc:"What the watcher may reach."`
	Templates string       `toml:"templates" doc:"A folder whose files replace shipped templates of the same name. Empty: none." example:"templates"`
	Log       LogConfig    `toml:"log" doc:"What is written to standard error."`
	// SynchronousFailover is a promise of the operator's, which nothing here can check.
	SynchronousFailover bool          `toml:"synchronous_failover" doc:"PostgreSQL: every server that may take over is a synchronous standby, so that a fail-over loses nothing, and sending goes on by itself. Otherwise it is paused until gazetted resume (docs/postgresql.md)."`
	Drain               news.Duration `toml:"drain" doc:"How long a stopping daemon may take to finish the mails that it has begun."`
	// Dir is where the file lies; relative paths start there. Not a key.
	Dir string `toml:"-"`
}

// SiteConfig names the publication.
type SiteConfig struct {
	Title       string `toml:"title" doc:"Name of the publication."`
	URL         string `toml:"url" doc:"Home page of the publication. Empty: public_url." example:"https://news.example.org"`
	Description string `toml:"description" doc:"One sentence about it, shown in feeds and on the front page."`
	Language    string `toml:"language" doc:"Language of the articles, as in en or pt-BR."`
	Postal      string `toml:"postal_address" doc:"Postal address, shown in every mail as the law of many countries asks." example:"1 Harbour Street, Exampletown"`
	Rights      string `toml:"rights" doc:"Copyright line, shown in feeds." example:"© The Example Gazette"`
}

// MailConfig says how mail leaves.
type MailConfig struct {
	Transport          string        `toml:"transport" doc:"capture keeps every mail in a folder and sends none; smtp sends through the relays below."`
	From               string        `toml:"from" doc:"Sender of all lists that name none: an address, or \"Name <news@example.org>\"."`
	Domain             string        `toml:"domain" doc:"Domain of Message-ID and List-Id. Empty: the domain of from." example:"example.org"`
	BounceAddress      string        `toml:"bounce_address" doc:"Envelope sender that bounces come to: each mail gets its own, bounces+TOKEN@… Its mailbox must take addresses with a +. Empty: the sender's address, and bounces are known by the Message-ID that they return." example:"bounces@example.org"`
	UnsubscribeAddress string        `toml:"unsubscribe_address" doc:"Address to unsubscribe by mail, unsubscribe+TOKEN@…, offered beside the link. Its mail must come to where bounces are collected. Empty: by the link only." example:"unsubscribe@example.org"`
	CaptureDir         string        `toml:"capture_dir" doc:"Folder (a Maildir) of captured mails."`
	CaptureMax         int           `toml:"capture_max" doc:"How many captured mails are kept; the oldest go first."`
	Relays             []RelayConfig `toml:"relay" doc:"An SMTP server that takes our mail. Repeat the section for more: they share the mail by weight, and stand in for one another when one fails."`
	DKIM               []DKIMConfig  `toml:"dkim" doc:"A key that signs every mail (DKIM). Repeat the section for an RSA and an Ed25519 key side by side, or for more domains. Leave it out if the relay signs, or if it rewrites Date or Message-ID."`
}

// RelayConfig is one SMTP server that takes our mail.
type RelayConfig struct {
	Name            string   `toml:"name" doc:"Name in logs and tables, and to pause it by. Empty: the host." example:"main"`
	Host            string   `toml:"host" doc:"Host name." example:"smtp.example.org"`
	Port            int      `toml:"port" doc:"Port. 0: 587, or 465 with tls = \"tls\", or 25 with tls = \"none\"."`
	TLS             string   `toml:"tls" doc:"starttls (required), tls (from the first byte), or none."`
	CAFile          string   `toml:"ca_file" doc:"PEM file with the authorities that the relay's certificate may come from. Empty: those that this machine trusts."`
	Username        string   `toml:"username" doc:"Account. Empty: no authentication. It needs TLS." example:"gazetted"`
	Auth            string   `toml:"auth" doc:"How to log in: SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, PLAIN, LOGIN, SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS or XOAUTH2 (a token in the password's place). Empty: the first of the first five that the relay offers."`
	PasswordFile    string   `toml:"password_file" doc:"File whose first line is the password or token. It is read anew before each login." example:"relay-password"`
	PasswordCommand []string `toml:"password_command" doc:"Program and arguments, run without a shell before each login: the first line that it prints is the password or token, as in [\"/usr/local/bin/token\", \"smtp\"]. In place of password_file."`

	Weight            int           `toml:"weight" doc:"Share of the mails among the relays that have one: 3 and 1 take three quarters and one. 0: stands by, in the order of this file, until none that has a weight takes mail."`
	Rate              float64       `toml:"rate" doc:"Mails per second at most, also less than one. 0: no limit."`
	Connections       int           `toml:"connections" doc:"How many connections at once."`
	MaxMessages       int           `toml:"max_messages" doc:"How many mails go over one connection."`
	Idle              news.Duration `toml:"idle" doc:"How long a connection without work is kept open."`
	DotTimeout        news.Duration `toml:"dot_timeout" doc:"How long the reply to a finished mail is waited for. Less than the 10 minutes of RFC 5321 makes a second copy more likely, with a relay that is slow there."`
	DomainRate        float64       `toml:"domain_rate" doc:"Mails per second at most to one recipient domain. 0: no limit. A domain that defers mails is given less in any case."`
	DomainConnections int           `toml:"domain_connections" doc:"How many mails to one recipient domain are under way at once. 0: as many as there are connections."`
}

// DKIMConfig is one key that signs mail.
type DKIMConfig struct {
	Domain   string `toml:"domain" doc:"Domain that signs: best the sender's or a parent of it." example:"example.org"`
	Selector string `toml:"selector" doc:"Name of the key: its public half is published as a TXT record at SELECTOR._domainkey.DOMAIN." example:"news2026"`
	KeyFile  string `toml:"key_file" doc:"PEM file with the private key, RSA of 2048 bits or more, or Ed25519. Only its owner may read it (mode 0600)." example:"dkim-news2026.pem"`
}

// FeedsConfig says what feeds carry.
type FeedsConfig struct {
	Items       int  `toml:"items" doc:"Articles per feed."`
	FullContent bool `toml:"full_content" doc:"Whether feeds carry whole articles; otherwise summaries."`
	CacheMB     int  `toml:"cache_mb" doc:"Memory for built feeds, in megabytes; the least read go first."`
}

// WebConfig says who may see what.
type WebConfig struct {
	TrustedProxies []string `toml:"trusted_proxies" doc:"Networks of reverse proxies whose X-Forwarded-For is believed." example:"10.0.0.0/8"`
	MailboxKeyFile string   `toml:"mailbox_key_file" doc:"File with a key that opens the captured mailbox from elsewhere than this machine (/mailbox?key=…). Empty: this machine only." example:"mailbox-key"`
}

// FetchConfig bounds what the watcher may reach.
type FetchConfig struct {
	Allow []string `toml:"allow" doc:"Private networks or addresses that sources may be fetched from, such as an internal WordPress. All others that are not on the public Internet are refused." example:"10.1.2.0/24"`
}

// LogConfig says what is written to standard error.
type LogConfig struct {
	Level  string `toml:"level" doc:"debug, info, warn or error."`
	Format string `toml:"format" doc:"text or json."`
}

// DefaultConfig is what holds where a file and the environment are silent.
func DefaultConfig() Config {
	return Config{
		Database:  "sqlite:gazetted.db",
		Listen:    "127.0.0.1:8080",
		PublicURL: "http://127.0.0.1:8080",
		Site:      SiteConfig{Title: "gazetted", Language: "en"},
		Mail:      MailConfig{Transport: "capture", From: "gazetted <news@example.org>", CaptureDir: "mailbox", CaptureMax: 10_000},
		Bounce:    defaultBounce(),
		Feeds:     FeedsConfig{Items: 50, FullContent: true, CacheMB: 64},
		Log:       LogConfig{Level: "info", Format: "text"},
		Drain:     news.Duration(25 * time.Second),
	}
}

// defaultRelay is what holds where a [[mail.relay]] is silent.
func defaultRelay() RelayConfig {
	return RelayConfig{TLS: "starttls", Connections: 4, MaxMessages: mail.DefaultMaxMessages, Idle: news.Duration(mail.DefaultIdleLimit), DotTimeout: news.Duration(mail.DefaultDotTimeout)}
}

// path makes p absolute, from the folder of the configuration file.
func (c *Config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.Dir, p)
}

// DSN is the database with its path made absolute.
func (c *Config) DSN() string {
	if p, ok := strings.CutPrefix(c.Database, "sqlite:"); ok {
		return "sqlite:" + c.path(p)
	}
	return c.Database
}

// check reports every fault of the values, each as a FieldError whose Field is
// the key.
func (c *Config) check() []*news.FieldError {
	var faults []*news.FieldError
	fault := func(key, value, want string) {
		faults = append(faults, &news.FieldError{Field: key, Value: value, Want: want})
	}
	oneOf := func(key, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			fault(key, value, "one of "+strings.Join(allowed, ", "))
		}
	}
	if !strings.HasPrefix(c.Database, "sqlite:") && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		fault("database", "…", "sqlite:PATH or postgres://USER@HOST/NAME") // never shown: it may hold a password
	}
	if _, port, ok := strings.Cut(c.Listen, ":"); !ok || port == "" {
		fault("listen", c.Listen, "HOST:PORT such as 127.0.0.1:8080, or :8080 for all addresses")
	}
	webURL := func(key, value string) {
		if u, err := url.Parse(value); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			fault(key, value, "a URL such as https://news.example.org")
		}
	}
	webURL("public_url", c.PublicURL)
	if c.Site.URL != "" {
		webURL("site.url", c.Site.URL)
	}
	if strings.TrimSpace(c.Site.Title) == "" {
		fault("site.title", c.Site.Title, "the name of the publication")
	}
	oneOf("mail.transport", c.Mail.Transport, "capture", "smtp")
	if _, _, err := news.ParseSender("mail.from", c.Mail.From); err != nil {
		fault("mail.from", c.Mail.From, `an address, or "Name <news@example.org>"`)
	}
	if c.Mail.Transport == "smtp" && len(c.Mail.Relays) == 0 {
		fault("mail.relay", "", "at least one [[mail.relay]] section, because mail.transport is smtp")
	}
	c.checkBounces(fault)
	oneOf("bounce.imap_tls", c.Bounce.IMAPTLS, "tls", "starttls", "none")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, "text", "json")
	within := func(key string, v, lo, hi int) {
		if v < lo || v > hi {
			faults = append(faults, numberFault(key, v, lo, hi))
		}
	}
	within("feeds.items", c.Feeds.Items, 1, 500)
	within("feeds.cache_mb", c.Feeds.CacheMB, 1, 100_000)
	within("bounce.imap_port", c.Bounce.IMAPPort, 0, 65535)
	within("bounce.soft_limit", c.Bounce.SoftLimit, 1, 1000)
	within("bounce.soft_days", c.Bounce.SoftDays, 1, 365)
	within("mail.capture_max", c.Mail.CaptureMax, 1, 1_000_000)
	faults = append(faults, c.Mail.checkSections()...)
	for _, p := range c.Web.TrustedProxies {
		if _, err := parseNetwork(p); err != nil {
			fault("web.trusted_proxies", p, "a network or address such as 10.0.0.0/8")
		}
	}
	for _, p := range c.Fetch.Allow {
		if _, err := parseNetwork(p); err != nil {
			fault("fetch.allow", p, "a network or address such as 10.1.2.0/24")
		}
	}
	return faults
}

// checkSections reports the faults of the relays and keys.
func (c *MailConfig) checkSections() []*news.FieldError {
	var faults []*news.FieldError
	want := func(ok bool, key, value, want string) {
		if !ok {
			faults = append(faults, &news.FieldError{Field: key, Value: value, Want: want})
		}
	}
	within := func(key string, v, lo, hi int) {
		if v < lo || v > hi {
			faults = append(faults, numberFault(key, v, lo, hi))
		}
	}
	for i, r := range c.Relays {
		key := numbered("mail.relay", i)
		want(r.Host != "", key+".host", r.Host, "a host name such as smtp.example.org")
		want(slices.Contains([]string{"starttls", "tls", "none"}, r.TLS), key+".tls", r.TLS, "one of starttls, tls, none")
		within(key+".port", r.Port, 0, 65535)
		within(key+".connections", r.Connections, 1, 1000)
		within(key+".weight", r.Weight, 0, 1000)
		within(key+".max_messages", r.MaxMessages, 1, 1_000_000)
		within(key+".domain_connections", r.DomainConnections, 0, 1000)
		for name, v := range map[string]float64{"rate": r.Rate, "domain_rate": r.DomainRate} {
			want(v == 0 || v >= 0.001 && v <= 1e6, key+"."+name, strconv.FormatFloat(v, 'g', -1, 64), "mails per second, from 0.001 to 1000000, or 0 for no limit")
		}
		want(r.Idle >= news.Duration(time.Second) && r.Idle <= news.Duration(time.Hour), key+".idle", r.Idle.String(), "a duration from 1s to 1h")
		want(r.DotTimeout >= news.Duration(time.Second) && r.DotTimeout <= news.Duration(30*time.Minute), key+".dot_timeout", r.DotTimeout.String(), "a duration from 1s to 30m")
		want(r.Auth == "" || slices.Contains(mail.AuthMechanisms(), mail.AuthMechanism(r.Auth)), key+".auth", r.Auth, "one of "+mail.AuthNames()+", or nothing")
		want(r.Auth == "" || r.Username != "", key+".username", "", "the account, because auth is set")
		want(r.Username == "" || r.TLS != "none", key+".tls", r.TLS, "starttls or tls: a password never leaves in plain text")
		want(r.Username == "" || r.PasswordFile != "" || len(r.PasswordCommand) > 0, key+".password_file", "", "the file of the password, or password_command, because username is set")
		want(r.PasswordFile == "" || len(r.PasswordCommand) == 0, key+".password_command", strings.Join(r.PasswordCommand, " "), "either it or password_file")
		same := func(o RelayConfig) bool { return o.RelayName() == r.RelayName() }
		want(!slices.ContainsFunc(c.Relays[:i], same), key+".name", r.RelayName(), "another name: a relay before it has this one")
	}
	for i, k := range c.DKIM {
		key := numbered("mail.dkim", i)
		want(k.Domain != "", key+".domain", k.Domain, "the domain that signs, such as example.org")
		want(k.Selector != "", key+".selector", k.Selector, "the name under which the key is published, such as news2026")
		want(k.KeyFile != "", key+".key_file", k.KeyFile, "the file of the private key")
	}
	return faults
}

// parseNetwork reads a prefix or a single address.
func parseNetwork(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// networks parses what check has accepted.
func networks(in []string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(in))
	for _, s := range in {
		if p, err := parseNetwork(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}
