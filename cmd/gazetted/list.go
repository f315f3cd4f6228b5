package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) listCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "Newsletters that people can follow",
		Long: `A list is a newsletter: a choice of articles, one or more frequencies, a time
zone, a sender and a template.`,
	}
	c.AddCommand(a.listAdd(), a.listLs(), a.listShow(), a.listSet(), a.listRm())
	return c
}

// listFlags are the settings of a list as flags.
type listFlags struct {
	title, description, language, zone, from, replyTo, template, catchUp, onUncertain string
	categories, tags, frequencies                                                     []string
	public, paused                                                                    bool
	maxLate                                                                           time.Duration
}

func (f *listFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.title, "title", "", "title that subscribers read")
	fs.StringVar(&f.description, "description", "", "one sentence for the sign-up page")
	fs.StringArrayVar(&f.categories, "category", nil, "carry this category and those below it, by `SLUG`; repeat for more (default: every article)")
	fs.StringArrayVar(&f.tags, "tag", nil, "carry this tag, by `SLUG`; repeat for more")
	fs.StringArrayVar(&f.frequencies, "frequency", nil, "`NAME=CRON` such as 'daily=0 7 * * *', or instant; repeat for more")
	fs.StringVar(&f.zone, "zone", "UTC", "time zone of the frequencies: an IANA name, or subscriber for each subscriber's own")
	fs.StringVar(&f.language, "language", "en", "language of the mails")
	fs.StringVar(&f.from, "from", "", "sender: an address, or 'Name <news@example.org>' (default: mail.from)")
	fs.StringVar(&f.replyTo, "reply-to", "", "where answers go")
	fs.StringVar(&f.template, "template", "default", "digest template")
	fs.BoolVar(&f.public, "public", true, "has a sign-up page and an archive (--public=false: neither)")
	fs.StringVar(&f.catchUp, "catch-up", string(news.CatchUpOne), "after down time: one (edition with everything), all (one for each slot), or skip (to the next slot)")
	fs.DurationVar(&f.maxLate, "max-late", time.Duration(news.DefaultMaxLate), "a missed slot older than this is left to the next one")
	fs.StringVar(&f.onUncertain, "on-uncertain", string(news.UncertainResend), "when a relay's last word was lost: resend (maybe a second copy), or hold for an admin")
}

// apply puts the flags that were given into l; all of them if all is set.
func (f *listFlags) apply(fs *pflag.FlagSet, l *news.List, all bool) error {
	given := func(name string) bool { return all || fs.Changed(name) }
	text := map[string]struct{ to, from *string }{
		"title": {&l.Title, &f.title}, "description": {&l.Description, &f.description}, "language": {&l.Language, &f.language},
		"zone": {&l.Zone, &f.zone}, "from": {&l.From, &f.from}, "reply-to": {&l.ReplyTo, &f.replyTo}, "template": {&l.Template, &f.template},
	}
	for name, p := range text {
		if given(name) {
			*p.to = *p.from
		}
	}
	if given("public") {
		l.Public = f.public
	}
	if given("catch-up") {
		l.CatchUp = news.CatchUp(f.catchUp)
	}
	if given("on-uncertain") {
		l.OnUncertain = news.OnUncertain(f.onUncertain)
	}
	if given("max-late") {
		l.MaxLate = news.Duration(f.maxLate)
	}
	if given("category") || given("tag") {
		l.Filter = append(topics("category:", f.categories), topics("tag:", f.tags)...)
	}
	if given("frequency") {
		l.Frequencies = nil
		for _, s := range f.frequencies {
			name, cron, _ := strings.Cut(s, "=")
			l.Frequencies = append(l.Frequencies, news.Frequency{Name: strings.TrimSpace(name), Cron: strings.TrimSpace(cron)})
		}
	}
	return l.Validate()
}

func (a *app) listAdd() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use: "add NAME --title T --frequency F… [--category C]… [--tag T]…", Short: "Make a list", Args: cobra.ExactArgs(1),
		Example: `  gazetted list add world --title "World news" --frequency 'daily=0 7 * * *' --frequency 'weekly=0 8 * * sun' --zone subscriber
  gazetted list add us --title "US desk" --category us --frequency instant --from "US desk <us@example.org>"`,
		RunE: func(c *cobra.Command, args []string) error {
			l := news.List{Name: args[0]}
			if err := f.apply(c.Flags(), &l, true); err != nil {
				return err
			}
			if err := a.checkTemplate(l.Template); err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				if err := a.warnUnknown(c, s, l.Filter); err != nil {
					return err
				}
				added, err := s.AddList(c.Context(), l)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(added)
				}
				a.say("added list %s", added.Name)
				return nil
			})
		},
	}
	f.register(c.Flags())
	return c
}

