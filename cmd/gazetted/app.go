package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"gazetted/daemon"
	"gazetted/internal/store"
)

// app is what every command shares.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string // of the process: NAME=value
	now            func() time.Time

	config string // --config
	json   bool   // --json
}

// errNoConfig says that there is no configuration to work with.
var errNoConfig = errors.New("no configuration: there is no gazetted.toml here")

const configName = "gazetted.toml"

// loadConfig finds and reads the configuration: --config, GAZETTED_CONFIG,
// gazetted.toml here, or the environment alone if it names a database.
func (a *app) loadConfig() (daemon.Config, error) {
	path := a.config
	if path == "" {
		path = a.env("GAZETTED_CONFIG")
	}
	if path == "" {
		if _, err := os.Stat(configName); err == nil {
			path = configName
		} else if a.env("GAZETTED_DATABASE") == "" {
			return daemon.Config{}, errNoConfig
		}
	}
	return daemon.LoadConfig(path, a.environ)
}

// env is a variable of the process.
func (a *app) env(name string) string {
	for _, pair := range a.environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// withStore runs f on the configured database, which must be up to date.
func (a *app) withStore(ctx context.Context, f func(*store.Store) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, cfg.DSN(), store.Options{Now: a.now})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.CheckSchema(ctx); err != nil {
		return err
	}
	return f(s)
}

// withDaemon runs f with all stages wired but none running.
func (a *app) withDaemon(ctx context.Context, f func(*daemon.Daemon) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	d, err := daemon.New(ctx, cfg, daemon.Options{Log: slog.New(slog.DiscardHandler), Version: versionText(), Now: a.now})
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return f(d)
}

// say tells a person something on standard error.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.stderr, format+"\n", args...) }
