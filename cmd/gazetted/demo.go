package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/demo"
	"gazetted/internal/news"
)

// Numbers of the demonstration.
const (
	demoInitial = 18              // articles that are there at the start, as archive
	demoEvery   = 8 * time.Second // between two new ones
	demoSource  = "newsroom"
)

func (a *app) demoCommand() *cobra.Command {
	var dir, listen string
	var once bool
	c := &cobra.Command{
		Use:   "demo [--dir DIR] [--listen ADDR] [--once]",
		Short: "See the whole product at work, with sample articles and a captured mailbox",
		Long: `Sets up a sample newsroom in DIR and runs the daemon on it: some articles are
there at the start, one more is published every few seconds; two lists with
five subscribers send digests into a captured mailbox that the front page
links. No mail leaves this machine.

--once does one full round instead (all articles, one edition of each list and
frequency, all deliveries), prints what happened and ends.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.demo(c.Context(), dir, listen, c.Flags().Changed("listen"), once)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "`DIR` to keep it in (default: a temporary folder, removed at the end)")
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "`ADDR` to listen on; without this flag, another port if that one is taken")
	c.Flags().BoolVar(&once, "once", false, "do one round, print a summary and end")
	return c
}

func (a *app) demo(ctx context.Context, dir, listen string, fixed, once bool) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "gazetted-demo-"); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	if !once {
		if listen, err = freeAddress(ctx, listen, fixed); err != nil {
			return err
		}
	}
	room, err := demo.New(filepath.Join(dir, "site"), a.now)
	if err != nil {
		return err
	}
	if err := room.PublishInitial(demoInitial); err != nil {
		return err
	}
	// The newsroom's own site stands beside the daemon, as a publisher's would.
	site, err := startSite(ctx, room.Handler(), listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	cfg, err := a.demoConfig(dir, listen, "http://"+reachable(site.Addr))
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d, err := daemon.New(ctx, cfg, daemon.Options{
		Log: log, Version: versionText(), Now: a.now, Serve: true, Create: true, Demo: true, Listening: a.demoReady(dir),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := a.demoData(ctx, d, filepath.Join(dir, "site", demo.ArticleDir), cfg.Site.URL, once); err != nil {
		return err
	}
	if once {
		return a.demoRound(ctx, d, room)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	published := make(chan error, 1)
	go func() { published <- a.demoPublish(ctx, room) }()
	err = d.Run(ctx)
	stop()
	return errors.Join(err, <-published)
}

// freeAddress returns listen, or, if its port is taken and nobody insisted on
// it, one with a free port.
func freeAddress(ctx context.Context, listen string, fixed bool) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err != nil && !fixed {
		host, _, splitErr := net.SplitHostPort(listen)
		if splitErr != nil {
			return "", splitErr
		}
		l, err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return "", fmt.Errorf("listen on %s: %w", listen, err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// reachable is an address under which this machine's browser finds addr, which
// may listen on all addresses.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// startSite serves the newsroom's own pages on the port after listen's, so that
// a second run with the same addresses finds its links alive, or on a free one.
func startSite(ctx context.Context, h http.Handler, listen string) (*http.Server, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	next := "0"
	if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 65535 {
		next = strconv.Itoa(n + 1)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, next))
	if err != nil {
		l, err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the sample site: %w", err)
	}
	s := &http.Server{Addr: l.Addr().String(), Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute}
	go func() { _ = s.Serve(l) }() // ends with Close
	return s, nil
}

// demoConfig writes a gazetted.toml, so that the commands work on the demo, too.
func (a *app) demoConfig(dir, listen, siteURL string) (daemon.Config, error) {
	cfg := daemon.DefaultConfig()
	cfg.Dir, cfg.Listen, cfg.PublicURL = dir, listen, "http://"+reachable(listen)
	cfg.Site = daemon.SiteConfig{
		Title: "The Meridian Gazette", URL: siteURL, Language: "en", Rights: "© The Meridian Gazette",
		Description: "A sample world-news site, written for this demonstration.",
		Postal:      "The Meridian Gazette\n1 Longitude Lane\nHarbour Town",
	}
	cfg.Mail.From = "The Meridian Gazette <news@meridian.example>"
	f, err := os.OpenFile(filepath.Join(dir, configName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return cfg, fmt.Errorf("write configuration: %w", err)
	}
	return cfg, errors.Join(daemon.WriteConfig(f, cfg), f.Close())
}

func (a *app) demoReady(dir string) func(string) {
	return func(addr string) {
		fmt.Fprintf(a.stdout, `The Meridian Gazette is on the air.

  feeds, sign-up, archive      http://%[1]s/
  captured mailbox             http://%[1]s/mailbox
  commands on this data        gazetted --config %[2]s status

An article is published every %[3]s. Digests go out every minute, and at once to
those who asked for that. Stop with Ctrl-C.
`, reachable(addr), filepath.Join(dir, configName), demoEvery)
	}
}

// demoPublish publishes one article after the other until all are out.
func (a *app) demoPublish(ctx context.Context, room *demo.Newsroom) error {
	tick := time.NewTicker(demoEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		title, ok, err := room.PublishNext()
		if err != nil {
			return err
		}
		if !ok {
			a.say("all sample articles are published; the feeds and the mailbox stay")
			return nil
		}
		a.say("published: %s", title)
	}
}

// demoData makes the source, the lists and the subscribers, unless an earlier
// run in the same folder has.
func (a *app) demoData(ctx context.Context, d *daemon.Daemon, articles, siteURL string, once bool) error {
	settle := news.Duration(time.Second)
	if once {
		settle = 0
	}
	_, err := d.Store.AddSource(ctx, news.Source{
		Name: demoSource, Kind: news.SourceFolder, Location: articles,
		Settings: news.SourceSettings{Poll: news.Duration(2 * time.Second), Settle: settle, BaseURL: siteURL},
	})
	if errors.Is(err, news.ErrExists) {
		return nil
	}
	if err != nil {
		return err
	}
	// The archive first, so that lists and subscribers begin with the news.
	if _, err := d.Watcher.Look(ctx, demoSource); err != nil {
		return err
	}
	if _, err := d.ReleaseAll(ctx); err != nil {
		return err
	}
	for _, l := range demoLists() {
		if _, err := d.Store.AddList(ctx, l); err != nil {
			return err
		}
	}
	for _, s := range demoSubscribers() {
		addr, err := news.ParseAddress("address", s.address)
		if err != nil {
			return err
		}
		if _, err := d.Subscribe(ctx, news.SubscribeRequest{
			Address: addr, Name: s.name, Zone: s.zone, List: s.list, Frequency: s.frequency, Topics: s.topics, Confirmed: true,
			Consent: news.Consent{Source: "demo", RequestedAt: a.now().UTC()},
		}); err != nil {
			return err
		}
	}
	return nil
}

func demoLists() []news.List {
	return []news.List{
		{
			Name: "world", Title: "World briefing", Description: "The day's articles from every desk, or from those you choose.", Language: "en",
			Zone: news.ZoneSubscriber, Public: true, From: "World briefing <world@meridian.example>",
			Frequencies: []news.Frequency{{Name: "minutely", Cron: "* * * * *"}, {Name: "daily", Cron: "0 7 * * *"}, {Name: "weekly", Cron: "0 8 * * sun"}},
		},
		{
			Name: "sport-and-business", Title: "Sport & Business", Description: "Matches and markets, as soon as they are published.", Language: "en",
			Zone: "Europe/London", Public: true, Filter: []news.Topic{"category:sports", "category:business"},
			Frequencies: []news.Frequency{{Name: news.Instant}, {Name: "daily", Cron: "30 17 * * mon-fri"}},
		},
	}
}

type demoSubscriber struct {
	address, name, zone, list, frequency string
	topics                               []news.Topic
}

func demoSubscribers() []demoSubscriber {
	return []demoSubscriber{
		{"ana.demir@reader.example", "Ana Demir", "Europe/Istanbul", "world", "minutely", []news.Topic{"category:asia", "category:europe"}},
		{"ben.carter@reader.example", "Ben Carter", "America/New_York", "world", "minutely", nil},
		{"chloe.martin@reader.example", "Chloé Martin", "Europe/Paris", "world", "daily", []news.Topic{"category:culture", "category:travel"}},
		{"dev.rao@reader.example", "Dev Rao", "Asia/Kolkata", "sport-and-business", news.Instant, nil},
		{"eva.souza@reader.example", "Eva Souza", "America/Sao_Paulo", "sport-and-business", "daily", []news.Topic{"category:sports"}},
	}
}

// demoRound does everything once and says what happened.
func (a *app) demoRound(ctx context.Context, d *daemon.Daemon, room *demo.Newsroom) error {
	for {
		_, ok, err := room.PublishNext()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
	}
	report, err := d.Watcher.Look(ctx, demoSource)
	if err != nil {
		return err
	}
	released, err := d.ReleaseAll(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "articles: %d at the start (archive), %d published since, %d released\n", demoInitial, report.Counts.New, released)
	lists, err := d.Store.Lists(ctx)
	if err != nil {
		return err
	}
	for _, l := range lists {
		for _, f := range l.Frequencies {
			editions, err := d.Editor.Manual(ctx, l.Name, f.Name)
			if err != nil {
				return err
			}
			for _, e := range editions {
				if e.Intended > 0 {
					fmt.Fprintf(a.stdout, "edition:  %s, %s, %s: %s, %s\n", l.Title, f.Name, e.Zone, counted(e.Articles, "article"), counted(e.Intended, "mail"))
				}
			}
		}
	}
	counts, err := d.SendDue(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "mails:    %s\n", tally(counts))
	st, err := d.Store.Status(ctx)
	if err != nil {
		return err
	}
	terms, err := d.Store.Terms(ctx)
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, fmt.Sprintf("feeds:    %d, of %s\n", 3*(1+len(terms)), counted(st.Articles, "article")))
	return err
}
