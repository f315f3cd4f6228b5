package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gazetted/internal/news"
)

// Limits of a folder.
const (
	maxFile  = maxContent // bytes; longer files are reported and left out
	maxFiles = 500_000
	// settleFile is how long a file must have rested before it is read.
	settleFile = time.Second
	// folderVersion is part of every fingerprint: raise it when files are to be
	// read anew after a change of how they are read.
	folderVersion = 1
	// folderDrop is the part of the articles, in percent, whose sudden loss is
	// not believed.
	folderDrop = 50
)

// folder looks at a tree of Markdown and HTML files.
//
// A look sweeps the whole tree by name, size and time of change, and reads
// only the files for which these differ from the fingerprint that the store
// keeps. What it has read but not stored (drafts, data files, faults) it
// remembers in memory for as long as the process lives.
type folder struct {
	cleaner *Cleaner
	md      *markdown

	mu   sync.Mutex
	seen map[int64]map[string]seenFile // source id → path →
}

type seenFile struct {
	stamp  fileStamp
	kind   verdict
	native string // of an article
	fault  bool
	notes  []string
}

// fileStamp is what the file system says of a file, and how we would read it.
type fileStamp struct {
	reading string // hash of the settings that change what a file means
	size    int64
	mtime   int64 // milliseconds
}

func newFolder(c *Cleaner) *folder {
	return &folder{cleaner: c, md: newMarkdown(), seen: make(map[int64]map[string]seenFile)}
}

// sweep is one look at one folder.
type sweep struct {
	*job
	reader  *fileReader
	root    *os.Root
	reading string

	files   map[string]fileStamp // all candidates, by path
	order   []string
	sealed  []string // folders that could not be read: what was below stays
	byPath  map[string]knownFile
	bySum   map[string]knownFile // of articles whose file has gone
	owner   map[string]string    // native id → path that the store knows it by
	taken   map[string]string    // native id → path, of this look
	kept    map[string]bool      // native ids that must not be withdrawn
	fresh   map[string]seenFile
	pending bool
}

type knownFile struct {
	news.Known
	path  string
	stamp fileStamp
	sum   string
}

func (f *folder) look(ctx context.Context, j *job) (outcome, error) {
	root, err := os.OpenRoot(j.src.Location)
	if err != nil {
		return outcome{}, fmt.Errorf("open folder: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	zone := time.UTC
	if j.src.Settings.Zone != "" {
		if zone, err = news.LoadZone("zone", j.src.Settings.Zone); err != nil {
			return outcome{}, err // a FieldError speaks for itself
		}
	}
	s := &sweep{
		job: j, root: root, reader: newFileReader(f.cleaner, f.md, zone, root, j.src.Settings.BaseURL, j.started),
		reading: readingOf(j.src.Settings), files: make(map[string]fileStamp), taken: make(map[string]string), kept: make(map[string]bool),
		fresh: make(map[string]seenFile), byPath: make(map[string]knownFile), bySum: make(map[string]knownFile), owner: make(map[string]string),
	}
	if err := s.walk(ctx); err != nil {
		return outcome{}, err
	}
	live, err := s.recall(ctx)
	if err != nil {
		return outcome{}, err
	}
	if len(s.files) == 0 && live > 0 && !j.accept {
		return outcome{}, errors.New("the folder holds no articles any more: is it mounted?")
	}
	before := f.remembered(j.src.ID)
	for _, p := range s.order {
		if err := ctx.Err(); err != nil {
			return outcome{}, err // nobody reads it
		}
		if err := s.file(ctx, p, before[p]); err != nil {
			return outcome{}, err
		}
	}
	if err := s.flush(ctx); err != nil {
		return outcome{}, err
	}
	f.remember(j.src.ID, s.fresh)
	if err := s.removeGone(ctx, live); err != nil {
		return outcome{}, err
	}
	out := outcome{complete: !s.pending}
	if s.pending {
		out.again = settleFile + settleFile/10
	}
	return out, nil
}

func (f *folder) remembered(id int64) map[string]seenFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[id]
}

func (f *folder) remember(id int64, files map[string]seenFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[id] = files
}

func readingOf(s news.SourceSettings) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(folderVersion) + "\n" + s.BaseURL + "\n" + s.Zone))
	return hexOf(sum[:], 4)
}

