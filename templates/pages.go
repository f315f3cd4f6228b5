package templates

// The types below are all that a page template sees. Every text in them is
// plain and is escaped by html/template where it stands; every URL was made by
// news.Links or was stored with an article. Dates and counts come ready to be
// read, because a template decides how a page looks and never what is true.

// Frame is what surrounds every page: masthead, navigation, footer and the
// machine-readable head.
type Frame struct {
	Site        string     // title of the publication
	Tagline     string     // may be empty
	Language    string     // of the page, BCP 47
	Rights      string     // may be empty
	Footer      []PageLink // such as imprint and privacy policy
	Today       string     // the date line under the title
	Home        string
	FeedIndex   string
	Newsletters string
	Stylesheet  string
	Icon        string
	Canonical   string // absolute; empty on pages that belong to one person
	NoIndex     bool   // keeps the page out of search engines
	Refresh     int    // seconds until the page loads itself anew; 0: never
	Mailbox     string // the captured mailbox; empty where none is shown
	Alternates  []PageFeed
	Here        string // which entry of the navigation is this page: "latest", "feeds", "newsletters", "mailbox" or ""
}

// PageFeed is a feed that belongs to a page.
type PageFeed struct {
	Format string // as people say it: RSS, Atom, JSON
	Title  string
	Type   string // media type
	URL    string // absolute: it is pasted into feed readers
}

// PageLink is a link with its text.
type PageLink struct {
	Text string
	URL  string
}

// PageTerm is a category or a tag.
type PageTerm struct {
	Name     string
	Kind     string // "category" or "tag"
	URL      string // its page
	Articles int
	Feeds    []PageFeed
	Depth    int        // below how many categories it stands where a tree is listed
	Children []PageTerm // right below a category, where only those are shown
}

// PageArticle is an article in a list of articles. Summary and Image are empty
// where the article is not public.
type PageArticle struct {
	Title     string
	URL       string // at its publisher
	Summary   string
	Byline    string // "Ana Silva and Tom Berg"; may be empty
	Published string // "19 November 2025, 13:28", or the day alone where the source knows no more
	Datetime  string // the same for machines
	Updated   string // empty unless the article was edited
	Members   bool   // its body is not for everybody
	Image     *PageImage
	Kicker    *PageLink // its first category; nil without one
	Tags      []PageLink
	Share     string // its share page
	Mail      string // mailto:
	Discuss   string // its comments; may be empty
}

// PageImage is a picture with its text; Width and Height are 0 where unknown.
type PageImage struct {
	URL    string
	Alt    string
	Width  int
	Height int
	Later  bool // below what a reader sees first: it can be loaded when they come near
}

// PageList is a newsletter as visitors meet it.
type PageList struct {
	Title       string
	Description string
	Rhythms     []string // "Every day at 07:00"
	SignUp      string
	Archive     string
}

// Side is the column of the ways to follow.
type Side struct {
	Lists    []PageList
	Sections []PageTerm
	Feeds    []PageFeed // of all articles
}

// FrontPage shows the latest articles and the ways to follow them.
type FrontPage struct {
	Frame
	Side
	Demo     bool
	Articles []PageArticle
}

// TermPage shows the articles of one category or tag.
type TermPage struct {
	Frame
	Side
	Term     PageTerm
	Parents  []PageLink // outermost first
	Articles []PageArticle
}

// FeedsPage lists every feed for people.
type FeedsPage struct {
	Frame
	All        []PageFeed
	Categories []PageTerm // a tree, each after its parent
	Tags       []PageTerm // most used first
	MoreTags   int        // left out
	OPML       string
}

// ListsPage shows the newsletters that anybody may join.
type ListsPage struct {
	Frame
	Lists []PageList
}

// Choice is one option of a form.
type Choice struct {
	Value  string
	Label  string
	Detail string
	Chosen bool
	Depth  int // below how many choices of a tree it stands
}

// Topics are the choices of what a subscription carries.
type Topics struct {
	Categories []Choice // a tree, each after its parent
	Tags       []Choice
}

// SignUpPage is the form of a newsletter.
type SignUpPage struct {
	Frame
	List        PageList
	Stamp       string // signed time of the form
	Faults      []Fault
	Address     string
	Name        string
	Zone        string
	AskZone     bool
	Zones       []string
	Frequencies []Choice
	Topics      Topics
}

// Fault is a mistake in a form: which field, and what would be right.
type Fault struct {
	Field string
	Text  string
}

// NoticePage says one thing and offers where to go next.
type NoticePage struct {
	Frame
	Title string
	Text  []string // paragraphs
	Links []PageLink
}

// ConfirmPage asks for the click that ends the double opt-in.
type ConfirmPage struct {
	Frame
	List PageList
}

// PreferencesPage is where a subscriber changes a subscription.
type PreferencesPage struct {
	Frame
	List        PageList
	Address     string
	Saved       bool
	Ended       bool // unsubscribed or bounced: only a button to start again is shown
	Faults      []Fault
	Name        string
	Language    string
	Zone        string
	AskZone     bool
	Zones       []string
	Frequencies []Choice
	Topics      Topics
	Paused      bool
	Unsubscribe string
}

// UnsubscribePage asks, or after the click tells, that the mails stop.
type UnsubscribePage struct {
	Frame
	List        PageList
	Done        bool
	Preferences string
}

// ArchivePage lists the editions of a newsletter, newest first.
type ArchivePage struct {
	Frame
	List     PageList
	Editions []PageEdition
	Older    string // the next page; empty at the end
}

// PageEdition is an edition in the archive. Its subject goes without the list's
// title, beside which it stands.
type PageEdition struct {
	Subject  string
	Date     string
	Datetime string
	Articles int
	URL      string
}

// EditionPage is one edition in the archive.
type EditionPage struct {
	Frame
	List     PageList
	Edition  PageEdition
	Articles []PageArticle
	Older    *PageLink
	Newer    *PageLink
}

// SharePage helps to pass an article on.
type SharePage struct {
	Frame
	Article  PageArticle
	Networks []PageLink
	Script   string // the copy button's
}

// MailboxPage lists the captured mails, newest first.
type MailboxPage struct {
	Frame
	Keyed bool // a key opens it to others than this machine
	Mails []PageMail
}

// PageMail is one captured mail.
type PageMail struct {
	From     string
	To       string
	Subject  string
	Date     string
	Datetime string
	Size     string
	URL      string
}

// MailPage shows one captured mail with all its parts.
type MailPage struct {
	Frame
	Mail    PageMail
	Headers []PageHeader
	HTML    string // address of the HTML part; empty without one
	Text    string // address of the text part; empty without one
	Raw     string
}

// PageHeader is one field of a mail's header.
type PageHeader struct {
	Name  string
	Value string
}
