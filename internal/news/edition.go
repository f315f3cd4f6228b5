package news

import "time"

// Slot is one due occurrence of (List, Frequency, zone).
type Slot struct {
	ListID    int64     `json:"list_id"`
	Frequency string    `json:"frequency"`
	Zone      string    `json:"zone"` // IANA, never ZoneSubscriber
	DueAt     time.Time `json:"due_at"`
	// Key is unique per (list, frequency, zone): the due instant, "seq:N" for
	// instant frequencies, "manual:…" for an edition that an admin asked for.
	Key string `json:"key"`
	// Missed counts the slots before this one that passed unserved.
	Missed int `json:"missed,omitempty"`
}

// EditionState is where an edition stands.
type EditionState string

// The states of an edition.
//
//	open ──► queueing ──► closed ──► done
//	  ├────────┴──► empty
//	  ├────► skipped
//	  └────► failed ──► open
const (
	EditionOpen     EditionState = "open"     // its Slot is taken, its articles are not yet frozen
	EditionQueueing EditionState = "queueing" // frozen; its deliveries are being queued, and sent meanwhile
	EditionClosed   EditionState = "closed"   // all its deliveries are queued
	EditionDone     EditionState = "done"     // every delivery has its end state
	EditionEmpty    EditionState = "empty"    // nothing new for anybody: no mail
	EditionSkipped  EditionState = "skipped"  // too late, by policy
	EditionFailed   EditionState = "failed"   // could not be rendered; see Note
)

// Edition is what one Slot produced.
type Edition struct {
	ID        int64         `json:"id"`
	ListID    int64         `json:"list_id"`
	ListName  string        `json:"list"`
	Frequency string        `json:"frequency"`
	Zone      string        `json:"zone"`
	SlotKey   string        `json:"slot"`
	DueAt     time.Time     `json:"due_at"`
	State     EditionState  `json:"state"`
	Note      string        `json:"note,omitempty"`      // why it is empty, skipped or failed
	FromSeq   int64         `json:"from_seq"`            // exclusive: where the list's previous edition of this slot series ended
	CutoffSeq int64         `json:"cutoff_seq"`          // inclusive: the last Seq that it may carry
	Slug      string        `json:"slug,omitempty"`      // of the public archive page, e.g. 2026-11-22; empty: not in the archive
	Subject   string        `json:"subject,omitempty"`   // of the variant without topics
	ClosedAt  time.Time     `json:"closed_at,omitzero"`  // articles frozen
	DoneAt    time.Time     `json:"done_at,omitzero"`    // counts balanced
	Articles  int           `json:"articles"`            // frozen
	Intended  int           `json:"intended"`            // recipients; while queueing, those queued so far
	Counts    DeliveryTally `json:"deliveries,omitzero"` // filled where a query asks for it
}

// DeliveryTally counts an edition's deliveries by state.
type DeliveryTally map[DeliveryState]int

// AudienceGroup is what one Variant serves: all active subscribers of a Slot
// with the same topics, ServedThrough and language.
type AudienceGroup struct {
	Topics        []Topic
	ServedThrough int64
	Language      string
	Subscribers   int
}

// VariantKind tells mails apart that share the outbox.
type VariantKind string

// The kinds of mail.
const (
	VariantEdition VariantKind = "edition"
	VariantConfirm VariantKind = "confirm"
)

// Variant is one rendering, shared by all its recipients. What differs per
// recipient stands in it as marks (see Mark).
type Variant struct {
	ID        int64
	EditionID int64 // 0 for mails that belong to no edition
	ListID    int64
	Kind      VariantKind
	Language  string
	Nonce     string // of the marks
	Subject   string
	HTML      string
	Text      string
	// ArticleIDs are the frozen articles it carries, in order.
	ArticleIDs []int64
	// Group is the audience of an edition's variant.
	Group AudienceGroup

	// The list as it was when this was rendered: every attempt sends the same
	// bytes, whatever becomes of the list meanwhile. See Freeze.
	ListName  string
	ListTitle string
	Sender    string // an address or "Name <address>"; empty: the configured one
	ReplyTo   string // empty: answers go to the sender, or where the configuration says
	Public    bool   // has an archive
}

// Freeze keeps what a message says of its list. sender is for lists that name none.
func (v *Variant) Freeze(l *List, sender string) {
	v.ListName, v.ListTitle, v.Sender, v.ReplyTo, v.Public = l.Name, l.Title, l.From, l.ReplyTo, l.Public
	if v.Sender == "" {
		v.Sender = sender
	}
}

// Closing is everything that an open edition is frozen with, stored in one
// transaction: all of it or nothing.
type Closing struct {
	Edition  Edition
	Articles []Article // frozen as they are now, in the edition's order
	Variants []Variant
	// Slug asks for this archive slug; the store appends -2, -3 … if it is taken.
	Slug    string
	Subject string
	// ServedEmpty are the groups for which there was nothing: they are moved
	// forward without a mail.
	ServedEmpty []AudienceGroup
	Now         time.Time
}
