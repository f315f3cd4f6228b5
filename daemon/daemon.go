// Package daemon wires the stages into one process and runs them: the watcher,
// the release, the editor, the courier and the web server.
//
// New opens the database and builds every stage without starting any, so that
// the CLI can run one of them alone. Run brings the schema up, starts them all
// and ends them in the order of an article's way: what is found first stops
// first, the courier finishes the mails that it has begun, the web server
// answers until then. The stages never call one another: each reads what the
// last one stored; wakes only spare waiting.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"gazetted/digest"
	"gazetted/internal/mail"
	"gazetted/internal/news"
	"gazetted/internal/source"
	"gazetted/internal/store"
	"gazetted/internal/web"
	"gazetted/templates"
)

// Options are what a process gives its daemon.
type Options struct {
	Log     *slog.Logger
	Version string
	Now     func() time.Time // nil: time.Now
	// Demo lets the front page say that this is a demonstration.
	Demo bool
	// Serve says that this process is to be the daemon: New then takes the lock
	// of an SQLite file and brings the schema up. Commands leave both alone.
	Serve bool
	// Create lets New make a missing SQLite file.
	Create bool
	// Listening is told the address of the web server once it listens. May be nil.
	Listening func(addr string)
}

// Daemon is all stages on one database.
type Daemon struct {
	Store   *store.Store
	Links   *news.Links
	Watcher *source.Watcher
	Editor  *digest.Editor
	Courier *mail.Courier
	Bounces *mail.Bounces

	cfg       Config
	o         Options
	log       *slog.Logger
	wakes     *wakes
	templates *templates.Set
	capture   *mail.Capture // nil unless mail is captured
	dkim      *mail.DKIM    // nil: mail is not signed here
	web       *web.Server
	metrics   *mailMetrics
	unlock    func() error
	halt      news.Halt // as it was logged; of lookAtHalt alone
}

