package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build makes the real binary, without the race detector, as `make build` does.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := module(ctx)
	if err != nil {
		return "", err
	}
	return build(ctx, root, filepath.Join(dir, "gazetted"))
}

// module is the folder of our source.
func module(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "gazetted").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(root)), nil
}

func build(ctx context.Context, root, path string, flags ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", path}, flags...), "./cmd/gazetted")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build gazetted: %w: %s", err, out)
	}
	return path, nil
}

// BuildMutant is Build with one line of the product changed: a fault of its own, which the
// oracle must find.
func BuildMutant(ctx context.Context, dir, file, from, to string) (string, error) {
	root, err := module(ctx)
	if err != nil {
		return "", err
	}
	file = filepath.Join(root, file)
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if bytes.Count(text, []byte(from)) != 1 {
		return "", fmt.Errorf("%s has not exactly one %q", file, from)
	}
	mutant := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(mutant, bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: mutant}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	return build(ctx, root, filepath.Join(dir, "gazetted"), "-overlay", list)
}

// Process is one running daemon.
type Process struct {
	URL string // of its web server, without a slash at the end

	w    *World
	cmd  *exec.Cmd
	done chan struct{}

	mu     sync.Mutex
	addr   chan string // gets the web server's address
	events map[string]int
	tail   [][]byte // the last lines of its log
	rest   []byte
	file   *os.File
}

// Start runs `gazetted serve` and returns once it listens. A daemon that ends at once is
// an error with its last words.
func (w *World) Start(ctx context.Context) (*Process, error) {
	w.mu.Lock()
	n := len(w.processes)
	w.mu.Unlock()
	file, err := os.Create(filepath.Join(w.Dir, fmt.Sprintf("serve-%03d.log", n)))
	if err != nil {
		return nil, err
	}
	p := &Process{w: w, done: make(chan struct{}), addr: make(chan string, 1), events: map[string]int{}, file: file}
	args := append(slices.Clone(w.Under), w.Binary, "--config", w.config, "serve")
	p.cmd = exec.Command(args[0], args[1:]...) //nolint:noctx // how it ends is what a run is about
	p.cmd.Stderr = p
	p.cmd.SysProcAttr = w.Attr
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w.mu.Lock()
	w.processes = append(w.processes, p)
	w.mu.Unlock()
	go func() {
		_ = p.cmd.Wait() // its state says it, too
		_ = file.Close() // only for people who look for a cause
		close(p.done)
	}()
	select {
	case addr := <-p.addr:
		p.URL = "http://" + addr
		return p, nil
	case <-p.done:
		return p, fmt.Errorf("the daemon ended with %d: %s", p.Code(), p.LastWords())
	case <-ctx.Done():
		p.end()
		return p, fmt.Errorf("start the daemon: %w", ctx.Err())
	}
}

// Write takes the daemon's log.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.file.Write(b) // for people
	p.rest = append(p.rest, b...)
	for {
		line, rest, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		p.line(bytes.Clone(line))
		p.rest = rest
	}
}

func (p *Process) line(line []byte) {
	if p.tail = append(p.tail, line); len(p.tail) > 5 {
		p.tail = p.tail[1:]
	}
	var event struct {
		Msg    string `json:"msg"`
		Addr   string `json:"addr"`
		Status any    `json:"status"`
	}
	if json.Unmarshal(line, &event) != nil {
		return
	}
	p.events[event.Msg]++
	if event.Msg == "delivery was not sent" {
		p.events[fmt.Sprint(event.Status)]++
	}
	if event.Msg == "listening" {
		p.addr <- event.Addr
	}
}

// Events is how often the daemon has logged this message.
func (p *Process) Events(msg string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events[msg]
}

// LastWords are the last lines of its log.
func (p *Process) LastWords() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(bytes.Join(p.tail, []byte("\n")))
}

// StartRefused starts a daemon that must end at once with 1, and returns its last words; "":
// it did not.
func (w *World) StartRefused(ctx context.Context) string {
	p, err := w.Start(ctx)
	if err == nil {
		w.Problem("the daemon runs")
		p.end()
		return ""
	}
	if p == nil || !p.Ended() || p.Code() != 1 {
		w.Problem("the daemon did not end with 1: %v", err)
		return ""
	}
	return p.LastWords()
}

// Kill ends the daemon with SIGKILL, counts the fault, and the open connections in what
// the fault may cost.
func (p *Process) Kill() {
	p.w.Bound += min(p.w.Relay.Open(), p.w.Connections)
	p.w.Injected++
	p.end()
}

// end kills without counting.
func (p *Process) end() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Wait returns the exit code once the daemon has ended; -1: by a signal.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.Code(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for the daemon's end: %w", ctx.Err())
	}
}

// Ended tells whether the daemon has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Code is the exit code of an ended daemon; -1: it was ended by a signal.
func (p *Process) Code() int { return p.cmd.ProcessState.ExitCode() }

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop ends the daemon as an operator does, and demands that it ends well, within the
// drain time and a little.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the daemon: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	code, err := p.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("the daemon ended with %d after SIGTERM: %s", code, p.LastWords())
	}
	return err
}

// Files is how many file descriptors the daemon has; -1 where that cannot be seen.
func (p *Process) Files() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	if err != nil {
		return -1
	}
	return len(entries)
}

// Peak is the most memory of the daemon that was resident at one time, in bytes; 0 where
// that cannot be seen.
func (p *Process) Peak() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return 0, nil //nolint:nilerr // not on this system
	}
	_, rest, ok := strings.Cut(string(b), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	if !ok {
		return 0, nil
	}
	kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(line), " kB"), 10, 64)
	return kb << 10, err
}

// CPU is the time that the daemon has computed.
func (p *Process) CPU() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		return 0, err
	}
	// proc(5): the fields after the name in parentheses; utime and stime are the 14th
	// and 15th, in ticks of 10 ms.
	_, rest, _ := bytes.Cut(b, []byte(") "))
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read the time of process %d: %q", p.Pid(), b)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// Get asks the daemon's web server and returns the status.
func (p *Process) Get(ctx context.Context, path string) (int, error) {
	return p.ask(ctx, http.MethodGet, path, "")
}

// OneClick presses the unsubscribe button of RFC 8058 and returns the status.
func (p *Process) OneClick(ctx context.Context, path string) (int, error) {
	return p.ask(ctx, http.MethodPost, path, "List-Unsubscribe=One-Click")
}

// Post sends a form.
func (p *Process) Post(ctx context.Context, path, form string) (int, error) {
	return p.ask(ctx, http.MethodPost, path, form)
}

func (p *Process) ask(ctx context.Context, method, path, form string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.URL+path, strings.NewReader(form))
	if err != nil {
		return 0, err
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{Timeout: time.Minute}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
		err = errors.New("503 without Retry-After")
	}
	return res.StatusCode, errors.Join(err, res.Body.Close())
}
