package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) categoryCommand() *cobra.Command {
	c := a.termCommand(news.KindCategory, "Categories: learned from the sources, put in order by you")
	c.AddCommand(a.categoryPlace())
	return c
}

func (a *app) tagCommand() *cobra.Command {
	return a.termCommand(news.KindTag, "Tags: learned from the sources, put in order by you")
}

// termCommand makes the commands of one kind of term.
func (a *app) termCommand(kind news.TermKind, about string) *cobra.Command {
	k := string(kind)
	c := &cobra.Command{Use: k, Short: about}
	c.Long = about + ".\n\n" + `What you decide here stays, whatever the sources say later. Readers and lists
follow: nobody loses a subscription when a ` + k + ` is renamed or merged, and the
old feeds lead to the new ones.`
	c.AddCommand(a.termLs(kind), a.termShow(kind), a.termRename(kind), a.termAlias(kind), a.termMerge(kind),
		a.termGone(kind, "rm", "Offer a "+k+" no more: its feed answers 410, its page is gone", (*store.Store).RetireTerm),
		a.termGone(kind, "restore", "Offer a removed "+k+" again", (*store.Store).RestoreTerm))
	return c
}

// standing words why a term is offered no more.
func standing(t news.Term) string {
	switch t.Gone {
	case news.GoneByAdmin:
		return "removed"
	case news.GoneAtSource:
		return "gone at its source"
	default:
		return ""
	}
}

// followed is a term with how many readers chose it.
type followed struct {
	news.Term
	Followers int `json:"followers"`
}

func (a *app) termLs(kind news.TermKind) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List them with their slugs, articles and followers", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				all, err := s.Terms(c.Context())
				if err != nil {
					return err
				}
				followers, err := s.Followers(c.Context())
				if err != nil {
					return err
				}
				tree := news.NewTermTree(all)
				var terms []followed
				var rows [][]string
				for _, t := range all {
					if t.Kind != kind {
						continue
					}
					parent, _ := tree.Term(t.ParentID)
					terms = append(terms, followed{t, followers[t.Topic()]})
					rows = append(rows, []string{t.Slug, t.Name, parent.Slug, number(t.Articles), number(followers[t.Topic()]), standing(t)})
				}
				return a.print(some(terms), []string{"slug", "name", "parent", "articles", "followers", "state"}, rows)
			})
		},
	}
}

func (a *app) termShow(kind news.TermKind) *cobra.Command {
	return &cobra.Command{
		Use: "show SLUG", Short: "Show one, with its past slugs and further names", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				t, err := s.TermBySlug(c.Context(), kind, args[0])
				if err != nil {
					return unknownTerm(kind, args[0], err)
				}
				names, slugs, err := s.TermNames(c.Context(), t.ID)
				if err != nil {
					return err
				}
				followers, err := s.Followers(c.Context())
				if err != nil {
					return err
				}
				parent := news.Term{}
				if t.ParentID > 0 {
					all, err := s.Terms(c.Context())
					if err != nil {
						return err
					}
					parent, _ = news.NewTermTree(all).Term(t.ParentID)
				}
				v := struct {
					followed
					Names []string `json:"also_called"`
					Slugs []string `json:"past_slugs"`
				}{followed{t, followers[t.Topic()]}, some(names), some(slugs)}
				return a.fields(v, "slug", t.Slug, "name", t.Name, "parent", parent.Slug, "articles", number(t.Articles),
					"followers", number(v.Followers), "also called", strings.Join(names, ", "), "past slugs", strings.Join(slugs, ", "),
					"state", standing(t))
			})
		},
	}
}

// unknownTerm words an error about the term with that slug.
func unknownTerm(kind news.TermKind, slug string, err error) error {
	if errors.Is(err, news.ErrNotFound) {
		return &news.FieldError{Field: string(kind), Value: slug, Want: "a slug as `gazetted " + string(kind) + " ls` shows it"}
	}
	return err
}

// changed tells what became of a term.
func (a *app) changed(t news.Term, format string, args ...any) error {
	a.say(format, args...)
	if a.json {
		return a.printJSON(t)
	}
	return nil
}

func (a *app) termRename(kind news.TermKind) *cobra.Command {
	k := string(kind)
	var slug string
	c := &cobra.Command{
		Use: "rename SLUG NAME", Short: "Give a " + k + " a name of your own", Args: cobra.ExactArgs(2),
		Long: `Gives a ` + k + ` a name of your own. Its sources may go on using theirs. The
old feed and page lead to the new ones; readers who chose it keep it.`,
		Example: "  gazetted " + k + " rename us 'United States'\n  gazetted " + k + " rename us 'United States' --slug usa",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				t, err := s.RenameTerm(c.Context(), kind, args[0], args[1], slug)
				if errors.Is(err, news.ErrExists) {
					return fmt.Errorf("another %s has that name or slug: `gazetted %s merge` makes one of the two: %w", k, k, err)
				}
				if err != nil {
					return unknownTerm(kind, args[0], err)
				}
				return a.changed(t, "%s %s is now %s, at %s", k, args[0], t.Name, t.Slug)
			})
		},
	}
	c.Flags().StringVar(&slug, "slug", "", "its `SLUG` in addresses; default: made from the name")
	return c
}

