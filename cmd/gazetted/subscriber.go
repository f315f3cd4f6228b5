package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) subscriberCommand() *cobra.Command {
	c := &cobra.Command{Use: "subscriber", Short: "People who follow lists"}
	c.AddCommand(a.subscriberAdd(), a.subscriberLs(), a.subscriberImport(), a.subscriberExport(), a.subscriberShow(), a.subscriberRm())
	return c
}

func (a *app) subscriberAdd() *cobra.Command {
	var list, frequency, zone, name, language string
	var topics []string
	var confirmed bool
	c := &cobra.Command{
		Use: "add ADDR --list NAME [--frequency F] [--topic T]… [--zone Z] [--confirmed]", Short: "Add a person to a list", Args: cobra.ExactArgs(1),
		Long: `Adds a person to a list. Without --confirmed they get a mail that asks for
their consent and nothing else until they give it; with --confirmed you vouch
that they have given it.`,
		Example: "  gazetted subscriber add ana@example.org --list world --frequency daily --topic category:us --zone Europe/Istanbul --confirmed",
		RunE: func(c *cobra.Command, args []string) error {
			req := news.SubscribeRequest{Name: news.CleanName(name), Language: language, Zone: zone, List: list, Frequency: frequency, Confirmed: confirmed}
			var err error
			if req.Address, err = news.ParseAddress("ADDR", args[0]); err != nil {
				return err
			}
			if req.Topics, err = sortedTopics(topics); err != nil {
				return err
			}
			if zone != "" {
				if _, err := news.LoadZone("zone", zone); err != nil {
					return err
				}
			}
			req.Consent = news.Consent{Source: "cli", RequestedAt: a.now().UTC()}
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error { return a.subscribe(c.Context(), d, req) })
		},
	}
	c.Flags().StringVar(&list, "list", "", "`NAME` of the list")
	c.Flags().StringVar(&frequency, "frequency", "", "one of the list's frequencies (default: its first)")
	c.Flags().StringArrayVar(&topics, "topic", nil, "only this: category:`SLUG` or tag:SLUG; repeat for more (default: all of the list)")
	c.Flags().StringVar(&zone, "zone", "", "the person's time zone, as in Europe/Istanbul")
	c.Flags().StringVar(&name, "name", "", "the person's name")
	c.Flags().StringVar(&language, "language", "", "the person's language (default: the list's)")
	c.Flags().BoolVar(&confirmed, "confirmed", false, "their consent is known: no confirmation mail")
	_ = c.MarkFlagRequired("list") // fails only for a flag that does not exist
	return c
}

func (a *app) subscribe(ctx context.Context, d *daemon.Daemon, req news.SubscribeRequest) error {
	res, err := d.Subscribe(ctx, req)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(res.Subscription)
	}
	switch {
	case res.Suppressed:
		return &news.FieldError{Field: "ADDR", Value: req.Address.Spec, Want: "an address that is not suppressed (see `gazetted suppression ls`)"}
	case res.ConfirmQueued:
		a.say("%s will be asked to confirm", req.Address.Spec)
	case !res.Created:
		a.say("%s is on the list already (%s)", req.Address.Spec, res.Subscription.State)
	default:
		a.say("%s follows %s (%s)", req.Address.Spec, req.List, res.Subscription.Frequency)
	}
	return nil
}

// pageSize is how many subscribers are read at once.
const pageSize = 500

// eachSubscriber calls f for every subscriber of list ("": of all) without
// holding more than a page of them.
func eachSubscriber(ctx context.Context, s *store.Store, list string, f func(news.SubscriberRow) error) error {
	if list != "" {
		if _, err := s.ListByName(ctx, list); err != nil {
			return err
		}
	}
	q := news.SubscriberQuery{List: list, Limit: pageSize}
	for {
		page, err := s.Subscribers(ctx, q)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, r := range page {
			if err := f(r); err != nil {
				return err
			}
		}
		q.AfterID = page[len(page)-1].ID
	}
}

