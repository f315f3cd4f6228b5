package source

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"gazetted/internal/news"
)

// hintDelay is how long after the last event in a folder it is looked at: a
// little more than a file must rest before it is read.
const hintDelay = 1200 * time.Millisecond

// maxWatched bounds the folders watched at once; the kernel's own limit is of
// that order. What is not watched is seen by the sweep.
const maxWatched = 5000

// hints watches the folders of folder sources, all the way down, and calls
// back when something happened in one. It is never relied upon: events get
// lost, network file systems send none, and every poll sweeps anyway.
type hints struct {
	call func(ctx context.Context, id int64, name string) bool
	add  chan news.Source

	mu    sync.Mutex
	roots map[string]news.Source // cleaned location → source
}

func newHints(call func(ctx context.Context, id int64, name string) bool) *hints {
	return &hints{call: call, add: make(chan news.Source, 16), roots: make(map[string]news.Source)}
}

// watch makes sure that a source's folder is watched. It never blocks.
func (h *hints) watch(src news.Source) {
	h.mu.Lock()
	known, ok := h.roots[filepath.Clean(src.Location)]
	h.mu.Unlock()
	if ok && known.ID == src.ID {
		return
	}
	select {
	case h.add <- src:
	default: // the next look asks again
	}
}

// run serves until ctx ends. It takes a watcher of the system only once there
// is a folder to watch; where the system gives none there are no hints.
func (h *hints) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case src := <-h.add:
		h.serve(ctx, src)
	}
}

func (h *hints) serve(ctx context.Context, src news.Source) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return
	}
	defer func() { _ = w.Close() }() // nothing is written through it
	pending := make(map[string]bool) // roots with events
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	h.addRoot(w, src)
	// What changed between the sweep and the watch has sent no event.
	pending[filepath.Clean(src.Location)] = true
	timer.Reset(hintDelay)
	for {
		select {
		case <-ctx.Done():
			return
		case src := <-h.add:
			h.addRoot(w, src)
			pending[filepath.Clean(src.Location)] = true
			timer.Reset(hintDelay)
		case e, ok := <-w.Events:
			if !ok {
				return
			}
			root := h.rootOf(e.Name)
			if root == "" || !worthLooking(e) {
				continue
			}
			if e.Has(fsnotify.Create) {
				h.addTree(w, e.Name) // if it is a folder
			}
			pending[root] = true
			timer.Reset(hintDelay)
		case _, ok := <-w.Errors:
			if !ok {
				return
			}
			// Most often an overflow of the queue: something happened somewhere.
			for root := range h.snapshot() {
				pending[root] = true
			}
			timer.Reset(hintDelay)
		case <-timer.C:
			h.fire(ctx, pending)
			clear(pending)
		}
	}
}

func (h *hints) addRoot(w *fsnotify.Watcher, src news.Source) {
	root := filepath.Clean(src.Location)
	h.addTree(w, root)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.roots[root] = src
}

// worthLooking leaves out what changes no article: access bits and the scratch
// files of editors.
func worthLooking(e fsnotify.Event) bool {
	name := filepath.Base(e.Name)
	return e.Op != fsnotify.Chmod && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, "~")
}

func (h *hints) fire(ctx context.Context, pending map[string]bool) {
	for root, src := range h.snapshot() {
		if pending[root] && !h.call(ctx, src.ID, src.Name) {
			h.mu.Lock()
			delete(h.roots, root)
			h.mu.Unlock()
		}
	}
}

func (h *hints) snapshot() map[string]news.Source {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string]news.Source, len(h.roots))
	for k, v := range h.roots {
		out[k] = v
	}
	return out
}

func (h *hints) rootOf(name string) string {
	best := ""
	for root := range h.snapshot() {
		if (name == root || strings.HasPrefix(name, root+string(os.PathSeparator))) && len(root) > len(best) {
			best = root
		}
	}
	return best
}

// addTree watches dir and every folder below it that is swept.
func (h *hints) addTree(w *fsnotify.Watcher, dir string) {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // what cannot be watched is swept
		}
		if p != dir && skipDir(d.Name()) {
			return fs.SkipDir
		}
		if len(w.WatchList()) >= maxWatched || w.Add(p) != nil {
			return fs.SkipAll
		}
		return nil
	})
}
