// Testenv runs a command, `go test` as a rule, with what the tests need around it:
//
//	go run ./internal/testenv [--no-install] COMMAND [ARGUMENT…]
//
// The order of its work:
//
//  1. find a PostgreSQL: the one GAZETTED_TEST_POSTGRES names, else one on
//     127.0.0.1:5432 that lets us in, else a private one started from installed
//     binaries, else the same after installing them;
//  2. find Chromium: the one GAZETTED_TEST_CHROMIUM names, else an installed one, else
//     the same after installing it;
//  3. run the command with both variables set, passing signals on;
//  4. stop and remove what it started, nothing else, and exit as the command did.
//
// It exists so that no test is ever skipped for want of a database or a browser: what
// cannot be had ends the run with one sentence and a hint.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

const usage = `usage: go run ./internal/testenv [--no-install] COMMAND [ARGUMENT...]

Runs COMMAND with GAZETTED_TEST_POSTGRES and GAZETTED_TEST_CHROMIUM set.

  --no-install   fail rather than install a PostgreSQL or Chromium that is missing
`

// The variables that tell tests what to use. Set by hand, they are taken as they are.
const (
	postgresVar = "GAZETTED_TEST_POSTGRES" // a DSN whose login may create schemas
	chromiumVar = "GAZETTED_TEST_CHROMIUM" // an executable
)

func main() {
	os.Exit(run(os.Args[1:], thisHost()))
}

// run returns the exit code. It is apart from main so that every deferred clean-up has
// run before os.Exit, which runs none.
func run(args []string, h host) int {
	install := true
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "--no-install":
			install = false
		case "-h", "--help":
			say(h.log, usage)
			return 0
		default:
			say(h.log, "testenv: unknown option %s\n%s", args[0], usage)
			return 2
		}
		args = args[1:]
	}
	if len(args) == 0 {
		say(h.log, "testenv: no command given\n%s", usage)
		return 2
	}

	// Taken from the start, so that a signal during set-up also leads through clean-up.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	code, err := runIn(h, install, args, signals)
	if err != nil {
		say(h.log, "testenv: %v\n", err)
		var p *problem
		if errors.As(err, &p) {
			say(h.log, "hint: %s\n", p.hint)
		}
		if code == 0 {
			code = 1
		}
	}
	return code
}

// runIn sets up, runs the command and cleans up. The code is the command's where it ran.
func runIn(h host, install bool, args []string, signals <-chan os.Signal) (code int, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	var env environment
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		err = env.prepare(ctx, h, install)
	}()
	select {
	case <-ready:
	case sig := <-signals:
		cancel()
		<-ready
		err, code = fmt.Errorf("stopped by %v", sig), 128+signalNumber(sig)
	}
	defer func() { err = errors.Join(err, env.close()) }()
	if err != nil {
		return code, err
	}

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), postgresVar+"="+env.postgres, chromiumVar+"="+env.chromium)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return forward(cmd, signals)
}

// forward runs cmd to its end, handing it every signal that comes, and returns its exit
// code: 128 and the signal's number where a signal ended it, as a shell has it.
func forward(cmd *exec.Cmd, signals <-chan os.Signal) (int, error) {
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return 0, &problem{
			fmt.Sprintf("start the command: %v", err),
			"name a program that is in PATH, and its arguments after it",
		}
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			signalGroup(cmd, sig)
		case err := <-done:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
					return 128 + int(status.Signal()), nil
				}
				return exit.ExitCode(), nil
			}
			return 0, err
		}
	}
}

func signalNumber(sig os.Signal) int {
	if n, ok := sig.(syscall.Signal); ok {
		return int(n)
	}
	return 0
}

// environment is what the command gets, and what must be undone after it.
type environment struct {
	postgres string // DSN
	chromium string // path
	server   *server
}

func (e *environment) prepare(ctx context.Context, h host, install bool) (err error) {
	if e.postgres, e.server, err = findPostgres(ctx, h, install); err != nil {
		return err
	}
	e.chromium, err = findChromium(ctx, h, install)
	return err
}

func (e *environment) close() error {
	if e.server == nil {
		return nil
	}
	return e.server.stop()
}

// problem is what a person can mend: what is wrong, and what to do about it.
type problem struct{ what, hint string }

func (p *problem) Error() string { return p.what }

// say writes for people. A standard error that cannot be written to is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
