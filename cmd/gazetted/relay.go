package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/mail"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) relayCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "relay", Short: "The SMTP servers that take our mail: how they are, and a test",
		Long: `Relays are configured in gazetted.toml ([[mail.relay]]). A running daemon reports
how it finds them at once when one fails or is well again, every ten seconds
while mail goes out, and every minute otherwise; with several daemons each
reports for itself.`,
	}
	c.AddCommand(a.relayLs(), a.relayShow(), a.relayTest(), a.relayPause("pause", true), a.relayPause("resume", false))
	return c
}

// relayView is a relay as configured, as an admin left it, and as it was found.
type relayView struct {
	Name       string              `json:"name"`
	Configured *relaySettings      `json:"configured,omitempty"` // absent: it is in the configuration no more
	Paused     bool                `json:"paused"`
	State      string              `json:"state"`
	Traffic    news.RelayTraffic   `json:"traffic"`
	Processes  []news.RelayState   `json:"processes"`
	last       *news.RelayState    // the latest of them
	live       []news.RelayState   // those that were sending a moment ago
	config     *daemon.RelayConfig // nil: captured mails
}

// relaySettings are those of the configuration, without secrets.
type relaySettings struct {
	Host              string        `json:"host"`
	Port              int           `json:"port,omitempty"`
	TLS               string        `json:"tls,omitempty"`
	Username          string        `json:"username,omitempty"`
	Auth              string        `json:"auth,omitempty"`
	Weight            int           `json:"weight"`
	Rate              float64       `json:"rate"`
	Connections       int           `json:"connections"`
	MaxMessages       int           `json:"max_messages"`
	Idle              news.Duration `json:"idle"`
	DotTimeout        news.Duration `json:"dot_timeout"`
	DomainRate        float64       `json:"domain_rate"`
	DomainConnections int           `json:"domain_connections"`
}

// stateIdle is that of a relay which nobody uses now.
const stateIdle = "not in use"

// relayViews are the relays of the configuration, and those that a daemon has
// used within a day.
func (a *app) relayViews(ctx context.Context, s *store.Store, cfg *daemon.Config) ([]*relayView, error) {
	paused, err := s.PausedRelays(ctx)
	if err != nil {
		return nil, err
	}
	states, err := s.RelayStates(ctx)
	if err != nil {
		return nil, err
	}
	traffic, err := s.RelayTraffic(ctx)
	if err != nil {
		return nil, err
	}
	views := []*relayView{}
	find := func(name string) *relayView {
		i := slices.IndexFunc(views, func(v *relayView) bool { return v.Name == name })
		if i < 0 {
			v := &relayView{Name: name, Paused: slices.Contains(paused, name), Traffic: traffic[name], Processes: []news.RelayState{}}
			views, i = append(views, v), len(views)
		}
		return views[i]
	}
	if cfg.Mail.Transport == "capture" {
		find("capture").Configured = &relaySettings{Host: cfg.Mail.CaptureDir}
	} else {
		for i := range cfg.Mail.Relays {
			find(cfg.Mail.Relays[i].RelayName()).configure(&cfg.Mail.Relays[i])
		}
	}
	for _, name := range paused {
		find(name)
	}
	for _, x := range states {
		v := find(x.Relay)
		v.Processes = append(v.Processes, x)
	}
	for _, v := range views {
		v.judge(a.now())
	}
	return views, nil
}

func (v *relayView) configure(r *daemon.RelayConfig) {
	v.config = r
	v.Configured = &relaySettings{
		Host: r.Host, Port: cmp.Or(r.Port, mail.DefaultPort(mail.TLSMode(r.TLS))), TLS: r.TLS, Username: r.Username, Auth: r.Auth, Weight: r.Weight, Rate: r.Rate,
		Connections: r.Connections, MaxMessages: r.MaxMessages, Idle: r.Idle, DotTimeout: r.DotTimeout, DomainRate: r.DomainRate, DomainConnections: r.DomainConnections,
	}
}