func (a *app) termAlias(kind news.TermKind) *cobra.Command {
	k := string(kind)
	return &cobra.Command{
		Use: "alias SLUG NAME", Short: "Give a " + k + " a further name, under which articles mean it, too", Args: cobra.ExactArgs(2),
		Example: "  gazetted " + k + " alias us USA",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				t, err := s.AliasTerm(c.Context(), kind, args[0], args[1])
				if errors.Is(err, news.ErrExists) {
					return fmt.Errorf("there is a %s %q with articles of its own: `gazetted %s merge` makes one of the two: %w", k, args[1], k, err)
				}
				if err != nil {
					return unknownTerm(kind, args[0], err)
				}
				return a.changed(t, "%q is %s %s from now on", args[1], k, t.Slug)
			})
		},
	}
}

func (a *app) termMerge(kind news.TermKind) *cobra.Command {
	k := string(kind)
	yes := false
	c := &cobra.Command{
		Use: "merge FROM INTO", Short: "Make one " + k + " part of another", Args: cobra.ExactArgs(2),
		Long: `Makes one ` + k + ` part of another: its articles, readers and lists go over,
nothing twice, and its feed and page lead to the other's. Sources that go on
using it mean the other. This cannot be undone; it asks, or takes --yes.`,
		Example: "  gazetted " + k + " merge usa us",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				if err := a.confirmMerge(c.Context(), s, kind, args[0], args[1], yes); err != nil {
					return err
				}
				t, err := s.MergeTerms(c.Context(), kind, args[0], args[1])
				if err != nil {
					return unknownTerm(kind, args[0]+" or "+args[1], err)
				}
				return a.changed(t, "%s is part of %s now, which has %s", args[0], t.Slug, counted(t.Articles, "article"))
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// confirmMerge says what would move, and asks.
func (a *app) confirmMerge(ctx context.Context, s *store.Store, kind news.TermKind, from, into string, yes bool) error {
	one, err := s.TermBySlug(ctx, kind, from)
	if err != nil {
		return unknownTerm(kind, from, err)
	}
	if _, err := s.TermBySlug(ctx, kind, into); err != nil {
		return unknownTerm(kind, into, err)
	}
	followers, err := s.Followers(ctx)
	if err != nil {
		return err
	}
	return a.confirm(yes, "Make %s (%s, %s) part of %s for good?", one.Slug, counted(one.Articles, "article"),
		counted(followers[one.Topic()], "follower"), into)
}

func (a *app) categoryPlace() *cobra.Command {
	return &cobra.Command{
		Use: "parent SLUG [PARENT]", Short: "Put a category below another one; without PARENT at the top", Args: cobra.RangeArgs(1, 2),
		Example: "  gazetted category parent mexico americas\n  gazetted category parent mexico",
		RunE: func(c *cobra.Command, args []string) error {
			parent := ""
			if len(args) == 2 {
				parent = args[1]
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				t, err := s.PlaceCategory(c.Context(), args[0], parent)
				switch {
				case err != nil:
					return unknownTerm(news.KindCategory, strings.Join(args, " or "), err)
				case parent == "":
					return a.changed(t, "category %s stands at the top", t.Slug)
				default:
					return a.changed(t, "category %s stands below %s", t.Slug, parent)
				}
			})
		},
	}
}

// termGone makes `rm` and `restore`.
func (a *app) termGone(kind news.TermKind, use, about string, do func(*store.Store, context.Context, news.TermKind, string) (news.Term, error)) *cobra.Command {
	k := string(kind)
	return &cobra.Command{
		Use: use + " SLUG", Short: about, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				t, err := do(s, c.Context(), kind, args[0])
				if err != nil {
					return unknownTerm(kind, args[0], err)
				}
				if use == "restore" {
					return a.changed(t, "%s %s is offered again", k, t.Slug)
				}
				followers, err := s.Followers(c.Context())
				if err != nil {
					return err
				}
				if n := followers[t.Topic()]; n > 0 {
					a.say("note: %s chose it and will find nothing new; `gazetted %s merge %s OTHER` would move them", counted(n, "reader"), k, t.Slug)
				}
				return a.changed(t, "%s %s is offered no more; `gazetted %s restore %s` undoes this", k, t.Slug, k, t.Slug)
			})
		},
	}
}
