package demo

import (
	"bytes"
	"html/template"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
)

// Handler is the newsroom's own web site: what a publisher's content system
// would serve. Only published articles and their pictures can be read.
func (n *Newsroom) Handler() http.Handler {
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	page := template.Must(template.New("page").Parse(sitePage))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { n.front(w, page) })
	mux.HandleFunc("GET /{slug}/{$}", func(w http.ResponseWriter, r *http.Request) { n.page(w, r, md, page) })
	mux.HandleFunc("GET /{slug}", func(w http.ResponseWriter, r *http.Request) { n.page(w, r, md, page) })
	mux.HandleFunc("GET /images/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if !filepath.IsLocal(name) {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "max-age=3600")
		http.ServeFile(w, r, filepath.Join(n.dir, ImageDir, name))
	})
	return mux
}

// sitePageView is what the site's one template shows.
type sitePageView struct {
	Title, Author, Image, Alt string
	Body                      template.HTML // our own sample text, rendered
	Articles                  []siteLink
}

type siteLink struct{ Title, URL string }

func (n *Newsroom) front(w http.ResponseWriter, page *template.Template) {
	view := sitePageView{Title: "The Meridian Gazette"}
	for i := len(n.articles) - 1; i >= 0; i-- {
		a := n.articles[i]
		if _, err := os.Stat(filepath.Join(n.dir, ArticleDir, a.file)); err == nil {
			view.Articles = append(view.Articles, siteLink{Title: a.title, URL: "/" + strings.TrimSuffix(a.file, ".md") + "/"})
		}
	}
	show(w, page, view)
}

func (n *Newsroom) page(w http.ResponseWriter, r *http.Request, md goldmark.Markdown, page *template.Template) {
	name := r.PathValue("slug") + ".md"
	if !filepath.IsLocal(name) {
		http.NotFound(w, r)
		return
	}
	text, err := fs.ReadFile(os.DirFS(filepath.Join(n.dir, ArticleDir)), name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	front, body, err := splitFront(string(text))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	var html bytes.Buffer
	if err := md.Convert([]byte(body), &html); err != nil {
		http.Error(w, "this article cannot be shown", http.StatusInternalServerError)
		return
	}
	view := sitePageView{Body: template.HTML(html.String())} //nolint:gosec // our own sample text
	for name, to := range map[string]*string{"title": &view.Title, "author": &view.Author, "image": &view.Image, "image_alt": &view.Alt} {
		*to, _ = field(front, name) // a sample without a picture or author has none to show
	}
	show(w, page, view)
}

func show(w http.ResponseWriter, page *template.Template, view sitePageView) {
	var b bytes.Buffer
	if err := page.Execute(&b, view); err != nil {
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // the reader may be gone
}

const sitePage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; }
body { font: 1.1rem/1.6 Georgia, serif; max-width: 42rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
header a { font-weight: bold; text-decoration: none; color: inherit; }
h1 { line-height: 1.2; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; } td, th { border: 1px solid #888; padding: .2em .6em; }
</style></head><body>
<header><a href="/">The Meridian Gazette</a></header>
<main><h1>{{.Title}}</h1>
{{with .Author}}<p>By {{.}}</p>{{end}}
{{with .Image}}<img src="{{.}}" alt="{{$.Alt}}" width="1200" height="630">{{end}}
{{.Body}}
{{with .Articles}}<ul>{{range .}}<li><a href="{{.URL}}">{{.Title}}</a></li>{{end}}</ul>{{end}}
</main></body></html>
`