// judge puts into one word what the processes say.
func (v *relayView) judge(now time.Time) {
	v.State = stateIdle
	for i, p := range v.Processes {
		if v.last == nil {
			v.last = &v.Processes[i] // the latest comes first
		}
		if p.Live(now) {
			v.live = append(v.live, p)
		}
	}
	var words []string
	for _, condition := range news.RelayConditions() {
		n := 0
		for _, p := range v.live {
			if p.Condition == condition {
				n++
			}
		}
		switch {
		case n > 0 && n == len(v.live):
			words = append(words, string(condition))
		case n > 0: // daemons differ
			words = append(words, fmt.Sprintf("%s (%d of %d daemons)", condition, n, len(v.live)))
		}
	}
	if len(words) > 0 {
		v.State = strings.Join(words, ", ")
	}
	if v.Paused { // the daemons have it within a second
		v.State = string(news.RelayPaused)
	}
}

// until is when an open breaker lets the next attempt through.
func (v *relayView) until() (at time.Time) {
	for _, p := range v.live {
		if p.Condition == news.RelayOpen && p.Until.After(at) {
			at = p.Until
		}
	}
	return at
}

func (v *relayView) address() string {
	switch {
	case v.Configured == nil:
		return "not in this configuration"
	case v.Configured.Port == 0:
		return v.Configured.Host
	default:
		return net.JoinHostPort(v.Configured.Host, strconv.Itoa(v.Configured.Port))
	}
}

func (v *relayView) connections() (open int) {
	for _, p := range v.live {
		open += p.Connections
	}
	return open
}

func (a *app) relayLs() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the relays and how they are", Args: cobra.NoArgs,
		Long: `Lists the relays of the configuration, and others that a daemon has used within a
day. States: up; open, which means that it failed and nothing is tried before the
time shown; trying, one attempt shows whether it is well again; paused by you;
or not in use, because no daemon is running.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withRelays(c.Context(), func(_ *store.Store, views []*relayView) error {
				var rows [][]string
				for _, v := range views {
					weight, fault := "", ""
					if v.Configured != nil {
						weight = number(v.Configured.Weight)
					}
					if v.last != nil && v.last.Condition != news.RelayUp {
						fault = v.last.LastFault
					}
					rows = append(rows, []string{
						v.Name, v.address(), weight, v.State, second(v.until()), number(v.connections()),
						number(v.Traffic.Hour[news.DeliveryAccepted]), number(v.Traffic.Day[news.DeliveryAccepted]), number(v.Traffic.Day[news.DeliveryDeferred]),
						short(fault, 60),
					})
				}
				return a.print(views, []string{"name", "address", "weight", "state", "until", "connections", "taken 1 h", "taken 24 h", "deferred 24 h", "last fault"}, rows)
			})
		},
	}
}

// withRelays reads the configuration and what is known of its relays.
func (a *app) withRelays(ctx context.Context, f func(*store.Store, []*relayView) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s *store.Store) error {
		views, err := a.relayViews(ctx, s, &cfg)
		if err != nil {
			return err
		}
		return f(s, views)
	})
}

func (a *app) relayShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a relay: its settings, what it offers, its last fault, domains that are slowed down", Args: cobra.ExactArgs(1),
		Long: `Shows one relay: its settings, what went through it, and for each daemon that
