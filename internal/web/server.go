package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"gazetted/internal/news"
	"gazetted/templates"
)

// Store is what the package needs of the store, all together. Each file
// declares the part that it uses.
type Store interface {
	feedStore
	pageStore
	archiveStore
	subscriberStore
	keyStore
	healthStore
	hookStore
}

// Site is the publication as its pages and feeds present it.
type Site struct {
	Title       string
	Description string
	Language    string         // BCP 47; empty: en
	Rights      string         // e.g. © 2026 Global Gazette
	Icon        string         // URL of a square picture, for feeds
	Zone        *time.Location // of the dates on pages; nil: UTC
	// Postal is the postal address, in lines; Links stand in the footer (imprint,
	// privacy policy).
	Postal string
	Links  []templates.Anchor
}

// Options is all that a Server is given. Store, Templates, Links and Site.Title
// are required; every other field has a default.
type Options struct {
	Store     Store
	Templates *templates.Set
	Links     *news.Links
	Site      Site
	Log       *slog.Logger     // default: none
	Now       func() time.Time // default: time.Now

	Mailbox    Mailbox // the captured mailbox; nil: there is none
	MailboxKey string  // opens the mailbox to others than this machine; empty: nobody else
	Push       Push    // takes articles from the publish API; nil: the API answers 404
	// Hint asks for a look at a source, soon; nil: hooks of sources answer 404.
	Hint func(context.Context, news.Source) error
	Demo bool // the front page says so and loads itself anew

	// Hooks are the mail providers that tell of bounces.
	Hooks Hooks

	// TrustedProxies are the proxies whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix

	Version        string
	FeedItems      int           // articles per feed; default 50
	FeedSummaries  bool          // feeds carry summaries instead of full content
	FeedCacheBytes int64         // memory for built feeds; default 64 MiB
	Hubs           []string      // WebSub hubs that are told of changes
	Limits         SignUpLimits  // default: DefaultSignUpLimits
	SignUpTime     time.Duration // least time of an answer to a sign-up; default 200 ms, negative: none
	MaxArticle     int64         // bytes of one publish request; default 32 MiB
	MaxBatch       int64         // of one that has an article per line; default 64 MiB
	API            APILimits     // default: DefaultAPILimits

	// Ready reports further reasons why the daemon cannot do its work now; nil: none.
	Ready func(context.Context) error
}

// Defaults of Options.
const (
	defaultFeedItems  = 50
	defaultFeedCache  = 64 << 20
	defaultSignUpTime = 200 * time.Millisecond
	defaultMaxArticle = 32 << 20
	defaultMaxBatch   = 64 << 20
)

// Server answers HTTP. It is safe for concurrent use.
type Server struct {
	o       Options
	log     *slog.Logger
	now     func() time.Time
	feeds   *feedCache
	static  *staticFiles
	metrics *metrics
	limits  *signUpLimiter
	api     *apiLimiter
	hooks   *hooks
	csrf    *http.CrossOriginProtection
	prefix  string // path of the public URL, without trailing slash
	host    string // of the public URL
	handler http.Handler
}

// New checks the options and builds the handler.
func New(o Options) (*Server, error) {
	if o.Store == nil || o.Templates == nil || o.Links == nil {
		return nil, errors.New("make web server: store, templates and links are required")
	}
	fillDefaults(&o)
	public, err := url.Parse(o.Links.Home())
	if err != nil {
		return nil, fmt.Errorf("make web server: read public URL: %w", err)
	}
	s := &Server{
		o: o, log: o.Log, now: o.Now, csrf: http.NewCrossOriginProtection(),
		prefix: trimSlash(public.EscapedPath()), host: public.Host, limits: newSignUpLimiter(o.Limits, o.Now), api: newAPILimiter(o.API),
	}
	// A proxy may hand on another Host; the browser's Origin is the public one.
	if err := s.csrf.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
		return nil, fmt.Errorf("make web server: trust public URL: %w", err)
	}
	if s.static, err = readStatic(o.Templates.Static()); err != nil {
		return nil, err
	}
	if s.hooks, err = newHooks(o.Hooks, o.Store, o.Now); err != nil {
		return nil, err
	}
	s.metrics = newMetrics(o.Store, o.Version, o.Now)
	s.feeds = newFeedCache(s)
	s.handler = s.mount(s.routes())
	return s, nil
}

func fillDefaults(o *Options) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Site.Language == "" {
		o.Site.Language = "en"
	}
	if o.Site.Zone == nil {
		o.Site.Zone = time.UTC
	}
	if o.FeedItems <= 0 {
		o.FeedItems = defaultFeedItems
	}
	if o.FeedCacheBytes <= 0 {
		o.FeedCacheBytes = defaultFeedCache
	}
	if o.SignUpTime == 0 {
		o.SignUpTime = defaultSignUpTime
	}
	if o.MaxArticle <= 0 {
		o.MaxArticle = defaultMaxArticle
	}
	if o.MaxBatch <= 0 {
		o.MaxBatch = defaultMaxBatch
	}
	if o.API == (APILimits{}) {
		o.API = DefaultAPILimits()
	}
	if o.Limits == (SignUpLimits{}) {
		o.Limits = DefaultSignUpLimits()
	}
}

// Handler answers every request.
func (s *Server) Handler() http.Handler { return s.handler }

// Wake tells that feeds may have changed, so that the next reader looks at once.
func (s *Server) Wake() { s.feeds.wake() }

// Time-outs of a connection. A reader on a slow line needs about 20 s for the
// largest feed (1 MB at 50 KB/s); the others only have to outlast a bad network.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
	shutdownTimeout   = 10 * time.Second
)

// Listen opens addr (host:port; port 0: any free one) for Run.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// Run serves l until ctx ends; then it takes no new connection, gives running
// requests ten seconds and returns nil. It closes l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(grace)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		// Whoever is still connected has had the time; the rest is cut off.
		return errors.Join(fmt.Errorf("shut http down: %w", err), srv.Close())
	}
	return nil
}

func trimSlash(s string) string {
	for len(s) > 0 && s[len(s)-1] == '/' {
		s = s[:len(s)-1]
	}
	return s
}
