package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"gazetted/internal/news"
)

// Content security policies. Pages load our own style sheet and the pictures
// of articles from wherever their publishers keep them; nothing else.
const (
	cspPage    = "default-src 'none'; img-src 'self' https: http: data:; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	cspShare   = cspPage + "; script-src 'self'"
	cspView    = "default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
	cspMailbox = cspPage + "; frame-src 'self'"
	cspMail    = "default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
	cspNothing = "default-src 'none'; frame-ancestors 'none'"
)

// setHeaders writes the headers of a route's kind. A handler may tighten them.
func setHeaders(h http.Header, k kind) {
	h.Set("X-Content-Type-Options", "nosniff")
	switch k {
	case kindPage, kindShare, kindToken, kindMailbox, kindView:
		h.Set("Content-Security-Policy", map[kind]string{
			kindPage: cspPage, kindShare: cspShare, kindToken: cspPage, kindMailbox: cspMailbox, kindView: cspView,
		}[k])
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "browsing-topics=(), camera=(), geolocation=(), microphone=()")
		h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	case kindFeed:
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "ETag, Link")
	default:
		h.Set("Content-Security-Policy", cspNothing)
	}
	switch k {
	case kindToken, kindView, kindMailbox:
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Robots-Tag", "noindex")
	case kindAPI, kindPlain:
		h.Set("Cache-Control", "no-store")
	}
}

// writePatience is how long a visitor waits for the database to be free before
// they are told to come back.
const writePatience = 2 * time.Second

// storeTimeout is how long a request may wait for the database; then it is
// answered 503. The reader's own patience is the measure.
const storeTimeout = 30 * time.Second

// around gives a route its limits, headers, check of origin and error page.
func (s *Server) around(rt *route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t := tracked(w); t != nil {
			t.route = rt
		}
		ctx, cancel := context.WithTimeout(news.WithPatience(r.Context(), writePatience), storeTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, rt.maxBody)
		setHeaders(w.Header(), rt.kind)
		if err := s.checked(rt, w, r); err != nil {
			s.fail(w, rt, err)
		}
	})
}

func (s *Server) checked(rt *route, w http.ResponseWriter, r *http.Request) error {
	if !rt.anyOrigin {
		if err := s.csrf.Check(r); err != nil {
			return statusError(http.StatusForbidden)
		}
	}
	return rt.serve(w, r)
}

// statusError is an answer that needs no more than its status.
type statusError int

// Error names the status.
func (e statusError) Error() string { return http.StatusText(int(e)) }

// statusOf chooses the status for an error of a handler.
func statusOf(err error) int {
	var status statusError
	var tooLarge *http.MaxBytesError
	var field *news.FieldError
	var m *moved
	switch {
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &m):
		return http.StatusMovedPermanently
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, news.ErrNotFound), errors.Is(err, news.ErrToken):
		return http.StatusNotFound
	case errors.As(err, &field):
		return http.StatusUnprocessableEntity
	case errors.Is(err, news.ErrStale), errors.Is(err, news.ErrExists):
		return http.StatusConflict
	case errors.Is(err, news.ErrPaused), errors.Is(err, news.ErrUnavailable), errors.Is(err, news.ErrFault), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// fail answers with the page, or the JSON, for an error. What a visitor could
// not have caused is logged; its text is never shown.
func (s *Server) fail(w http.ResponseWriter, rt *route, err error) {
	status := statusOf(err)
	if status >= http.StatusInternalServerError {
		if errors.Is(err, context.Canceled) {
			return // the visitor has left
		}
		s.log.Error("request failed", "path", rt.pattern, "err", err)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "60")
	}
	if rt.kind == kindAPI {
		s.failJSON(w, status, err)
		return
	}
	if rt.kind == kindFeed || rt.kind == kindFile || rt.kind == kindPlain {
		setHeaders(h, kindPage)
	}
	title, text := sayStatus(status, err)
	view := s.notice(title, text, s.link("Latest articles", s.local(s.o.Links.Home())))
	if err := s.page(w, status, "notice", view); err != nil {
		s.log.Error("error page failed", "err", err)
		http.Error(w, title, status)
	}
}

