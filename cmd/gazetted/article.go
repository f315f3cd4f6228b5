package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) articleCommand() *cobra.Command {
	c := &cobra.Command{Use: "article", Short: "Articles as they stand in the feeds"}
	c.AddCommand(a.articleLs(), a.articleShow(), a.articleImport())
	return c
}

func (a *app) articleLs() *cobra.Command {
	var categories, tags []string
	var since string
	limit := 50
	c := &cobra.Command{
		Use: "ls [--category C]… [--tag T]… [--since D]", Short: "List released articles, the latest first", Args: cobra.NoArgs,
		Example: "  gazetted article ls --category us --since 24h\n  gazetted article ls --tag mexico --since 2026-11-01 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			from, err := parseSince(since, a.now())
			if err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				ids, err := termIDs(c.Context(), s, categories, tags)
				if err != nil {
					return err
				}
				all, err := s.Articles(c.Context(), news.ArticleQuery{TermIDs: ids, Since: from, Limit: limit, WithoutContent: true})
				if err != nil {
					return err
				}
				var rows [][]string
				for _, art := range all {
					rows = append(rows, []string{number(int(art.ID)), number(int(art.Seq)), clock(art.PublishedAt), names(art.Categories), short(art.Title, 70)})
				}
				return a.print(some(all), []string{"id", "seq", "published", "categories", "title"}, rows)
			})
		},
	}
	c.Flags().StringArrayVar(&categories, "category", nil, "only this category and those below it, by `SLUG`")
	c.Flags().StringArrayVar(&tags, "tag", nil, "only this tag, by `SLUG`")
	c.Flags().StringVar(&since, "since", "", "only what was released since: a date, an instant, or a time ago such as 24h")
	c.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return c
}

// parseSince reads a date, an RFC 3339 instant or a duration before now.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &news.FieldError{Field: "since", Value: s, Want: "a date such as 2026-11-22, an instant such as 2026-11-22T07:00:00Z, or a time ago such as 24h"}
}

// termIDs finds the terms that are named and, of categories, all below them.
func termIDs(ctx context.Context, s *store.Store, categories, tags []string) ([]int64, error) {
	if len(categories)+len(tags) == 0 {
		return nil, nil
	}
	all, err := s.Terms(ctx)
	if err != nil {
		return nil, err
	}
	tree := news.NewTermTree(all)
	var ids []int64
	for _, name := range append(topics("category:", categories), topics("tag:", tags)...) {
		kind, slug := name.Split()
		want, err := s.TermBySlug(ctx, kind, slug)
		if err != nil {
			return nil, &news.FieldError{Field: string(kind), Value: slug, Want: "a slug as `gazetted " + string(kind) + " ls` shows it"}
		}
		for _, t := range all {
			if tree.Within(t.ID, want.ID) {
				ids = append(ids, t.ID)
			}
		}
	}
	return ids, nil
}

func topics(prefix string, slugs []string) []news.Topic {
	out := make([]news.Topic, 0, len(slugs))
	for _, s := range slugs {
		out = append(out, news.Topic(prefix+strings.TrimPrefix(s, prefix)))
	}
	return out
}

func names(terms []news.Term) string {
	out := make([]string, len(terms))
	for i, t := range terms {
		out[i] = t.Name
	}
	return strings.Join(out, ", ")
}

func (a *app) articleShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one article in any state", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				art, err := s.Article(c.Context(), id)
				if err != nil {
					return err
				}
				var authors []string
				for _, w := range art.Authors {
					authors = append(authors, w.Name)
				}
				image := ""
				if art.Image != nil {
					image = art.Image.URL
				}
				kind := "news"
				if art.Archive {
					kind = "archive (in feeds, never mailed)"
				}
				return a.fields(art, "title", art.Title, "url", art.URL, "state", string(art.State), "kind", kind, "seq", number(int(art.Seq)),
					"authors", strings.Join(authors, ", "), "categories", names(art.Categories), "tags", names(art.Tags),
					"published", clock(art.PublishedAt), "updated", clock(art.UpdatedAt), "first seen", clock(art.FirstSeenAt),
					"release due", clock(art.ReleaseAt), "released", clock(art.ReleasedAt), "expires", clock(art.ExpiresAt),
					"visibility", string(art.Visibility), "image", image, "guid", art.GUID, "native id", art.NativeID, "summary", art.Summary)
			})
		},
	}
}

func parseID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, &news.FieldError{Field: "ID", Value: s, Want: "a number as `ls` shows it"}
	}
	return id, nil
}