// checkTemplate refuses a digest template that the daemon would not find.
func (a *app) checkTemplate(name string) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	known, err := daemon.DigestTemplates(cfg)
	if err != nil {
		return err
	}
	if !slices.Contains(known, name) {
		return &news.FieldError{Field: "template", Value: name, Want: "one of " + strings.Join(known, ", ")}
	}
	return nil
}

// warnUnknown tells about topics that no article has had so far: they may come
// with the first article, or be a slip.
func (a *app) warnUnknown(c *cobra.Command, s *store.Store, filter []news.Topic) error {
	if len(filter) == 0 {
		return nil
	}
	terms, err := s.Terms(c.Context())
	if err != nil {
		return err
	}
	tree := news.NewTermTree(terms)
	for _, t := range filter {
		if _, ok := tree.ByTopic(t); !ok {
			a.say("note: no article has %s so far", t)
		}
	}
	return nil
}

func (a *app) listSet() *cobra.Command {
	var f listFlags
	var resume bool
	c := &cobra.Command{
		Use: "set NAME …", Short: "Change the settings that are given", Args: cobra.ExactArgs(1),
		Long: `Changes the settings that are given and leaves the others. An edition that is
already closed is not changed. Subscribers of a frequency that is dropped move
to the list's first one and miss nothing.`,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				l, err := s.ListByName(c.Context(), args[0])
				if err != nil {
					return err
				}
				if err := f.apply(c.Flags(), &l, false); err != nil {
					return err
				}
				if err := a.checkTemplate(l.Template); err != nil {
					return err
				}
				if f.paused || resume {
					l.Paused = f.paused && !resume
				}
				if err := a.warnUnknown(c, s, l.Filter); err != nil {
					return err
				}
				if err := s.SetList(c.Context(), l); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(l)
				}
				a.say("changed list %s", l.Name)
				return nil
			})
		},
	}
	f.register(c.Flags())
	c.Flags().BoolVar(&f.paused, "pause", false, "send nothing of this list")
	c.Flags().BoolVar(&resume, "resume", false, "send again")
	c.MarkFlagsMutuallyExclusive("pause", "resume")
	return c
}

func frequencies(l news.List) string {
	out := make([]string, len(l.Frequencies))
	for i, f := range l.Frequencies {
		out[i] = f.Name
		if f.Cron != "" {
			out[i] += "=" + f.Cron
		}
	}
	return strings.Join(out, "; ")
}

func topicText(ts []news.Topic) string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = string(t)
	}
	return cmp.Or(strings.Join(out, ", "), "everything")
}

func (a *app) listLs() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List lists", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				all, err := s.Lists(c.Context())
				if err != nil {
					return err
				}
				var rows [][]string
				for _, l := range all {
					rows = append(rows, []string{l.Name, l.Title, topicText(l.Filter), frequencies(l), l.Zone, listState(l)})
				}
				return a.print(some(all), []string{"name", "title", "carries", "frequencies", "zone", "state"}, rows)
			})
		},
	}
}

func listState(l news.List) string {
	words := []string{"private"}
	if l.Public {
		words[0] = "public"
	}
	if l.Paused {
		words = append(words, "paused")
	}
	return strings.Join(words, ", ")
}

func (a *app) listShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a list", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				l, err := s.ListByName(c.Context(), args[0])
				if err != nil {
					return err
				}
				return a.fields(l, "name", l.Name, "title", l.Title, "description", l.Description, "carries", topicText(l.Filter),
					"frequencies", frequencies(l), "zone", l.Zone, "language", l.Language, "from", l.From, "reply to", l.ReplyTo, "template", l.Template,
					"state", listState(l), "catch up", string(l.CatchUp), "max late", l.MaxLate.String(), "on uncertain", string(l.OnUncertain),
					"made", clock(l.CreatedAt))
			})
		},
	}
}

func (a *app) listRm() *cobra.Command {
	yes := false
	c := &cobra.Command{
		Use: "rm NAME", Short: "Remove a list with its subscriptions and archive", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				l, err := s.ListByName(c.Context(), args[0])
				if err != nil {
					return err
				}
				if err := a.confirm(yes, "Remove list %q with all its subscriptions, editions and archive pages?", l.Name); err != nil {
					return err
				}
				if err := s.RemoveList(c.Context(), l.Name); err != nil {
					return err
				}
				return a.done(map[string]string{"removed": l.Name}, "removed list %s", l.Name)
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// sortedTopics joins the topic flags of a subscriber.
func sortedTopics(in []string) ([]news.Topic, error) {
	out, err := news.CleanTopics(in)
	if err != nil {
		return nil, err
	}
	return slices.Clip(out), nil
}
