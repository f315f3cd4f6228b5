package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) editionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "edition",
		Short: "What each due slot of a list has produced",
		Long: `An edition is what one slot of a list produced. Its articles are frozen, then
its deliveries are queued, which takes some seconds for many readers, and sent.`,
	}
	c.AddCommand(a.editionPreview(), a.editionRun(), a.editionRetry(), a.editionLs(), a.editionShow())
	return c
}

func (a *app) editionPreview() *cobra.Command {
	var list, frequency, subscriber, html, text, eml string
	c := &cobra.Command{
		Use: "preview --list NAME --frequency F [--subscriber ADDR] [--html FILE] [--text FILE] [--eml FILE]", Short: "Show the next edition without making it",
		Long: `Renders what the list's next edition would be if it closed now, or what one
subscriber would get of it. Nothing is stored, nothing is sent. Without a FILE
the text part is printed; - as FILE is standard output.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error {
				p, err := d.Preview(c.Context(), list, frequency, subscriber)
				if err != nil {
					return err
				}
				if p.Note != "" {
					a.say("%s", p.Note)
				}
				if p.Text == "" {
					return nil
				}
				if html == "" && text == "" && eml == "" {
					text = "-"
				}
				for _, out := range []struct {
					path string
					data []byte
				}{{html, []byte(p.HTML)}, {text, []byte(p.Text)}, {eml, p.EML}} {
					if err := a.writeFile(out.path, out.data); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&list, "list", "", "`NAME` of the list")
	c.Flags().StringVar(&frequency, "frequency", "", "one of its frequencies (default: its first)")
	c.Flags().StringVar(&subscriber, "subscriber", "", "what this `ADDR` would get")
	c.Flags().StringVar(&html, "html", "", "write the HTML part to `FILE`")
	c.Flags().StringVar(&text, "text", "", "write the text part to `FILE`")
	c.Flags().StringVar(&eml, "eml", "", "write the whole message to `FILE`")
	_ = c.MarkFlagRequired("list") // fails only for a flag that does not exist
	return c
}

func (a *app) writeFile(path string, data []byte) error {
	switch path {
	case "":
		return nil
	case "-":
		_, err := a.stdout.Write(data)
		return err
	default:
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
		return nil
	}
}

func (a *app) editionRun() *cobra.Command {
	var list, frequency string
	c := &cobra.Command{
		Use: "run --list NAME --frequency F", Short: "Close an edition now and queue its deliveries", Args: cobra.NoArgs,
		Long: `Closes an edition now, outside the schedule, with everything that its
subscribers have not been served yet. Nobody gets these articles again at the
next slot. A running daemon sends it; so does gazetted delivery run.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error {
				made, err := d.Editor.Manual(c.Context(), list, frequency)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(some(made))
				}
				if len(made) == 0 {
					a.say("nobody follows %s %s: no edition", list, frequency)
				}
				for _, e := range made {
					a.sayMade(e)
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&list, "list", "", "`NAME` of the list")
	c.Flags().StringVar(&frequency, "frequency", "", "one of its frequencies")
	_ = c.MarkFlagRequired("list")      // fails only for a flag that does not exist
	_ = c.MarkFlagRequired("frequency") // likewise
	return c
}

func (a *app) sayMade(e news.Edition) {
	if e.ID == 0 || e.State == news.EditionEmpty {
		a.say("nothing new in %s %s (%s): no mail", e.ListName, e.Frequency, e.Zone)
		return
	}
	a.say("edition %d: %s for %s (%s, %s)", e.ID, counted(e.Articles, "article"), counted(e.Intended, "subscriber"), e.Frequency, e.Zone)
}

func (a *app) editionRetry() *cobra.Command {
	anyNumber := false
	c := &cobra.Command{
		Use: "retry ID [--any-number]", Short: "Make an edition that has failed, once its cause is mended", Args: cobra.ExactArgs(1),
		Long: `Makes an edition that has failed: its reason stands in gazetted edition show.
The others are made meanwhile; so are the next ones of its list, if they can be,
and what they carried is not mailed again. An edition with more new articles
than usual (5,000) fails, too, because a source has likely gone wrong: withdraw
what is not to be mailed, or let all of it through with --any-number.`,
		Example: "  gazetted edition retry 12",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error {
				e, err := d.Editor.Retry(c.Context(), id, anyNumber)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(e)
				}
				a.sayMade(e)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&anyNumber, "any-number", false, "however many articles it has")
	return c
}

func (a *app) editionLs() *cobra.Command {
	list, limit := "", 30
	c := &cobra.Command{
		Use: "ls [--list NAME]", Short: "List editions, the latest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				all, err := s.Editions(c.Context(), list, 0, limit)
				if err != nil {
					return err
				}
				var rows [][]string
				for _, e := range all {
					rows = append(rows, []string{number(int(e.ID)), e.ListName, e.Frequency, clock(e.DueAt), e.Zone, string(e.State),
						number(e.Articles), number(e.Intended), short(firstOf(e.Note, e.Subject), 60)})
				}
				return a.print(some(all), []string{"id", "list", "frequency", "due", "zone", "state", "articles", "mails", "subject or reason"}, rows)
			})
		},
	}
	c.Flags().StringVar(&list, "list", "", "only this list's")
	c.Flags().IntVar(&limit, "limit", 30, "how many at most")
	return c
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func (a *app) editionShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show an edition, its articles and what became of its mails", Args: cobra.ExactArgs(1),
		Long: `Shows one edition: its frozen articles, whether every intended recipient is
accounted for, and while its mails go out, how fast they do and how long it
takes at that speed.`,
		Example: "  gazetted edition show 12",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error { return a.showEdition(c.Context(), s, id) })
		},
	}
}

