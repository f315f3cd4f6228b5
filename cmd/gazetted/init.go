package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/store"
)

func (a *app) initCommand() *cobra.Command {
	dir := "."
	c := &cobra.Command{
		Use:   "init [--dir DIR]",
		Short: "Write a commented gazetted.toml and make the database",
		Long: `Writes gazetted.toml with every key and its explanation, and makes the
database that it names (SQLite beside the file; set database, or
GAZETTED_DATABASE, for PostgreSQL). What is there already is kept: a second
init only brings the database up to date.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.init(c.Context(), dir) },
	}
	c.Flags().StringVar(&dir, "dir", ".", "`DIR` to set up; made if it is missing")
	return c
}

func (a *app) init(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	path := filepath.Join(dir, configName)
	written, err := writeNew(path, daemon.DefaultConfig())
	if err != nil {
		return err
	}
	cfg, err := daemon.LoadConfig(path, a.environ)
	if err != nil {
		return err
	}
	if err := createDatabase(ctx, cfg.DSN()); err != nil {
		return err
	}
	if written {
		a.say("wrote %s", path)
	} else {
		a.say("kept %s", path)
	}
	a.say("the database is ready")
	a.say("next: gazetted source add …, gazetted list add …, gazetted serve (see `gazetted help`)")
	return nil
}

// writeNew writes the file unless there is one.
func writeNew(path string, cfg daemon.Config) (bool, error) {
	var b bytes.Buffer
	if err := daemon.WriteConfig(&b, cfg); err != nil {
		return false, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("write configuration: %w", err)
	}
	_, err = f.Write(b.Bytes())
	return true, errors.Join(err, f.Close())
}

func createDatabase(ctx context.Context, dsn string) error {
	s, err := store.Open(ctx, dsn, store.Options{Create: true})
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx), s.Close())
}

func (a *app) migrateCommand() *cobra.Command {
	create := false
	c := &cobra.Command{
		Use:   "migrate [--create]",
		Short: "Bring the database up to this binary",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			s, err := store.Open(c.Context(), cfg.DSN(), store.Options{Create: create})
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			if err := s.Migrate(c.Context()); err != nil {
				return err
			}
			have, _, err := s.Schema(c.Context())
			if err != nil {
				return err
			}
			a.say("the database is at schema %d", have)
			return nil
		},
	}
	c.Flags().BoolVar(&create, "create", false, "make the SQLite file if it is missing")
	return c
}

func (a *app) configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check or show the configuration"}
	c.AddCommand(
		&cobra.Command{
			Use: "check", Short: "Report every fault of the configuration", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				if _, err := a.loadConfig(); err != nil {
					return err
				}
				a.say("the configuration is sound")
				return nil
			},
		},
		&cobra.Command{
			Use: "example", Short: "Print a complete, commented gazetted.toml", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return daemon.WriteConfig(a.stdout, daemon.DefaultConfig()) },
		},
	)
	return c
}
