// Command gazetted watches where articles are published, serves feeds of them
// and mails subscribers digests.
//
// main.go is the table of commands; each group has a file of its own. A
// command speaks on standard output only what was asked for, on standard error
// what a person should know. It ends with 0, with 1 when the work failed, or
// with 2 when it was called wrongly; bounce and relay test, with codes of sysexits.h.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // zones work on machines without them

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/source"
	"gazetted/internal/store"
)

// version is set by the linker in releases.
var version = ""

// commit is set by the linker in releases.
var commit = "" //nolint:gochecknoglobals // the linker can set only a package variable

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with everything given, for tests.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end, the second is not waited for.
	defer context.AfterFunc(ctx, stop)()
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, environ: os.Environ(), now: time.Now}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "gazetted: %s\n", strings.TrimRight(err.Error(), "\n"))
	if h := hint(err); h != "" {
		fmt.Fprintf(stderr, "hint: %s\n", h)
	}
	var usage *usageError
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(err, &usage):
		return 2
	case errors.As(err, &coded):
		return coded.ExitCode()
	default:
		return 1
	}
}

// root is the table of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gazetted",
		Short: "Watch for published articles, serve feeds of them, mail digests",
		Long: `gazetted watches where a publisher's articles appear, serves RSS, Atom and JSON
feeds of them per category and tag, and mails subscribers digests on the
schedule that each of them chose.

Try it:      gazetted demo
Set it up:   gazetted init; gazetted source add …; gazetted list add …; gazetted serve

Commands work on the database directly, whether the daemon runs or not; a
running daemon notices within a second.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration `FILE` (default: $GAZETTED_CONFIG, else gazetted.toml here)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON for scripts")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return &usageError{err: err, command: c.CommandPath()} })
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Running:"},
		&cobra.Group{ID: "content", Title: "What is published:"},
		&cobra.Group{ID: "people", Title: "Lists and people:"},
		&cobra.Group{ID: "sending", Title: "Sending:"},
	)
	group := func(id string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("run", a.demoCommand(), a.initCommand(), a.serveCommand(), a.statusCommand(), a.configCommand(), a.migrateCommand(),
		a.backupCommand(), a.restoreCommand())
	group("content", a.sourceCommand(), a.articleCommand(), a.categoryCommand(), a.tagCommand(), a.keyCommand())
	group("people", a.listCommand(), a.subscriberCommand(), a.suppressionCommand())
	group("sending", a.editionCommand(), a.deliveryCommand(), a.uncertainCommand(), a.bounceCommand(), a.relayCommand(), a.pauseCommand(), a.resumeCommand())
	root.AddCommand(a.versionCommand(), a.docsCommand())
	usageEverywhere(root)
	return root
}

// usageError is a command called wrongly.
type usageError struct {
	err     error
	command string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usageEverywhere makes wrong arguments a usageError and gives groups of
// commands, called without one, their help.
func usageEverywhere(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return &usageError{err: err, command: c.CommandPath()}
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{err: fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath()), command: c.CommandPath()}
			}
			return c.Help()
		}
	}
	for _, sub := range c.Commands() {
		usageEverywhere(sub)
	}
}

// hint says what a person could do about err; "" if there is nothing to say.
func hint(err error) string {
	var usage *usageError
	var config *daemon.ConfigError
	var blocked *source.BlockedError
	var held *source.HeldError
	var hinted interface{ Hint() string }
	var renamed *source.IdentityError
	switch {
	case errors.As(err, &hinted):
		return hinted.Hint()
	case errors.As(err, &blocked):
		return "if the address is yours, add it to fetch.allow in gazetted.toml"
	case errors.As(err, &held):
		return "look at the source; if its articles really are gone, `gazetted source poll NAME --accept` takes them out"
	case errors.As(err, &renamed):
		return "look at the source; if it really has moved or is made anew, `gazetted source poll NAME --accept` takes over the new names"
	case errors.As(err, &usage):
		return fmt.Sprintf("see `%s --help`", usage.command)
	case errors.Is(err, errNoConfig):
		return "run `gazetted init` here, or name a configuration with --config or GAZETTED_CONFIG"
	case errors.As(err, &config):
		return "`gazetted config example` prints a complete, commented file"
	case errors.Is(err, store.ErrNoDatabase):
		return "run `gazetted init` (or `gazetted migrate --create`) to make one; if there was one, put it back, or run `gazetted restore FILE` with a backup"
	case errors.Is(err, store.ErrDamaged), errors.Is(err, news.ErrFault):
		return "if it says so again after a restart, check the disk and run `gazetted restore FILE` with a backup (see docs/backup.md)"
	case errors.Is(err, errNoDump):
		return "install PostgreSQL's client programs (Debian: apt-get install postgresql-client), or back up where the server runs"
	case errors.Is(err, errRestorePostgres):
		return "stop all daemons, make an empty database, `pg_restore --no-owner --dbname=… FILE`, and start one: it knows that it was restored, and starts paused"
	case errors.Is(err, store.ErrReadOnly):
		return "gazetted needs to write the database, its -wal and -shm files and their folder: check owner, mode, and whether the disk is mounted read-only"
	case errors.Is(err, news.ErrRestored):
		return "look at `gazetted status`, then decide with `gazetted resume --restored`"
	case errors.Is(err, store.ErrOlderSchema):
		return "run `gazetted migrate`, or start `gazetted serve`, which does it"
	case errors.Is(err, store.ErrNewerSchema):
		return "use the binary that wrote it, or a newer one"
	case errors.Is(err, daemon.ErrRunning):
		return "stop that one first; commands need no second daemon"
	case errors.Is(err, daemon.ErrNoRelay):
		return "`gazetted relay ls` lists those of this configuration"
	case errors.Is(err, news.ErrExists):
		return "choose another name, or remove the other one first"
	default:
		return ""
	}
}
