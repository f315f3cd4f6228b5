package web

import (
	"net/http"
	"strings"
)

// kind decides the headers of a route's answers and how its errors look.
type kind int

const (
	kindPage    kind = iota // HTML for everybody
	kindToken               // HTML for the holder of a signed link, or with a form: never stored, no referrer
	kindShare               // a page with our one script
	kindView                // a mail as it was sent: inline styles, nothing else
	kindMailbox             // the captured mailbox
	kindFeed                // feeds: readable from any origin
	kindFile                // style sheet, icon, script
	kindAPI                 // JSON, bearer key
	kindPlain               // for machines: health, metrics
)

// Limits of request bodies in bytes. No GET has a use for a body; a form with
// a hundred topics takes about 12 KB.
const (
	maxNoBody = 1 << 10
	maxForm   = 64 << 10
)

// route is one line of the table of all that is answered. Its pattern is the
// ServeMux's; GET includes HEAD.
type route struct {
	pattern string
	kind    kind
	maxBody int64
	serve   handler
	// anyOrigin exempts a POST from the check of its origin: mail providers
	// press one-click (RFC 8058 §3.2), the API is called by programs with keys.
	anyOrigin bool
}

// handler answers a request or returns why it could not; see Server.fail.
type handler func(w http.ResponseWriter, r *http.Request) error

// routes is the table.
func (s *Server) routes() []route {
	return []route{
		{pattern: "GET /{$}", kind: kindPage, maxBody: maxNoBody, serve: s.front},
		{pattern: "GET /feeds", kind: kindPage, maxBody: maxNoBody, serve: s.feedIndex},
		{pattern: "GET /feeds.opml", kind: kindFeed, maxBody: maxNoBody, serve: s.opml},
		{pattern: "GET /feeds/{file}", kind: kindFeed, maxBody: maxNoBody, serve: s.feedAll},
		{pattern: "GET /feeds/category/{file}", kind: kindFeed, maxBody: maxNoBody, serve: s.feedCategory},
		{pattern: "GET /feeds/tag/{file}", kind: kindFeed, maxBody: maxNoBody, serve: s.feedTag},
		{pattern: "GET /topics/{kind}/{slug}", kind: kindPage, maxBody: maxNoBody, serve: s.term},
		{pattern: "GET /share/{id}", kind: kindShare, maxBody: maxNoBody, serve: s.share},

		{pattern: "GET /lists/{list}", kind: kindPage, maxBody: maxNoBody, serve: s.listHome},
		{pattern: "GET /lists/{list}/{$}", kind: kindPage, maxBody: maxNoBody, serve: s.archive},
		{pattern: "GET /lists/{list}/{slug}", kind: kindPage, maxBody: maxNoBody, serve: s.archiveEdition},

		{pattern: "GET /subscribe", kind: kindPage, maxBody: maxNoBody, serve: s.lists},
		{pattern: "GET /subscribe/{list}", kind: kindToken, maxBody: maxNoBody, serve: s.signUpForm},
		{pattern: "POST /subscribe/{list}", kind: kindToken, maxBody: maxForm, serve: s.signUp},
		{pattern: "GET /confirm/{token}", kind: kindToken, maxBody: maxNoBody, serve: s.confirmForm},
		{pattern: "POST /confirm/{token}", kind: kindToken, maxBody: maxForm, serve: s.confirm},
		{pattern: "GET /preferences/{token}", kind: kindToken, maxBody: maxNoBody, serve: s.preferencesForm},
		{pattern: "POST /preferences/{token}", kind: kindToken, maxBody: maxForm, serve: s.preferences},
		{pattern: "GET /unsubscribe/{token}", kind: kindToken, maxBody: maxNoBody, serve: s.unsubscribeForm},
		{pattern: "POST /unsubscribe/{token}", kind: kindToken, maxBody: maxForm, serve: s.unsubscribe, anyOrigin: true},
		{pattern: "GET /view/{token}", kind: kindView, maxBody: maxNoBody, serve: s.webView},

		{pattern: "GET /mailbox", kind: kindMailbox, maxBody: maxNoBody, serve: s.mailbox},
		{pattern: "GET /mailbox/{name}", kind: kindMailbox, maxBody: maxNoBody, serve: s.mail},
		{pattern: "GET /mailbox/{name}/html", kind: kindMailbox, maxBody: maxNoBody, serve: s.mailHTML},
		{pattern: "GET /mailbox/{name}/text", kind: kindMailbox, maxBody: maxNoBody, serve: s.mailText},
		{pattern: "GET /mailbox/{name}/raw", kind: kindMailbox, maxBody: maxNoBody, serve: s.mailRaw},

		{pattern: "GET /api/v1/openapi.json", kind: kindAPI, maxBody: maxNoBody, serve: s.openAPI},
		{pattern: "POST /api/v1/articles", kind: kindAPI, maxBody: s.o.MaxBatch, serve: s.publish, anyOrigin: true},
		{pattern: "GET /api/v1/articles/{id}", kind: kindAPI, maxBody: maxNoBody, serve: s.article},
		{pattern: "PUT /api/v1/articles/{id}", kind: kindAPI, maxBody: s.o.MaxArticle, serve: s.publishOne, anyOrigin: true},
		{pattern: "DELETE /api/v1/articles/{id}", kind: kindAPI, maxBody: maxNoBody, serve: s.withdraw, anyOrigin: true},

		{pattern: "POST /hooks/ses", kind: kindAPI, maxBody: maxHook, serve: s.hookSES(), anyOrigin: true},
		{pattern: "POST /hooks/postmark", kind: kindAPI, maxBody: maxHook, serve: s.hookPostmark(), anyOrigin: true},
		{pattern: "POST /hooks/sendgrid", kind: kindAPI, maxBody: maxHook, serve: s.hookSendGrid(), anyOrigin: true},
		{pattern: "POST /hooks/mailgun", kind: kindAPI, maxBody: maxHook, serve: s.hookMailgun(), anyOrigin: true},

		{pattern: "POST /hooks/source/{name}", kind: kindAPI, maxBody: maxSourceHook, serve: s.hookSource(s.signedHook), anyOrigin: true},
		{pattern: "GET /hooks/websub/{name}/{token}", kind: kindAPI, maxBody: maxNoBody, serve: s.hubIntent},
		{pattern: "POST /hooks/websub/{name}/{token}", kind: kindAPI, maxBody: maxSourceHook, serve: s.hubContent, anyOrigin: true},
		{pattern: "POST /hooks/source/{name}/{token}", kind: kindAPI, maxBody: maxSourceHook, serve: s.hookSource(s.tokenHook), anyOrigin: true},

		{pattern: "GET /static/{file}", kind: kindFile, maxBody: maxNoBody, serve: s.staticFile},
		{pattern: "GET /favicon.ico", kind: kindFile, maxBody: maxNoBody, serve: s.favicon},
		{pattern: "GET /robots.txt", kind: kindPlain, maxBody: maxNoBody, serve: s.robots},
		{pattern: "GET /healthz", kind: kindPlain, maxBody: maxNoBody, serve: s.healthz},
		{pattern: "GET /readyz", kind: kindPlain, maxBody: maxNoBody, serve: s.readyz},
		{pattern: "GET /metrics", kind: kindPlain, maxBody: maxNoBody, serve: s.serveMetrics},
	}
}

