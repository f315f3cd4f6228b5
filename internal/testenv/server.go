package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	// A server on an empty cluster is up in well under a second; this is for a loaded
	// machine, and nothing finer is known about it.
	startTimeout = time.Minute

	// How long a fast shutdown may take before the server is made to stop without one. Its
	// data are thrown away in either case.
	stopTimeout = 10 * time.Second

	// How often a starting server is asked whether it is up.
	startPoll = 50 * time.Millisecond

	// How many free ports are tried. Between finding a port free and the server taking
	// it, someone else may.
	portAttempts = 3
)

// server is a PostgreSQL of our own: data, socket and log in one temporary folder, on a
// free port of 127.0.0.1.
type server struct {
	dsn    string
	folder string
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
}

// startServer creates a cluster and starts it. The caller must stop it.
func startServer(ctx context.Context, h host, binaries string) (_ *server, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	var as *user.User
	if h.uid == 0 { // initdb and postgres refuse to run as root
		if as, err = unprivileged(user.Lookup); err != nil {
			return nil, err
		}
	}
	folder, err := os.MkdirTemp("", "gazetted-postgres-")
	if err != nil {
		return nil, err
	}
	s := &server{folder: folder}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if err := giveTo(as, folder); err != nil {
		return nil, err
	}
	if err := s.initialise(ctx, binaries, as); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		err := s.listen(ctx, h, binaries, as)
		if err == nil {
			return s, nil
		}
		if attempt == portAttempts || ctx.Err() != nil {
			return nil, err
		}
	}
}

// initialise creates the cluster. The locale is C and the encoding UTF-8 so that tests
// order and fold text alike on every machine.
func (s *server) initialise(ctx context.Context, binaries string, as *user.User) error {
	initdb := exec.CommandContext(ctx, filepath.Join(binaries, "initdb"),
		"--pgdata", s.data(), "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	initdb.Dir = s.folder // the account may not be let into ours
	if err := runAs(initdb, as); err != nil {
		return err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLines(out))
	}
	return nil
}

// listen starts the server on a free port and returns when it answers.
func (s *server) listen(ctx context.Context, h host, binaries string, as *user.User) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	logFile, err := os.Create(s.log())
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }() // the server writes to its own copy

	// Not CommandContext: it would kill the server, and a killed server leaves its workers.
	cmd := exec.Command(filepath.Join(binaries, "postgres"), //nolint:noctx // stop ends it, in order
		"-D", s.data(),
		"-c", "listen_addresses=127.0.0.1", "-p", strconv.Itoa(port),
		"-c", "unix_socket_directories="+s.folder,
		"-c", "max_connections=200",
		// The data are thrown away: nothing need survive a crash.
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	cmd.Dir = s.folder
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := runAs(cmd, as); err != nil {
		return err
	}
	// An interrupt at the terminal is for the command: the server outlives it.
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) {
		_ = cmd.Wait() // its log says more than its code
		close(exited)
	}(s.exited)

	s.dsn = postgresDSN("postgres", port, "postgres")
	return s.await(ctx, h)
}

// await returns when the server answers, ends or takes too long.
func (s *server) await(ctx context.Context, h host) error {
	poll := time.NewTicker(startPoll)
	defer poll.Stop()
	for {
		err := h.ping(ctx, s.dsn)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			out, _ := os.ReadFile(s.log())
			return fmt.Errorf("the server stopped at once: %s", lastLines(out))
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer (%w): %w", err, ctx.Err())
		case <-poll.C:
		}
	}
}

// stop ends the server and removes its folder.
func (s *server) stop() error {
	if s.cmd != nil {
		// https://www.postgresql.org/docs/15/server-shutdown.html: SIGINT is a fast
		// shutdown, SIGQUIT an immediate one, which ends the workers too; SIGKILL does not.
		for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, os.Kill} {
			_ = s.cmd.Process.Signal(sig) // it may have ended already
			select {
			case <-s.exited:
			case <-time.After(stopTimeout):
				continue
			}
			break
		}
	}
	if err := os.RemoveAll(s.folder); err != nil {
		return fmt.Errorf("remove the private PostgreSQL: %w", err)
	}
	return nil
}

func (s *server) data() string { return filepath.Join(s.folder, "data") }
func (s *server) log() string  { return filepath.Join(s.folder, "log") }

// unprivileged returns an account for the server to run as when we are root.
func unprivileged(lookup func(string) (*user.User, error)) (*user.User, error) {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := lookup(name); err == nil {
			return u, nil
		}
	}
	return nil, errors.New("it does not run as root, and there is no account postgres or nobody to run it as")
}

// giveTo makes the folder the account's. A nil account is our own.
func giveTo(as *user.User, folder string) error {
	if as == nil {
		return nil
	}
	uid, gid, err := ids(as)
	if err != nil {
		return err
	}
	return os.Chown(folder, uid, gid)
}

func ids(u *user.User) (uid, gid int, err error) {
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, fmt.Errorf("read the id of account %s: %w", u.Username, err)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return 0, 0, fmt.Errorf("read the group of account %s: %w", u.Username, err)
	}
	return uid, gid, nil
}

// freePort returns a port of 127.0.0.1 that was free a moment ago.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// lastLines keeps the end of what a program printed, where it says why it failed.
func lastLines(out []byte) []byte {
	const most = 5
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-most):], []byte("\n"))
}