func (a *app) showEdition(ctx context.Context, s *store.Store, id int64) error {
	e, err := s.Edition(ctx, id)
	if err != nil {
		return err
	}
	articles, err := s.EditionArticles(ctx, id)
	if err != nil {
		return err
	}
	var pace *news.Pace
	paused := ""
	if e.State == news.EditionClosed || e.State == news.EditionQueueing {
		p, err := s.Pace(ctx, id)
		if err != nil {
			return err
		}
		pace = &p
		if paused, err = pausedText(ctx, s, e.ListName); err != nil {
			return err
		}
	}
	balance, balanced := balanceText(e)
	if a.json {
		return a.printJSON(struct {
			news.Edition
			Balanced bool           `json:"balanced"`
			Pace     *news.Pace     `json:"pace,omitempty"`
			Frozen   []news.Article `json:"frozen"`
		}{e, balanced, pace, some(articles)})
	}
	speed, left := paceText(pace)
	if err := a.fields(e, "edition", number(int(e.ID)), "list", e.ListName, "frequency", e.Frequency, "zone", e.Zone, "slot", e.SlotKey,
		"due", clock(e.DueAt), "state", string(e.State), "note", e.Note, "subject", e.Subject, "archive page", e.Slug,
		"closed", clock(e.ClosedAt), "done", clock(e.DoneAt), "mails", balance, "paused", paused, "speed", speed, "time left", left); err != nil {
		return err
	}
	for _, art := range articles {
		fmt.Fprintf(a.stdout, "  %d  %s\n", art.Seq, oneLine(art.Title))
	}
	return nil
}

// balanceText says whether every intended recipient is accounted for.
func balanceText(e news.Edition) (text string, balanced bool) {
	sum := e.Counts.Sum()
	if balanced = sum == e.Intended; balanced {
		return fmt.Sprintf("%d intended = %s", e.Intended, tally(e.Counts)), true
	}
	return fmt.Sprintf("DOES NOT BALANCE: %d intended, %d in the ledger: %s", e.Intended, sum, tally(e.Counts)), false
}

// paceText says how fast an edition goes out; nothing where none does.
func paceText(p *news.Pace) (speed, left string) {
	if p == nil || p.Waiting == 0 {
		return "", ""
	}
	speed = fmt.Sprintf("%.3g mails per second over the last minute, %d to go", p.PerSecond, p.Waiting)
	if p.Left > 0 {
		left = "about " + time.Duration(p.Left).String() + " at this speed"
	}
	return speed, left
}

// pausedText says what keeps a list's mails back.
func pausedText(ctx context.Context, s *store.Store, list string) (string, error) {
	st, err := s.Status(ctx)
	if err != nil {
		return "", err
	}
	var words []string
	if st.Paused {
		words = append(words, "everything")
	}
	if slices.Contains(st.PausedLists, list) {
		words = append(words, "this list")
	}
	for _, name := range st.PausedRelays {
		words = append(words, "relay "+name)
	}
	return strings.Join(words, ", "), nil
}

// tally writes counts by state, largest first.
func tally(c news.DeliveryTally) string {
	type count struct {
		state news.DeliveryState
		n     int
	}
	var all []count
	for s, n := range c {
		all = append(all, count{s, n})
	}
	sort.Slice(all, func(i, j int) bool {
		return all[i].n > all[j].n || all[i].n == all[j].n && all[i].state < all[j].state
	})
	words := make([]string, len(all))
	for i, x := range all {
		words[i] = fmt.Sprintf("%d %s", x.n, x.state)
	}
	return firstOf(strings.Join(words, ", "), "none")
}
