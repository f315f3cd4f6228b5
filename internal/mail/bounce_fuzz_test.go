package mail

import (
	"context"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
)

// forgetful is a store that believes everything and knows nobody.
type forgetful struct{ recorded []news.Bounce }

func (s *forgetful) RecordBounce(_ context.Context, b news.Bounce) (bool, error) {
	s.recorded = append(s.recorded, b)
	return true, nil
}

func (s *forgetful) CountIgnoredBounce(context.Context, string, string) error { return nil }

func (s *forgetful) DeliveriesTo(context.Context, news.Address, int) ([]news.Delivery, error) {
	return []news.Delivery{{ID: 1, Kind: news.VariantEdition, EditionID: 3, SubscriberID: 101}}, nil
}

// Whatever comes in, nothing is believed without a signature, and what is kept
// of it is one clean line.
func FuzzReadBounce(f *testing.F) {
	sign := testLinks(f).Signer()
	for _, status := range []string{noSuchUser, fullBox, policyNo, delayed, "", "Action: failed\r\n\r\nAction: failed"} {
		f.Add(report("bounces+TOKEN@example.org", status, "To: a@example.org\r\nMessage-ID: <x@example.org>"))
	}
	f.Add(complaint("abuse", "bounces+TOKEN@example.org", "To: a@example.org\r\nMessage-ID: <x@example.org>"))
	f.Add("From x\nTo: unsubscribe+TOKEN@example.org\n\n")
	f.Add("Content-Type: multipart/report; boundary=\"\"\r\n\r\n--\r\n\r\n----\r\n")
	f.Add("Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\nQWN0aW9uOiBmYWlsZWQ=\r\n")
	returns, err := NewSignedAddress("field", "bounces@example.org", news.PurposeBounce, sign)
	if err != nil {
		f.Fatal(err)
	}
	_, rest, _ := strings.Cut(returns.For(1), "+")
	token, _, _ := strings.Cut(rest, "@")
	f.Fuzz(func(t *testing.T, message string) {
		for _, signed := range []bool{false, true} {
			store := &forgetful{}
			b, err := NewBounces(BounceOptions{Store: store, Signer: sign, Domain: "example.org"})
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(message, token, "")
			if signed {
				text = strings.ReplaceAll(text, "TOKEN", token)
			}
			rec, err := b.Read(t.Context(), strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if len(store.recorded) > 0 && !signed {
				t.Fatalf("believed without a signature: %+v", store.recorded)
			}
			for _, x := range store.recorded {
				if x.DeliveryID != 1 || strings.ContainsAny(x.Diagnostic, "\r\n\x00") || len(x.Diagnostic) > 4*maxDiagnostic || x.EventID == "" {
					t.Fatalf("%+v", x)
				}
			}
			if (rec.Ignored == IgnoredNot) != (len(store.recorded) == 1) {
				t.Fatalf("%+v, %d recorded", rec, len(store.recorded))
			}
		}
	})
}

// Only what For has made is opened, in whatever case.
func FuzzSignedAddress(f *testing.F) {
	sign := testLinks(f).Signer()
	a, err := NewSignedAddress("field", "bounces@example.org", news.PurposeBounce, sign)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.For(1))
	f.Add(a.For(1 << 40))
	f.Add("bounces+aaaa@example.org")
	f.Add("+@")
	f.Fuzz(func(t *testing.T, address string) {
		id, ok := openSigned(sign, news.PurposeBounce, address, time.Now())
		if !ok {
			return
		}
		want, _, _ := strings.Cut(strings.TrimPrefix(a.For(id), "bounces"), "@")
		got := address[strings.LastIndexByte(address, '+'):strings.LastIndexByte(address, '@')]
		if !strings.EqualFold(got, want) {
			t.Fatalf("%q opened as %d, which is %q", address, id, want)
		}
	})
}