sends, or has sent within a day: its state, the last fault in the relay's own
words, what the relay offers, and the recipient domains that are given less
because they defer mail.`,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withRelays(c.Context(), func(_ *store.Store, views []*relayView) error {
				i := slices.IndexFunc(views, func(v *relayView) bool { return v.Name == args[0] })
				if i < 0 {
					return fmt.Errorf("relay %s: %w", args[0], daemon.ErrNoRelay)
				}
				return a.showRelay(views[i])
			})
		},
	}
}

func (a *app) showRelay(v *relayView) error {
	if a.json {
		return a.printJSON(v)
	}
	pairs := []string{"relay", v.Name, "state", v.State, "address", v.address()}
	if c := v.Configured; c != nil && v.config != nil {
		login := ""
		if c.Username != "" {
			login = c.Username + ", " + firstOf(c.Auth, "the best that is offered")
		}
		pairs = append(pairs, "tls", c.TLS, "login", login, "weight", weightText(c.Weight), "connections", fmt.Sprintf("%d open of %d", v.connections(), c.Connections),
			"per connection", fmt.Sprintf("%d mails, closed after %s without one", c.MaxMessages, time.Duration(c.Idle)),
			"rate", rateText(c.Rate), "per domain", domainText(c), "dot timeout", time.Duration(c.DotTimeout).String())
	}
	pairs = append(pairs, "last hour", tally(v.Traffic.Hour), "last day", tally(v.Traffic.Day))
	if err := a.fields(v, pairs...); err != nil {
		return err
	}
	for _, p := range v.Processes {
		fmt.Fprintln(a.stdout)
		if err := a.showRelayState(p); err != nil {
			return err
		}
	}
	return nil
}

// showRelayState is what one process says of a relay.
func (a *app) showRelayState(p news.RelayState) error {
	state := string(p.Condition)
	if p.Condition == news.RelayOpen {
		state += " until " + second(p.Until)
	}
	switch {
	case p.Ended:
		state = "stopped; it was " + state
	case !p.Live(a.now()):
		state = "silent since; it was " + state
	}
	connections := ""
	if p.Live(a.now()) {
		connections = fmt.Sprintf("%d open, %d at most", p.Connections, p.MaxConnections)
	}
	pairs := []string{"daemon", p.Process, "reported", second(p.At), "state", state, "connections", connections, "last fault", p.LastFault, "fault at", second(p.FaultAt)}
	if p.Faults > 0 {
		pairs = append(pairs, "faults in a row", number(p.Faults))
	}
	if o := p.Offer; o != nil {
		pairs = append(pairs, "calls itself", o.Name, "offers", strings.Join(o.Extensions, ", "), "tls", o.TLS, "logged in by", o.Auth, "connected", second(o.At))
	}
	if err := a.fields(p, pairs...); err != nil || len(p.Slowed) == 0 {
		return err
	}
	var rows [][]string
	for _, d := range p.Slowed {
		rows = append(rows, []string{d.Domain, number(d.UnderWay), number(d.Allowed), time.Duration(d.Gap).String(), number(d.Deferrals)})
	}
	return a.print(nil, []string{"slowed domain", "under way", "at once", "gap", "deferred in a row"}, rows)
}

func weightText(n int) string {
	if n == 0 {
		return "0: stands by"
	}
	return number(n)
}

func rateText(perSecond float64) string {
	if perSecond == 0 {
		return "no limit"
	}
	return strconv.FormatFloat(perSecond, 'f', -1, 64) + " mails per second"
}

func domainText(c *relaySettings) string {
	text := rateText(c.DomainRate)
	if c.DomainConnections > 0 {
		text += fmt.Sprintf(", %d at once", c.DomainConnections)
	}
	return text
}

func (a *app) relayPause(use string, paused bool) *cobra.Command {
	c := &cobra.Command{
		Use: use + " NAME", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error { return a.pauseRelay(c.Context(), s, args[0], paused) })
		},
	}
	if paused {
		c.Short = "Send nothing through a relay; the others take its mail"
		c.Long = "The same as gazetted pause --relay NAME: mails at their final dot end, no other one\nbegins it after the command returns."
		return c
	}
	c.Short = "Send through a relay again"
	c.Long = "The same as gazetted resume --relay NAME."
	return c
}

// troubledRelays names those that a daemon cannot send through now.
func (a *app) troubledRelays(ctx context.Context, s *store.Store) (string, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return "", err
	}
	views, err := a.relayViews(ctx, s, &cfg)
	if err != nil {
		return "", err
	}
	var names []string
	for _, v := range views {
		if v.State != stateIdle && v.State != string(news.RelayUp) && !v.Paused {
			names = append(names, v.Name+" ("+v.State+")")
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	return strings.Join(names, ", ") + "; see `gazetted relay ls`", nil
}
