package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"gazetted/internal/news"
)

// Push takes articles for a source of kind push.
type Push interface {
	// Put stores the article or articles of body and tells what became of each.
	// A body that is none is a *news.FieldError; an unknown source is
	// news.ErrNotFound.
	Put(ctx context.Context, source string, body io.Reader, o news.PushOptions) (news.PushReport, error)
	// Get returns an article in any state; news.ErrNotFound if there is none.
	Get(ctx context.Context, source, id string) (news.Article, error)
	// Delete withdraws an article; news.ErrNotFound if there is none and no time
	// of its removal is given.
	Delete(ctx context.Context, source, id string, at time.Time) (news.PutOutcome, error)
}

// ndjson is the media type of one JSON value per line.
const ndjson = "application/x-ndjson"

// bodyType refuses what is not JSON, so that a form on some page cannot pose
// as the API. lines tells that there is one value per line.
func bodyType(r *http.Request) (lines bool, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return false, statusError(http.StatusUnsupportedMediaType)
	}
	switch media {
	case "application/json":
		return false, nil
	case ndjson, "application/jsonl", "application/jsonlines":
		return true, nil
	}
	return false, statusError(http.StatusUnsupportedMediaType)
}

// publish takes one article or a batch.
func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	source, err := s.publishing(w, r)
	if err != nil {
		return err
	}
	lines, err := bodyType(r)
	if err != nil {
		return err
	}
	if !lines {
		r.Body = http.MaxBytesReader(w, r.Body, s.o.MaxArticle)
	}
	atomic, err := flag(r, "atomic")
	if err != nil {
		return err
	}
	return s.put(w, r, source, newSlowBody(w, r.Body, s.now), news.PushOptions{Lines: lines, Atomic: atomic})
}

// flag is a yes or no of the query.
func flag(r *http.Request, name string) (bool, error) {
	switch v := r.URL.Query().Get(name); v {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	default:
		return false, &news.FieldError{Field: name, Value: v, Want: "1 or 0"}
	}
}

// put stores and answers: 200, or 201 if something is new; 207 if a part of a
// batch was refused; 422 if all was.
func (s *Server) put(w http.ResponseWriter, r *http.Request, source string, body io.Reader, o news.PushOptions) error {
	report, err := s.o.Push.Put(r.Context(), source, body, o)
	if err != nil {
		return fmt.Errorf("take article: %w", err)
	}
	switch faults := report.Faults(); {
	case report.Refused > 0 && report.Refused == len(report.Results):
		p := problem{Status: http.StatusUnprocessableEntity, Detail: faults[0].Detail, Errors: faults}
		if !report.Batch {
			for i := range p.Errors {
				p.Errors[i].Line = 0
			}
		}
		return answerProblem(w, p)
	case report.Refused > 0:
		return answerJSON(w, http.StatusMultiStatus, report)
	case report.New > 0:
		return answerJSON(w, http.StatusCreated, report)
	}
	return answerJSON(w, http.StatusOK, report)
}

