package main

import (
	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) deliveryCommand() *cobra.Command {
	c := &cobra.Command{Use: "delivery", Short: "The outbox and the ledger: one line per mail"}
	c.AddCommand(a.deliveryLs(), a.deliveryRun())
	return c
}

func (a *app) deliveryLs() *cobra.Command {
	var edition int64
	var state string
	limit := 100
	c := &cobra.Command{
		Use: "ls [--edition ID] [--state S]", Short: "List mails and what became of them", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				all, err := s.Deliveries(c.Context(), news.DeliveryQuery{EditionID: edition, State: news.DeliveryState(state), Limit: limit})
				if err != nil {
					return err
				}
				var rows [][]string
				for _, d := range all {
					rows = append(rows, []string{number(int(d.ID)), string(d.Kind), number(int(d.EditionID)), d.Address, string(d.State), number(d.Attempts),
						clock(d.NextAt), d.Relay, short(firstOf(d.Reply), 60)})
				}
				return a.print(some(all), []string{"id", "kind", "edition", "address", "state", "tries", "next try", "relay", "reply"}, rows)
			})
		},
	}
	c.Flags().Int64Var(&edition, "edition", 0, "only this edition's")
	c.Flags().StringVar(&state, "state", "", "only in this state: pending, deferred, accepted, refused, suppressed, expired, quarantined, uncertain")
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return c
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
