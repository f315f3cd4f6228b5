package digest

import (
	"errors"
	"strings"
	"testing"

	"gazetted/internal/news"
)

func ana() news.SubscriberRow {
	return news.SubscriberRow{
		Subscriber: news.Subscriber{ID: 9, Address: "ana@example.net", Language: "en-US"},
		Subscriptions: []news.Subscription{{
			ID: 77, ListID: 7, ListName: "morning", State: news.SubscriptionActive, Frequency: "weekly", Zone: "Asia/Tokyo",
			Topics: []news.Topic{"category:business"}, ServedThrough: 102,
		}},
	}
}

func TestPreviewForSubscriber(t *testing.T) {
	s := world()
	s.subscriber = ana()
	s.list.Zone = news.ZoneSubscriber
	p, err := testEditor(t, s).Preview(t.Context(), "morning", "", "ana@example.net")
	if err != nil {
		t.Fatal(err)
	}
	if !p.New || len(p.Articles) != 1 || p.Articles[0].ID != 3 || p.Zone != "Asia/Tokyo" {
		t.Errorf("got new=%v, %d articles, zone %s; want article 3 in Tokyo's time", p.New, len(p.Articles), p.Zone)
	}
	for _, want := range []string{"ana@example.net", "weekly", "November 19, 2025, 5:00 pm", "https://news.example.org/unsubscribe/"} {
		if !strings.Contains(p.Mail.Text, want) {
			t.Errorf("the text part lacks %q:\n%s", want, p.Mail.Text)
		}
	}
	if strings.Contains(p.Mail.HTML+p.Mail.Text, "gz"+p.Variant.Nonce) {
		t.Error("a mark was not filled in")
	}
	if len(s.closings) != 0 || len(s.failed) != 0 {
		t.Error("a preview changed something")
	}
}

func TestPreviewOfNextEdition(t *testing.T) {
	s := world()
	s.past = []news.Edition{
		{Frequency: "weekly", State: news.EditionDone, CutoffSeq: 105},
		{Frequency: "daily", State: news.EditionFailed, CutoffSeq: 105},
		{Frequency: "daily", State: news.EditionEmpty, CutoffSeq: 103},
		{Frequency: "daily", State: news.EditionDone, CutoffSeq: 101},
	}
	p, err := testEditor(t, s).Preview(t.Context(), "morning", "daily", "")
	if err != nil {
		t.Fatal(err)
	}
	if !p.New || len(p.Articles) != 2 {
		t.Errorf("got new=%v, %d articles; want the 2 after the last daily edition", p.New, len(p.Articles))
	}
}

func TestPreviewWithoutNews(t *testing.T) {
	s := world()
	s.past = []news.Edition{{Frequency: "daily", State: news.EditionDone, CutoffSeq: 105}}
	p, err := testEditor(t, s).Preview(t.Context(), "morning", "daily", "")
	if err != nil {
		t.Fatal(err)
	}
	if p.New || len(p.Articles) != 5 || !strings.Contains(p.Mail.HTML, "Mexico") {
		t.Errorf("got new=%v, %d articles; want the newest 5, said not to be new", p.New, len(p.Articles))
	}
	s.articles = nil
	if p, err = testEditor(t, s).Preview(t.Context(), "morning", "daily", ""); err != nil || p.New || p.Mail.HTML != "" {
		t.Errorf("without any article: got new=%v, %d bytes, %v; want nothing", p.New, len(p.Mail.HTML), err)
	}
}

func TestPreviewOfUnknown(t *testing.T) {
	s := world()
	s.subscriber = ana()
	s.subscriber.Subscriptions[0].ListName = "other"
	e := testEditor(t, s)
	for _, tt := range [][3]string{{"nope", "", ""}, {"morning", "yearly", ""}, {"morning", "", "bob@example.net"}, {"morning", "", "ana@example.net"}} {
		if _, err := e.Preview(t.Context(), tt[0], tt[1], tt[2]); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("%v: got %v, want ErrNotFound", tt, err)
		}
	}
	var field *news.FieldError
	if _, err := e.Preview(t.Context(), "morning", "", "not an address"); !errors.As(err, &field) {
		t.Errorf("bad address: got %v, want a FieldError", err)
	}
}
