package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/source"
)

func (a *app) sourceTest() *cobra.Command {
	kind := ""
	c := &cobra.Command{
		Use: "test URL [--kind wordpress|feed|page]", Short: "Say what a source at an address would find",
		Long: `Looks at an address and says what is there: a WordPress site, a feed, or pages;
how many articles, which categories, the latest five. Nothing is stored.

The kind is guessed: the address itself, if it is a feed or a sitemap; else the
WordPress site or the feed that the page tells of; else the site's sitemap; else
the links on the page.`,
		Example: "  gazetted source test https://news.example.org\n  gazetted source test https://blog.example.org/feed.xml --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := a.probe(c.Context(), args[0], news.SourceKind(kind))
			if err != nil {
				return err
			}
			return a.printFinding(f)
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "wordpress, feed or page instead of a guess")
	return c
}

// probe asks what is at an address.
func (a *app) probe(ctx context.Context, address string, kind news.SourceKind) (source.Finding, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return source.Finding{}, err
	}
	client, err := daemon.FetchClient(&cfg, versionText(), a.now)
	if err != nil {
		return source.Finding{}, err
	}
	defer client.Close()
	return source.NewProber(client).Probe(ctx, withScheme(address), kind)
}

// withScheme completes an address as people write it.
func withScheme(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "https://" + address
}

func (a *app) printFinding(f source.Finding) error {
	if a.json {
		return a.printJSON(f)
	}
	posts := "the site does not tell how many"
	switch {
	case f.Posts >= 0:
		posts = number(f.Posts)
	case f.Listed > 0:
		posts = fmt.Sprintf("%s, and more on older pages", number(f.Listed))
	}
	terms := make([]string, 0, len(f.Categories))
	for _, t := range f.Categories {
		terms = append(terms, fmt.Sprintf("%s (%s)", t.Name, number(t.Posts)))
	}
	pairs := []string{"kind", string(f.Kind), "location", f.Location, "title", f.Title, "articles", posts, "categories", strings.Join(terms, ", ")}
	for i, l := range f.Latest {
		name := ""
		if i == 0 {
			name = "latest"
		}
		pairs = append(pairs, name, strings.TrimSpace(clock(l.PublishedAt)+"  "+short(l.Title, 80)+"  "+l.URL))
	}
	for _, n := range f.Notes {
		pairs = append(pairs, "note", n)
	}
	if err := a.fields(f, pairs...); err != nil {
		return err
	}
	a.say("add it with: gazetted source add %s %s", f.Kind, f.Location)
	return nil
}

// guessSource makes kind and location of a bare address.
func (a *app) guessSource(ctx context.Context, address string) (kind news.SourceKind, location string, err error) {
	f, err := a.probe(ctx, address, "")
	if err != nil {
		return "", "", err
	}
	a.say("found a source of kind %s at %s", f.Kind, f.Location)
	for _, n := range f.Notes {
		a.say("note: %s", oneLine(n))
	}
	return f.Kind, f.Location, nil
}

// isAddress tells an address from the name of a kind.
func isAddress(s string) bool {
	kinds := []news.SourceKind{news.SourceWordPress, news.SourceFeed, news.SourceFolder, news.SourceGhost, news.SourcePostgres, news.SourcePush, news.SourcePage}
	return strings.Contains(s, "://") || strings.Contains(s, ".") && !slices.Contains(kinds, news.SourceKind(s))
}
