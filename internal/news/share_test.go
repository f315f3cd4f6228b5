package news

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestShareLinks(t *testing.T) {
	const title, link = "Bread & circuses: 1+1?", "https://example.org/a?b=c&d=e#f"
	var order []string
	for _, s := range ShareLinks(title, link) {
		order = append(order, s.Network)
		u, err := url.Parse(s.URL)
		if err != nil || u.Scheme != "https" {
			t.Errorf("%s: %s: %v", s.Network, s.URL, err)
			continue
		}
		var values []string
		for _, v := range u.Query() {
			values = append(values, v...)
		}
		if said := strings.Join(values, "\n"); !strings.Contains(said, link) {
			t.Errorf("%s is not given the link, but %q", s.Network, said)
		}
		if u.Query().Has("text") && !strings.Contains(u.Query().Get("text"), title) {
			t.Errorf("%s is not given the title, but %q", s.Network, u.Query().Get("text"))
		}
	}
	if want := []string{"Facebook", "X", "WhatsApp", "LinkedIn", "Telegram", "Reddit", "Bluesky"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
	if got := ShareLinks(title, "https://example.org/"+strings.Repeat("a", maxShared)); len(got) != 0 {
		t.Errorf("a link that networks would cut: got %d of them", len(got))
	}
}

func TestMailLink(t *testing.T) {
	got := MailLink("Bread & butter + 50 %", "Read\r\n\r\nhttps://example.org/?a=1&b=2")
	if want := "mailto:?subject=Bread%20%26%20butter%20%2B%2050%20%25&body=Read%0D%0A%0D%0Ahttps://example.org/%3Fa%3D1%26b%3D2"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
