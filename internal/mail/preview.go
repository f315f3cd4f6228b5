package mail

import (
	"time"

	"gazetted/internal/news"
)

// Preview makes the message that address would get of v, without an outbox:
// its links lead to no delivery, its Message-ID is that of no message.
func (c *Courier) Preview(list news.List, v news.Variant, address string, date time.Time) ([]byte, error) {
	v.Freeze(&list, c.o.From)
	compiled, err := Compile(c.spec(v))
	if err != nil {
		return nil, err
	}
	d := news.Delivery{Kind: v.Kind}
	return c.signed(compiled, Recipient{
		Address: address, MessageID: c.messageID(&d), Date: date,
		Unsubscribe: c.o.Links.Unsubscribe(0), Preferences: c.o.Links.Preferences(0), WebView: c.o.Links.WebView(0),
		Confirm: c.o.Links.Confirm(0, date.Add(ConfirmExpires)), MailtoUnsubscribe: c.mailtoUnsubscribe(&d),
	}, nil)
}
