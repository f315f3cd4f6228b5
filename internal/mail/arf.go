package mail

import (
	"strings"

	"gazetted/internal/news"
)

// arf is a report of a mailbox provider about one mail (RFC 5965).
type arf struct {
	kind     string   // Feedback-Type, in lower case
	mailFrom string   // the envelope sender that the mail came with
	rcptTo   []string // whom it was for, unless the provider hides it
}

// parseARF reads a message/feedback-report: one block of fields.
func parseARF(blocks [][]reportField) *arf {
	a := &arf{}
	for _, block := range blocks {
		for _, f := range block {
			switch f.name {
			case "feedback-type":
				kind, _, _ := strings.Cut(f.value, " ")
				a.kind = strings.ToLower(kind)
			case "original-mail-from":
				a.mailFrom = bareAddress(f.value)
			case "original-rcpt-to", "removal-recipient":
				if len(a.rcptTo) < maxRecipients {
					a.rcptTo = append(a.rcptTo, bareAddress(f.value))
				}
			}
		}
	}
	return a
}

// verdict is what follows; false: nothing does. A report that our mail is fraud
// is the reader's complaint, too; not-spam (RFC 6430) and auth-failure (RFC
// 6591) are none.
func (a *arf) verdict() (news.BounceKind, bool) {
	switch a.kind {
	case "abuse", "fraud":
		return news.BounceComplaint, true
	case "opt-out", "opt-out-list":
		return news.BounceUnsubscribe, true
	default:
		return "", false
	}
}
