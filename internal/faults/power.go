package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/faults/run"
)

// traced runs a job whose daemons are traced: strace can let a system call fail, and it
// tells which writes had been synced when a process ended.
func traced(ctx context.Context, o options, j job) result {
	if err := exec.CommandContext(ctx, "strace", "-f", "--seccomp-bpf", "-o", os.DevNull, "true").Run(); err != nil {
		return result{job: j, leftOut: fmt.Sprintf("strace cannot be used here: %v", err)}
	}
	return j.in(ctx, o, o.postgres)
}

// strace is its command line; the tracer is the grandchild, so that signals reach the daemon.
func strace(log string, more ...string) []string {
	return append([]string{"strace", "-D", "-f", "--seccomp-bpf", "-o", log}, more...)
}

// failedSync is F27: the disk fails to sync once. The daemon must not carry on with what
// it has in memory; the next one reads everything anew.
func failedSync(times int) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(slowly(5 * time.Millisecond)...)
		for round := range times {
			// strace counts the calls of each thread. The first ones are of the start.
			w.Under = strace(os.DevNull, "-e", "trace=fsync,fdatasync", "-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", 8+6*round))
			p, err := w.Start(ctx)
			if err != nil {
				return err
			}
			code, err := p.Wait(ctx)
			if err != nil {
				return err
			}
			w.Injected++
			w.Bound += w.Connections // mails between dot and reply cannot be recorded
			if said := p.LastWords(); code != 1 || !strings.Contains(said, "cannot be relied upon") {
				w.Problem("after a failed fsync it ended with %d: %s", code, said)
			}
			if err := w.AgeLeases(ctx); err != nil {
				return err
			}
		}
		w.Under = nil
		return finish(ctx, w)
	}
}

// powerCut is F28: the daemon is killed, and of what it had written, only what was synced
// stays for certain; of the rest each sector is there or not.
func powerCut(times int) injection {
	return func(ctx context.Context, w *run.World) error {
		random := rand.New(rand.NewPCG(5, 6))
		for round := range times {
			if err := cutOnce(ctx, w, round, random); err != nil {
				return err
			}
		}
		w.Under = nil
		return finish(ctx, w)
	}
}

func cutOnce(ctx context.Context, w *run.World, round int, random *rand.Rand) error {
	before, err := readFiles(w)
	if err != nil {
		return err
	}
	w.Relay.Set(slowly(5 * time.Millisecond)...)
	log := filepath.Join(w.Dir, fmt.Sprintf("strace-%d.log", round))
	w.Under = strace(log, "-y", "-xx", "-s", "1048576", "-e", "trace=pwrite64,write,ftruncate,fsync,fdatasync", "-P", w.Path(), "-P", w.Path()+"-wal")
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.UntilTaken(ctx, w.Relay.Stats().Taken+60+random.IntN(60)); err != nil {
		return err
	}
	p.Kill()
	disk := newDisk(before, random)
	if err := w.Until(ctx, "the end of the trace", func() (bool, error) { return traceEnded(log, p.Pid()), nil }); err != nil {
		return err
	}
	if err := disk.replay(log); err != nil {
		return err
	}
	if disk.syncs == 0 {
		w.Problem("nothing was synced: the trace misses something")
	}
	if err := w.Store.Close(); err != nil {
		return err
	}
	after := disk.cut()
	after[w.Path()+"-shm"] = nil // it is memory
	return errors.Join(after.write(), w.Reopen(ctx), w.AgeLeases(ctx))
}

// traceEnded tells whether strace has written the end of the process.
func traceEnded(log string, pid int) bool {
	f, err := os.Open(log)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	tail := make([]byte, min(info.Size(), 64<<10))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return false
	}
	return regexp.MustCompile(fmt.Sprintf(`(?m)^%d +\+\+\+ killed by SIGKILL`, pid)).Match(tail)
}

// disk replays writes and syncs.
type disk struct {
	files  map[string]*cached
	open   map[string]call // by thread: entered and not returned
	random *rand.Rand
	syncs  int
}

// cached is a file of which the newest writes are only in memory.
type cached struct {
	synced []byte
	newer  []write
}

// write is one system call that changes a file; data is nil for a truncation to off.
type write struct {
	data []byte
	off  int64
}

// call is a system call of a traced thread.
type call struct {
	name, path string
	write      write
	newer      int // writes that a sync has to bring to the disk
}

func newDisk(before files, random *rand.Rand) *disk {
	d := &disk{files: map[string]*cached{}, open: map[string]call{}, random: random}
	for path, b := range before {
		d.files[path] = &cached{synced: b}
	}
	return d
}

