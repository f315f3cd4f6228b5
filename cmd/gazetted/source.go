package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) sourceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "source",
		Short: "Places that are watched for newly published articles",
		Long: `A source is a place that is watched: a WordPress or Ghost site, a feed, the
pages of a site, a folder of Markdown or HTML files, a table of a PostgreSQL
database, or the push API. The first look at a source fills the feeds and mails
nothing: what was there before is archive.`,
	}
	c.AddCommand(a.sourceAdd(), a.sourceTest(), a.sourceLs(), a.sourceShow(), a.sourcePoll(), a.sourceHook(), a.sourceSecret(), a.sourceSQL(), a.sourceRm())
	return c
}

func (a *app) sourceAdd() *cobra.Command {
	var name, zone, base, categoriesAs string
	var poll, settle, maxAge time.Duration
	var special specialFlags
	c := &cobra.Command{
		Use:   "add URL | wordpress URL | feed URL | ghost URL | page URL | postgres URL | folder PATH | push",
		Short: "Watch a new place",
		Long: `Watches a new place. With a URL alone the kind is guessed, as by gazetted source
test.`,
		Example: `  gazetted source add https://news.example.org
  gazetted source add wordpress https://news.example.org
  gazetted source add feed https://blog.example.org/feed.xml --categories-as tags
  gazetted source add ghost https://blog.example.org --key-file ghost-key
  gazetted source add page https://paper.example.org/sitemap.xml
  gazetted source add postgres postgres://reader@db.example.org/cms --table articles --column html=body --column url=slug --base-url https://news.example.org/ --password-file db-password
  gazetted source add folder ./content --name blog --base-url https://blog.example.org
  gazetted source add push --name cms`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			src := news.Source{Name: name, Kind: news.SourceKind(args[0]), Settings: news.SourceSettings{
				Poll: news.Duration(poll), Settle: news.Duration(settle), Zone: zone, BaseURL: base, MaxAge: news.Duration(maxAge),
				CategoriesAs: categoriesAs,
			}}
			if len(args) == 2 {
				src.Location = args[1]
			} else if isAddress(args[0]) {
				var err error
				if src.Kind, src.Location, err = a.guessSource(c.Context(), args[0]); err != nil {
					return err
				}
			}
			if err := completeSource(&src); err != nil {
				return &usageError{err: err, command: c.CommandPath()}
			}
			if err := special.complete(&src); err != nil {
				return &usageError{err: err, command: c.CommandPath()}
			}
			if err := a.completeFolder(&src); err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				added, err := s.AddSource(c.Context(), src)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(added)
				}
				a.say("watching %s (%s)", added.Name, cmp.Or(added.Location, "push"))
				return nil
			})
		},
	}
	c.Flags().StringVar(&name, "name", "", "`NAME` of the source (default: from the host or folder)")
	c.Flags().DurationVar(&poll, "poll", news.DefaultPoll, "time between two looks")
	c.Flags().DurationVar(&settle, "settle", news.DefaultSettle, "time between first sight and release, for the publisher's second thoughts")
	c.Flags().DurationVar(&maxAge, "max-age", news.DefaultMaxAge, "what was published longer before the last look is fed and not mailed")
	c.Flags().StringVar(&zone, "zone", "", "time zone of dates without an offset (default UTC)")
	c.Flags().StringVar(&base, "base-url", "", "folder, postgres: the `URL` under which its articles are published (folder: default site.url, else public_url)")
	c.Flags().StringVar(&categoriesAs, "categories-as", "", "feed: what its categories become: categories or tags (default: categories, except what it calls tags or keywords itself)")
	special.add(c)
	return c
}

// completeSource checks what kind and location go together and gives a name.
func completeSource(src *news.Source) error {
	switch src.Kind {
	case news.SourceFolder:
		if src.Location == "" {
			return &news.FieldError{Field: "PATH", Want: "the folder to watch: gazetted source add folder PATH"}
		}
		abs, err := filepath.Abs(src.Location)
		if err != nil {
			return fmt.Errorf("find folder: %w", err)
		}
		src.Location = abs
	case news.SourceWordPress, news.SourceFeed, news.SourceGhost, news.SourcePage:
		if src.Location != "" {
			src.Location = withScheme(src.Location)
		}
	case news.SourcePostgres: // see specialFlags
	case news.SourcePush:
		if src.Location != "" {
			return &news.FieldError{Field: "push", Value: src.Location, Want: "no location: articles are pushed to us"}
		}
	default:
		return &news.FieldError{Field: "kind", Value: string(src.Kind), Want: "one of wordpress, feed, ghost, page, postgres, folder, push"}
	}
	if src.Name == "" {
		src.Name = sourceName(src)
	}
	return nil
}

