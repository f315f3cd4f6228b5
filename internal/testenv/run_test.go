package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func lookupAmong(accounts []string) func(string) (*user.User, error) {
	return func(name string) (*user.User, error) {
		if !slices.Contains(accounts, name) {
			return nil, user.UnknownUserError(name)
		}
		return &user.User{Username: name}, nil
	}
}

// realServer is a host with a real private PostgreSQL, even where one is already running.
func realServer(t *testing.T) (host, string) {
	h := thisHost()
	binaries := postgresBinaries(h)
	if binaries == "" {
		t.Fatalf("no installed PostgreSQL server\nhint: %s", postgresHint)
	}
	return h, binaries
}

func TestServer(t *testing.T) {
	h, binaries := realServer(t)
	s, err := startServer(t.Context(), h, binaries)
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = s.stop()
		}
	}()

	if err := h.ping(t.Context(), s.dsn); err != nil {
		t.Errorf("ping: %v", err)
	}
	db, err := sql.Open("postgres", s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), `CREATE SCHEMA a; CREATE TABLE a.b (c text)`); err != nil {
		t.Errorf("create a schema: %v", err)
	}
	if _, err := db.ExecContext(t.Context(), `CREATE ROLE reader LOGIN`); err != nil {
		t.Fatal(err)
	}
	if err := h.ping(t.Context(), strings.Replace(s.dsn, "postgres@", "reader@", 1)); err == nil {
		t.Error("a login that may not create schemas was taken for usable")
	}

	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	stopped = true
	if _, err := os.Stat(s.folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", s.folder)
	}
	address, err := url.Parse(s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	if c, err := dialer.DialContext(t.Context(), "tcp", address.Host); err == nil {
		_ = c.Close()
		t.Error("the server still listens")
	}
}

func TestServerThatCannotStart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	h, _ := realServer(t)
	h.uid = 1 // so that it does not change accounts
	if _, err := startServer(t.Context(), h, "/nowhere"); err == nil {
		t.Error("no error")
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRun(t *testing.T) {
	h, binaries := realServer(t)
	var started *server
	h.ping = func(ctx context.Context, dsn string) error {
		if strings.Contains(dsn, ":5432/") {
			return errors.New("nothing runs here")
		}
		return pingPostgres(ctx, dsn)
	}
	h.getenv = func(string) string { return "" }
	h.start = func(ctx context.Context, h host, _ string) (_ *server, err error) {
		started, err = startServer(ctx, h, binaries)
		return started, err
	}
	look := h.lookPath
	h.lookPath = func(name string) (string, error) {
		if name == "chromium" {
			return "/the/chromium", nil
		}
		return look(name)
	}

	code := run([]string{"--no-install", "sh", "-c",
		`case "$GAZETTED_TEST_POSTGRES $GAZETTED_TEST_CHROMIUM" in "postgres://"*" /the/chromium") exit 7;; esac`}, h)
	if code != 7 {
		t.Errorf("code %d, want the command's own, 7", code)
	}
	if started == nil {
		t.Fatal("no private server was started")
	}
	if _, err := os.Stat(started.folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", started.folder)
	}
}

func TestRunFailures(t *testing.T) {
	for name, test := range map[string]struct {
		args     []string
		wantCode int
		wantLog  string
	}{
		"no command":      {nil, 2, "testenv: no command given\nusage:"},
		"unknown option":  {[]string{"--fast", "true"}, 2, "testenv: unknown option --fast\nusage:"},
		"help":            {[]string{"--help"}, 0, "usage:"},
		"nothing there":   {[]string{"--no-install", "true"}, 1, "testenv: no PostgreSQL is running on 127.0.0.1:5432 and none is installed\nhint: install"},
		"unknown command": {[]string{"no-such-program"}, 1, "testenv: start the command: "},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			if name == "unknown command" {
				f.env = map[string]string{postgresVar: "db", chromiumVar: "chromium"}
				f.databases, f.programs = []string{"db"}, []string{"/bin/chromium"}
			}
			if code := run(test.args, f.host()); code != test.wantCode {
				t.Errorf("code %d, want %d", code, test.wantCode)
			}
			if !strings.Contains(f.log.String(), test.wantLog) {
				t.Errorf("printed %q, want %q in it", f.log.String(), test.wantLog)
			}
		})
	}
}

func TestSignalDuringSetUp(t *testing.T) {
	h := (&fake{}).host()
	h.ping = func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	code, err := runIn(h, false, []string{"true"}, signals)
	if code != 143 || err == nil {
		t.Errorf("got %d, %v; want 143 and a reason", code, err)
	}
}

func TestSignalReachesTheCommand(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "echo up; sleep 60; echo not reached")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal)
	go func() {
		_, _ = bufio.NewReader(out).ReadString('\n') // it is up
		signals <- syscall.SIGTERM
	}()
	code, err := forward(cmd, signals)
	if code != 143 || err != nil {
		t.Errorf("got %d, %v; want 143", code, err)
	}
}
