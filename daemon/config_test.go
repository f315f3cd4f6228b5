package daemon_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gazetted/daemon"
	"gazetted/internal/news"
)

func environ(vars map[string]string) []string {
	out := []string{"HOME=/nowhere"}
	for k, v := range vars {
		out = append(out, k+"="+v)
	}
	return out
}

func load(t *testing.T, text string, env map[string]string) (daemon.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gazetted.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return daemon.LoadConfig(path, environ(env))
}

// What init writes is read back as it was.
func TestConfigWrittenIsConfigRead(t *testing.T) {
	t.Parallel()
	for name, relays := range map[string][]daemon.RelayConfig{
		"no relay": nil,
		"two relays": {
			{Name: "a", Host: "a.example.org", TLS: "tls", Connections: 2, Weight: 3, Rate: 0.25, DomainRate: 1_000_000, DomainConnections: 1, MaxMessages: 50, Idle: news.Duration(time.Minute), DotTimeout: news.Duration(9 * time.Minute), CAFile: "ca.pem",
				Username: "u", Auth: "XOAUTH2", PasswordCommand: []string{"/bin/token", "--for", "a b"}},
			{Name: "b", Host: "b.example.org", Port: 2525, TLS: "none", Connections: 9, MaxMessages: 1, Idle: news.Duration(time.Second), DotTimeout: news.Duration(time.Second)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := daemon.DefaultConfig()
			want.Site.Title = `The "Gazette" \ of ☃`
			want.Web.TrustedProxies = []string{"10.0.0.0/8", "::1"}
			want.Mail.Relays = relays
			if relays != nil {
				want.Mail.DKIM = []daemon.DKIMConfig{{Domain: "example.org", Selector: "a", KeyFile: "a.pem"}, {Domain: "example.org", Selector: "b", KeyFile: "b.pem"}}
			}
			var b bytes.Buffer
			if err := daemon.WriteConfig(&b, want); err != nil {
				t.Fatal(err)
			}
			got, err := load(t, b.String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			got.Dir = ""
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConfigReportsAllFaultsWithTheirPlace(t *testing.T) {
	t.Parallel()
	_, err := load(t, `database = "mysql:x"
lisen = "127.0.0.1:1"
[site]
title = ""
[mail]
transport = "pigeon"
capture_max = "many"
[[mail.relay]]
host = "smtp.example.org"
tls = "maybe"
[[mail.dkim]]
domain = "example.org"
key_file = "key.pem"
`, map[string]string{"GAZETTED_FEEDS_ITEMS": "0", "GAZETTED_WEB_TRUSTED_PROXIES": "10.0.0.0/8,nonsense"})
	var all *daemon.ConfigError
	if !errors.As(err, &all) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"gazetted.toml:1: database", `gazetted.toml:2: unknown key "lisen"; did you mean "listen"?`, "gazetted.toml:4: site.title",
		`gazetted.toml:6: mail.transport "pigeon": want one of capture, smtp`, `gazetted.toml:7: mail.capture_max "many": want a whole number`,
		`gazetted.toml:10: mail.relay.1.tls "maybe"`, `mail.dkim.1.selector "": want the name`, `GAZETTED_FEEDS_ITEMS: feeds.items "0"`, `GAZETTED_WEB_TRUSTED_PROXIES: web.trusted_proxies "nonsense"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
	if len(all.Faults) != 9 {
		t.Errorf("%d faults:\n%v", len(all.Faults), err)
	}
}

func TestConfigSyntaxErrorNamesTheLine(t *testing.T) {
	t.Parallel()
	_, err := load(t, "listen = \"x:1\"\n[site\n", nil)
	if err == nil || !strings.Contains(err.Error(), "gazetted.toml:2: ") {
		t.Fatalf("got %v", err)
	}
}

func TestConfigFromEnvironmentAlone(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"GAZETTED_DATABASE": "postgres://u@h/n", "GAZETTED_SITE_TITLE": "T", "GAZETTED_MAIL_TRANSPORT": "smtp",
		"GAZETTED_MAIL_DKIM_1_DOMAIN": "example.org", "GAZETTED_MAIL_DKIM_1_SELECTOR": "a", "GAZETTED_MAIL_DKIM_1_KEY_FILE": "/run/key",
		"GAZETTED_MAIL_RELAY_1_HOST": "smtp.example.org", "GAZETTED_MAIL_RELAY_2_HOST": "b.example.org", "GAZETTED_MAIL_RELAY_2_TLS": "tls",
	}
	cfg, err := daemon.LoadConfig("", environ(env))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Database != "postgres://u@h/n" || cfg.Site.Title != "T" || len(cfg.Mail.Relays) != 2 || cfg.Mail.Relays[0].TLS != "starttls" || cfg.Mail.Relays[1].TLS != "tls" ||
		len(cfg.Mail.DKIM) != 1 || cfg.Mail.DKIM[0] != (daemon.DKIMConfig{Domain: "example.org", Selector: "a", KeyFile: "/run/key"}) {
		t.Errorf("%+v", cfg)
	}
}

func TestConfigErrorNeverShowsTheDatabasePassword(t *testing.T) {
	t.Parallel()
	_, err := load(t, `database = "postgress://u:canary@h/n"`, nil)
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Fatalf("got %v", err)
	}
}

func TestRelayLimitsAreChecked(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, "[[mail.relay]]\nhost = \"a\"\nweight = 3\nrate = 14\ndomain_rate = 0.5\nmax_messages = 20\nidle = \"30s\"\ndomain_connections = 2\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := cfg.Mail.Relays[0]; r.Weight != 3 || r.Rate != 14 || r.DomainRate != 0.5 || r.MaxMessages != 20 || r.Idle != news.Duration(30*time.Second) || r.DomainConnections != 2 {
		t.Errorf("%+v", r)
	}
	_, err = load(t, `[[mail.relay]]
host = "a"
weight = -1
rate = 1e9
domain_rate = "fast"
domain_connections = 1001
max_messages = 0
idle = "1ms"
[[mail.relay]]
name = "a"
host = "b"
`, map[string]string{"GAZETTED_MAIL_RELAY_2_RATE": "nan"})
	var all *daemon.ConfigError
	if !errors.As(err, &all) || len(all.Faults) != 8 {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		`gazetted.toml:3: mail.relay.1.weight "-1"`, `gazetted.toml:4: mail.relay.1.rate "1e+09"`, `gazetted.toml:5: mail.relay.1.domain_rate "fast": want a number`,
		`gazetted.toml:6: mail.relay.1.domain_connections`, `gazetted.toml:7: mail.relay.1.max_messages`, `gazetted.toml:8: mail.relay.1.idle "1ms"`,
		`gazetted.toml:10: mail.relay.2.name "a": want another name`, `GAZETTED_MAIL_RELAY_2_RATE: mail.relay.2.rate "nan"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
}

func TestConfigChecksBounces(t *testing.T) {
	t.Parallel()
	_, err := load(t, `[mail]
bounce_address = "bounces+x@example.org"
unsubscribe_address = "much.too.long.a.local.part@example.org"
[bounce]
imap_host = "imap.example.org"
imap_tls = "maybe"
poll = "0s"
soft_limit = 0
[hooks]
ses_topics = ["bounces"]
`, nil)
	for _, want := range []string{
		"gazetted.toml:2: mail.bounce_address", "gazetted.toml:3: mail.unsubscribe_address", "bounce.imap_username", "gazetted.toml:6: bounce.imap_tls",
		"gazetted.toml:7: bounce.poll", "gazetted.toml:8: bounce.soft_limit", "gazetted.toml:10: hooks.ses_topics",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
	cfg, err := load(t, "[mail]\nbounce_address = \"bounces@example.org\"\n", nil)
	if err != nil || cfg.Mail.BounceAddress != "bounces@example.org" || cfg.Bounce.SoftLimit != 5 || cfg.Bounce.SoftDays != 7 {
		t.Errorf("%+v, %v", cfg.Bounce, err)
	}
}

func TestConfigReportsUnknownVariables(t *testing.T) {
	t.Parallel()
	_, err := load(t, "", map[string]string{"GAZETTED_MIAL_FROM": "x", "GAZETTED_SITE_TITLE": "", "GAZETTED_TEST_POSTGRES": "x", "GAZETTED_CONFIG": "x"})
	if err == nil || err.Error() != `GAZETTED_MIAL_FROM: unknown variable; did you mean "GAZETTED_MAIL_FROM"?` {
		t.Fatalf("got %v", err)
	}
}
