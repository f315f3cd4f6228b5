package news

import "strings"

// PutOutcome says what became of one article that was sent.
type PutOutcome string

// The outcomes.
const (
	PutNew       PutOutcome = "new"
	PutChanged   PutOutcome = "changed"
	PutUnchanged PutOutcome = "unchanged"
	PutOlder     PutOutcome = "older"     // a later version, or its removal, came before
	PutKnown     PutOutcome = "known"     // of an import: it was there, and stays as it is
	PutWithdrawn PutOutcome = "withdrawn" // of a removal
	PutRefused   PutOutcome = "refused"   // see the errors
)

// PushOptions say how a body of the publish API is read.
type PushOptions struct {
	Lines  bool // one article per line (NDJSON), else a JSON object or array
	Atomic bool // store all of them or none
}

// FieldFault is a FieldError as the publish API tells it.
type FieldFault struct {
	Line   int    `json:"line,omitempty"` // of a batch, from 1
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// PushResult is what became of one article of a call.
type PushResult struct {
	Line   int          `json:"line"` // its line, or its place in the array; from 1
	ID     string       `json:"id,omitempty"`
	Result PutOutcome   `json:"result"`
	Errors []FieldFault `json:"errors,omitempty"`
}

// PushReport is what became of a call.
type PushReport struct {
	New       int          `json:"new"`
	Changed   int          `json:"changed"`
	Unchanged int          `json:"unchanged"`
	Older     int          `json:"older"`
	Refused   int          `json:"refused"`
	Results   []PushResult `json:"results"`
	// Batch: several were sent, or could have been.
	Batch bool `json:"-"`
}

// Add appends one result and counts it.
func (r *PushReport) Add(res PushResult) {
	r.Results = append(r.Results, res)
	r.Count(res.Result)
}

// Count counts one outcome.
func (r *PushReport) Count(o PutOutcome) {
	switch o {
	case PutNew:
		r.New++
	case PutChanged:
		r.Changed++
	case PutUnchanged:
		r.Unchanged++
	case PutOlder:
		r.Older++
	case PutRefused:
		r.Refused++
	case PutKnown, PutWithdrawn:
	}
}

// Faults lists the errors of all results.
func (r *PushReport) Faults() []FieldFault {
	var out []FieldFault
	for _, res := range r.Results {
		out = append(out, res.Errors...)
	}
	return out
}

// KeyScope is what a key of the publish API allows: "publish" into every push
// source, or "publish:NAME" into one.
type KeyScope string

// Validate reports a scope that there is none of.
func (s KeyScope) Validate() error {
	base, name, one := strings.Cut(string(s), ":")
	if base != ScopePublish || one && ValidateName("scope", name) != nil {
		return &FieldError{Field: "scope", Value: string(s), Want: "publish, or publish:NAME for one push source"}
	}
	return nil
}

// Publishes tells whether the scope is one of publishing, and the only source
// that it holds for; "": every one.
func (s KeyScope) Publishes() (source string, ok bool) {
	base, name, _ := strings.Cut(string(s), ":")
	return name, base == ScopePublish
}