// sayStatus words an error for a reader.
func sayStatus(status int, err error) (title, text string) {
	var field *news.FieldError
	switch {
	case errors.Is(err, news.ErrToken):
		return "This link is not valid", "It may be incomplete, or too old. Please open it again from the mail, or ask for a new one by signing up."
	case status == http.StatusNotFound:
		return "Not found", "There is nothing at this address, or it is no longer published."
	case status == http.StatusGone:
		return "No longer published", "What was here has been withdrawn by its publisher."
	case status == http.StatusMethodNotAllowed:
		return "Not possible here", "This page cannot be used in that way."
	case status == http.StatusForbidden:
		return "Not allowed", "This request came from another site, or this page is not for you. Please open the page itself and try again."
	case status == http.StatusRequestEntityTooLarge:
		return "Too large", "What was sent is larger than this page takes."
	case status == http.StatusTooManyRequests:
		return "Too many requests", "Please wait some minutes and try again."
	case errors.As(err, &field):
		return "Please look at this again", field.Error()
	case status == http.StatusConflict:
		return "Changed in the meantime", "Something else changed this while you looked at it. Please open the page again."
	case status == http.StatusBadRequest:
		return "Not understood", "The request could not be read."
	case errors.Is(err, news.ErrUnavailable), errors.Is(err, news.ErrFault):
		return "Not possible right now", "Nothing can be stored at the moment, so nothing was changed. Please try again in some minutes."
	case errors.Is(err, context.DeadlineExceeded):
		return "Too slow right now", "The database has not answered in time. Please try again in some minutes: to do the same thing twice does no harm."
	case status == http.StatusServiceUnavailable:
		return "Paused", "This is switched off for a moment. Please try again later."
	default:
		return "Something went wrong", "The fault is on our side and has been noted. Please try again in a moment."
	}
}

// tracker watches an answer for the log and the metrics.
type tracker struct {
	http.ResponseWriter
	route  *route
	status int
}

// WriteHeader notes the status.
func (t *tracker) WriteHeader(status int) {
	if t.status == 0 {
		t.status = status
	}
	t.ResponseWriter.WriteHeader(status)
}

// Write notes the status that a first write implies.
func (t *tracker) Write(b []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	return t.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// tracked finds the tracker below other writers.
func tracked(w http.ResponseWriter) *tracker {
	for {
		if t, ok := w.(*tracker); ok {
			return t
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
}

// outermost recovers from panics, counts and logs.
func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.now()
		t := &tracker{ResponseWriter: w}
		path := r.URL.EscapedPath()
		defer func() {
			if v := recover(); v != nil {
				s.recovered(t, v)
			}
			s.logged(r.Context(), t, r.Method, path, s.now().Sub(began))
		}()
		next.ServeHTTP(t, r)
	})
}

// recovered turns a panic into a 500 page, or, where a part of the answer has
// left already, cuts the connection so that nobody takes it for whole.
func (s *Server) recovered(t *tracker, v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	rt := t.route
	if rt == nil {
		rt = &route{pattern: "GET /…", kind: kindPage}
	}
	err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	if t.status != 0 {
		s.log.Error("request failed", "path", rt.pattern, "err", err)
		panic(http.ErrAbortHandler)
	}
	s.fail(t, rt, err)
}

// logged writes the one line of a request. Answers that are asked for all day
// (feeds, files, health) are worth a line only while debugging.
func (s *Server) logged(ctx context.Context, t *tracker, method, path string, took time.Duration) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	s.metrics.request(t)
	level := slog.LevelInfo
	if t.route == nil || t.route.kind == kindFeed || t.route.kind == kindFile || t.route.kind == kindPlain {
		level = slog.LevelDebug
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	s.log.Log(ctx, level, "request", "path", method+" "+safePath(t.route, path), "status", t.status, "took", took)
}

// maxUnknown is what is logged of a path that no route matches: less than
// half of the shortest token.
const maxUnknown = 12

// safePath is the path as it may be logged: the pattern where the path holds a
// token, only its first segment where no route matched (a mistyped link holds
// a token, too), and never more than 200 bytes. It is in its escaped form, so
// that it cannot break a line.
func safePath(rt *route, path string) string {
	if rt == nil || rt.pattern == "GET /…" {
		first, _, more := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if len(first) > maxUnknown {
			first, more = strings.ToValidUTF8(first[:maxUnknown], ""), true
		}
		if more {
			first += "/…"
		}
		return (&url.URL{Path: "/" + first}).EscapedPath()
	}
	if rt.kind == kindToken || rt.kind == kindView || strings.Contains(rt.pattern, "{token}") {
		return rt.class()
	}
	if len(path) > 200 {
		path = path[:200] + "…"
	}
	return path
}
