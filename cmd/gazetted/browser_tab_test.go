package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// patience bounds every wait for something that takes a second on an idle
// machine; with the race detector on a busy one it has taken half of this.
const patience = time.Minute

// startBrowser starts one Chromium for the test. Tabs of its context are made
// with openTab.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), // headless; no sandbox where we are root
		chromedp.ExecPath(findBrowser(t)), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 960),
		chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(patience),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start browser: %v", err)
	}
	return ctx
}

// findBrowser returns the browser that `make test` has found, or one in PATH.
func findBrowser(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell"}
	if given := os.Getenv("GAZETTED_TEST_CHROMIUM"); given != "" {
		names = []string{given}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("no Chromium for tests: there is none of %s\nhint: run `make test`, which finds or installs one, or set GAZETTED_TEST_CHROMIUM",
		strings.Join(names, ", "))
	return ""
}

// watch notes what a visitor's console and network panel would show in red.
type watch struct {
	origins []string // that may be asked for anything

	mu     sync.Mutex
	faults []string
	asked  map[network.RequestID]string // addresses
}

func (w *watch) add(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

func (w *watch) event(e any) {
	switch e := e.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "assert" {
			w.add("console: %v", e.Args)
		}
	case *runtime.EventExceptionThrown:
		w.add("exception: %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" {
			w.add("console: %s (%s)", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		w.request(e.RequestID, e.Request.URL)
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			w.add("status %d: %s", e.Response.Status, e.Response.URL)
		}
	case *network.EventLoadingFailed:
		w.failed(e)
	}
}

func (w *watch) request(id network.RequestID, address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[id] = address
	if u, err := url.Parse(address); err == nil && u.Host != "" && !slices.Contains(w.origins, u.Scheme+"://"+u.Host) {
		w.faults = append(w.faults, "request to another origin: "+address)
	}
}

func (w *watch) failed(e *network.EventLoadingFailed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// The developer tools read a page's style sheets from the cache for
	// themselves, where a page that must not be stored is not.
	address, ofPage := w.asked[e.RequestID]
	// What a navigation cuts short is not asked for any more.
	if ofPage && (!e.Canceled || e.BlockedReason != "") {
		w.faults = append(w.faults, fmt.Sprintf("request failed: %s %s %s", address, e.ErrorText, e.BlockedReason))
	}
}

// tab is one tab of a browser as its user sees it.
type tab struct {
	t      *testing.T
	ctx    context.Context // chromedp's contexts are its handles of tabs
	close  context.CancelFunc
	seen   *watch
	script bool
}

// openTab opens a tab in a profile of its own, without cookies and cache of
// others. Only the given origins may be asked for anything.
func openTab(t *testing.T, browser context.Context, script bool, origins ...string) *tab {
	t.Helper()
	seen := &watch{origins: origins, asked: map[network.RequestID]string{}}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(seen.event))
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, close: cancel, seen: seen, script: script}
	b.prepare()
	t.Cleanup(func() {
		seen.mu.Lock()
		defer seen.mu.Unlock()
		for _, fault := range seen.faults {
			t.Errorf("browser: %s", fault)
		}
	})
	return b
}

func (b *tab) prepare() {
	b.t.Helper()
	if err := chromedp.Do(b.ctx); err != nil { // binds the tab to its own context, not to a step's
		b.t.Fatalf("open tab: %v", err)
	}
	if !b.script {
		if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
			b.t.Fatalf("switch scripts off: %v", err)
		}
	}
}

// do runs steps that have to succeed.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.describe())
	}
}

// goTo opens an address as if it was typed in.
func (b *tab) goTo(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address))
}

// click presses what a CSS selector names.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// fill writes into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// value evaluates a JavaScript expression, from outside of the page: it also
// works where the page itself may run none.
func value[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// waitFor returns once the expression is true, however often the page is
// loaded anew meanwhile.
func (b *tab) waitFor(what, expression string) {
	b.t.Helper()
	b.waitUpTo(patience, what, expression)
}

func (b *tab) waitUpTo(limit time.Duration, what, expression string) {
	b.t.Helper()
	if err := eventually(b.ctx, limit, func() (bool, error) { return value[bool](b, expression) }); err != nil {
		b.t.Fatalf("waited for %s: %v\n%s", what, err, b.describe())
	}
}

// eventually asks until it hears true. Errors are a page in the middle of
// being loaded, until the time is up.
func eventually(ctx context.Context, limit time.Duration, ask func() (bool, error)) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := ask()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return errors.Join(fmt.Errorf("not within %s", limit), err)
		}
	}
}

// heading waits for a page with this main heading.
func (b *tab) heading(text string) {
	b.t.Helper()
	b.waitFor("the heading "+text, fmt.Sprintf(`document.readyState === "complete" && document.querySelector("h1")?.textContent === %q`, text))
}

// describe is what a person would see, for messages.
func (b *tab) describe() string {
	text, err := value[string](b, `location.href + "\n" + (document.body?.innerText ?? "").slice(0, 1500)`)
	if err != nil {
		return err.Error()
	}
	return text
}

// newTab clicks on something that opens a tab beside this one, and returns
// that tab.
func (b *tab) newTab(selector string) *tab {
	b.t.Helper()
	opened := chromedp.WaitNewTarget(b.ctx, func(i *target.Info) bool { return i.Type == "page" && strings.HasPrefix(i.URL, "http") })
	b.click(selector)
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case id, ok := <-opened:
		if !ok {
			b.t.Fatalf("%s: the tab was closed", selector)
		}
		ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(id), chromedp.WithListener(b.seen.event))
		b.t.Cleanup(cancel)
		n := &tab{t: b.t, ctx: ctx, close: cancel, seen: b.seen, script: b.script}
		n.prepare()
		// What it has loaded before we listened, and perhaps with scripts, does
		// not count.
		n.do(chromedp.Reload())
		return n
	case <-limit.C:
		b.t.Fatalf("%s: no tab was opened\n%s", selector, b.describe())
		return nil
	}
}
