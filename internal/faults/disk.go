package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gazetted/internal/faults/run"
	"gazetted/internal/news"
)

// The small disk of F26 and F31: a tmpfs.
const smallDisk = 48 << 20

// onSmallDisk runs a job on a file system of its own. Mounting needs root, or a user
// namespace in which we are root: the job is run by another process of this program, in
// namespaces that end with it and take the mount along.
func onSmallDisk(ctx context.Context, o options, j job) result {
	if o.inNamespace {
		return j.onTmpfs(ctx, o)
	}
	self, err := os.Executable()
	if err != nil {
		return result{job: j, err: err}
	}
	begun := time.Now()
	cmd := exec.CommandContext(ctx, self, "--in-namespace", "--only", j.id, "--database", string(j.database), "--binary", o.binary, "--dir", o.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err = cmd.Run()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		return result{job: j, leftOut: "this system allows no user namespaces"}
	}
	r, found := parseRow(stdout.String(), j)
	r.took = time.Since(begun)
	if !found || err != nil && len(r.Problems) == 0 {
		r.err = errors.Join(fmt.Errorf("%s", strings.TrimSpace(stderr.String())), err)
	}
	return r
}

// parseRow reads the row and the problems that the other process printed.
func parseRow(table string, j job) (r result, found bool) {
	r.job = j
	for line := range strings.Lines(table) {
		if problem, ok := strings.CutPrefix(line, fmt.Sprintf("%s %s: ", j.id, j.database)); ok {
			r.Problems = append(r.Problems, strings.TrimSpace(problem))
			continue
		}
		rest, ok := strings.CutPrefix(line, j.id+" ")
		if i := strings.Index(rest, string(j.database)+" "); ok && i >= 0 {
			var others string
			_, err := fmt.Sscan(rest[i+len(j.database):], &r.injected, &r.Intended, &r.Accepted, &others, &r.Lost, &r.Extra, &r.bound)
			found = err == nil
		}
	}
	return r, found
}

// onTmpfs mounts the small disk and runs the job on it.
func (j job) onTmpfs(ctx context.Context, o options) result {
	dir, err := fresh(filepath.Join(o.dir, strings.ToLower(j.id)+"-disk"))
	if err != nil {
		return result{job: j, err: err}
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDisk)); err != nil {
		return result{job: j, err: fmt.Errorf("mount a small disk: %w", err)}
	}
	j.setup.DataDir = dir
	return j.in(ctx, o, "")
}

// diskFull is F26. Only the database is on the small disk.
func diskFull(ctx context.Context, w *run.World) error {
	w.Relay.Set(slowly(10 * time.Millisecond)...)
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.UntilTaken(ctx, 100); err != nil {
		return err
	}
	ballast := filepath.Join(w.DataDir, "ballast")
	if err := fill(ballast); err != nil {
		return err
	}
	w.Injected++
	if err := w.Pass(ctx, 3*time.Second); err != nil { // until what had room has been used
		return err
	}
	taken := w.Relay.Stats().Taken
	if err := w.Pass(ctx, 5*time.Second); err != nil {
		return err
	}
	if n := w.Relay.Stats().Taken - taken; n > 0 {
		w.Problem("%d mails were sent on a full disk", n)
	}
	if p.Ended() {
		w.Problem("the daemon ended with %d", p.Code())
	} else if err := fullDiskAnswers(ctx, w, p); err != nil {
		return err
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if p.Ended() {
		return finish(ctx, w)
	}
	if err := w.Until(ctx, "readiness", func() (bool, error) {
		status, err := p.Get(ctx, "/readyz")
		return status == http.StatusOK, errors.Join(err, w.Pass(ctx, 200*time.Millisecond))
	}); err != nil {
		return err
	}
	w.Relay.Set()
	return conclude(ctx, w, p)
}

// fullDiskAnswers asks the web server: reading works, writing says that it does not.
func fullDiskAnswers(ctx context.Context, w *run.World, p *run.Process) error {
	if t, err := w.Tally(ctx); err != nil || t[news.DeliveryAccepted] == w.Subscribers {
		return errors.Join(err, errors.New("everything was sent before the disk was full"))
	}
	link, err := unsubscribeLink(ctx, w, w.Subscribers-1)
	if err != nil {
		return err
	}
	for _, ask := range []struct {
		what string
		want int
		do   func() (int, error)
	}{
		{"a feed", http.StatusOK, func() (int, error) { return p.Get(ctx, "/feeds/all.rss") }},
		{"the front page", http.StatusOK, func() (int, error) { return p.Get(ctx, "/") }},
		{"readiness", http.StatusServiceUnavailable, func() (int, error) { return p.Get(ctx, "/readyz") }},
		{"an unsubscription", http.StatusServiceUnavailable, func() (int, error) { return p.OneClick(ctx, link) }},
	} {
		if status, err := ask.do(); err != nil || status != ask.want {
			w.Problem("%s was answered %d, not %d (%v)", ask.what, status, ask.want, err)
		}
	}
	return nil
}

// fill writes until the disk is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for len(block) > 0 {
		if _, err = f.Write(block); err == nil {
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return errors.Join(err, f.Close())
		}
		block = block[:len(block)/2]
	}
	return f.Close()
}
