package news_test

import (
	"strings"
	"testing"
	"unicode"

	"gazetted/internal/news"
)

func TestParseAddressTakes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ana@example.org":              "ana@example.org",
		"  Ana.Demir+news@Example.ORG": "Ana.Demir+news@example.org",
		"o'neil@example.co.uk":         "o'neil@example.co.uk",
		"ana@münchen.example":          "ana@xn--mnchen-3ya.example",
		"用户@例え.example":                "用户@xn--r8jz45g.example",
		"ana@example.org.":             "ana@example.org",
		"a@b.museum":                   "a@b.museum",
	} {
		got, err := news.ParseAddress("address", in)
		if err != nil || got.Spec != want {
			t.Errorf("%q: got %q, %v, want %q", in, got.Spec, err, want)
		}
	}
	one, _ := news.ParseAddress("a", "Ana@Example.org")
	two, _ := news.ParseAddress("a", "aNA@example.ORG")
	if one.Key != two.Key || one.Domain() != "example.org" || one.NeedsUTF8() {
		t.Errorf("%+v %+v are one person", one, two)
	}
}

func TestParseAddressRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "@", "ana", "ana@", "@example.org", "ana@localhost", "ana@[127.0.0.1]", "ana@[IPv6:::1]", "a b@x.test", "<script>@x.test", "ana@@x.test",
		`"ana b"@x.test`, ".ana@x.test", "ana.@x.test", "a..b@x.test", "ana@x..test", "ana@-x.test", "ana@x-.test", "ana@x.123", "ana@x_y.test",
		"ana@x.test\r\nBcc: bob@x.test", "ana\r@x.test", "ana\n@x.test", "ana\x00@x.test", "ana\u2028@x.test", "ana%0d%0a@x.test\r\n.",
		"Ana <ana@x.test>", "ana@x.test, bob@x.test", "ana@x.test bob", strings.Repeat("a", 65) + "@x.test", "ana@" + strings.Repeat("x", 64) + ".test",
		"ana@" + strings.Repeat("x.", 130) + "test", strings.Repeat("a", 100_000) + "@x.test", "ana@x.te\xffst", "ana\u200b@x.test", "(c)ana@x.test",
	} {
		if got, err := news.ParseAddress("address", in); err == nil {
			t.Errorf("%.60q was taken as %q", in, got.Spec)
		}
	}
}

func TestParseSender(t *testing.T) {
	t.Parallel()
	name, addr, err := news.ParseSender("from", `"The Gazette" <news@gazette.example>`)
	if err != nil || name != "The Gazette" || addr.Spec != "news@gazette.example" {
		t.Fatal(name, addr, err)
	}
	if name, _, err = news.ParseSender("from", "Evil\r\nBcc: x@y.test <news@gazette.example>"); err != nil || strings.ContainsAny(name, "\r\n") {
		t.Fatalf("%q %v", name, err)
	}
	if _, _, err = news.ParseSender("from", "The Gazette"); err == nil {
		t.Error("a name alone was taken")
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"ana@example.org", "用户@例え.example", "a@b.c", `"x"@y.z`, "a@xn--.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := news.ParseAddress("address", s)
		if err != nil {
			return
		}
		if len(a.Spec) > 254 || strings.Count(a.Spec, "@") != 1 || strings.ContainsFunc(a.Spec, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || r == '<' || r == '>' || r == ','
		}) {
			t.Fatalf("%q became %q", s, a.Spec)
		}
		again, err := news.ParseAddress("address", a.Spec)
		if err != nil || again != a {
			t.Fatalf("%q is not stable: %+v, %v", s, again, err)
		}
	})
}

func TestCleanName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" Ana \t Demir ": "Ana Demir", "Ana\r\nBcc: x": "Ana Bcc: x", "A\x00B\u2028C\u202eD": "A B C D", "\xff": "", strings.Repeat("é", 200): strings.Repeat("é", 100),
	} {
		if got := news.CleanName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
