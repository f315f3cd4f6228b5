package main

import (
	"strconv"

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