// class is the route's path pattern: "/unsubscribe/{token}". It names routes
// in metrics, and in the log in place of paths that hold tokens.
func (rt *route) class() string {
	_, path, _ := strings.Cut(rt.pattern, " ")
	return path
}

// mount puts the table into a mux and wraps it with what every request needs.
func (s *Server) mount(table []route) http.Handler {
	mux := http.NewServeMux()
	for i := range table {
		rt := &table[i]
		mux.Handle(rt.pattern, s.around(rt))
	}
	return s.outermost(s.prefixed(s.unrouted(mux)))
}

// prefixed removes the path of the public URL, so that it works with proxies
// that strip it and with those that do not.
func (s *Server) prefixed(next http.Handler) http.Handler {
	if s.prefix == "" {
		return next
	}
	strip := http.StripPrefix(s.prefix, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.EscapedPath(); {
		case path == s.prefix:
			http.Redirect(w, r, s.o.Links.Home(), http.StatusMovedPermanently)
		case strings.HasPrefix(path, s.prefix+"/"):
			strip.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// unrouted answers what no route matches with our page instead of the mux's
// line of text, keeping the mux's choice between 404 and 405.
func (s *Server) unrouted(mux *http.ServeMux) http.Handler {
	none := &route{pattern: "GET /…", kind: kindPage, maxBody: maxNoBody}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &headerOnly{header: http.Header{}, status: http.StatusNotFound}
		h.ServeHTTP(probe, r)
		rt := *none
		if strings.HasPrefix(r.URL.Path, "/api/") {
			rt.kind = kindAPI
		}
		rt.serve = func(w http.ResponseWriter, _ *http.Request) error {
			if allow := probe.header.Get("Allow"); allow != "" {
				w.Header().Set("Allow", allow)
			}
			return statusError(probe.status)
		}
		s.around(&rt).ServeHTTP(w, r)
	})
}

// headerOnly takes the status and header of an answer and drops its body.
type headerOnly struct {
	header http.Header
	status int
}

// Header is the collected header.
func (p *headerOnly) Header() http.Header { return p.header }

// WriteHeader keeps the status.
func (p *headerOnly) WriteHeader(status int) { p.status = status }

// Write drops b.
func (p *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