// What strace writes: `PID call(FD<path>, args) = result`, in two lines if another thread
// came between.
var (
	straceCall   = regexp.MustCompile(`^(\d+) +(\w+)\(\d+<([^>]*)>(?:, (.*?))?(\)? += (-?\d+).*| <unfinished \.\.\.>)$`)
	straceResult = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>.*\) += (-?\d+)`)
)

func (d *disk) replay(log string) error {
	f, err := os.Open(log)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if m := straceResult.FindStringSubmatch(lines.Text()); m != nil {
			if c, ok := d.open[m[1]]; ok {
				delete(d.open, m[1])
				d.returned(c, m[2])
			}
			continue
		}
		m := straceCall.FindStringSubmatch(lines.Text())
		if m == nil {
			continue // signals, ends of threads
		}
		c, err := d.entered(m[2], m[3], m[4])
		if err != nil {
			return fmt.Errorf("read the trace: %w", err)
		}
		if m[6] == "" {
			d.open[m[1]] = c
		} else {
			d.returned(c, m[6])
		}
	}
	// What was under way at the end may have happened.
	for _, c := range d.open {
		if !strings.Contains(c.name, "sync") {
			d.returned(c, "0")
		}
	}
	return lines.Err()
}

// entered reads a call and its arguments.
func (d *disk) entered(name, path, args string) (call, error) {
	path, err := unhex(path)
	if err != nil {
		return call{}, err
	}
	c := call{name: name, path: path}
	if d.files[path] == nil {
		d.files[path] = &cached{}
	}
	c.newer = len(d.files[path].newer)
	switch name {
	case "pwrite64":
		text, rest, ok := strings.Cut(strings.TrimPrefix(args, `"`), `", `)
		_, off, ok2 := strings.Cut(rest, ", ")
		if !ok || !ok2 {
			return c, fmt.Errorf("a write without its bytes: %.80s", args)
		}
		data, err := unhex(text)
		if err != nil {
			return c, err
		}
		c.write.data = []byte(data)
		c.write.off, err = strconv.ParseInt(off, 10, 64)
		return c, err
	case "ftruncate":
		c.write.off, err = strconv.ParseInt(args, 10, 64)
		return c, err
	case "write":
		return c, fmt.Errorf("a write at an unknown place of %s", path)
	default:
		return c, nil
	}
}

// unhex reads strace's -xx.
func unhex(s string) (string, error) {
	if !strings.HasPrefix(s, `\x`) {
		return s, nil
	}
	out := make([]byte, 0, len(s)/4)
	for len(s) > 0 {
		if len(s) < 4 || s[:2] != `\x` {
			return "", fmt.Errorf("no bytes in hex: %.20s", s)
		}
		b, err := strconv.ParseUint(s[2:4], 16, 8)
		if err != nil {
			return "", err
		}
		out = append(out, byte(b))
		s = s[4:]
	}
	return string(out), nil
}

// returned lets a call have its effect.
func (d *disk) returned(c call, result string) {
	f := d.files[c.path]
	if strings.HasPrefix(result, "-") {
		return
	}
	if !strings.Contains(c.name, "sync") {
		f.newer = append(f.newer, c.write)
		return
	}
	d.syncs++
	n := min(c.newer, len(f.newer))
	for _, w := range f.newer[:n] {
		f.synced = w.onto(f.synced)
	}
	f.newer = f.newer[n:]
}

// onto makes the write.
func (w write) onto(b []byte) []byte {
	end := w.off + int64(len(w.data))
	if grown := end - int64(len(b)); grown > 0 {
		b = append(b, make([]byte, grown)...)
	}
	if w.data == nil {
		return b[:w.off]
	}
	copy(b[w.off:], w.data)
	return b
}

// sector is what a disk writes whole.
const sector = 512

// cut takes the power away: of what was not synced each sector is there or is not, and so
// is each truncation.
func (d *disk) cut() files {
	out := files{}
	for path, f := range d.files {
		b := f.synced
		for _, w := range f.newer {
			if w.data == nil {
				if d.random.IntN(2) == 0 {
					b = w.onto(b)
				}
				continue
			}
			for from := 0; from < len(w.data); from += sector {
				if d.random.IntN(2) == 0 {
					b = write{w.data[from:min(from+sector, len(w.data))], w.off + int64(from)}.onto(b)
				}
			}
		}
		out[path] = b
	}
	return out
}