// completeFolder says where the articles of a folder are published if nobody
// did, and tells of a folder that is not there (yet).
func (a *app) completeFolder(src *news.Source) error {
	if src.Kind != news.SourceFolder {
		return nil
	}
	if _, err := os.Stat(src.Location); err != nil {
		a.say("note: %s cannot be read now: %v", src.Location, err)
	}
	if src.Settings.BaseURL != "" {
		return nil
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	src.Settings.BaseURL = cmp.Or(cfg.Site.URL, cfg.PublicURL)
	a.say("note: articles that name no url are taken to be published under %s (see --base-url)", src.Settings.BaseURL)
	return nil
}

func sourceName(src *news.Source) string {
	name := string(src.Kind)
	switch src.Kind {
	case news.SourceFolder:
		name = filepath.Base(src.Location)
	case news.SourceWordPress, news.SourceFeed, news.SourceGhost, news.SourcePage:
		if u, err := url.Parse(src.Location); err == nil && u.Hostname() != "" {
			name = strings.TrimPrefix(u.Hostname(), "www.")
		}
	default:
	}
	ascii := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return cmp.Or(strings.Trim(ascii, "-."), string(src.Kind))
}

func (a *app) sourceLs() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List sources", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				all, err := s.Sources(c.Context())
				if err != nil {
					return err
				}
				var rows [][]string
				for _, src := range all {
					rows = append(rows, []string{src.Name, string(src.Kind), src.Location, clock(src.Look.LastAt), clock(src.Look.NextAt), sourceState(src)})
				}
				return a.print(some(all), []string{"name", "kind", "location", "last look", "next look", "state"}, rows)
			})
		},
	}
}

func sourceState(src news.Source) string {
	switch {
	case src.Look.Stopped():
		return "stopped: " + short(src.Look.Err, 80) + " (`gazetted source poll " + src.Name + "` tries again)"
	case src.Look.Failures > 0:
		return fmt.Sprintf("failing (%d): %s", src.Look.Failures, short(src.Look.Err, 80))
	case src.Kind == news.SourcePush:
		return "ready"
	case src.ActivatedAt.IsZero():
		return "first run"
	case len(src.Look.Notes) > 0:
		return "ok, with notes (see `gazetted source show " + src.Name + "`)"
	default:
		return "ok"
	}
}

func (a *app) sourceShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a source and what its last look said", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				src, err := s.SourceByName(c.Context(), args[0])
				if err != nil {
					return err
				}
				hub, err := hubText(c.Context(), s, src)
				if err != nil {
					return err
				}
				return a.fields(src, "name", src.Name, "kind", string(src.Kind), "location", src.Location,
					"poll", src.Settings.Poll.String(), "settle", src.Settings.Settle.String(), "zone", src.Settings.Zone, "base url", src.Settings.BaseURL, "table", tableText(src.Settings.Table), "secret", src.Secret.String(),
					"state", sourceState(src), "active since", clock(src.ActivatedAt), "last look", clock(src.Look.LastAt), "next look", clock(src.Look.NextAt),
					"websub", hub, "failures", failures(src), "error", src.Look.Err, "validators", validators(src), "notes", strings.Join(src.Look.Notes, "; "))
			})
		},
	}
}

// hubText tells how a feed's WebSub hub stands to us; "" where there is none.
func hubText(ctx context.Context, s *store.Store, src news.Source) (string, error) {
	l, err := s.HubLease(ctx, src.ID)
	switch {
	case err != nil || l.Hub == "":
		return "", err
	case l.Err != "":
		return l.Hub + " failed: " + l.Err, nil
	case l.To.IsZero():
		return l.Hub + ", asked " + clock(l.AskedAt) + ", has not answered yet", nil
	default:
		return l.Hub + ", until " + clock(l.To), nil
	}
}

func failures(src news.Source) string {
	if src.Look.Failures == 0 {
		return ""
	}
	return fmt.Sprintf("%d looks in a row", src.Look.Failures)
}

// validators shows what a feed or page source remembers of its last answer.
func validators(src news.Source) string {
	var c struct {
		ETag     string    `json:"etag"`
		Modified string    `json:"modified"`
		ReadAt   time.Time `json:"read_at"`
	}
	if json.Unmarshal([]byte(src.Look.Cursor), &c) != nil || c.ReadAt.IsZero() {
		return "" // other kinds keep other things
	}
	return strings.Join(slices.DeleteFunc([]string{c.ETag, c.Modified, "read in full " + clock(c.ReadAt)}, func(s string) bool { return s == "" }), ", ")
}

func (a *app) sourcePoll() *cobra.Command {
	accept := false
	c := &cobra.Command{
		Use: "poll NAME [--accept]", Short: "Look at a source now", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error { return a.poll(c.Context(), d, args[0], accept) })
		},
	}
	c.Flags().BoolVar(&accept, "accept", false, "believe the source even if most of its articles have gone or go by other names")
	return c
}

func (a *app) poll(ctx context.Context, d *daemon.Daemon, name string, accept bool) error {
	look := d.Watcher.Look
	if accept {
		look = d.Watcher.Accept
	}
	report, err := look(ctx, name)
	counts, notes := report.Counts, report.Notes
	for _, n := range notes {
		a.say("%s", oneLine(n))
	}
	if err != nil {
		return err
	}
	released, err := d.ReleaseAll(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"counts": counts, "released": released, "notes": some(notes)})
	}
	a.say("%s: %d new, %d changed, %d unchanged, %d withdrawn; %d released", name, counts.New, counts.Changed, counts.Unchanged, counts.Withdrawn, released)
	return nil
}

func (a *app) sourceRm() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Stop watching a source and take its articles out of the feeds",
		Long: `Stops watching and takes the source's articles out of all feeds. They stay
known: adding the same source again brings them back and mails none of them.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				if err := s.RemoveSource(c.Context(), args[0]); err != nil {
					return err
				}
				return a.done(map[string]string{"removed": args[0]}, "removed %s", args[0])
			})
		},
	}
}
