package news

import "time"

// ArticleQuery selects released articles, newest first.
type ArticleQuery struct {
	TermIDs []int64 // any of them; empty: all articles
	Since   time.Time
	Limit   int
	// WithoutContent leaves ContentHTML empty: lists and tables do not need it.
	WithoutContent bool
}

// FeedChanges tells which feeds must be built anew.
type FeedChanges struct {
	Cursor  int64   // to be passed as since next time
	TermIDs []int64 // whose articles, name or slug changed, ancestors included; empty if nothing changed
}

// SubscriberQuery pages through subscribers by id.
type SubscriberQuery struct {
	List    string // name; empty: all
	AfterID int64
	Limit   int
}

// SubscriberRow is a subscriber with all places on lists.
type SubscriberRow struct {
	Subscriber
	Subscriptions []Subscription `json:"subscriptions"`
}

// DeliveryQuery pages through deliveries by id.
type DeliveryQuery struct {
	EditionID int64 // 0: all
	State     DeliveryState
	Dead      bool    // only those that ended without having been accepted, though their reader waits for them
	List      string  // name; empty: all
	Address   Address // of the subscriber; zero: all
	Doubtful  bool    // only those of which there may be an extra copy
	AfterID   int64
	Limit     int
}

// APIKey is a bearer key of the publish API. The key itself is never stored.
type APIKey struct {
	ID         int64     `json:"id"`
	Name       string    `json:"name"`
	Scope      KeyScope  `json:"scope"`
	Hash       string    `json:"-"` // hex SHA-256 of the key
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// ScopePublish lets a key publish and withdraw articles of every push source.
const ScopePublish = "publish"

// Status is the state of the whole, for `gazetted status` and health checks.
type Status struct {
	Paused       bool     `json:"paused"` // everything, for the reason in Halt
	Halt         Halt     `json:"halt,omitempty"`
	PausedLists  []string `json:"paused_lists,omitempty"`
	PausedRelays []string `json:"paused_relays,omitempty"`
	Schema       int64    `json:"schema"`
	Articles     int      `json:"articles"` // released
	Waiting      int      `json:"waiting"`  // found, not yet released
	LastSeq      int64    `json:"last_seq"`
	Sources      int      `json:"sources"`
	Failing      int      `json:"failing_sources"`
	Lists        int      `json:"lists"`
	Subscribers  int      `json:"subscribers"`
	Active       int      `json:"active_subscriptions"`
	OpenEditions int      `json:"open_editions"`
	// FailedEditions are those that no later edition has made up for.
	FailedEditions int         `json:"failed_editions,omitempty"`
	Outbox         OutboxState `json:"outbox"`
	NextSlot       time.Time   `json:"next_slot,omitzero"`
	Restored       *Restored   `json:"restored,omitempty"` // nil: it was not, or that was confirmed
}

// CapturedMail is one message in the captured mailbox.
type CapturedMail struct {
	Name    string    `json:"name"` // of its file; opaque, safe in a URL
	From    string    `json:"from"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	At      time.Time `json:"at"`
	Bytes   int64     `json:"bytes"`
}

// MailFigures are counts for metrics.
type MailFigures struct {
	Bounces      []BounceFigure
	Ignored      []IgnoredBounces
	Suppressions map[SuppressionReason]int
	// Doubtful deliveries may have arrived more than once.
	Doubtful int
	// OldestEdition is when the slot was due of the edition that is not done for
	// the longest time; zero: all are done.
	OldestEdition time.Time
}

// BounceFigure counts the bounces of a kind that came one way.
type BounceFigure struct {
	Kind  BounceKind
	Via   string
	Count int
}