// publishOne is put with the article's id in the path: it goes into the body,
// where it must not say anything else.
func (s *Server) publishOne(w http.ResponseWriter, r *http.Request) error {
	source, err := s.publishing(w, r)
	if err != nil {
		return err
	}
	if lines, err := bodyType(r); err != nil || lines {
		return statusError(http.StatusUnsupportedMediaType)
	}
	body, err := io.ReadAll(newSlowBody(w, r.Body, s.now))
	if err != nil {
		return err
	}
	var article map[string]json.RawMessage
	if err := json.Unmarshal(body, &article); err != nil || article == nil {
		return &news.FieldError{Field: "body", Value: oneLine(string(body[:min(len(body), 400)]), 60), Want: "one article as a JSON object"}
	}
	id := r.PathValue("id")
	if given, ok := article["id"]; ok {
		var text string
		if json.Unmarshal(given, &text) != nil || text != id {
			return &news.FieldError{Field: "id", Value: oneLine(string(given[:min(len(given), 400)]), 60), Want: "the id of the path, or none"}
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
	return s.put(w, r, source, bytes.NewReader(body), news.PushOptions{})
}

// withdraw takes an article out. ?updated_at= says when it was removed, so that
// an earlier version that arrives late does not bring it back.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) error {
	source, err := s.publishing(w, r)
	if err != nil {
		return err
	}
	var at time.Time
	if v := r.URL.Query().Get("updated_at"); v != "" {
		if at, err = time.Parse(time.RFC3339, v); err != nil {
			return &news.FieldError{Field: "updated_at", Value: v, Want: "a time such as 2025-11-19T13:28:00Z (RFC 3339; + is written %2B)"}
		}
	}
	id := r.PathValue("id")
	outcome, err := s.o.Push.Delete(r.Context(), source, id, at)
	if err != nil {
		return fmt.Errorf("withdraw article: %w", err)
	}
	if outcome == news.PutOlder {
		return answerJSON(w, http.StatusOK, news.PushResult{Line: 1, ID: id, Result: outcome})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// publishedArticle is an article as it stands here, for who has sent it.
type publishedArticle struct {
	ID          string            `json:"id"`
	URL         string            `json:"url"`
	GUID        string            `json:"guid"`
	Title       string            `json:"title"`
	Summary     string            `json:"summary,omitempty"`
	ContentHTML string            `json:"content_html,omitempty"`
	Language    string            `json:"language,omitempty"`
	Authors     []news.Author     `json:"authors,omitempty"`
	Image       *news.Image       `json:"image,omitempty"`
	CommentsURL string            `json:"comments_url,omitempty"`
	Visibility  news.Visibility   `json:"visibility"`
	Categories  []publishedTerm   `json:"categories,omitempty"`
	Tags        []publishedTerm   `json:"tags,omitempty"`
	PublishedAt time.Time         `json:"published_at"`
	UpdatedAt   time.Time         `json:"updated_at,omitzero"`
	ExpiresAt   time.Time         `json:"expires_at,omitzero"`
	State       news.ArticleState `json:"state"`
	Archive     bool              `json:"archive"`
	FirstSeenAt time.Time         `json:"first_seen_at"`
	ReleaseAt   time.Time         `json:"release_at"`
	ReleasedAt  time.Time         `json:"released_at,omitzero"`
}

type publishedTerm struct {
	Name string `json:"name"`
	Slug string `json:"slug"`
}

// article shows an article to who may publish it.
func (s *Server) article(w http.ResponseWriter, r *http.Request) error {
	source, err := s.publishing(w, r)
	if err != nil {
		return err
	}
	a, err := s.o.Push.Get(r.Context(), source, r.PathValue("id"))
	if err != nil {
		return fmt.Errorf("read article: %w", err)
	}
	return answerJSON(w, http.StatusOK, publishedArticle{
		ID: a.NativeID, URL: a.URL, GUID: a.GUID, Title: a.Title, Summary: a.Summary, ContentHTML: a.ContentHTML, Language: a.Language,
		Authors: a.Authors, Image: a.Image, CommentsURL: a.CommentsURL, Visibility: a.Visibility,
		Categories: publishedTerms(a.Categories), Tags: publishedTerms(a.Tags),
		PublishedAt: a.PublishedAt, UpdatedAt: a.UpdatedAt, ExpiresAt: a.ExpiresAt,
		State: a.State, Archive: a.Archive, FirstSeenAt: a.FirstSeenAt, ReleaseAt: a.ReleaseAt, ReleasedAt: a.ReleasedAt,
	})
}

func publishedTerms(in []news.Term) []publishedTerm {
	var out []publishedTerm
	for _, t := range in {
		out = append(out, publishedTerm{Name: t.Name, Slug: t.Slug})
	}
	return out
}

// slowBody gives a body more time for as long as it goes on coming: a batch of
// 60 MB may take minutes, but nobody may hold a connection by a byte now and then.
type slowBody struct {
	io.Reader
	control *http.ResponseController
	now     func() time.Time
	until   time.Time // no more time after this
	left    int       // bytes until there is more time
}

// A sender that gives less than slowBytes in readTimeout (13 KB/s) is cut off.
const (
	slowBytes = 256 << 10
	slowLimit = 15 * time.Minute
)

func newSlowBody(w http.ResponseWriter, body io.Reader, now func() time.Time) *slowBody {
	return &slowBody{Reader: body, control: http.NewResponseController(w), now: now, until: now().Add(slowLimit), left: slowBytes}
}

// Read reads on and moves the time-outs.
func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= n; b.left <= 0 {
		b.left = slowBytes
		if now := b.now(); now.Before(b.until) {
			// Where the connection cannot be told, the server's own time-outs hold.
			_ = b.control.SetReadDeadline(now.Add(readTimeout))
			_ = b.control.SetWriteDeadline(now.Add(writeTimeout))
		}
	}
	return n, err // io.EOF must stay itself
}
