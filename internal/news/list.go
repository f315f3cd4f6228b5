package news

import (
	"fmt"
	"slices"
	"time"
)

// ZoneSubscriber as a List's zone means: each subscriber's own.
const ZoneSubscriber = "subscriber"

// Instant is the name of the frequency without a cron line: an edition as soon
// as there is news.
const Instant = "instant"

// List is a newsletter that people can follow.
type List struct {
	ID          int64       `json:"id"`
	Name        string      `json:"name"` // unique; part of URLs and List-Id
	Title       string      `json:"title"`
	Description string      `json:"description,omitempty"`
	Language    string      `json:"language"` // BCP 47
	Zone        string      `json:"zone"`     // IANA name or ZoneSubscriber
	From        string      `json:"from,omitempty"`
	ReplyTo     string      `json:"reply_to,omitempty"`
	Template    string      `json:"template"`         // name of the digest template
	Filter      []Topic     `json:"filter,omitempty"` // any of them; empty: every article
	Frequencies []Frequency `json:"frequencies"`
	Public      bool        `json:"public"` // has a sign-up page and an archive
	Paused      bool        `json:"paused"`
	CatchUp     CatchUp     `json:"catch_up"`
	MaxLate     Duration    `json:"max_late"` // a slot older than this is skipped and recorded
	// OnUncertain says what happens to a delivery whose final reply was lost.
	OnUncertain OnUncertain `json:"on_uncertain"`
	CreatedAt   time.Time   `json:"created_at"`
}

// Frequency is one rhythm of a List.
type Frequency struct {
	Name string `json:"name"`
	Cron string `json:"cron,omitempty"` // five fields; empty for Instant
}

// CatchUp says what becomes of slots that passed while the daemon was down.
type CatchUp string

// The catch-up policies.
const (
	CatchUpOne  CatchUp = "one"  // one edition with everything
	CatchUpAll  CatchUp = "all"  // one for each slot, with what had been released by then
	CatchUpSkip CatchUp = "skip" // none; the next regular slot carries everything
)

// OnUncertain says what to do with a delivery found between the final dot and
// its reply.
type OnUncertain string

// The policies for uncertain deliveries.
const (
	UncertainResend OnUncertain = "resend" // at most one extra copy, same Message-ID
	UncertainHold   OnUncertain = "hold"   // wait for an admin: never a second copy
)

// DefaultMaxLate is how old a missed slot may be and still be mailed.
const DefaultMaxLate = Duration(24 * time.Hour)

// Validate reports the first fault of l that a user could mend.
func (l *List) Validate() error {
	if err := ValidateName("name", l.Name); err != nil {
		return err
	}
	if l.Title == "" {
		return &FieldError{Field: "title", Value: l.Title, Want: "a title that subscribers read, such as \"World news\""}
	}
	if l.Zone != ZoneSubscriber {
		if _, err := LoadZone("zone", l.Zone); err != nil {
			return &FieldError{Field: "zone", Value: l.Zone, Want: "an IANA time zone such as Europe/Istanbul, or subscriber"}
		}
	}
	if l.From != "" {
		if _, _, err := ParseSender("from", l.From); err != nil {
			return &FieldError{Field: "from", Value: l.From, Want: `an address, or "Name <news@example.org>"`}
		}
	}
	for _, t := range l.Filter {
		if _, err := ParseTopic(string(t)); err != nil {
			return err
		}
	}
	return l.validateFrequencies()
}

func (l *List) validateFrequencies() error {
	if len(l.Frequencies) == 0 {
		return &FieldError{Field: "frequency", Value: "", Want: "at least one, such as 'daily=0 7 * * *' or instant"}
	}
	for i, f := range l.Frequencies {
		if err := ValidateName("frequency", f.Name); err != nil {
			return err
		}
		if slices.ContainsFunc(l.Frequencies[:i], func(o Frequency) bool { return o.Name == f.Name }) {
			return &FieldError{Field: "frequency", Value: f.Name, Want: "each name once"}
		}
		if f.Name == Instant && f.Cron == "" {
			continue
		}
		if _, err := ParseSchedule(f.Cron); err != nil {
			return fmt.Errorf("frequency %s: %w", f.Name, err)
		}
	}
	return nil
}

// Frequency returns the frequency of that name.
func (l *List) Frequency(name string) (Frequency, bool) {
	i := slices.IndexFunc(l.Frequencies, func(f Frequency) bool { return f.Name == name })
	if i < 0 {
		return Frequency{}, false
	}
	return l.Frequencies[i], true
}
