package web

import (
	_ "embed"
	"net/http"
)

// openAPIDocument describes the publish API (OpenAPI 3.1). It is written by
// hand; tests hold it and the routes, fields and answers together.
//
//go:embed openapi.json
var openAPIDocument string

// openAPI needs no key: whoever is to write a client reads it first.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	if s.o.Push == nil {
		return statusError(http.StatusNotFound)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(openAPIDocument)) // a caller that has gone is not our fault
	return nil
}
