package news_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
)

func signer(t testing.TB, ids ...byte) *news.Signer {
	t.Helper()
	var secrets []news.Secret
	for _, id := range ids {
		secrets = append(secrets, news.Secret{ID: id, Key: bytes.Repeat([]byte{id}, 32)})
	}
	s, err := news.NewSigner(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokens(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	one, both, other := signer(t, 1), signer(t, 1, 2), signer(t, 3)
	want := news.Token{ID: 1 << 40, Second: 7, Expires: now.Add(time.Hour)}
	text := one.Sign(news.PurposeConfirm, want)
	got, err := one.Verify(news.PurposeConfirm, text, now)
	if err != nil || got != want {
		t.Fatal(got, err)
	}
	if _, err := both.Verify(news.PurposeConfirm, text, now); err != nil {
		t.Error("a new key ends old links:", err)
	}
	bad := map[string]func() error{
		"other purpose": func() error { _, err := one.Verify(news.PurposeUnsubscribe, text, now); return err },
		"other keys":    func() error { _, err := other.Verify(news.PurposeConfirm, text, now); return err },
		"too late":      func() error { _, err := one.Verify(news.PurposeConfirm, text, now.Add(time.Hour)); return err },
		"cut":           func() error { _, err := one.Verify(news.PurposeConfirm, text[:len(text)-1], now); return err },
		"longer":        func() error { _, err := one.Verify(news.PurposeConfirm, text+"A", now); return err },
		"empty":         func() error { _, err := one.Verify(news.PurposeConfirm, "", now); return err },
		"huge":          func() error { _, err := one.Verify(news.PurposeConfirm, strings.Repeat("A", 1<<20), now); return err },
		"newer key": func() error {
			_, err := one.Verify(news.PurposeConfirm, both.Sign(news.PurposeConfirm, want), now)
			return err
		},
	}
	for name, verify := range bad {
		if err := verify(); !errors.Is(err, news.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range len(text) {
		flipped := []byte(text)
		flipped[i] ^= 1
		if _, err := one.Verify(news.PurposeConfirm, string(flipped), now); err == nil {
			t.Errorf("a changed letter at %d was taken", i)
		}
	}
}

func TestDigestSurvivesRotation(t *testing.T) {
	t.Parallel()
	if a, b := signer(t, 1).Digest(news.PurposeMessageID, 5, 6), signer(t, 1, 2).Digest(news.PurposeMessageID, 5, 6); a != b || len(a) != 32 {
		t.Errorf("%s %s", a, b)
	}
	if signer(t, 1).Digest(news.PurposeMessageID, 5, 6) == signer(t, 1).Digest(news.PurposeMessageID, 6, 5) {
		t.Error("the order of the parts does not count")
	}
}

func FuzzVerify(f *testing.F) {
	s := signer(f, 1)
	f.Add(s.Sign(news.PurposeUnsubscribe, news.Token{ID: 1}))
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := s.Verify(news.PurposeUnsubscribe, text, time.Unix(0, 0))
		if err == nil && s.Sign(news.PurposeUnsubscribe, tok) != text {
			t.Fatalf("%q is no token of ours", text)
		}
	})
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "news.example.org", "ftp://x", "https://", "https://x/?q=1", "javascript:alert(1)"} {
		if _, err := news.NewLinks(bad, signer(t, 1)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	l, err := news.NewLinks("https://news.example.org/gazette/", signer(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.FeedTerm(news.KindTag, "東/京?", news.FormatRSS); got != "https://news.example.org/gazette/feeds/tag/%E6%9D%B1%2F%E4%BA%AC%3F.rss" {
		t.Error(got)
	}
	if got := l.Unsubscribe(5); !strings.HasPrefix(got, "https://news.example.org/gazette/unsubscribe/") {
		t.Error(got)
	}
}

func TestCleanTopicsIsTheSameForEveryOrder(t *testing.T) {
	t.Parallel()
	a, err := news.CleanTopics([]string{"tag:mexico", " category:us", "tag:mexico", ""})
	b, err2 := news.CleanTopics([]string{"category:us", "tag:mexico"})
	if err != nil || err2 != nil || len(a) != 2 || a[0] != b[0] || a[1] != b[1] {
		t.Fatal(a, b, err, err2)
	}
	if _, err := news.CleanTopics([]string{"us"}); err == nil {
		t.Error("a topic without kind was taken")
	}
}
