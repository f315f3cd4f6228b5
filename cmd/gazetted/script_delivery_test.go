package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/rogpeppe/go-internal/testscript"

	"gazetted/internal/smtptest"
)

// relaySaysCommand makes the SMTP server fail where it is told to.
func relaySaysCommand(ts *testscript.TestScript, _ bool, args []string) {
	server := *ts.Value(relayValue{}).(**smtptest.Server)
	if server == nil {
		ts.Fatalf("no relay was started")
	}
	if len(args) == 0 {
		server.Forget()
		return
	}
	if len(args) < 3 {
		ts.Fatalf("usage: relaysays STAGE ADDR REPLY [TIMES]")
	}
	rule := smtptest.Rule{Stage: smtptest.Stage(args[0]), Match: args[1], Reply: args[2]}
	if args[2] == "taken" {
		rule.Reply, rule.Take, rule.Drop = "", true, true
	}
	if len(args) > 3 {
		n, err := strconv.Atoi(args[3])
		ts.Check(err)
		rule.Times = n
	}
	server.On(rule)
}

// relayOptions reads the arguments of relay: [starttls|tls] [USER:PASSWORD MECHANISM…].
func relayOptions(ts *testscript.TestScript, args []string) (out []smtptest.Option) {
	if len(args) > 0 {
		switch args[0] {
		case "starttls":
			out = append(out, smtptest.WithStartTLS())
		case "tls":
			out = append(out, smtptest.WithTLS())
		default:
			ts.Fatalf("usage: relay [starttls|tls] [USER:PASSWORD MECHANISM…]")
		}
	}
	if len(args) > 2 {
		user, password, _ := strings.Cut(args[1], ":")
		out = append(out, smtptest.WithMechanisms(user, password, args[2:]...))
	}
	return out
}

// relayPasswordCommand changes the password that the SMTP server takes.
func relayPasswordCommand(ts *testscript.TestScript, _ bool, args []string) {
	(*ts.Value(relayValue{}).(**smtptest.Server)).SetPassword(args[0])
}

// waitExecCommand runs a command until its output has a match.
func waitExecCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitexec REGEXP COMMAND…")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	deadline := time.Now().Add(30 * time.Second)
	for {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no match of %q", args[0])
		}
	}
}

// metricsCommand looks at the last answer as at metrics: their names follow the
// conventions of Prometheus, and docs/metrics.md tells what they mean.
func metricsCommand(ts *testscript.TestScript, _ bool, _ []string) {
	text := ts.ReadFile("answer")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	ts.Check(err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "gazetted_") {
			ts.Fatalf("%s: %s", p.Metric, p.Text)
		}
	}
	docs, err := os.ReadFile(filepath.Join(ts.Getenv("DOCS"), "metrics.md"))
	ts.Check(err)
	named := regexp.MustCompile("`(gazetted_[a-z_]+)`").FindAllStringSubmatch(string(docs), -1)
	for _, m := range regexp.MustCompile("(?m)^# TYPE (gazetted_[a-z_]+)").FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(named, func(n []string) bool { return n[1] == m[1] }) {
			ts.Fatalf("docs/metrics.md does not name %s", m[1])
		}
	}
}
