package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"gazetted/internal/dbtest"
)

// TestBrowserLife is the life of a subscriber in a real browser: sign-up,
// confirmation, digest, web view, preferences, end. Nothing of it may need
// JavaScript, and nothing may break with it.
func TestBrowserLife(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	for _, db := range []struct {
		name string
		dsn  func(t *testing.T, dir string) string
	}{
		{"sqlite", func(_ *testing.T, dir string) string { return "sqlite:" + filepath.Join(dir, "gazetted.db") }},
		{"postgres", func(t *testing.T, _ string) string { return dbtest.PostgresDSN(t) }},
	} {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h := startHouse(t, dir, db.dsn(t, dir))
			h.publish("old", "Before anybody came", "Coast")
			h.publish("old-hills", "An old story of the hills", "Hills")
			for _, mode := range []struct {
				name   string
				script bool
			}{{"without scripts", false}, {"with scripts", true}} {
				t.Run(mode.name, func(t *testing.T) {
					reader := "ana@" + db.name + map[bool]string{true: ".script", false: ".plain"}[mode.script] + ".example"
					live(t, openTab(t, browser, mode.script, h.url), h, reader)
				})
			}
		})
	}
}

// live does what a person does from the first visit to the last.
func live(t *testing.T, b *tab, h *house, reader string) {
	b.goTo(h.url + "/")
	b.waitFor("the published article", `document.body.innerText.includes("Before anybody came")`)
	b.click(`.share a[href^="/share/"]`)
	// The button that only a script can serve is there if, and only if, one runs.
	b.waitFor("the page for passing on", fmt.Sprintf(`document.readyState === "complete" && document.getElementById("copy")?.hidden === %t`, !b.script))
	b.click(`.bar a[href="/"]`)
	b.click(`.offer a.button[href="/subscribe/world"]`)
	b.heading("World news")
	b.fill("#address", reader)
	b.click(`input[name=topic][value="category:coast"]`)
	b.click(`form button[type=submit]`)
	b.heading("Check your mail")

	b.readMail(h, reader, "World news")
	page := b.newTab(`a[href*="/confirm/"]`)
	page.heading("One click, and you are in")
	page.click("form button[type=submit]")
	page.heading("You are in")
	page.close()

	h.publish("coast "+reader, "News of the coast for "+reader, "Coast")
	b.readMail(h, reader, "News of the coast")
	page = b.newTab(`a[href*="/view/"]`)
	page.waitFor("the web view", fmt.Sprintf(`document.body.innerText.includes("News of the coast for %s")`, reader))
	page.close()

	page = b.newTab(`a[href*="/preferences/"]`)
	page.heading("Your preferences")
	page.click(`input[name=topic][value="category:coast"]`)
	page.click(`input[name=topic][value="category:hills"]`)
	page.click(`form button[type=submit]`)
	page.waitFor("the word that it is saved", `document.querySelector(".saved")?.innerText.includes("Saved.")`)
	const onlyHills = `document.readyState === "complete" && [...document.querySelectorAll("input[name=topic]:checked")].map(i => i.value).join() === "category:hills"`
	page.waitFor("the saved choice", onlyHills)
	page.goTo(page.location())
	page.waitFor("the saved choice, opened again", onlyHills)

	// A story of the old topic, then one of the new: only the latter comes.
	h.publish("coast 2 "+reader, "More of the coast for "+reader, "Coast")
	h.publish("hills "+reader, "News of the hills for "+reader, "Hills")
	b.readMail(h, reader, "News of the hills")
	if n := h.mails(reader); n != 3 {
		t.Errorf("%d mails to %s, want 3: confirmation, coast, hills", n, reader)
	}

	page.click(`a[href*="/unsubscribe/"]`)
	page.heading("Unsubscribe?")
	page.click("form button[type=submit]")
	page.heading("You are unsubscribed")
	h.publish("last "+reader, "The last of the hills for "+reader, "Hills")
	// The witness is told, in the same edition that would have told the reader.
	b.findMail(h, witness, "The last of the hills for "+reader)
	if n := h.mails(reader); n != 3 {
		t.Errorf("%d mails to %s, want no more than the 3 before the end", n, reader)
	}
}

// readMail opens the reader's newest mail with this subject, from the list of
// the captured mailbox to the mail itself.
func (b *tab) readMail(h *house, reader, subject string) {
	b.t.Helper()
	b.findMail(h, reader, subject)
	b.click(fmt.Sprintf(`tr:nth-child(%d) a`, b.row(reader, subject)))
	b.waitFor("the mail", `document.querySelector("iframe.mail") !== null`)
	b.click(`.parts a[href$="/html"]`)
	b.waitFor("its HTML part", `document.readyState === "complete" && location.pathname.endsWith("/html")`)
}

