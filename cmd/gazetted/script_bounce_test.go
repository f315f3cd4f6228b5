package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gazetted/internal/smtptest"
)

// substCommand copies a file with its variables filled in.
func substCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: subst IN OUT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// recipientCommand finds the one mail to an address.
func recipientCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: recipient ADDR VAR FILE")
	}
	server := *ts.Value(relayValue{}).(**smtptest.Server)
	if server == nil {
		ts.Fatalf("no relay was started")
	}
	found := 0
	for _, m := range server.Messages() {
		if !slices.Contains(m.To, args[0]) {
			continue
		}
		found++
		ts.Setenv(args[1], m.From)
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), m.Data, 0o600))
		fmt.Fprintln(ts.Stdout(), m.From)
	}
	if found != 1 {
		ts.Fatalf("%d mails to %s, want one", found, args[0])
	}
}

// mailHeaderCommand puts a part of a mail's field into a variable.
func mailHeaderCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: mailheader FILE NAME REGEXP VAR")
	}
	m, err := mail.ReadMessage(bytes.NewReader([]byte(ts.ReadFile(args[0]))))
	ts.Check(err)
	match := regexp.MustCompile(args[2]).FindStringSubmatch(m.Header.Get(args[1]))
	if len(match) < 2 {
		ts.Fatalf("no match of %s in %q", args[2], m.Header.Get(args[1]))
	}
	ts.Setenv(args[3], match[1])
}

// exitCodeCommand runs a command that must end with a certain code.
func exitCodeCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exitcode N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// settledCommand waits for a file.
func settledCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: settled FILE")
	}
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			ts.Fatalf("%s did not come", args[0])
		}
	}
}
