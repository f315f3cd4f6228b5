package source

import (
	"fmt"
	"net/url"
	"time"
)

// A source moves to where permanent redirects lead after as many looks and as
// long: a redirect may be a mistake, or of a network that wants a login.
const (
	moveLooks = 5
	moveTime  = 24 * time.Hour
)

// moving is how far the belief in a new address has come.
type moving struct {
	To    string    `json:"to,omitempty"`
	Looks int       `json:"looks,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// saw takes what a look met: where its permanent redirects led, "" for nowhere,
// and whether what was there is ours. It returns the new location once that is
// certain.
func (m *moving) saw(to, from string, ours bool, now time.Time) string {
	u, err := url.Parse(to)
	switch {
	case to == "" || to == from || err != nil || checkURL(u) != nil || u.User != nil:
		*m = moving{}
		return ""
	case to != m.To:
		*m = moving{To: to, Since: now.UTC()}
	}
	if ours {
		m.Looks++
	}
	if m.Looks >= moveLooks && now.Sub(m.Since) >= moveTime {
		*m = moving{}
		return to
	}
	return ""
}

// note tells the operator how far it is.
func (m *moving) note(from string) string {
	return fmt.Sprintf("%s redirects for good to %s: seen %d times; the source moves there after %d times and %s", from, m.To, m.Looks, moveLooks, moveTime)
}
