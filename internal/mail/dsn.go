package mail

import (
	"strconv"
	"strings"

	"gazetted/internal/news"
)

// dsn is a delivery status notification (RFC 3464).
type dsn struct {
	recipients []dsnRecipient
}

// dsnRecipient is what a server says of one recipient (RFC 3464 §2.3).
type dsnRecipient struct {
	action   string // failed, delayed, delivered, relayed, expanded
	enhanced string // RFC 3463; empty if none was told
	code     int    // of an SMTP reply; 0: none was told
	text     string // one line
	final    string // whom the server tried; an address of the receiver's choice
	original string // whom the sender meant, as far as the server knows
}

// maxDiagnostic bounds a server's words, in characters.
const maxDiagnostic = 400

// parseDSN reads the blocks of a message/delivery-status: one about the message
// and one per recipient.
func parseDSN(blocks [][]reportField) *dsn {
	d := &dsn{}
	for _, block := range blocks {
		var r dsnRecipient
		var status, diagnostic string
		for _, f := range block {
			switch f.name {
			case "action":
				action, _, _ := strings.Cut(f.value, " ") // some add a comment
				r.action = strings.ToLower(action)
			case "status":
				status, _, _ = strings.Cut(f.value, " ")
			case "diagnostic-code":
				diagnostic = f.value
			case "final-recipient":
				r.final = typedAddress(f.value)
			case "original-recipient":
				r.original = typedAddress(f.value)
			}
		}
		if r.action == "" {
			continue // the block about the message, or nonsense
		}
		r.code, r.enhanced, r.text = readDiagnostic(diagnostic)
		// The server's own status counts, unless it says nothing (x.0.0).
		if _, subject, detail, ok := news.ParseEnhanced(status); ok && (r.enhanced == "" || subject != 0 || detail != 0) {
			r.enhanced = status
		}
		d.recipients = append(d.recipients, r)
	}
	return d
}

// typedAddress reads `rfc822;ana@example.org` (RFC 3464 §2.1.2).
func typedAddress(s string) string {
	if _, rest, ok := strings.Cut(s, ";"); ok {
		s = rest
	}
	return bareAddress(s)
}

// readDiagnostic reads `smtp; 550 5.1.1 no such user` (RFC 3464 §2.3.6).
func readDiagnostic(s string) (code int, enhanced, text string) {
	kind, rest, ok := strings.Cut(s, ";")
	if !ok {
		kind, rest = "", s
	}
	text = cleanLine(rest, maxDiagnostic)
	if !strings.EqualFold(strings.TrimSpace(kind), "smtp") || len(text) < 3 {
		return 0, "", text
	}
	n, err := strconv.Atoi(text[:3])
	if err != nil || n < 200 || n > 599 || len(text) > 3 && text[3] != ' ' && text[3] != '-' {
		return 0, "", text
	}
	enhanced, _ = cutEnhanced(n, strings.TrimLeft(text[3:], " -"))
	return n, enhanced, text
}

// verdict is what the notification means for the one address that we had
// mailed; false: nothing has failed, or not yet. If the address leads to
// several, one dead end does not make it dead: hard is what is hard for all.
func (d *dsn) verdict() (news.BounceKind, dsnRecipient, bool) {
	var decides dsnRecipient
	kind, failed := news.BounceHard, false
	for _, r := range d.recipients {
		if r.action == "failed" {
			one := news.ClassifyBounce(r.enhanced, r.code)
			if !failed || one == news.BounceSoft {
				decides = r
			}
			failed = true
			if one == news.BounceHard {
				continue
			}
		}
		kind = news.BounceSoft
	}
	return kind, decides, failed
}
