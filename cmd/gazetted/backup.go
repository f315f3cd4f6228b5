package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a whole copy of the database, while the daemon runs",
		Long: `Writes a consistent copy of the database, of the moment at which it begins. The
daemon may run and send meanwhile. The copy is checked, written to the disk and
readable by its owner alone before it appears under its name; a file that is
there is not replaced.

The copy holds every address and the keys behind every link in your mails: keep
it as you keep the database. Configuration, templates and key files are not in
it.

On PostgreSQL it runs pg_dump, in the custom format that pg_restore reads.`,
		Example: `  gazetted backup /var/backups/gazetted-$(date +%F).db`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.backup(c.Context(), args[0]) },
	}
}

func (a *app) backup(ctx context.Context, path string) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(cfg.DSN(), "sqlite:") {
		return a.dumpPostgres(ctx, cfg.DSN(), path)
	}
	return a.withStore(ctx, func(s *store.Store) error {
		c, err := s.Backup(ctx, path, a.copied())
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(c)
		}
		a.say("wrote %s: %s, schema %d", c.Path, megabytes(c.Bytes), c.Schema)
		return nil
	})
}

// copied shows a bar where a person looks.
func (a *app) copied() func(done, total int64) {
	f, ok := a.stderr.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return nil
	}
	var bar *progressbar.ProgressBar
	return func(done, total int64) {
		if bar == nil {
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription("copying"),
				progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish())
		}
		_ = bar.Set64(min(done, total)) // only for people
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// errNoDump says that PostgreSQL's own tool is not here.
var errNoDump = errors.New("there is no pg_dump here")

