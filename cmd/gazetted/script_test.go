package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mmcdole/gofeed"
	"github.com/rogpeppe/go-internal/testscript"

	"gazetted/internal/dbtest"
	"gazetted/internal/ghosttest"
	"gazetted/internal/smtptest"
	"gazetted/internal/wptest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gazetted": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScript runs the scenarios of testdata/script with the real binary, each
// on both databases.
//
// In a scenario $DATABASE is a new database, $LISTEN a free address and $URL
// its public URL. Commands beside testscript's own:
//
//	waitfor TEXT METHOD URL [HEADER…]   ask until the answer contains TEXT (a regular expression), at most 30 s
//	fetch STATUS METHOD URL [HEADER…] [@BODYFILE]   one request; the answer goes to stdout, its headers to $WORK/headers;
//	                                  data:FORM in place of @BODYFILE sends a form
//	header NAME VAR                   put a header of the last answer into a variable
//	find REGEXP VAR                   put the first group of the last answer's match into a variable
//	readkey FILE VAR                  put the first line of a file into a variable
//	relay [starttls|tls] [USER:PASSWORD MECHANISM…]   start an SMTP server; $RELAY_PORT, its authority in $WORK/relay-ca.pem
//	relaypassword PASSWORD            it takes another password, or token, from now on
//	relaysays STAGE ADDR REPLY [N]    it answers so at that stage (rcpt, dot …) for ADDR ("": all), N times (0: for ever);
//	                                  the reply "taken" keeps the message at the dot and hangs up; without arguments it is well again
//	wordpress start|publish ID [FIELD=VALUE…]|trash ID|break|mend   a WordPress site; $WORDPRESS is its URL
//	site DIR                          serve the files of a folder, $SITE in them filled in; $SITE is the URL
//	ghost start|publish N [FIELD=VALUE…]|remove N|sign SECRET BODYFILE   a Ghost site; $GHOST is its URL, $GHOST_KEY its key; $SIGNATURE of a webhook
//	newsroom start|FILE.sql           a publisher's own database, $NEWSROOM; runs SQL in it
//	mails N                           wait until the SMTP server has N mails, write them to $WORK/mail.1 …
//	recipient ADDR VAR FILE           put the envelope sender of the one mail to ADDR into a variable, the mail into a file
//	mailheader FILE NAME REGEXP VAR   put the first group of a field's match into a variable
//	exitcode N COMMAND…               run it; it must end with N
//	waitexec REGEXP COMMAND…          run it until a line of its output has a match, at most 30 s
//	metrics                           the last answer is metrics: well named, and all in docs/metrics.md
//	settled FILE                      wait until there is such a file
//	subst IN OUT                      copy a file with its ${VARIABLES} filled in
//	pgrestore FILE                    an operator's pg_restore, over what is there
//	parsefeed N                       the last answer is a feed of N items, as gofeed reads it
func TestScript(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T, string) string{
		"sqlite":   func(_ *testing.T, work string) string { return "sqlite:" + filepath.Join(work, "gazetted.db") },
		"postgres": func(t *testing.T, _ string) string { return dbtest.PostgresDSN(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, testscript.Params{
				Dir:                 "testdata/script",
				RequireExplicitExec: true,
				Condition:           func(cond string) (bool, error) { return cond == name, nil }, // [sqlite], [postgres]
				Setup: func(e *testscript.Env) error {
					addr, err := freeLoopback()
					if err != nil {
						return err
					}
					e.Values[relayValue{}] = new(*smtptest.Server)
					e.Values[siteValue{}] = new(*wptest.Site)
					e.Values[ghostValue{}] = new(*ghosttest.Site)
					e.Setenv("DATABASE", dsn(t, e.WorkDir))
					e.Setenv("GAZETTED_DATABASE", e.Getenv("DATABASE"))
					e.Setenv("GAZETTED_LISTEN", addr)
					e.Setenv("GAZETTED_PUBLIC_URL", "http://"+addr)
					e.Setenv("URL", "http://"+addr)
					e.Setenv("HOME", e.WorkDir)
					docs, err := filepath.Abs("../../docs")
					if err != nil {
						return err
					}
					e.Setenv("DOCS", docs)
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"waitfor": waitCommand, "fetch": fetchCommand, "header": headerCommand, "find": findCommand,
					"readkey": readKeyCommand, "unenv": unenvCommand, "relay": relayCommand(t), "relaysays": relaySaysCommand, "relaypassword": relayPasswordCommand, "waitexec": waitExecCommand, "metrics": metricsCommand, "wordpress": wordpressCommand(t), "site": siteCommand(t), "ghost": ghostCommand(t), "newsroom": newsroomCommand(t), "mails": mailsCommand, "subst": substCommand, "recipient": recipientCommand,
					"mailheader": mailHeaderCommand, "exitcode": exitCodeCommand, "settled": settledCommand, "parsefeed": parseFeedCommand, "pgrestore": pgRestoreCommand,
				},
			})
		})
	}
}

func pgRestoreCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pgrestore FILE")
	}
	u, err := url.Parse(ts.Getenv("DATABASE"))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "pg_restore", "--clean", "--if-exists", "--no-owner", "--exit-on-error", "--dbname="+strings.TrimPrefix(u.Path, "/"), ts.MkAbs(args[0]))
	cmd.Env = append(os.Environ(), libpq(u)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("pg_restore: %v: %s", err, out)
	}
}

func freeLoopback() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's own port
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

type answer struct {
	status int
	header http.Header
	body   string
}

func ask(ts *testscript.TestScript, args []string) (answer, error) {
	if len(args) < 2 {
		ts.Fatalf("usage: METHOD URL [HEADER: VALUE]… [@BODYFILE]")
	}
	var body io.Reader
	headers := http.Header{}
	for _, a := range args[2:] {
		if file, ok := strings.CutPrefix(a, "@"); ok {
			body = strings.NewReader(ts.ReadFile(file))
			continue
		}
		if form, ok := strings.CutPrefix(a, "data:"); ok {
			body = strings.NewReader(form)
			headers.Set("Content-Type", "application/x-www-form-urlencoded")
			continue
		}
		name, value, _ := strings.Cut(a, ":")
		headers.Add(name, strings.TrimSpace(value))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, args[0], args[1], body)
	ts.Check(err)
	req.Header = headers
	// No redirects, no compression behind our back: what is on the wire counts.
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return answer{status: resp.StatusCode, header: resp.Header, body: string(b)}, err
}

func remember(ts *testscript.TestScript, a answer) {
	_, _ = io.WriteString(ts.Stdout(), a.body)
	head, err := json.Marshal(a.header)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("headers"), head, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("answer"), []byte(a.body), 0o600))
}

func waitCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: waitfor TEXT METHOD URL …")
	}
	want := regexp.MustCompile("(?s)" + args[0])
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := ask(ts, args[1:])
		if err == nil && want.MatchString(a.body) {
			remember(ts, a)
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			ts.Fatalf("no answer with %q: status %d, %v, body:\n%s", args[0], a.status, err, a.body)
		}
	}
}

func fetchCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: fetch STATUS METHOD URL …")
	}
	a, err := ask(ts, args[1:])
	ts.Check(err)
	remember(ts, a)
	if strconv.Itoa(a.status) != args[0] {
		ts.Fatalf("status %d, want %s; body:\n%s", a.status, args[0], a.body)
	}
}

func headerCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: header NAME VAR")
	}
	var h http.Header
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("headers")), &h))
	if h.Get(args[0]) == "" {
		ts.Fatalf("no header %s in %v", args[0], h)
	}
	ts.Setenv(args[1], h.Get(args[0]))
}

func findCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: find REGEXP VAR")
	}
	m := regexp.MustCompile(args[0]).FindStringSubmatch(ts.ReadFile("answer"))
	if len(m) < 2 {
		ts.Fatalf("no match of %s in:\n%s", args[0], ts.ReadFile("answer"))
	}
	ts.Setenv(args[1], strings.ReplaceAll(m[1], "&amp;", "&"))
}

