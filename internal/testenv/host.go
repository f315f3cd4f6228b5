package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"

	_ "github.com/lib/pq"
)

// host is the machine as the finding logic sees it. Tests put another one in its place.
type host struct {
	os   string // as runtime.GOOS
	uid  int    // of this process
	user string // its name, "" where it has none
	log  io.Writer

	getenv   func(string) string
	lookPath func(string) (string, error)
	glob     func(string) ([]string, error)

	// ping says whether the tests can use the database: it is reached, lets us in, and the
	// login may create schemas in it.
	ping func(ctx context.Context, dsn string) error

	// run runs a command to its end, its output going to log.
	run func(ctx context.Context, name string, args ...string) error

	// start starts a private PostgreSQL from the binaries in a folder.
	start func(ctx context.Context, h host, binaries string) (*server, error)
}

func thisHost() host {
	h := host{
		os:       runtime.GOOS,
		uid:      os.Getuid(),
		log:      os.Stderr,
		getenv:   os.Getenv,
		lookPath: exec.LookPath,
		glob:     filepath.Glob,
		ping:     pingPostgres,
		start:    startServer,
	}
	if u, err := user.Current(); err == nil {
		h.user = u.Username
	}
	h.run = func(ctx context.Context, name string, args ...string) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Stdout, cmd.Stderr = h.log, h.log
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		return cmd.Run()
	}
	return h
}

func pingPostgres(ctx context.Context, dsn string) (err error) {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing was written
	var may bool
	err = db.QueryRowContext(ctx, `SELECT has_database_privilege(current_database(), 'CREATE')`).Scan(&may)
	if err != nil {
		return err
	}
	if !may {
		return fmt.Errorf("the login may not create schemas in this database")
	}
	return nil
}
