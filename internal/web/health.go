package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"gazetted/internal/news"
)

// healthStore is what health checks and metrics read.
type healthStore interface {
	Status(ctx context.Context) (news.Status, error)
}

const readyTimeout = 2 * time.Second

// healthz tells that the process answers.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return say(w, http.StatusOK, "ok\n")
}

// readyz tells whether the daemon can do its work: the database answers and
// the daemon reports nothing else. The world is told the kind of reason; the rest
// goes to the log.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	st, err := s.o.Store.Status(ctx)
	if err == nil && s.o.Ready != nil {
		err = s.o.Ready(ctx)
	}
	if err != nil {
		if !errors.Is(r.Context().Err(), context.Canceled) {
			s.log.Warn("not ready", "err", err)
		}
		w.Header().Set("Retry-After", "5")
		for _, kind := range []error{news.ErrUnavailable, news.ErrFault} {
			if errors.Is(err, kind) {
				return say(w, http.StatusServiceUnavailable, "not ready: "+kind.Error()+"\n")
			}
		}
		return say(w, http.StatusServiceUnavailable, "not ready\n")
	}
	if st.Halt != "" { // readers are served all the same
		return say(w, http.StatusOK, "ready; sending is paused ("+string(st.Halt)+")\n")
	}
	return say(w, http.StatusOK, "ready\n")
}

func say(w http.ResponseWriter, status int, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // whoever asked may have gone
	return nil
}
