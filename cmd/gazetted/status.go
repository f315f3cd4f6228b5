package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the state of the whole", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error { return a.showStatus(c.Context(), s) })
		},
	}
}

func (a *app) showStatus(ctx context.Context, s *store.Store) error {
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	sources := number(st.Sources)
	if st.Failing > 0 {
		sources += fmt.Sprintf(", %d failing (see `gazetted source ls`)", st.Failing)
	}
	held := ""
	if n := st.Outbox.Counts[news.DeliveryUncertain]; n > 0 {
		held = counted(n, "mail") + " for you to decide about (see `gazetted uncertain ls`)"
	}
	failed := ""
	if st.FailedEditions > 0 {
		failed = fmt.Sprintf("%d for you to mend (see `gazetted edition ls` and `gazetted edition retry`)", st.FailedEditions)
	}
	relays, err := a.troubledRelays(ctx, s)
	if err != nil {
		return err
	}
	articles := fmt.Sprintf("%d released, %d waiting", st.Articles, st.Waiting)
	err = a.fields(st, "sending", st.Halt.Explain(), "paused lists", strings.Join(st.PausedLists, ", "), "paused relays", strings.Join(st.PausedRelays, ", "),
		"relays in trouble", relays,
		"articles", articles, "sources", sources, "lists", number(st.Lists),
		"subscribers", fmt.Sprintf("%d, %s", st.Subscribers, counted(st.Active, "active subscription")),
		"editions under way", number(st.OpenEditions), "editions failed", failed, "mails", tally(st.Outbox.Counts), "held", held, "oldest waiting", clock(st.Outbox.Oldest),
		"next slot", clock(st.NextSlot), "database", fmt.Sprintf("%s, schema %d", s.Kind(), st.Schema))
	if err == nil && st.Restored != nil && !a.json {
		a.showRestored(st.Restored)
	}
	return err
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show version, commit, Go version and database drivers", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			drivers := moduleVersions("modernc.org/sqlite", "github.com/lib/pq")
			v := map[string]string{
				"version": versionText(), "commit": commitText(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				"sqlite driver": drivers[0], "postgres driver": drivers[1],
			}
			return a.fields(v, "gazetted", v["version"], "commit", v["commit"], "go", v["go"], "platform", v["platform"],
				"sqlite driver", v["sqlite driver"], "postgres driver", v["postgres driver"])
		},
	}
}

// versionText is the version of a release, else of the module, else "devel".
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func commitText() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return s.Value[:12]
			}
		}
	}
	return "unknown"
}

// moduleVersions tells "path version" of modules that were built in.
func moduleVersions(paths ...string) []string {
	out := make([]string, len(paths))
	copy(out, paths)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	for _, m := range info.Deps {
		for i, p := range paths {
			if m.Path == p {
				out[i] = p + " " + m.Version
			}
		}
	}
	return out
}