func (a *app) subscriberLs() *cobra.Command {
	list, limit := "", 100
	c := &cobra.Command{
		Use: "ls [--list NAME]", Short: "List subscribers", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				page, err := s.Subscribers(c.Context(), news.SubscriberQuery{List: list, Limit: limit})
				if err != nil {
					return err
				}
				var rows [][]string
				for _, r := range page {
					for _, sub := range r.Subscriptions {
						if list == "" || sub.ListName == list {
							rows = append(rows, []string{r.Address, r.Name, sub.ListName, string(sub.State), sub.Frequency, topicText(sub.Topics), r.Zone})
						}
					}
					if len(r.Subscriptions) == 0 {
						rows = append(rows, []string{r.Address, r.Name, "", "", "", "", r.Zone})
					}
				}
				return a.print(some(page), []string{"address", "name", "list", "state", "frequency", "topics", "zone"}, rows)
			})
		},
	}
	c.Flags().StringVar(&list, "list", "", "only this list's")
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return c
}

func (a *app) subscriberShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ADDR", Short: "Show a person and their lists", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			addr, err := news.ParseAddress("ADDR", args[0])
			if err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				r, err := s.SubscriberByAddress(c.Context(), addr)
				if err != nil {
					return err
				}
				pairs := []string{"address", r.Address, "name", r.Name, "language", r.Language, "zone", r.Zone, "since", clock(r.CreatedAt)}
				for _, sub := range r.Subscriptions {
					pairs = append(pairs, "list "+sub.ListName, strings.Join([]string{string(sub.State), sub.Frequency, topicText(sub.Topics),
						"served through " + number(int(sub.ServedThrough))}, "; "))
				}
				return a.fields(r, pairs...)
			})
		},
	}
}

func (a *app) subscriberRm() *cobra.Command {
	yes := false
	c := &cobra.Command{
		Use: "rm ADDR", Short: "Erase a person; only a keyed hash remains, so that they are never mailed again", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			addr, err := news.ParseAddress("ADDR", args[0])
			if err != nil {
				return err
			}
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error {
				if _, err := d.Store.SubscriberByAddress(c.Context(), addr); err != nil {
					return err
				}
				if err := a.confirm(yes, "Erase %s from all lists for good?", addr.Spec); err != nil {
					return err
				}
				if err := d.Store.EraseSubscriber(c.Context(), addr, d.Links.Signer().KeyedHash(addr.Key)); err != nil {
					return err
				}
				return a.done(map[string]bool{"erased": true}, "erased")
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) suppressionCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "suppression", Short: "Addresses that are never mailed again",
		Long: `Addresses that are never mailed again: because there is no such mailbox, because
their reader complained, because you say so, or because they were erased (then
only a hash is left). Nobody comes back by signing up: only rm allows it.`,
	}
	limit := 1000
	ls := &cobra.Command{
		Use: "ls", Short: "List them; of erased people only that there is one is known", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				all, err := s.Suppressions(c.Context(), 0, limit)
				if err != nil {
					return err
				}
				if len(all) == limit {
					defer a.say("there may be more: gazetted suppression export writes them all")
				}
				var rows [][]string
				for _, x := range all {
					rows = append(rows, []string{x.Address, string(x.Reason), x.Note, clock(x.At)})
				}
				return a.print(some(all), []string{"address", "reason", "note", "since"}, rows)
			})
		},
	}
	ls.Flags().IntVar(&limit, "limit", limit, "how many at most")
	one := func(use, about, done string, suppressed bool, f func(context.Context, *store.Store, news.Address) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " ADDR", Short: about, Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				addr, err := news.ParseAddress("ADDR", args[0])
				if err != nil {
					return err
				}
				return a.withStore(c.Context(), func(s *store.Store) error {
					if err := f(c.Context(), s, addr); err != nil {
						return err
					}
					return a.done(map[string]any{"address": addr.Spec, "suppressed": suppressed}, done, addr.Spec)
				})
			},
		}
	}
	c.AddCommand(a.suppressionTransfer()...)
	c.AddCommand(ls,
		one("add", "Never mail this address again", "%s is never mailed again, and all its subscriptions have ended", true, func(ctx context.Context, s *store.Store, addr news.Address) error {
			return s.Suppress(ctx, addr, news.SuppressedManual, "")
		}),
		one("rm", "Allow mail to this address again; it must subscribe anew", "%s may be mailed again, once it subscribes", false, func(ctx context.Context, s *store.Store, addr news.Address) error {
			return s.Unsuppress(ctx, addr)
		}))
	return c
}
