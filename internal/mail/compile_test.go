package mail

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"io"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"

	"gazetted/internal/news"
)

var update = flag.Bool("update", false, "write the golden files anew")

const testNonce = "0123456789abcdef0123456789abcdef"

func mark(p news.Place) string { return news.Mark(testNonce, p) }

func testSpec() Spec {
	return Spec{
		Variant: news.Variant{
			ID: 7, EditionID: 3, ListID: 1, Kind: news.VariantEdition, Language: "pt-BR", Nonce: testNonce,
			Subject: "São Paulo e mais 4 notícias, 12 de março",
			Text: "São Paulo: chuva\nhttps://example.org/a?b=c\n\n.\n.ponto no início\nMudar: " + mark(news.PlacePreferences) + "\nSair: " +
				mark(news.PlaceUnsubscribe) + "\nEnviado para " + mark(news.PlaceAddress) + ".",
			HTML: `<!doctype html><html lang="pt-BR"><body><p>São Paulo: chuva, e uma linha bastante comprida que o codificador tem de partir em duas ou três.</p>
<p><a href="` + mark(news.PlaceWebView) + `">Ver no navegador</a> · <a href="` + mark(news.PlaceUnsubscribe) + `">Sair</a> · ` + mark(news.PlaceAddress) + `</p></body></html>`,
		},
		From: "O Diário <news@example.org>", ReplyTo: "redacao@example.org",
		ListID: "world.news.example.org", ListTitle: "Notícias do mundo",
		OneClick: true, ArchiveURL: "https://news.example.org/lists/world/", Owner: "postmaster@example.org",
	}
}

func testRecipient() Recipient {
	return Recipient{
		Address: "ana&co@example.net", Name: "Ana Müller", MessageID: "<c0ffee@news.example.org>",
		Date:        time.Date(2026, 3, 12, 7, 0, 0, 0, time.UTC),
		Unsubscribe: "https://news.example.org/unsubscribe/AQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		Preferences: "https://news.example.org/preferences/AQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?x=1&y=2",
		WebView:     "https://news.example.org/view/AQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	}
}

func TestGoldenMessage(t *testing.T) {
	confirm := testSpec()
	confirm.Variant.Kind = news.VariantConfirm
	confirm.Variant.HTML = ""
	confirm.Variant.Subject = "Please confirm"
	confirm.Variant.Text = "Confirm for " + mark(news.PlaceAddress) + ":\n" + mark(news.PlaceConfirm)
	r := testRecipient()
	r.Confirm = "https://news.example.org/confirm/AQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for name, spec := range map[string]Spec{"edition": testSpec(), "confirm": confirm} {
		t.Run(name, func(t *testing.T) {
			got := mustBytes(t, spec, r)
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Error(diff)
			}
			if again := mustBytes(t, spec, r); !bytes.Equal(got, again) {
				t.Error("the same inputs gave other bytes (rule 31)")
			}
		})
	}
}

func mustBytes(t testing.TB, s Spec, r Recipient) []byte {
	t.Helper()
	c, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Bytes(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wireFaults checks what holds for every message (digest rules 1 and 2, S1, S2).
func wireFaults(raw []byte) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		fault("does not end with CRLF")
	}
	if rest := bytes.ReplaceAll(raw, []byte("\r\n"), nil); bytes.ContainsAny(rest, "\r\n\x00") {
		fault("bare CR, LF or NUL")
	}
	head, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		fault("no empty line behind the header")
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > maxWireLine {
			fault("header line of %d", len(line))
		}
		if i := bytes.IndexFunc(line, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			fault("header line is not printable ASCII: %q", line)
		}
	}
	for line := range bytes.SplitSeq(body, []byte("\r\n")) {
		if len(line) > maxQPLine {
			fault("body line of %d: %q", len(line), line)
		}
		// So no relay needs 8BITMIME (RFC 6152), and nobody re-encodes what is signed.
		if i := bytes.IndexFunc(line, func(r rune) bool { return r > '~' }); i >= 0 {
			fault("body line has eight bits: %q", line)
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return append(faults, err.Error())
	}
	for _, key := range []string{"From", "To", "Date", "Subject", "Message-Id", "Mime-Version", "Auto-Submitted", "Content-Type", "List-Id"} {
		if n := len(m.Header[key]); n != 1 {
			fault("%d fields %s", n, key)
		}
	}
	for key, values := range m.Header {
		if len(values) != 1 {
			fault("%d fields %s", len(values), key)
		}
	}
	for _, key := range []string{"From", "To"} {
		if list, err := m.Header.AddressList(key); err != nil || len(list) != 1 {
			fault("%s: %v, %v", key, list, err)
		}
	}
	if _, err := m.Header.Date(); err != nil {
		fault("date: %v", err)
	}
	return faults
}

