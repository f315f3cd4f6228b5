package run

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/lib/pq"
)

// Cluster is a PostgreSQL of the run's own, which may be killed. It keeps its promises:
// fsync is on.
type Cluster struct {
	DSN  string
	Addr string // host:port

	binaries, folder string
	port             int
	settings         []string
	as               *syscall.Credential // nil: ourselves
	cmd              *exec.Cmd
	done             chan struct{}
}

// ErrNoPostgres says that no PostgreSQL server is installed here.
var ErrNoPostgres = errors.New("no PostgreSQL server is installed in /usr/lib/postgresql")

// NewCluster makes a cluster from installed binaries and starts it, with settings such as
// max_connections=20. The caller closes it.
func NewCluster(ctx context.Context, settings ...string) (*Cluster, error) {
	return newCluster(ctx, settings, func(c *Cluster) error {
		return c.run(ctx, "initdb", "--pgdata", c.data(), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	})
}

// Standby makes a standby of c, which reaches it at addr, and starts it. The caller closes it.
func (c *Cluster) Standby(ctx context.Context, addr string) (*Cluster, error) {
	u, err := url.Parse(c.DSN)
	if err != nil {
		return nil, err
	}
	u.Host = addr
	return newCluster(ctx, nil, func(s *Cluster) error {
		return s.run(ctx, "pg_basebackup", "--pgdata", s.data(), "--dbname", u.String()+"&application_name=standby", "--write-recovery-conf", "--checkpoint", "fast", "--no-sync")
	})
}

// Synchronise lets c wait at each commit for its standby.
func (c *Cluster) Synchronise(ctx context.Context) error {
	for _, q := range []string{`ALTER SYSTEM SET synchronous_standby_names = 'standby'`, `SELECT pg_reload_conf()`} {
		if err := c.Do(ctx, q); err != nil {
			return err
		}
	}
	db, err := sql.Open("postgres", c.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it was only to ask
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		n := 0
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'`).Scan(&n); err != nil || n > 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the synchronous standby: %w", ctx.Err())
		}
	}
}

// PairDSN leads to whichever of the two is the primary.
func PairDSN(a, b *Cluster) string {
	return fmt.Sprintf("postgres://postgres@/postgres?sslmode=disable&host=127.0.0.1,127.0.0.1&port=%d,%d&target_session_attrs=primary", a.port, b.port)
}

func newCluster(ctx context.Context, settings []string, fill func(*Cluster) error) (_ *Cluster, err error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // fails on a bad pattern only
	if len(found) == 0 {
		return nil, ErrNoPostgres
	}
	slices.Sort(found)
	c := &Cluster{binaries: filepath.Dir(found[len(found)-1]), settings: settings}
	if c.folder, err = os.MkdirTemp("", "gazetted-faults-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := c.disguise(); err != nil {
		return nil, err
	}
	if err := fill(c); err != nil {
		return nil, err
	}
	if c.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	c.Addr = fmt.Sprintf("127.0.0.1:%d", c.port)
	c.DSN = fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", c.Addr)
	return c, c.Start(ctx)
}

// run runs one of PostgreSQL's programs to its end.
func (c *Cluster) run(ctx context.Context, program string, args ...string) error {
	if out, err := c.command(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

// Do runs a statement as the superuser.
func (c *Cluster) Do(ctx context.Context, statement string) error {
	db, err := sql.Open("postgres", c.DSN)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

// Promote makes a primary of a standby, and returns when it takes writes.
func (c *Cluster) Promote(ctx context.Context) error {
	return c.run(ctx, "pg_ctl", "promote", "--pgdata", c.data(), "--wait")
}

// Exhaust takes every connection that the server has left, until release is called.
func (c *Cluster) Exhaust(ctx context.Context) (release func() error, err error) {
	db, err := sql.Open("postgres", c.DSN)
	if err != nil {
		return nil, err
	}
	for {
		_, err := db.Conn(ctx) // the next one is another, as this one is not closed
		if e, ok := errors.AsType[*pq.Error](err); ok && e.Code == "53300" {
			return db.Close, nil
		}
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
}

// disguise finds an account for the server, which refuses to run as root.
func (c *Cluster) disguise() error {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		c.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return os.Chown(c.folder, int(uid), int(gid))
	}
	return errors.New("PostgreSQL does not run as root, and there is no account postgres or nobody")
}

func (c *Cluster) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	if !filepath.IsAbs(program) {
		program = filepath.Join(c.binaries, program)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = c.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as}
	return cmd
}

func (c *Cluster) data() string { return filepath.Join(c.folder, "data") }

// Start starts the server and returns when it answers. After a Kill, workers of the dead
// server may keep it from starting for a moment: it tries again.
func (c *Cluster) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	db, err := sql.Open("postgres", c.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it was only to ask
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if c.cmd == nil {
			if err := c.launch(ctx); err != nil {
				return err
			}
		}
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-c.done:
			c.cmd = nil
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("start PostgreSQL: %w: %w", ctx.Err(), err)
		}
	}
}

func (c *Cluster) launch(ctx context.Context) error {
	args := []string{"-D", c.data(), "-c", "listen_addresses=127.0.0.1", "-p", strconv.Itoa(c.port), "-c", "unix_socket_directories=" + c.folder}
	for _, setting := range c.settings {
		args = append(args, "-c", setting)
	}
	cmd := c.command(context.WithoutCancel(ctx), "postgres", args...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	c.cmd, c.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		_ = cmd.Wait() // it is killed
		close(done)
	}(c.done)
	return nil
}

// Kill ends the postmaster with SIGKILL.
func (c *Cluster) Kill() error {
	err := c.cmd.Process.Kill()
	<-c.done
	c.cmd = nil
	return err
}

// Close ends the server and removes its data.
func (c *Cluster) Close() error {
	if c.cmd != nil {
		_ = c.cmd.Process.Signal(syscall.SIGQUIT) // an immediate shutdown, which ends the workers, too
		select {
		case <-c.done:
		case <-time.After(10 * time.Second):
			_ = c.cmd.Process.Kill()
			<-c.done
		}
	}
	return os.RemoveAll(c.folder)
}

// freePort returns a port of 127.0.0.1 that was free a moment ago.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
