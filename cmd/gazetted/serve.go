package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"gazetted/daemon"
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve [--config FILE]",
		Short: "Run the daemon: watch, release, serve feeds, send",
		Long: `Runs the watcher, the schedule, the courier and the web server in one process
until SIGTERM or an interrupt; then it finishes the mails that it has begun and
ends with 0. A database of an older version is brought up to date first.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			return a.serve(c.Context(), cfg)
		},
	}
}

func (a *app) serve(ctx context.Context, cfg daemon.Config) error {
	d, err := daemon.New(ctx, cfg, daemon.Options{Log: newLogger(a.stderr, cfg.Log), Version: versionText(), Now: a.now, Serve: true})
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Run(ctx)
}

// newLogger writes one line per event, whatever a title or a header holds.
func newLogger(w io.Writer, cfg daemon.LogConfig) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // the configuration was checked
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
