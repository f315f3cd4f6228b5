package templates

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxSource bounds one template file: more than this is a mistake, such as a
// picture in the wrong folder.
const maxSource = 1 << 20

// sources are the template files by name, those of the operator laid over ours.
type sources struct {
	files map[string]string
}

// names lists the files in dir (with its slash) with that ending, sorted.
func (s sources) names(dir, ending string) []string {
	var out []string
	for name := range s.files {
		if strings.HasPrefix(name, dir) && strings.HasSuffix(name, ending) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func readSources(base, override fs.FS) (sources, error) {
	src := sources{files: map[string]string{}}
	if err := src.read(base); err != nil {
		return src, fmt.Errorf("read shipped templates: %w", err)
	}
	if override == nil {
		return src, nil
	}
	ours := sources{files: src.files}
	src = sources{files: map[string]string{}}
	if err := src.read(override); err != nil {
		return src, fmt.Errorf("read templates: %w", err)
	}
	for name := range src.files {
		if err := ours.mayAdd(name); err != nil {
			return src, err
		}
	}
	for name, text := range ours.files {
		if _, replaced := src.files[name]; !replaced {
			src.files[name] = text
		}
	}
	return src, nil
}

// mayAdd refuses a file that nothing would ever use: it is a misspelt name,
// and its author would wait for an effect in vain.
func (s sources) mayAdd(name string) error {
	if _, known := s.files[name]; known {
		return nil
	}
	switch dir, base := path.Split(name); {
	case dir == "mail/" || dir == "lang/" || strings.HasPrefix(base, "_"):
		return nil
	default:
		var pages []string
		for _, n := range s.names(dir, path.Ext(name)) {
			pages = append(pages, path.Base(n))
		}
		return fmt.Errorf("%s: no template has this name; in %s there are %s", name, dir, strings.Join(pages, ", "))
	}
}

// read takes in every template of root. Hidden files and editors' copies are
// passed over; a folder that is missing holds nothing.
func (s *sources) read(root fs.FS) error {
	for dir, endings := range map[string][]string{"mail": {".html", ".txt"}, "pages": {".html"}, "lang": {".json"}} {
		entries, err := fs.ReadDir(root, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !slices.Contains(endings, path.Ext(e.Name())) {
				continue
			}
			name := dir + "/" + e.Name()
			text, err := readLimited(root, name)
			if err != nil {
				return err
			}
			s.files[name] = text
		}
	}
	return nil
}

func readLimited(root fs.FS, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // read only: closing loses nothing
	b, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > maxSource {
		return "", fmt.Errorf("%s: larger than 1 MB", name)
	}
	return string(b), nil
}

// overlay opens a file from top, or else from base. It does not list folders.
type overlay struct {
	top, base fs.FS
}

// Open fulfils fs.FS.
func (o overlay) Open(name string) (fs.File, error) {
	if o.top != nil {
		f, err := o.top.Open(name)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return o.base.Open(name)
}
