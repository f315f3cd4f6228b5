package source

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// StatusError is an answer with another status than 2xx. Its text never holds
// the answer's body.
type StatusError struct {
	Code       int
	URL        string        // without credentials
	RetryAfter time.Duration // as asked by the server, capped; 0: not asked
	body       []byte        // for the code that a REST API puts there
	held       bool          // the request was not even sent
}

// Error renders "https://a.example/ answered 503 Service Unavailable".
func (e *StatusError) Error() string {
	if e.held {
		return fmt.Sprintf("%s asked us to wait another %s", e.URL, e.RetryAfter.Round(time.Second))
	}
	return fmt.Sprintf("%s answered %d %s", e.URL, e.Code, http.StatusText(e.Code))
}

// Temporary tells whether the same request may succeed later.
func (e *StatusError) Temporary() bool { return temporaryStatus(e.Code) }

func temporaryStatus(code int) bool {
	return code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests || code >= 500
}

// NetworkError is an exchange that did not come to an end: no name, no
// connection, a time-out, a body cut short.
type NetworkError struct {
	URL string
	Err error
}

// Error names the URL and the cause.
func (e *NetworkError) Error() string { return fmt.Sprintf("fetch %s: %v", e.URL, e.Err) }

// Unwrap gives the cause.
func (e *NetworkError) Unwrap() error { return e.Err }

// Temporary is always true.
func (e *NetworkError) Temporary() bool { return true }

// TooLargeError is an answer with more decoded bytes than we take.
type TooLargeError struct {
	URL   string
	Limit int64 // bytes
}

// Error names the limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s answered more than %d bytes", e.URL, e.Limit)
}

// Temporary is always false.
func (e *TooLargeError) Temporary() bool { return false }

// RedirectError is a chain of more than MaxRedirects redirects.
type RedirectError struct{ URL string }

// Error names where the chain began.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s redirected more than %d times", e.URL, MaxRedirects)
}

// Temporary is always false.
func (e *RedirectError) Temporary() bool { return false }

// BlockedError is a request that the Guard refused.
type BlockedError struct {
	Host   string
	Reason string
}

// Error says what an operator could do about it.
func (e *BlockedError) Error() string {
	return fmt.Sprintf("connection to %s refused: %s", e.Host, e.Reason)
}

// Temporary is always false.
func (e *BlockedError) Temporary() bool { return false }

// Temporary tells whether the failure err may pass by itself. An error that
// does not say is taken for temporary: looking again does no harm.
func Temporary(err error) bool {
	var t interface{ Temporary() bool }
	if errors.As(err, &t) {
		return t.Temporary()
	}
	return true
}
