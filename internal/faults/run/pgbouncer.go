package run

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Bouncer is a PgBouncer in transaction mode before a cluster.
type Bouncer struct {
	Addr string

	c      *Cluster
	config string
	cmd    *exec.Cmd
}

// ErrNoBouncer says that no PgBouncer is installed here.
var ErrNoBouncer = errors.New("no PgBouncer is installed")

// pgbouncerConfig: fewer connections than a daemon asks for, and a session that forgets
// between any two transactions. It refuses parameters that it does not know, unless told to
// ignore them: the search_path of a run's DSN is the default in a cluster of its own.
const pgbouncerConfig = `[databases]
* = host=127.0.0.1 port=%d user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 100
server_reset_query = DISCARD ALL
server_reset_query_always = 1
ignore_startup_parameters = search_path
logfile = %s
`

// Bouncer starts a PgBouncer before the cluster. The caller closes it.
func (c *Cluster) Bouncer(ctx context.Context) (*Bouncer, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !executable(program) {
			return nil, ErrNoBouncer
		}
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	b := &Bouncer{Addr: fmt.Sprintf("127.0.0.1:%d", port), c: c, config: filepath.Join(c.folder, "pgbouncer.ini")}
	text := fmt.Sprintf(pgbouncerConfig, c.port, port, filepath.Join(c.folder, "pgbouncer.log"))
	if err := os.WriteFile(b.config, []byte(text), 0o644); err != nil { //nolint:gosec // another account reads it, and it holds no secret
		return nil, err
	}
	return b, b.Start(ctx, program)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// Start starts it and returns when it answers.
func (b *Bouncer) Start(ctx context.Context, program string) error {
	b.cmd = b.c.command(context.WithoutCancel(ctx), program, "--quiet", b.config)
	if err := b.cmd.Start(); err != nil {
		return fmt.Errorf("start PgBouncer: %w", err)
	}
	u, err := url.Parse(b.c.DSN)
	if err != nil {
		return err
	}
	u.Host = b.Addr
	db, err := sql.Open("postgres", u.String())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it was only to ask
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("start PgBouncer: %w", errors.Join(err, b.Close()))
		}
	}
}

// Restart kills it and starts another one in its place.
func (b *Bouncer) Restart(ctx context.Context) error {
	if err := b.Close(); err != nil {
		return err
	}
	return b.Start(ctx, b.cmd.Path)
}

// Close ends it.
func (b *Bouncer) Close() error {
	err := b.cmd.Process.Kill()
	_ = b.cmd.Wait() // it was killed
	return err
}
