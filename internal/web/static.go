package web

import (
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"gazetted/internal/news"
)

// staticFiles are the style sheet, icon and script, read once and served from
// memory.
type staticFiles struct {
	files map[string]*document
}

// Cache-Control of static files: a URL with the file's own version never
// changes its meaning.
const (
	staticForever = "public, max-age=31536000, immutable"
	staticShort   = "public, max-age=300"
)

// shippedStatic are the files that the pages need. They are named because a
// folder of the operator's that is laid over ours lists only its own files.
func shippedStatic() []string { return []string{"site.css", "icon.svg", "share.js"} }

func readStatic(files fs.FS) (*staticFiles, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("read static files: %w", err)
	}
	names := shippedStatic()
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(names, e.Name()) {
			names = append(names, e.Name())
		}
	}
	s := &staticFiles{files: map[string]*document{}}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read static file: %w", err)
		}
		d, err := newDocument(b, mediaType(name), staticShort, time.Time{})
		if err != nil {
			return nil, err
		}
		s.files[name] = d
	}
	return s, nil
}

// mediaType does not ask the operating system for what the shipped files are:
// machines differ in that.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// version is a part of the file's hash.
func (d *document) version() string { return strings.Trim(d.plain.etag, `"`)[:10] }

// staticURL is the path of a file with its version.
func (s *Server) staticURL(name string) string {
	link := s.local(s.o.Links.Path("static", name))
	if d, ok := s.static.files[name]; ok {
		link += "?v=" + d.version()
	}
	return link
}

func (s *Server) staticFile(w http.ResponseWriter, r *http.Request) error {
	d, ok := s.static.files[r.PathValue("file")]
	if !ok {
		return news.ErrNotFound
	}
	if r.URL.Query().Get("v") == d.version() {
		forever := *d
		forever.cacheControl = []string{staticForever}
		d = &forever
	}
	d.serve(w, r)
	return nil
}

// favicon serves browsers that ask for it unasked.
func (s *Server) favicon(w http.ResponseWriter, r *http.Request) error {
	d, ok := s.static.files["icon.svg"]
	if !ok {
		return news.ErrNotFound
	}
	d.serve(w, r)
	return nil
}

// robots keeps crawlers away from what belongs to one person. The pages say
// noindex, too: this only saves the visits.
func (s *Server) robots(w http.ResponseWriter, _ *http.Request) error {
	var b strings.Builder
	b.WriteString("User-agent: *\n")
	for _, p := range []string{"confirm", "preferences", "unsubscribe", "view", "mailbox", "share"} {
		b.WriteString("Disallow: " + s.prefix + "/" + p + "/\n")
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(b.String()))
	return nil
}