// decoded returns subject, text and html as a reader sees them.
func decoded(t testing.TB, raw []byte) (subject, text, page string) {
	t.Helper()
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if subject, err = e.Header.Text("Subject"); err != nil {
		t.Fatal(err)
	}
	order := 0
	err = e.Walk(func(_ []int, e *message.Entity, err error) error {
		if err != nil {
			return err
		}
		kind, params, err := e.Header.ContentType()
		if err != nil || e.MultipartReader() != nil {
			return err
		}
		b, err := io.ReadAll(e.Body)
		if params["charset"] != "utf-8" || e.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Errorf("part %s: charset %q, encoding %q", kind, params["charset"], e.Header.Get("Content-Transfer-Encoding"))
		}
		switch {
		case kind == "text/plain" && order == 0:
			text = string(b)
		case kind == "text/html" && order == 1:
			page = string(b)
		default:
			t.Errorf("part %d is %s", order, kind)
		}
		order++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return subject, text, page
}

func TestMessageFollowsTheRules(t *testing.T) {
	raw := mustBytes(t, testSpec(), testRecipient())
	for _, f := range wireFaults(raw) {
		t.Error(f)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	r := testRecipient()
	for key, want := range map[string]string{
		"Message-Id":            r.MessageID,
		"Date":                  "Thu, 12 Mar 2026 07:00:00 +0000",
		"List-Unsubscribe":      "<" + r.Unsubscribe + ">",
		"List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"List-Archive":          "<https://news.example.org/lists/world/>",
		"List-Owner":            "<mailto:postmaster@example.org>",
		"Precedence":            "bulk",
		"Auto-Submitted":        "auto-generated",
		"Content-Language":      "pt-BR",
		"Mime-Version":          "1.0",
		"Reply-To":              "<redacao@example.org>",
		"User-Agent":            "",
		"X-Mailer":              "",
	} {
		if got := m.Header.Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if id := m.Header.Get("List-Id"); !strings.HasSuffix(id, " <world.news.example.org>") || mustWord(t, strings.TrimSuffix(id, " <world.news.example.org>")) != "Notícias do mundo" {
		t.Errorf("List-Id: %q", id)
	}
	if to, err := m.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Name != "Ana Müller" || to[0].Address != "ana&co@example.net" {
		t.Errorf("To: %v, %v", to, err)
	}
	subject, text, page := decoded(t, raw)
	if subject != testSpec().Variant.Subject {
		t.Errorf("subject %q", subject)
	}
	if want := render(testSpec().Variant.Text, r, false); text != want {
		t.Errorf("text\n%q\nwant\n%q", text, want)
	}
	if want := render(testSpec().Variant.HTML, r, true); page != want {
		t.Errorf("html\n%q\nwant\n%q", page, want)
	}
}

func mustWord(t *testing.T, s string) string {
	t.Helper()
	out, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// render is the plain way to do what cutting does: put the values in, end with
// a line end, use CRLF.
func render(s string, r Recipient, escape bool) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(s, "\uFFFD"))
	if !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	for p, v := range map[news.Place]string{
		news.PlaceUnsubscribe: r.Unsubscribe, news.PlacePreferences: r.Preferences, news.PlaceWebView: r.WebView,
		news.PlaceConfirm: r.Confirm, news.PlaceAddress: r.Address,
	} {
		if escape {
			v = html.EscapeString(v)
		}
		s = strings.ReplaceAll(s, mark(p), v)
	}
	return strings.ReplaceAll(s, "\n", "\r\n")
}

func TestConfirmationIsNoListMail(t *testing.T) {
	s := testSpec()
	s.Variant.Kind = news.VariantConfirm
	raw := mustBytes(t, s, testRecipient())
	for _, f := range wireFaults(raw) {
		t.Error(f)
	}
	m, _ := mail.ReadMessage(bytes.NewReader(raw))
	for _, key := range []string{"Precedence", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID"} {
		if v := m.Header.Get(key); v != "" {
			t.Errorf("%s: %q", key, v)
		}
	}
}

// TestInjection is S1: every field, every way to smuggle a line end or to be
// too long. Either the value is refused or the message is as it has to be.
func TestInjection(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	evil := []string{"a\r\nBcc: x@evil.test", "a\nBcc: x@evil.test", "a\rBcc: x@evil.test", "a%0d%0aBcc: x@evil.test", "a\u2028Bcc: x@evil.test",
		"a\x00b", "a\u0085b", long, strings.Repeat("ş", 50_000), strings.Repeat("long words ", 9_000), "=?utf-8?q?a=0D=0ABcc:_x@evil.test?=", "a\r\n\r\n<script>", "\xff\xfe", "\r\n", `a"<b@evil.test>,"`}
	fields := map[string]func(*Spec, *Recipient, string){
		"subject":     func(s *Spec, _ *Recipient, v string) { s.Variant.Subject = v },
		"language":    func(s *Spec, _ *Recipient, v string) { s.Language = v },
		"from":        func(s *Spec, _ *Recipient, v string) { s.From = v },
		"from name":   func(s *Spec, _ *Recipient, v string) { s.From = v + " <news@example.org>" },
		"from local":  func(s *Spec, _ *Recipient, v string) { s.From = v + "@example.org" },
		"reply-to":    func(s *Spec, _ *Recipient, v string) { s.ReplyTo = v },
		"reply name":  func(s *Spec, _ *Recipient, v string) { s.ReplyTo = v + " <news@example.org>" },
		"list id":     func(s *Spec, _ *Recipient, v string) { s.ListID = v },
		"list title":  func(s *Spec, _ *Recipient, v string) { s.ListTitle = v },
		"archive":     func(s *Spec, _ *Recipient, v string) { s.ArchiveURL = "https://example.org/" + v },
		"help":        func(s *Spec, _ *Recipient, v string) { s.HelpURL = v },
		"owner":       func(s *Spec, _ *Recipient, v string) { s.Owner = v },
		"feedback":    func(s *Spec, _ *Recipient, v string) { s.FeedbackID = v },
		"address":     func(_ *Spec, r *Recipient, v string) { r.Address = v },
		"local part":  func(_ *Spec, r *Recipient, v string) { r.Address = v + "@example.org" },
		"domain":      func(_ *Spec, r *Recipient, v string) { r.Address = "a@" + v },
		"name":        func(_ *Spec, r *Recipient, v string) { r.Name = v },
		"message id":  func(_ *Spec, r *Recipient, v string) { r.MessageID = "<" + v + "@example.org>" },
		"unsubscribe": func(_ *Spec, r *Recipient, v string) { r.Unsubscribe = "https://example.org/" + v },
		"preferences": func(_ *Spec, r *Recipient, v string) { r.Preferences = "https://example.org/" + v },
	}
	for name, set := range fields {
		for _, v := range evil {
			s, r := testSpec(), testRecipient()
			set(&s, &r, v)
			c, err := Compile(s)
			if err != nil {
				continue
			}
			raw, err := c.Bytes(r)
			if err != nil {
				continue
			}
			for _, f := range wireFaults(raw) {
				t.Errorf("%s = %.40q: %s", name, v, f)
			}
			m, err := mail.ReadMessage(bytes.NewReader(raw))
			if err == nil && m.Header.Get("Bcc") != "" {
				t.Errorf("%s = %.40q: got a Bcc", name, v)
			}
		}
	}
	for _, address := range []string{"a b@x.test", "<script>@x.test", "a@localhost", "a@[127.0.0.1]", "a@x.test,b@x.test", "", "a@x.test\r\nRCPT TO:<b@x.test>"} {
		c, err := Compile(testSpec())
		if err != nil {
			t.Fatal(err)
		}
		r := testRecipient()
		r.Address = address
		if _, err := c.Bytes(r); err == nil {
			t.Errorf("address %q was taken", address)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"a mark in the subject":     func(s *Spec) { s.Variant.Subject += mark(news.PlaceAddress) },
		"an unknown place":          func(s *Spec) { s.Variant.Text += mark('T') },
		"half a mark":               func(s *Spec) { s.Variant.HTML += mark(news.PlaceAddress)[:34] },
		"no text":                   func(s *Spec) { s.Variant.Text = " \n" },
		"no subject":                func(s *Spec) { s.Variant.Subject = "\r\n" },
		"no nonce":                  func(s *Spec) { s.Variant.Nonce = "" },
		"a nonce with a line end":   func(s *Spec) { s.Variant.Nonce = "0123456789\r\n" },
		"no sender":                 func(s *Spec) { s.From = "" },
		"a sender that needs UTF-8": func(s *Spec) { s.From = "rédaction@example.org" },
		"too large":                 func(s *Spec) { s.MaxBytes = 500 },
	} {
		s := testSpec()
		change(&s)
		if _, err := Compile(s); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	c, err := Compile(testSpec())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Recipient){
		"no date":             func(r *Recipient) { r.Date = time.Time{} },
		"no Message-ID":       func(r *Recipient) { r.MessageID = "" },
		"no unsubscribe link": func(r *Recipient) { r.Unsubscribe = "" },
		"no preferences link": func(r *Recipient) { r.Preferences = "" },
	} {
		r := testRecipient()
		change(&r)
		if b, err := c.Bytes(r); err == nil || b != nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("a{u}b\n{p}{w}\n{a}", "<p>{u}</p>{c}")
	f.Add("{a}", "{a}{a}")
	f.Add(strings.Repeat("x", 75)+"{u} \n\n{u}\n \t{a}", strings.Repeat("é", 40)+"{p}\r\n.{w}\r{c}=")
	f.Add(".\r\n{u}.\n..{a}", " {u} ")
	f.Add("x", "--gazetted-"+testNonce+"\r\n\r\n=C3=\n{u}")
	f.Fuzz(func(t *testing.T, text, page string) {
		marks := strings.NewReplacer("{u}", mark('u'), "{p}", mark('p'), "{w}", mark('w'), "{c}", mark('c'), "{a}", mark('a'))
		text, page = marks.Replace(text), marks.Replace(page)
		if strings.TrimSpace(text) == "" || page == "" || strings.Contains(page+text, "gazetted-"+testNonce) {
			return
		}
		s, r := testSpec(), testRecipient()
		s.Variant.Text, s.Variant.HTML = text, page
		r.Confirm = "https://news.example.org/confirm/" + strings.Repeat("A=", len(text)%90)
		raw := mustBytes(t, s, r)
		for _, f := range wireFaults(raw) {
			t.Error(f)
		}
		_, gotText, gotPage := decoded(t, raw)
		if want := render(text, r, false); gotText != want {
			t.Errorf("text\n%q\nwant\n%q", gotText, want)
		}
		if want := render(page, r, true); gotPage != want {
			t.Errorf("html\n%q\nwant\n%q", gotPage, want)
		}
	})
}

func FuzzHeaderText(f *testing.F) {
	for _, s := range []string{"", "a", "é", "a  b", "=?utf-8?q?x?=", "İstanbul’da 5 haber", strings.Repeat("漢字", 60), strings.Repeat("w", 80), "a, b \"c\" <d@e>", "👩‍👩‍👧"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s := cleanLine(in, maxSubject)
		enc := unstructured(s)
		got, err := new(mime.WordDecoder).DecodeHeader(enc)
		if err != nil || got != s || !plainHeader(strings.NewReplacer("=?", "", "?=", "").Replace(enc)) {
			t.Errorf("%q: %q decodes to %q, %v", s, enc, got, err)
		}
		name := news.CleanName(in)
		list, err := mail.ParseAddressList(phrase(name) + " <a@example.org>")
		if name != "" && (err != nil || len(list) != 1 || list[0].Name != name) {
			t.Errorf("name %q: %q gives %v, %v", name, phrase(name), list, err)
		}
	})
}
