package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) deliveryCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delivery", Short: "The outbox and the ledger: one line per mail",
		Long: `A delivery is one mail to one person: it waits, is tried, and ends as accepted,
refused, suppressed, expired or quarantined. Those that were refused, have expired
or were quarantined are the dead letters: ls --dead lists them, show tells every
attempt with the relay's words, retry sends them again.`,
	}
	c.AddCommand(a.deliveryLs(), a.deliveryShow(), a.deliveryRetry(), a.deliveryFail(), a.deliveryRun())
	return c
}

// deliveryFlags choose deliveries.
type deliveryFlags struct {
	edition, after       int64
	state, list, address string
	limit                int
	dead                 bool
}

func (f *deliveryFlags) register(c *cobra.Command) {
	c.Flags().Int64Var(&f.edition, "edition", 0, "only this edition's, by its `ID`")
	c.Flags().StringVar(&f.list, "list", "", "only this list's, by its `NAME`")
	c.Flags().StringVar(&f.address, "address", "", "only those to this `ADDR`")
	c.Flags().IntVar(&f.limit, "limit", 100, "how many at most")
	c.Flags().Int64Var(&f.after, "after", 0, "only those with a higher `ID`")
}

func (f *deliveryFlags) query() (q news.DeliveryQuery, err error) {
	q = news.DeliveryQuery{EditionID: f.edition, List: f.list, AfterID: f.after, Limit: f.limit, Dead: f.dead}
	if q.State, err = news.ParseDeliveryState("state", f.state); err != nil {
		return q, err
	}
	if f.address != "" {
		q.Address, err = news.ParseAddress("address", f.address)
	}
	return q, err
}

