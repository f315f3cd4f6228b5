package news

// Wake names what has changed in the store, to spare the stages some waiting.
// Polling alone gives the same result.
type Wake string

// The wakes.
const (
	WakeSources  Wake = "sources"  // a source was added, changed or is to be looked at now
	WakeArticles Wake = "articles" // articles wait for release
	WakeReleased Wake = "released" // feeds changed: a release, an edit, a withdrawal, a term
	WakeLists    Wake = "lists"    // a list, subscription, pause or resume changed
	WakeOutbox   Wake = "outbox"   // deliveries wait
)
