package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"gazetted/internal/news"
)

// problem is the body of every error of the API (RFC 9457). The type is always
// about:blank: the status says what kind of problem it is, errors where.
type problem struct {
	Type   string            `json:"type"`
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Detail string            `json:"detail,omitempty"`
	Errors []news.FieldFault `json:"errors,omitempty"`
}

func answerProblem(w http.ResponseWriter, p problem) error {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	return answerAs(w, "application/problem+json", p.Status, p)
}

func answerJSON(w http.ResponseWriter, status int, v any) error {
	return answerAs(w, "application/json", status, v)
}

func answerAs(w http.ResponseWriter, media string, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a caller that has gone is not our fault
	return nil
}

// apiProblem words err for whoever wrote the calling program.
func apiProblem(status int, err error) problem {
	p := problem{Status: status}
	var tooLarge *http.MaxBytesError
	var scope *scopeError
	switch status {
	case http.StatusUnauthorized:
		p.Detail = "send a key with: Authorization: Bearer KEY"
	case http.StatusForbidden:
		if errors.As(err, &scope) {
			p.Detail = scope.Error()
		}
	case http.StatusUnsupportedMediaType:
		p.Detail = "send Content-Type: application/json, or " + ndjson
	case http.StatusRequestEntityTooLarge:
		if errors.As(err, &tooLarge) {
			p.Detail = fmt.Sprintf("the body is larger than %d bytes; what came before that may have been stored", tooLarge.Limit)
		}
	case http.StatusTooManyRequests:
		p.Detail = "wait for as long as Retry-After says"
	case http.StatusUnprocessableEntity:
		p.Errors = news.Faults(err, 0)
		if len(p.Errors) > 0 {
			p.Detail = p.Errors[0].Detail
		}
	}
	return p
}

func (s *Server) failJSON(w http.ResponseWriter, status int, err error) {
	_ = answerProblem(w, apiProblem(status, err)) // text and a status cannot go wrong in a new way
}