func (a *app) deliveryLs() *cobra.Command {
	var f deliveryFlags
	c := &cobra.Command{
		Use: "ls [--edition ID] [--list NAME] [--address ADDR] [--state S | --dead]", Short: "List mails and what became of them", Args: cobra.NoArgs,
		Example: `  gazetted delivery ls --dead
  gazetted delivery ls --edition 12 --state refused
  gazetted delivery ls --address ana@example.org --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.dead && f.state != "" {
				return &usageError{errors.New("give one of --state and --dead"), c.CommandPath()}
			}
			q, err := f.query()
			if err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				all, err := s.Deliveries(c.Context(), q)
				if err != nil {
					return err
				}
				var rows [][]string
				for _, d := range all {
					rows = append(rows, []string{number(int(d.ID)), string(d.Kind), number(int(d.EditionID)), d.Address, string(d.State), number(d.Attempts),
						clock(d.NextAt), d.Relay, short(replyText(d.Code, d.Enhanced, d.Reply), 60)})
				}
				return a.page(all, f.limit, []string{"id", "kind", "edition", "address", "state", "tries", "next try", "relay", "reply"}, rows)
			})
		},
	}
	f.register(c)
	c.Flags().BoolVar(&f.dead, "dead", false, "dead letters: only those that were refused, have expired or were quarantined")
	c.Flags().StringVar(&f.state, "state", "", "only in this state: pending, deferred, accepted, refused, suppressed, expired, quarantined, uncertain")
	return c
}

// page shows deliveries and tells where the next ones begin.
func (a *app) page(all []news.Delivery, limit int, header []string, rows [][]string) error {
	if err := a.print(some(all), header, rows); err != nil {
		return err
	}
	if len(all) > 0 && len(all) == limit {
		a.say("there may be more: --after %d", all[len(all)-1].ID)
	}
	return nil
}

// replyText is a reply as the relay gave it.
func replyText(code int, enhanced, text string) string {
	var words []string
	if code != 0 {
		words = append(words, number(code))
	}
	for _, w := range []string{enhanced, text} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

func (a *app) deliveryShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one mail, every attempt with its reply, and what admins did", Args: cobra.ExactArgs(1),
		Long: `Shows one mail and the latest ten attempts to send it, each with the relay's own
words, and what admins did to it. Mails given back before they met a relay are
no attempts.`,
		Example: "  gazetted delivery show 1207",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				h, err := s.Delivery(c.Context(), id)
				if err != nil {
					return err
				}
				return a.showDelivery(h)
			})
		},
	}
}

func (a *app) showDelivery(h news.DeliveryHistory) error {
	if a.json {
		return a.printJSON(h)
	}
	d, mail := h.Delivery, "a confirmation of "+h.List
	if d.EditionID != 0 {
		mail = fmt.Sprintf("edition %d of %s", d.EditionID, h.List)
	}
	copies := ""
	if d.Doubts > 0 {
		copies = fmt.Sprintf("%d (final dots whose reply was lost)", d.Doubts)
	}
	expires := clock(d.ExpiresAt)
	if d.State.Ended() {
		expires = ""
	}
	if err := a.fields(h, "delivery", number(int(d.ID)), "mail", mail, "subject", h.Subject, "to", firstOf(d.Address, "erased"), "state", string(d.State),
		"tries", number(d.Attempts), "next try", clock(d.NextAt), "expires", expires, "queued", second(d.CreatedAt), "ended", second(d.EndedAt),
		"relay", d.Relay, "last word", replyText(d.Code, d.Enhanced, d.Reply), "possible extra copies", copies); err != nil {
		return err
	}
	if len(h.Replies) > 0 {
		var rows [][]string
		for _, r := range h.Replies {
			rows = append(rows, []string{number(r.Number), second(r.At), r.Relay, string(r.State), replyText(r.Code, r.Enhanced, r.Reply)})
		}
		fmt.Fprintln(a.stdout)
		if err := a.print(nil, []string{"try", "at", "relay", "came to", "reply"}, rows); err != nil {
			return err
		}
	}
	if len(h.Log) == 0 {
		return nil
	}
	var rows [][]string
	for _, l := range h.Log {
		rows = append(rows, []string{second(l.At), l.Actor, l.Action, l.Detail})
	}
	fmt.Fprintln(a.stdout)
	return a.print(nil, []string{"at", "who", "did", "detail"}, rows)
}

// second shows an instant in UTC, to the second; "" if it is not set.
func second(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// retried is what a retry did, for scripts.
type retried struct {
	Due  int `json:"due"`
	Left int `json:"reader_left"`
}

func (a *app) deliveryRetry() *cobra.Command {
	var edition int64
	var state string
	yes := false
	c := &cobra.Command{
		Use: "retry ID… | --edition ID --state S", Short: "Send mails again that were refused, have expired, were quarantined, or wait",
		Long: `Makes mails due now: those that were refused, have expired, were quarantined, or
are deferred or uncertain. Message-ID and content stay as they were, and the
edition is under way again until they have ended. What its reader does not want
any more is never sent.

With --edition and --state all such mails of an edition are meant.`,
		Example: `  gazetted delivery retry 1207 1208
  gazetted delivery retry --edition 12 --state refused`,
		RunE: func(c *cobra.Command, args []string) error {
			ids, want, err := choice(c, args, edition, state)
			if err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				if len(ids) > 0 {
					return a.each(ids, "due now", func(id int64) error { return s.RetryDelivery(c.Context(), id) })
				}
				return a.retryEdition(c.Context(), s, edition, want, yes)
			})
		},
	}
	c.Flags().Int64Var(&edition, "edition", 0, "all mails of this edition, by its `ID`, in the state of --state")
	c.Flags().StringVar(&state, "state", "", "refused, expired, quarantined, uncertain or deferred")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func parseIDs(args []string) ([]int64, error) {
	ids := make([]int64, 0, len(args))
	for _, s := range args {
		id, err := parseID(s)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// handled is what became of one delivery, for scripts.
type handled struct {
	ID    int64  `json:"id"`
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
}

// each does f to all deliveries, whatever becomes of the others.
func (a *app) each(ids []int64, done string, f func(int64) error) error {
	var errs []error
	all := []handled{}
	for _, id := range ids {
		if err := f(id); err != nil {
			errs = append(errs, err)
			all = append(all, handled{ID: id, Error: err.Error()})
			continue
		}
		a.say("delivery %d: %s", id, done)
		all = append(all, handled{ID: id, Done: true})
	}
	if a.json {
		errs = append(errs, a.printJSON(all))
	}
	return errors.Join(errs...)
}

func (a *app) retryEdition(ctx context.Context, s *store.Store, edition int64, state news.DeliveryState, yes bool) error {
	e, err := s.Edition(ctx, edition)
	if err != nil {
		return err
	}
	if n := e.Counts[state]; n > 0 {
		if err := a.confirm(yes, "Send %s of edition %d (%s) again, now %s?", counted(n, "mail"), e.ID, e.ListName, state); err != nil {
			return err
		}
	}
	var sum retried
	for after := int64(0); ; {
		due, left, next, err := s.RetryEdition(ctx, edition, state, after, pageSize)
		if err != nil {
			return err
		}
		sum.Due, sum.Left = sum.Due+due, sum.Left+left
		if after = next; next == 0 {
			break
		}
	}
	if a.json {
		return a.printJSON(sum)
	}
	a.say("due now: %s", counted(sum.Due, "mail"))
	if sum.Left > 0 {
		a.say("passed over, because the reader has left: %d", sum.Left)
	}
	return nil
}

func (a *app) deliveryFail() *cobra.Command {
	var edition int64
	var state, reason string
	yes := false
	c := &cobra.Command{
		Use: "fail ID… | --edition ID --state S --reason TEXT", Short: "Give up mails that wait",
		Long: `Gives up mails that wait or are held: they end as refused, with your reason in
place of a reply. A mail whose final dot may be on its way cannot be stopped.
The reader does not get the articles of this mail with another one.

With --edition and --state all such mails of an edition are meant.`,
		Example: `  gazetted delivery fail 1207 --reason "sent by post"
  gazetted delivery fail --edition 12 --state deferred --reason "out of date"`,
		RunE: func(c *cobra.Command, args []string) error {
			ids, want, err := choice(c, args, edition, state)
			if err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				if len(ids) > 0 {
					return a.each(ids, "given up", func(id int64) error { return s.FailDelivery(c.Context(), id, reason) })
				}
				return a.failEdition(c.Context(), s, edition, want, reason, yes)
			})
		},
	}
	c.Flags().Int64Var(&edition, "edition", 0, "all mails of this edition, by its `ID`, in the state of --state")
	c.Flags().StringVar(&state, "state", "", "pending, deferred, claimed or uncertain")
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at it later")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	_ = c.MarkFlagRequired("reason") // fails only for a flag that does not exist
	return c
}

// choice reads which deliveries are meant: IDs, or an edition and a state.
func choice(c *cobra.Command, args []string, edition int64, state string) ([]int64, news.DeliveryState, error) {
	if (len(args) == 0) == (edition == 0) || (edition == 0) != (state == "") {
		return nil, "", &usageError{errors.New("give IDs, or --edition and --state"), c.CommandPath()}
	}
	ids, err := parseIDs(args)
	if err != nil {
		return nil, "", err
	}
	want, err := news.ParseDeliveryState("state", state)
	return ids, want, err
}

func (a *app) failEdition(ctx context.Context, s *store.Store, edition int64, state news.DeliveryState, reason string, yes bool) error {
	e, err := s.Edition(ctx, edition)
	if err != nil {
		return err
	}
	if n := e.Counts[state]; n > 0 {
		if err := a.confirm(yes, "Give up %s of edition %d (%s), now %s?", counted(n, "mail"), e.ID, e.ListName, state); err != nil {
			return err
		}
	}
	sum := 0
	for {
		n, err := s.FailDeliveries(ctx, edition, state, reason, pageSize)
		if err != nil {
			return err
		}
		if sum += n; n < pageSize {
			break
		}
	}
	return a.done(map[string]int{"given_up": sum}, "given up: %s", counted(sum, "mail"))
}

func (a *app) deliveryRun() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Send what is due now and stop", Args: cobra.NoArgs,
		Long: "Sends every mail that is due, as a running daemon would, and stops when none is left.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error {
				counts, err := d.SendDue(c.Context())
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(counts)
				}
				a.say("%s", tally(counts))
				return nil
			})
		},
	}
}
