package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"gazetted/internal/news"
)

// Push takes articles for a source of kind push.
type Push interface {
	// Put stores the article or articles of body: a JSON object, an array, or
	// one object per line. A mistake in it is a *news.FieldError; an unknown
	// source is news.ErrNotFound.
	Put(ctx context.Context, source string, body io.Reader) (news.StoreCounts, error)
	// Delete withdraws an article; news.ErrNotFound if there is none.
	Delete(ctx context.Context, source, id string) error
}

// keyStore is what the publish API needs of the store.
type keyStore interface {
	KeyByHash(ctx context.Context, hash string) (news.APIKey, error)
	Sources(ctx context.Context) ([]news.Source, error)
}

// authorised checks the bearer key (RFC 6750). Only its hash is looked up, and
// the hash found is compared in constant time.
func (s *Server) authorised(w http.ResponseWriter, r *http.Request) error {
	if s.o.Push == nil {
		return news.ErrNotFound
	}
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	key = strings.TrimSpace(key)
	if !ok || !strings.EqualFold(scheme, "Bearer") || key == "" || len(key) > 512 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="gazetted"`)
		return statusError(http.StatusUnauthorized)
	}
	sum := sha256.Sum256([]byte(key))
	hash := hex.EncodeToString(sum[:])
	k, err := s.o.Store.KeyByHash(r.Context(), hash)
	if err != nil && !errors.Is(err, news.ErrNotFound) {
		return fmt.Errorf("look up key: %w", err)
	}
	if err != nil || subtle.ConstantTimeCompare([]byte(k.Hash), []byte(hash)) != 1 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="gazetted", error="invalid_token"`)
		return statusError(http.StatusUnauthorized)
	}
	if k.Scope != news.ScopePublish {
		w.Header().Set("WWW-Authenticate", `Bearer realm="gazetted", error="insufficient_scope", scope="publish"`)
		return statusError(http.StatusForbidden)
	}
	return nil
}

// pushSource is the source that a request is for: ?source=NAME, or the only
// one of kind push.
func (s *Server) pushSource(r *http.Request) (string, error) {
	name := r.URL.Query().Get("source")
	all, err := s.o.Store.Sources(r.Context())
	if err != nil {
		return "", fmt.Errorf("read sources: %w", err)
	}
	var names []string
	for _, src := range all {
		if src.Kind != news.SourcePush {
			continue
		}
		if src.Name == name {
			return name, nil
		}
		names = append(names, src.Name)
	}
	if name == "" && len(names) == 1 {
		return names[0], nil
	}
	want := "the name of a push source; there are " + strings.Join(names, ", ")
	if len(names) == 0 {
		want = "a push source; add one with: gazetted source add push NAME"
	}
	return "", &news.FieldError{Field: "source", Value: name, Want: want}
}

// ndjson is the media type of one JSON value per line.
const ndjson = "application/x-ndjson"

// bodyType refuses what is not JSON, so that a form on some page cannot pose
// as the API.
func bodyType(r *http.Request) (string, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" && media != ndjson {
		return "", statusError(http.StatusUnsupportedMediaType)
	}
	return media, nil
}

func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	source, body, err := s.published(w, r)
	if err != nil {
		return err
	}
	return s.put(w, r, source, body)
}

// published checks a request and reads its body whole, so that one that is
// too large or no JSON is told from one that holds a mistake.
func (s *Server) published(w http.ResponseWriter, r *http.Request) (source string, body []byte, err error) {
	if err := s.authorised(w, r); err != nil {
		return "", nil, err
	}
	media, err := bodyType(r)
	if err != nil {
		return "", nil, err
	}
	if source, err = s.pushSource(r); err != nil {
		return "", nil, err
	}
	if body, err = io.ReadAll(r.Body); err != nil {
		return "", nil, err
	}
	if media != ndjson && !json.Valid(body) {
		return "", nil, statusError(http.StatusBadRequest)
	}
	return source, body, nil
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, source string, body []byte) error {
	counts, err := s.o.Push.Put(r.Context(), source, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("take article: %w", err)
	}
	status := http.StatusOK
	if counts.New > 0 {
		status = http.StatusCreated
	}
	return answerJSON(w, status, counts)
}

// publishOne is put with the article's id in the path: it goes into the body,
// where it must not say anything else.
func (s *Server) publishOne(w http.ResponseWriter, r *http.Request) error {
	source, body, err := s.published(w, r)
	if err != nil {
		return err
	}
	var article map[string]json.RawMessage
	if err := json.Unmarshal(body, &article); err != nil || article == nil {
		return &news.FieldError{Field: "body", Value: string(body), Want: "one article as a JSON object"}
	}
	id := r.PathValue("id")
	if given, ok := article["id"]; ok {
		var text string
		if json.Unmarshal(given, &text) != nil || text != id {
			return &news.FieldError{Field: "id", Value: string(given), Want: "the id of the path, or none"}
		}
	}
	quoted, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("write article id: %w", err)
	}
	article["id"] = quoted
	if body, err = json.Marshal(article); err != nil {
		return fmt.Errorf("write article: %w", err)
	}
	return s.put(w, r, source, body)
}

func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) error {
	if err := s.authorised(w, r); err != nil {
		return err
	}
	source, err := s.pushSource(r)
	if err != nil {
		return err
	}
	if err := s.o.Push.Delete(r.Context(), source, r.PathValue("id")); err != nil {
		return fmt.Errorf("withdraw article: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func answerJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a caller that has gone is not our fault
	return nil
}

// failure is the body of every error of the API.
type failure struct {
	Error failureDetail `json:"error"`
}

type failureDetail struct {
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

func (s *Server) failJSON(w http.ResponseWriter, status int, err error) {
	d := failureDetail{Message: strings.ToLower(http.StatusText(status))}
	var field *news.FieldError
	if errors.As(err, &field) && status == http.StatusUnprocessableEntity {
		d = failureDetail{Field: field.Field, Message: field.Error()}
	}
	switch status {
	case http.StatusUnauthorized:
		d.Message = "send a key with: Authorization: Bearer KEY"
	case http.StatusUnsupportedMediaType:
		d.Message = "send Content-Type: application/json, or " + ndjson
	case http.StatusBadRequest:
		d.Message = "the body is no JSON"
	case http.StatusRequestEntityTooLarge:
		d.Message = fmt.Sprintf("the body is larger than %d bytes", s.o.MaxArticle)
	}
	// Writing what is only text and a status cannot go wrong in a new way.
	_ = answerJSON(w, status, failure{Error: d})
}
