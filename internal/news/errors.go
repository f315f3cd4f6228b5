package news

import (
	"errors"
	"fmt"
	"strings"
)

// Kinds of failure that callers decide upon. They are matched with errors.Is.
var (
	// ErrNotFound says that no such row exists.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the name or identity is already taken.
	ErrExists = errors.New("already exists")
	// ErrStale says that what was read has changed since; read again and retry.
	ErrStale = errors.New("changed in the meantime")
	// ErrPaused says that the operator has paused the work that was asked for.
	ErrPaused = errors.New("paused")
	// ErrRestored says that the database comes from a backup, and that nobody has
	// decided yet what becomes of the time since.
	ErrRestored = errors.New("this database was restored from a backup, and that waits for a decision")
	// ErrUnavailable says that the database cannot store anything now (a full
	// disk, another program's lock); the same may succeed later.
	ErrUnavailable = errors.New("the database cannot be written now")
	// ErrFault says that the database, or the disk below it, can no longer be
	// relied upon: the process must end, and another one reads it anew.
	ErrFault = errors.New("the database cannot be relied upon any more")
	// ErrToken says that a signed link is not ours, is for another purpose, or has expired.
	ErrToken = errors.New("this link is not valid")
)

// FieldError is a user's mistake: it names the field and says what would be
// right, so that the text can be shown as it is.
type FieldError struct {
	Field string // as the user wrote it: a flag, a key of the configuration, a column
	Value string // what was given; shortened when shown
	Want  string // what would be right, e.g. "an address like ana@example.org"
}

// Error renders `zone "Mars/Base": want an IANA zone such as Europe/Istanbul`.
func (e *FieldError) Error() string {
	v := e.Value
	if len(v) > 80 {
		v = strings.ToValidUTF8(v[:77], "") + "..."
	}
	return fmt.Sprintf("%s %q: want %s", e.Field, v, e.Want)
}

// FieldErrors are several mistakes in one thing; at least one. errors.As finds
// the first.
type FieldErrors []*FieldError

// Error renders the first and counts the others.
func (e FieldErrors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more mistakes)", e[0], len(e)-1)
}

// Unwrap gives them all.
func (e FieldErrors) Unwrap() []error {
	out := make([]error, len(e))
	for i, f := range e {
		out[i] = f
	}
	return out
}

// Faults lists the mistakes that err tells of, as the publish API does; none if
// it is no person's mistake.
func Faults(err error, line int) []FieldFault {
	var all FieldErrors
	var one *FieldError
	if !errors.As(err, &all) && errors.As(err, &one) {
		all = FieldErrors{one}
	}
	out := make([]FieldFault, 0, len(all))
	for _, f := range all {
		out = append(out, FieldFault{Line: line, Field: f.Field, Detail: f.Error()})
	}
	return out
}