// walk lists the files that may be articles.
func (s *sweep) walk(ctx context.Context) error {
	err := fs.WalkDir(s.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err() // nobody reads it
		}
		switch {
		case err != nil && p == ".":
			return err
		case err != nil:
			s.notes.add(p + ": " + plainPathError(err))
			s.sealed = append(s.sealed, p+"/")
			return fs.SkipDir
		case d.IsDir():
			if p != "." && skipDir(d.Name()) {
				return fs.SkipDir
			}
			return nil
		case !articleName(d.Name()):
			return nil
		}
		return s.list(p)
	})
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	return nil
}

func (s *sweep) list(p string) error {
	if !utf8.ValidString(p) || len(p) > 1000 {
		s.notes.add(fmt.Sprintf("%q: the name is not valid UTF-8 or too long", p))
		return nil
	}
	info, err := s.root.Stat(p) // follows a link, but not out of the root
	if err != nil {
		s.notes.add(p + ": " + plainPathError(err))
		s.sealed = append(s.sealed, p)
		return nil
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	if len(s.files) >= maxFiles {
		return fmt.Errorf("more than %d files", maxFiles)
	}
	s.files[p] = fileStamp{reading: s.reading, size: info.Size(), mtime: info.ModTime().UnixMilli()}
	s.order = append(s.order, p)
	return nil
}

// plainPathError is the reason without the path, which the note gives already.
func plainPathError(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// recall reads what the store knows; live is how many articles are not withdrawn.
func (s *sweep) recall(ctx context.Context) (live int, err error) {
	all, err := s.known(ctx)
	if err != nil {
		return 0, err
	}
	for _, k := range all {
		kf, ok := parseFingerprint(k)
		if !ok {
			kf = knownFile{Known: k, path: k.NativeID}
		}
		if k.State != news.ArticleWithdrawn {
			live++
		}
		s.owner[k.NativeID] = kf.path
		if old, dup := s.byPath[kf.path]; !dup || old.State == news.ArticleWithdrawn {
			s.byPath[kf.path] = kf
		}
		if _, there := s.files[kf.path]; !there && kf.sum != "" {
			s.bySum[kf.sum] = kf
		}
	}
	return live, nil
}

// file looks at one file; an error ends the look.
func (s *sweep) file(ctx context.Context, p string, before seenFile) error {
	stamp := s.files[p]
	known, isKnown := s.byPath[p]
	switch {
	case before.stamp == stamp && (before.kind != isArticle || before.fault || isKnown):
		s.replay(p, before)
		return nil
	case isKnown && known.State != news.ArticleWithdrawn && known.stamp == stamp:
		s.keep(known.NativeID, p)
		s.fresh[p] = seenFile{stamp: stamp, native: known.NativeID}
		return nil
	}
	age := s.started.Sub(time.UnixMilli(stamp.mtime))
	if age < settleFile && age > -settleFile {
		s.wait(p)
		return nil
	}
	if stamp.size > maxFile {
		s.fault(p, fmt.Sprintf("%s: longer than %d MB", p, maxFile>>20), nil)
		return nil
	}
	data, ok, err := s.read(p, stamp)
	if err != nil {
		s.fault(p, p+": "+plainPathError(err), nil)
		return nil
	}
	if !ok {
		s.wait(p)
		return nil
	}
	return s.take(ctx, p, data)
}

// wait leaves a file for the next look; what is known of it stays.
func (s *sweep) wait(p string) {
	s.pending = true
	if known, ok := s.byPath[p]; ok {
		s.keep(known.NativeID, p)
	}
}

// fault reports a file that cannot be used; what is known of it stays.
func (s *sweep) fault(p, text string, others []string) {
	list := append(others[:len(others):len(others)], text)
	f := seenFile{stamp: s.files[p], kind: isOther, fault: true, notes: list}
	s.fresh[p] = f
	s.replay(p, f)
}

// replay does again what was found about an unchanged file.
func (s *sweep) replay(p string, f seenFile) {
	for _, n := range f.notes {
		s.notes.add(n)
	}
	if f.native != "" {
		s.keep(f.native, p)
	}
	if known, ok := s.byPath[p]; ok && f.fault {
		s.keep(known.NativeID, p)
	}
	s.fresh[p] = f
}

func (s *sweep) keep(native, p string) {
	s.kept[native] = true
	if _, ok := s.taken[native]; !ok {
		s.taken[native] = p
	}
}

// read reads a file whole; ok is false if it changed meanwhile.
func (s *sweep) read(p string, stamp fileStamp) (data []byte, ok bool, err error) {
	file, err := s.root.Open(p)
	if err != nil {
		return nil, false, err // shown without its path
	}
	defer func() { _ = file.Close() }() // only read from
	data, err = io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, false, err // shown without its path
	}
	info, err := file.Stat()
	if err != nil {
		return nil, false, err // shown without its path
	}
	same := info.Size() == stamp.size && info.ModTime().UnixMilli() == stamp.mtime && int64(len(data)) == stamp.size
	return data, same, nil
}

// take makes an article of a file's content and stores it.
func (s *sweep) take(ctx context.Context, p string, data []byte) error {
	found, kind, remarks, err := s.reader.read(folderFile{Path: p, Data: data})
	if err != nil {
		line := &lineError{Line: 1, Text: err.Error()}
		errors.As(err, &line)
		s.fault(p, fmt.Sprintf("%s:%d: %s", p, line.Line, line.Text), remarks)
		return nil
	}
	stamp := s.files[p]
	if kind != isArticle {
		s.fresh[p] = seenFile{stamp: stamp, kind: kind, notes: remarks}
		return nil
	}
	sum := sha256.Sum256(data)
	hash := hexOf(sum[:], 16)
	if found.NativeID == p {
		found.NativeID = s.identify(p, hash)
	}
	if other, dup := s.taken[found.NativeID]; dup && other != p {
		s.fault(p, fmt.Sprintf("%s:1: has the id of %s", p, other), remarks)
		return nil
	}
	s.keep(found.NativeID, p)
	s.fresh[p] = seenFile{stamp: stamp, kind: isArticle, native: found.NativeID, notes: remarks}
	for _, n := range remarks {
		s.notes.add(n)
	}
	found.Fingerprint = fingerprint(stamp, hash, p)
	return s.put(ctx, found)
}

// identify gives a file without an id of its own its identity: its path, as a
// rule. A file that was moved brings its identity along.
func (s *sweep) identify(p, hash string) string {
	if known, ok := s.byPath[p]; ok && !strings.HasPrefix(known.NativeID, "id:") {
		return known.NativeID
	}
	if moved, ok := s.bySum[hash]; ok {
		delete(s.bySum, hash) // a second copy is another article
		return moved.NativeID
	}
	if owner, ok := s.owner[p]; ok && owner != p {
		if _, there := s.files[owner]; there {
			return p + "#" + hash[:8] // a new file in the place of one that was moved
		}
	}
	return p
}

// removeGone withdraws the articles whose files have gone, or say that they
// are drafts.
func (s *sweep) removeGone(ctx context.Context, live int) error {
	var unpublished, gone []string
	for p, k := range s.byPath {
		if k.State == news.ArticleWithdrawn || s.kept[k.NativeID] || s.isSealed(p) {
			continue
		}
		if _, there := s.files[p]; there {
			unpublished = append(unpublished, k.NativeID)
		} else {
			gone = append(gone, k.NativeID)
		}
	}
	if err := s.withdraw(ctx, unpublished); err != nil {
		return err
	}
	if err := s.guardDrop(len(gone), live, folderDrop); err != nil {
		return err
	}
	return s.withdraw(ctx, gone)
}

func (s *sweep) isSealed(p string) bool {
	for _, prefix := range s.sealed {
		if p == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(p, prefix) {
			return true
		}
	}
	return false
}