// dumpPostgres lets pg_dump do it: it knows PostgreSQL better than we do.
func (a *app) dumpPostgres(ctx context.Context, dsn, path string) (err error) {
	tool, err := exec.LookPath("pg_dump")
	if err != nil {
		return errNoDump
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return fmt.Errorf("read the database's address: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	args := []string{"--format=custom", "--no-owner"}
	if schema := u.Query().Get("search_path"); schema != "" {
		args = append(args, "--schema="+schema)
	}
	cmd := exec.CommandContext(ctx, tool, args...)
	// In its environment: other users see the arguments of a process.
	cmd.Env = append(os.Environ(), libpq(u)...)
	cmd.Stdout, cmd.Stderr = f, a.stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run pg_dump: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if a.json {
		return a.printJSON(store.Copy{Path: path, Bytes: info.Size(), TakenAt: a.now().UTC()})
	}
	a.say("wrote %s: %s, by pg_dump", path, megabytes(info.Size()))
	return nil
}

// libpq is a database's address as PostgreSQL's programs read it from their
// environment.
func libpq(u *url.URL) []string {
	env := []string{"PGDATABASE=" + strings.TrimPrefix(u.Path, "/")}
	add := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	q := u.Query()
	add("PGHOST", u.Hostname())
	if u.Hostname() == "" {
		add("PGHOST", q.Get("host")) // a socket's folder
	}
	add("PGPORT", u.Port())
	add("PGUSER", u.User.Username())
	password, _ := u.User.Password()
	add("PGPASSWORD", password)
	for parameter, name := range map[string]string{"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"} {
		add(name, q.Get(parameter))
	}
	return env
}

func (a *app) restoreCommand() *cobra.Command {
	yes, mark := false, false
	c := &cobra.Command{
		Use:   "restore [--yes] FILE | --mark",
		Short: "Put a backup in the place of the database; it sends nothing until you confirm",
		Long: `Puts a backup in the place of an SQLite database. The daemon must not run. The
backup is checked first: a damaged one, and one that a newer version has
written, are refused. A database that is there is kept beside it, under a name
that is printed; that is asked about, unless --yes is given.

A backup does not know what was sent after it was made. So a restored database
starts paused: gazetted status lists the slots that have passed and the mails
that were open, and nothing is sent until gazetted resume --restored. Watching,
feeds and sign-ups work meanwhile.

A PostgreSQL database is restored with pg_restore; the daemon then knows by
itself that it is a copy. --mark says it of a database that was copied back by
other means, such as a snapshot of the disk: then the same holds for it.`,
		Example: `  gazetted restore /var/backups/gazetted-2026-03-01.db
  gazetted restore --mark`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if mark == (len(args) == 1) {
				return &usageError{errors.New("give either the FILE of a backup or --mark"), c.CommandPath()}
			}
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			unlock, err := daemon.LockDatabase(&cfg)
			if err != nil {
				return err
			}
			if mark {
				return errors.Join(a.markRestored(c.Context()), unlock())
			}
			return errors.Join(a.restore(c.Context(), cfg, args[0], yes), unlock())
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "put aside the database that is there, without asking")
	c.Flags().BoolVar(&mark, "mark", false, "only say that this database was restored by other means")
	return c
}

func (a *app) markRestored(ctx context.Context) error {
	if err := a.withStore(ctx, func(s *store.Store) error { return s.MarkRestored(ctx) }); err != nil {
		return err
	}
	a.sayRestored()
	return nil
}

// errRestorePostgres says who restores a PostgreSQL database.
var errRestorePostgres = errors.New("a PostgreSQL database is restored with its own tools")

func (a *app) restore(ctx context.Context, cfg daemon.Config, file string, yes bool) error {
	path, ok := strings.CutPrefix(cfg.DSN(), "sqlite:")
	if !ok {
		return errRestorePostgres
	}
	if _, err := os.Lstat(path); err == nil {
		if err := a.confirm(yes, "%s is there. Put it aside and restore %s in its place?", path, filepath.Base(file)); err != nil {
			return err
		}
	}
	c, aside, err := store.Restore(ctx, path, file, true, a.now())
	if err != nil {
		return err
	}
	if aside != "" {
		a.say("put the old database aside: %s", aside)
	}
	if a.json {
		return a.printJSON(c)
	}
	taken := "made by other means: nobody knows when"
	if !c.TakenAt.IsZero() {
		taken = "of " + clock(c.TakenAt)
	}
	a.say("restored %s (%s, schema %d), a backup %s", c.Path, megabytes(c.Bytes), c.Schema, taken)
	a.sayRestored()
	return nil
}

func (a *app) sayRestored() {
	a.say("it is paused: nothing is sent until `gazetted resume --restored`; start the daemon, let it look at the sources, and see `gazetted status`")
}

// showRestored is what status says of a restored database.
func (a *app) showRestored(r *news.Restored) {
	since := "nobody knows when"
	if !r.BackupAt.IsZero() {
		since = clock(r.BackupAt)
	}
	fmt.Fprintf(a.stdout, "\nRestored from a backup (%s). Nothing is sent until `gazetted resume --restored`.\n", since)
	fmt.Fprintf(a.stdout, "Open in the backup: %s of %s. They may have been sent since.\n", counted(r.OpenDeliveries, "mail"), counted(r.OpenEditions, "edition"))
	for _, p := range r.Passed {
		zone := ""
		if p.Zone != "" {
			zone = " in " + p.Zone
		}
		fmt.Fprintf(a.stdout, "Passed: %s of list %s, %s%s, %s to %s\n", counted(p.Slots, "slot"), p.List, p.Frequency, zone, clock(p.First), clock(p.Last))
	}
	if len(r.Unseen) > 0 {
		fmt.Fprintf(a.stdout, "Not looked at since: %s\n", strings.Join(r.Unseen, ", "))
	}
}

// resumeFlags decide about a restored database.
type resumeFlags struct {
	restored    bool
	open, slots string
}

// check returns the decision.
func (f resumeFlags) check() (how news.AfterRestore, err error) {
	switch f.open {
	case "hold", "send":
		how.HoldOpen = f.open == "hold"
	default:
		return how, &news.FieldError{Field: "--open", Value: f.open, Want: "hold or send: what becomes of mails that were open in the backup"}
	}
	switch f.slots {
	case "skip", "catch-up":
		how.SkipSlots = f.slots == "skip"
	default:
		return how, &news.FieldError{Field: "--slots", Value: f.slots, Want: "skip or catch-up: what becomes of slots that have passed since the backup"}
	}
	return how, nil
}

func (a *app) resumeRestored(ctx context.Context, s *store.Store, f resumeFlags) error {
	how, err := f.check()
	if err != nil {
		return err
	}
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if err := s.ConfirmRestored(ctx, how); err != nil {
		return err
	}
	if how.HoldOpen && st.Restored != nil && st.Restored.OpenDeliveries > 0 {
		a.say("held %s for you to decide about: see `gazetted uncertain ls`", counted(st.Restored.OpenDeliveries, "mail"))
	}
	if how.SkipSlots && st.Restored != nil && len(st.Restored.Unseen) > 0 {
		a.say("note: nobody has looked since the backup at %s; what appears there now may have been mailed before", strings.Join(st.Restored.Unseen, ", "))
	}
	a.say("resumed")
	return a.pauses(ctx, s, false)
}