// New builds the stages. The caller closes the Daemon.
func New(ctx context.Context, cfg Config, o Options) (_ *Daemon, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Daemon{cfg: cfg, o: o, log: o.Log, wakes: newWakes(), metrics: newMailMetrics()}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.Store, err = store.Open(ctx, cfg.DSN(), store.Options{Now: o.Now, Wake: d.wakes.Add, Create: o.Create, Bounces: cfg.bouncePolicy()}); err != nil {
		return nil, err
	}
	if o.Serve {
		if d.unlock, err = lock(&cfg); err != nil {
			return nil, err
		}
		if err := d.Store.Inspect(ctx); err != nil {
			return nil, err
		}
		if err := d.Store.Migrate(ctx); err != nil {
			return nil, err
		}
		// What may pass (a full disk, a lock) keeps nobody from starting.
		if err := d.Store.Ready(ctx); errors.Is(err, store.ErrReadOnly) {
			return nil, err
		}
		if err := d.warn(ctx); err != nil {
			return nil, err
		}
	}
	if err := d.secrets(ctx); err != nil {
		return nil, err
	}
	if d.templates, err = templates.Load(cfg.overrides()); err != nil {
		return nil, fmt.Errorf("load templates: %w", err)
	}
	for _, build := range []func() error{d.buildWatcher, d.buildEditor, d.buildCourier, d.buildBounces, d.buildWeb, d.registerMetrics} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// secrets reads the signing keys, which every stage needs.
func (d *Daemon) secrets(ctx context.Context) error {
	if err := d.Store.CheckSchema(ctx); err != nil {
		return err
	}
	if err := d.Store.Greet(ctx); err != nil {
		return err
	}
	secrets, err := d.Store.Secrets(ctx)
	if err != nil {
		return err
	}
	signer, err := news.NewSigner(secrets)
	if err != nil {
		return err
	}
	d.Links, err = news.NewLinks(d.cfg.PublicURL, signer)
	return err
}

// Close closes what New has opened.
func (d *Daemon) Close() error {
	var errs []error
	if d.capture != nil {
		errs = append(errs, d.capture.Close())
	}
	if d.Store != nil {
		errs = append(errs, d.Store.Close())
	}
	if d.unlock != nil {
		errs = append(errs, d.unlock())
	}
	return errors.Join(errs...)
}

// overrides is the operator's folder of templates; nil: there is none.
func (c *Config) overrides() fs.FS {
	if c.Templates == "" {
		return nil
	}
	return os.DirFS(c.path(c.Templates))
}

// DigestTemplates lists the digest templates that lists may use.
func DigestTemplates(cfg Config) ([]string, error) {
	set, err := templates.Load(cfg.overrides())
	if err != nil {
		return nil, fmt.Errorf("load templates: %w", err)
	}
	return set.Digests(), nil
}

func (d *Daemon) siteURL() string {
	if d.cfg.Site.URL != "" {
		return d.cfg.Site.URL
	}
	return d.Links.Home()
}

// siteView is the publisher as mails name it.
func (d *Daemon) siteView() templates.SiteView {
	return templates.SiteView{Title: d.cfg.Site.Title, URL: d.siteURL(), Postal: d.cfg.Site.Postal}
}

// FetchClient makes the client that all fetches of a configuration go through.
func FetchClient(cfg *Config, version string, now func() time.Time) (*source.Client, error) {
	return source.NewClient(source.ClientOptions{Version: version, URL: cmp.Or(cfg.Site.URL, cfg.PublicURL), Allow: cfg.Fetch.Allow, Now: now})
}

func (d *Daemon) buildWatcher() error {
	client, err := FetchClient(&d.cfg, d.o.Version, d.o.Now)
	if err != nil {
		return err
	}
	d.Watcher = source.New(source.Options{
		Store: d.Store, Client: client, Now: d.o.Now, Events: d.looked, Hub: &source.Hub{Callback: d.Links.HubCallback, Secret: d.Links.HubSecret},
	})
	return nil
}

// looked logs a look that brought something or failed.
func (d *Daemon) looked(e source.Event) {
	c := e.Report.Counts
	switch {
	case e.Err != nil:
		d.log.Warn("look failed", "source", e.Source, "err", e.Err, "took", e.Took)
	case e.Activated:
		d.log.Info("first run ended", "source", e.Source, "article", c.New, "took", e.Took)
	case c.New+c.Changed+c.Withdrawn > 0:
		d.log.Info("articles found", "source", e.Source, "article", c.New, "took", e.Took)
	default:
		d.log.Debug("nothing new", "source", e.Source, "took", e.Took)
	}
}

func (d *Daemon) buildEditor() error {
	d.Editor = digest.New(digest.Options{
		Store: d.Store, Templates: d.templates, Links: d.Links, Site: d.siteView(), From: d.cfg.Mail.From, Now: d.o.Now, Ended: d.editionEnded,
	})
	return nil
}

func (d *Daemon) editionEnded(e news.Edition, took time.Duration, err error) {
	switch {
	case err != nil:
		d.log.Error("edition failed", "list", e.ListName, "edition", e.ID, "err", err)
	case e.State == news.EditionEmpty:
		d.log.Debug("nothing to send", "list", e.ListName, "edition", e.ID)
	default:
		d.log.Info("edition closed", "list", e.ListName, "edition", e.ID, "article", e.Articles, "subscriber", e.Intended, "took", took)
	}
}

// from is the sender where a list names none.
func (c *Config) from() (name string, addr news.Address) {
	name, addr, _ = news.ParseSender("mail.from", c.Mail.From) // the configuration was checked
	return name, addr
}

// mailDomain is the domain of Message-ID and List-Id.
func (c *Config) mailDomain() string {
	if c.Mail.Domain != "" {
		return c.Mail.Domain
	}
	_, addr := c.from()
	return addr.Domain()
}
