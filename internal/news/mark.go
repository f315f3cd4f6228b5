package news

// Place is a position in a rendered mail whose text differs per recipient.
type Place byte

// The places. A template writes a mark; the courier puts the recipient's value there.
const (
	PlaceUnsubscribe Place = 'u' // URL: one-click and page
	PlacePreferences Place = 'p' // URL
	PlaceWebView     Place = 'w' // URL: this edition as it was sent to this person
	PlaceConfirm     Place = 'c' // URL
	PlaceAddress     Place = 'a' // the recipient's address
)

// Places lists them all.
func Places() []Place {
	return []Place{PlaceUnsubscribe, PlacePreferences, PlaceWebView, PlaceConfirm, PlaceAddress}
}

// Mark is the text that stands for p in a rendering: letters and digits only,
// so that no escaping (HTML, URL, quoted-printable) changes it. nonce is the
// Variant's, unguessable, so that no article can contain a mark. html/template
// takes a mark in an href for a relative URL and leaves it as it is.
func Mark(nonce string, p Place) string {
	return "gz" + nonce + string(rune(p)) + "zg"
}
