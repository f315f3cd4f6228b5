package feeds

import (
	"net/url"
	"testing"
)

// table runs one function of text over cases of input and wanted output.
func table(t *testing.T, f func(string) string, cases map[string]string) {
	t.Helper()
	for in, want := range cases {
		if got := f(in); got != want {
			t.Errorf("of %q: got %q, want %q", in, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	table(t, clean, map[string]string{
		"":                             "",
		"plain":                        "plain",
		"\t\n\r":                       "\t\n\r",
		"\x00\x08\x0b\x0c\x0e\x1f":     "",
		"a\x00b":                       "ab",
		"\xffa\xc3":                    "a",
		"\xed\xa0\x80":                 "", // a surrogate
		"\xf4\x90\x80\x80":             "", // beyond U+10FFFF
		"\xc0\x80":                     "", // overlong
		"\ufffe\uffff":                 "",
		"\ufffd is a character":        "\ufffd is a character",
		"\x7f\u0085\ue000\U0010ffff 🦞": "\x7f\u0085\ue000\U0010ffff 🦞",
	})
}

func TestTitle(t *testing.T) {
	table(t, title, map[string]string{
		"":                                "",
		" two \r\n lines\u2028end ":       "two lines end",
		"A <b>bold</b> move":              "A bold move",
		"<EM class='x'>a</EM><br/><img >": "a",
		"<<b>b>x":                         "x",
		"<sc<b>ript>x":                    "x",
		"<b\x00>x":                        "x",
		"3 < 4 > 2":                       "3 < 4 > 2",
		"I <3 you":                        "I <3 you",
		"Why <table> died":                "Why <table> died",
		"<bold> is not <b":                "<bold> is not <b",
		"AT&amp;T & Q<i>&lt;</i>":         "AT&amp;T & Q&lt;",
		"<>":                              "<>",
		"</>":                             "</>",
	})
}

func TestWebURL(t *testing.T) {
	same := []string{
		"https://harbour.example", "http://harbour.example:8080/a?b=c#d", "https://harbour.example/%C3%A4/%2F%2f?q=%20&r=a+b",
		"https://[2001:db8::1]:80/x", "https://harbour.example/a'(b),c;d=@!$&*~", "HTTPS://Harbour.example/A",
	}
	cases := map[string]string{
		" https://harbour.example/a b\n":           "https://harbour.example/a%20b",
		"https://harbour.example/ä?ü#ö":            "https://harbour.example/%C3%A4?%C3%BC#%C3%B6",
		"https://harbour.example/100%/%zz":         "https://harbour.example/100%25/%25zz",
		"https://harbour.example/[a]?[b]#c#d":      "https://harbour.example/%5Ba%5D?%5Bb%5D#c%23d",
		"https://harbour.example/\"<>\\^`{|}":      "https://harbour.example/%22%3C%3E%5C%5E%60%7B%7C%7D",
		"https://bücher.example:81/%C3%A4%2Fb?x#y": "https://xn--bcher-kva.example:81/%C3%A4%2Fb?x#y",
		"https://harbour.example/\x00a\xffb":       "https://harbour.example/ab",
		"https://har bour.example/":                "",
		"/relative":                                "",
		"//harbour.example/":                       "",
		"harbour.example":                          "",
		"https://":                                 "",
		"https:///path":                            "",
		"https:harbour.example":                    "",
		"javascript:alert(1)":                      "",
		"java\x00script:alert(1)":                  "",
		"data:text/html,x":                         "",
		"ftp://harbour.example/":                   "",
		"":                                         "",
	}
	for _, s := range same {
		cases[s] = s
	}
	table(t, webURL, cases)
	for in := range cases { // encoding twice changes nothing
		if once := webURL(in); webURL(once) != once {
			t.Errorf("of %q: %q becomes %q", in, once, webURL(once))
		}
	}
}

func TestIdentifiers(t *testing.T) {
	table(t, guidURI, map[string]string{
		"https://harbour.example/?p=51": "https://harbour.example/?p=51",
		"tag:harbour.example,2025:51":   "tag:harbour.example,2025:51",
		"urn:isbn:0451450523":           "urn:isbn:0451450523",
		"urn:a b":                       "urn:a%20b",
		"51":                            "urn:uuid:031b4af5-197e-830a-926f-48cf40e11a7d",
		"javascript:alert(1)":           "urn:uuid:d0ee0421-cce9-821d-a249-939cc55632a0",
	})
	for _, s := range []string{"", "x", "\x00", "urn:", "ä"} {
		if u, err := url.Parse(guidURI(s)); err != nil || !u.IsAbs() {
			t.Errorf("of %q: %q is no absolute URI", s, guidURI(s))
		}
	}
}

func TestLanguage(t *testing.T) {
	table(t, language, map[string]string{
		"en": "en", " pt-BR ": "pt-BR", "zh-Hant-TW": "zh-Hant-TW", "es-419": "es-419", "sl-rozaj-1994": "sl-rozaj-1994",
		"": "", "en_US": "", "e": "", "en-": "", "english-is-too-verylongsubtag": "", "en\"": "", "1a": "", "türkçe": "",
	})
}

func TestPersonName(t *testing.T) {
	table(t, personName, map[string]string{
		"Nina Kapoor":                   "Nina Kapoor",
		" Nina\n<b>Kapoor</b> ":         "Nina Kapoor",
		"nina@harbour.example":          "",
		"nina@harbour.example (Nina K)": "Nina K",
		"Nina K <nina@harbour.example>": "Nina K",
		"Nina (she)":                    "Nina (she)",
		"@nina":                         "@nina",
		"@nina.k":                       "@nina.k",
		"Nina @ Night":                  "Nina @ Night",
	})
}

func TestMediaType(t *testing.T) {
	table(t, mediaType, map[string]string{
		"image/jpeg": "image/jpeg", "IMAGE/PNG; q=1": "image/png", "jpeg": "", "": "", "image/": "", "image/\x00svg+xml": "image/svg+xml", "a b/c": "",
	})
}
