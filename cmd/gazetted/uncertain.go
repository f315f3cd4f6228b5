package main

import (
	"errors"

	"github.com/spf13/cobra"

	"gazetted/internal/store"
)

func (a *app) uncertainCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "uncertain", Short: "Mails of which nobody knows whether the relay took them",
		Long: `A mail is uncertain when the process died, or the connection broke, between its
final dot and the relay's reply. A list with --on-uncertain hold keeps such
mails for you to decide about; any other sends them once more, with the same
Message-ID, and notes that there may be an extra copy.`,
	}
	c.AddCommand(a.uncertainLs(), a.uncertainResolve())
	return c
}

func (a *app) uncertainLs() *cobra.Command {
	var f deliveryFlags
	all := false
	c := &cobra.Command{
		Use: "ls [--edition ID] [--list NAME] [--all]", Short: "List the mails that are held for a decision", Args: cobra.NoArgs,
		Example: `  gazetted uncertain ls --edition 12
  gazetted uncertain ls --all --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := f.query()
			if err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				look := s.Uncertain
				if all {
					q.Doubtful, look = true, s.Deliveries
				}
				held, err := look(c.Context(), q)
				if err != nil {
					return err
				}
				var rows [][]string
				for _, d := range held {
					rows = append(rows, []string{number(int(d.ID)), number(int(d.EditionID)), d.Address, string(d.State), number(d.Doubts), d.Relay,
						short(replyText(d.Code, d.Enhanced, d.Reply), 60)})
				}
				return a.page(held, f.limit, []string{"id", "edition", "address", "state", "extra copies", "relay", "what happened"}, rows)
			})
		},
	}
	f.register(c)
	c.Flags().BoolVar(&all, "all", false, "also those that were decided or sent again: all that may have arrived more than once")
	return c
}

func (a *app) uncertainResolve() *cobra.Command {
	delivered, resend := false, false
	c := &cobra.Command{
		Use: "resolve ID… --delivered|--resend", Short: "Decide about mails that are held", Args: cobra.MinimumNArgs(1),
		Long: `Decides about mails that are held: --delivered counts them as accepted, because
the relay's log or the reader says so; --resend sends them again, with the same
Message-ID, and whoever has the mail already may see it twice.`,
		Example: `  gazetted uncertain resolve 1207 --delivered
  gazetted uncertain resolve 1208 1209 --resend`,
		RunE: func(c *cobra.Command, args []string) error {
			if delivered == resend {
				return &usageError{errors.New("give one of --delivered and --resend"), c.CommandPath()}
			}
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			done := "due now"
			if delivered {
				done = "counts as accepted"
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				return a.each(ids, done, func(id int64) error { return s.ResolveUncertain(c.Context(), id, delivered) })
			})
		},
	}
	c.Flags().BoolVar(&delivered, "delivered", false, "the relay took them")
	c.Flags().BoolVar(&resend, "resend", false, "send them again")
	return c
}