// findMail loads the captured mailbox until it holds the mail.
func (b *tab) findMail(h *house, reader, subject string) {
	b.t.Helper()
	err := eventually(b.ctx, patience, func() (bool, error) {
		b.goTo(h.url + "/mailbox")
		return b.row(reader, subject) > 0, nil
	})
	if err != nil {
		b.t.Fatalf("no mail %q to %s: %v\n%s", subject, reader, err, b.describe())
	}
}

// row is the number of the mail in the table; 0 if there is none.
func (b *tab) row(reader, subject string) int {
	b.t.Helper()
	n, err := value[int](b, fmt.Sprintf(`[...document.querySelectorAll(".mails tbody tr")]
		.findIndex(r => r.cells[1].innerText.includes(%q) && r.cells[0].innerText.includes(%q)) + 1`, reader, subject))
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *tab) location() string {
	b.t.Helper()
	href, err := value[string](b, "location.href")
	if err != nil {
		b.t.Fatal(err)
	}
	return href
}

// TestBrowserDemo looks at every page of the demonstration on wide and narrow
// screens, in light and dark, and at a digest as it was mailed.
//
// GAZETTED_TEST_SCREENSHOTS names a folder for pictures of the pages,
// GAZETTED_TEST_PICTURE a file for the one in the README, docs/demo.png.
func TestBrowserDemo(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	h, site := startDemo(t)
	front := openTab(t, browser, true, h.url, site)
	front.goTo(h.url + "/")
	newest := front.newest()

	// Pages are looked at in a second tab while the first one waits for news.
	b := openTab(t, browser, true, h.url, site)
	for _, p := range []struct{ name, path string }{
		{"front", "/"}, {"feeds", "/feeds"}, {"newsletters", "/subscribe"}, {"sign-up", "/subscribe/world"},
		{"section", "/topics/category/culture"}, {"share", front.hrefOf(".share a")},
	} {
		b.look(p.name, h.url+p.path)
	}

	// Nobody touches the first tab, and yet it shows what was published since:
	// one article every demoEvery, and the page loads itself every 15 seconds.
	front.waitUpTo(demoEvery+15*time.Second+patience, "a new article without loading the page", fmt.Sprintf(`document.querySelector(".stories h2").innerText !== %q`, newest))
	if wanted() {
		front.waitUpTo(2*time.Minute, "more articles, for pictures", `document.querySelectorAll(".stories > .card").length >= 24 && document.querySelector(".stories > .card:first-child.pictured") !== null`)
		b.readmePicture(h.url + "/")
	}

	h.command("edition", "run", "--list", "world", "--frequency", "minutely")
	b.findMail(h, demoReader, "World briefing")
	b.look("mailbox", h.url+"/mailbox")
	row := b.row(demoReader, "more") // one with several articles, if there is one already
	if row == 0 {
		row = b.row(demoReader, "World briefing")
	}
	mail := h.url + b.hrefOf(fmt.Sprintf("tr:nth-child(%d) a", row))
	b.look("mail", mail)
	b.lookAtMail("digest", mail+"/html")
	preferences, unsubscribe := b.hrefOf(`a[href*="/preferences/"]`), b.hrefOf(`a[href*="/unsubscribe/"]`)
	b.look("preferences", preferences)
	b.look("unsubscribe", unsubscribe)
	b.look("archive", h.url+"/lists/world/")
	b.look("edition", h.url+b.hrefOf(".editions a"))

	h.command("subscriber", "add", witness, "--list", "world")
	b.findMail(h, witness, "World briefing")
	b.lookAtMail("confirmation", h.url+b.hrefOf(fmt.Sprintf("tr:nth-child(%d) a", b.row(witness, "World briefing")))+"/html")
	b.look("confirm", b.hrefOf(`a[href*="/confirm/"]`))
}

// demoReader is a subscriber of the demonstration who receives every article,
// minute by minute.
const demoReader = "ben.carter@reader.example"

func (b *tab) newest() string {
	b.t.Helper()
	b.waitFor("articles", `document.querySelector(".stories h2") !== null`)
	title, err := value[string](b, `document.querySelector(".stories h2").innerText`)
	if err != nil {
		b.t.Fatal(err)
	}
	return title
}

// hrefOf is where a link leads, as it is written.
func (b *tab) hrefOf(selector string) string {
	b.t.Helper()
	href, err := value[string](b, fmt.Sprintf(`document.querySelector(%q).getAttribute("href")`, selector))
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", selector, err, b.describe())
	}
	return href
}