// relayCommand starts an SMTP server that lives as long as the test.
func relayCommand(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		s := smtptest.Start(t, relayOptions(ts, args)...)
		ts.Check(os.WriteFile(ts.MkAbs("relay-ca.pem"), s.PEM(), 0o600))
		*ts.Value(relayValue{}).(**smtptest.Server) = s
		_, port, err := net.SplitHostPort(s.Addr())
		ts.Check(err)
		ts.Setenv("RELAY_PORT", port)
	}
}

// siteValue is the key of a scenario's WordPress site.
type siteValue struct{}

// wordpressCommand runs a WordPress site: publish sets fields of a post (title,
// categories and tags by id), break makes REST answer as a security plugin does.
func wordpressCommand(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		holder := ts.Value(siteValue{}).(**wptest.Site)
		id := func() int64 {
			n, err := strconv.ParseInt(args[1], 10, 64)
			ts.Check(err)
			return n
		}
		switch args[0] {
		case "start":
			*holder = wptest.Start(t)
			ts.Setenv("WORDPRESS", (*holder).URL)
		case "publish":
			now := time.Now().UTC().Format("2006-01-02T15:04:05")
			set := map[string]any{"date": now, "date_gmt": now, "modified": now, "modified_gmt": now}
			for _, a := range args[2:] {
				name, value, _ := strings.Cut(a, "=")
				switch name {
				case "title":
					set[name] = map[string]any{"rendered": value}
				case "categories", "tags":
					ids := []int64{}
					ts.Check(json.Unmarshal([]byte("["+value+"]"), &ids))
					set[name] = ids
				default:
					set[name] = value
				}
			}
			(*holder).Publish(id(), set)
		case "trash":
			(*holder).Remove(id(), "trash")
		case "break":
			(*holder).AnswerWith(func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusForbidden)
				_, err := io.WriteString(w, "<html>blocked</html>")
				return err == nil
			})
		case "mend":
			(*holder).AnswerWith(nil)
		default:
			ts.Fatalf("usage: wordpress start|publish|trash|break|mend")
		}
	}
}

// relayValue is the key of a scenario's SMTP server.
type relayValue struct{}

func mailsCommand(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	server := *ts.Value(relayValue{}).(**smtptest.Server)
	if server == nil {
		ts.Fatalf("no relay was started")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	msgs, err := server.WaitFor(ctx, n)
	ts.Check(err)
	if len(msgs) != n {
		ts.Fatalf("%d mails, want %d", len(msgs), n)
	}
	for i, m := range msgs {
		name := ts.MkAbs(fmt.Sprintf("mail.%d", i+1))
		ts.Check(os.WriteFile(name, m.Data, 0o600))
		ts.Check(writeParts(name, m.Data))
	}
}

// writeParts writes the decoded text and HTML parts beside the mail.
func writeParts(name string, raw []byte) error {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return err
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		body, err := io.ReadAll(p)
		if err != nil {
			return err
		}
		ending := ".txt"
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			ending = ".html"
		}
		if err := os.WriteFile(name+ending, body, 0o600); err != nil {
			return err
		}
	}
}

func parseFeedCommand(ts *testscript.TestScript, _ bool, args []string) {
	f, err := gofeed.NewParser().ParseString(ts.ReadFile("answer"))
	ts.Check(err)
	if strconv.Itoa(len(f.Items)) != args[0] {
		ts.Fatalf("%d items, want %s", len(f.Items), args[0])
	}
	for _, it := range f.Items {
		if it.Title == "" || it.Link == "" || it.GUID == "" {
			ts.Fatalf("an item without title, link or id: %+v", it)
		}
	}
}

// readKeyCommand puts the first line of a file into a variable.
func readKeyCommand(ts *testscript.TestScript, _ bool, args []string) {
	line, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	ts.Setenv(args[1], line)
}

// unenvCommand removes variables: an empty one would still count as set.
func unenvCommand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Setenv(name, "")
	}
}
