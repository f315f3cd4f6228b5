package run

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Cluster is a PostgreSQL of the run's own, which may be killed. It keeps its promises:
// fsync is on.
type Cluster struct {
	DSN string

	binaries, folder string
	port             int
	as               *syscall.Credential // nil: ourselves
	cmd              *exec.Cmd
	done             chan struct{}
}

// ErrNoPostgres says that no PostgreSQL server is installed here.
var ErrNoPostgres = errors.New("no PostgreSQL server is installed in /usr/lib/postgresql")

// NewCluster makes a cluster from installed binaries and starts it. The caller closes it.
func NewCluster(ctx context.Context) (_ *Cluster, err error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // fails on a bad pattern only
	if len(found) == 0 {
		return nil, ErrNoPostgres
	}
	slices.Sort(found)
	c := &Cluster{binaries: filepath.Dir(found[len(found)-1])}
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
	initdb := c.command(ctx, "initdb", "--pgdata", c.data(), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if c.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	c.DSN = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", c.port)
	return c, c.Start(ctx)
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
	cmd := exec.CommandContext(ctx, filepath.Join(c.binaries, program), args...)
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
	cmd := c.command(context.WithoutCancel(ctx), "postgres", "-D", c.data(), "-c", "listen_addresses=127.0.0.1", "-p", strconv.Itoa(c.port),
		"-c", "unix_socket_directories="+c.folder)
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
