package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gazetted/daemon"
)

// witness receives every article of the list: what the witness has got, every
// other reader has got, too, or does not get.
const witness = "witness@reader.example"

// house is a daemon in this process, with a source to publish to and a list.
type house struct {
	t           *testing.T
	config, url string
	key         string
}

func startHouse(t *testing.T, dir, dsn string) *house {
	t.Helper()
	addr, err := freeLoopback()
	if err != nil {
		t.Fatal(err)
	}
	cfg := daemon.DefaultConfig()
	cfg.Database, cfg.Listen, cfg.PublicURL = dsn, addr, "http://"+addr
	cfg.Site.Title, cfg.Log.Level = "The Harbour Post", "warn"
	h := &house{t: t, config: filepath.Join(dir, configName), url: cfg.PublicURL}
	var text bytes.Buffer
	if err := daemon.WriteConfig(&text, cfg); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.config, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	h.command("migrate", "--create")
	h.command("source", "add", "push", "--name", "cms", "--settle", "0s")
	h.key = strings.TrimSpace(h.command("key", "add", "cms"))
	h.command("list", "add", "world", "--title", "World news", "--description", "From the coast and the hills.", "--frequency", "instant")
	h.serve("serve")
	h.command("subscriber", "add", witness, "--list", "world", "--confirmed")
	return h
}

// command runs one command as main would, and returns what it prints.
func (h *house) command(args ...string) string {
	h.t.Helper()
	var out, told bytes.Buffer
	if code := run(h.t.Context(), append([]string{"--config", h.config}, args...), strings.NewReader(""), &out, &told); code != 0 {
		h.t.Fatalf("gazetted %s: status %d\n%s", strings.Join(args, " "), code, told.String())
	}
	return out.String()
}

// serve runs a command that goes on until the test ends, and waits until its
// web server is ready.
func (h *house) serve(args ...string) {
	h.t.Helper()
	in(h.t, append([]string{"--config", h.config}, args...))
	h.ready()
}

func (h *house) ready() {
	h.t.Helper()
	if err := eventually(h.t.Context(), patience, func() (bool, error) {
		status, _, err := h.request(http.MethodGet, "/readyz", nil)
		return status == http.StatusOK, err
	}); err != nil {
		h.t.Fatalf("start daemon: %v", err)
	}
}

// in runs main with these arguments beside the test, ends it with the test and
// returns what it prints meanwhile.
func in(t *testing.T, args []string) *output {
	t.Helper()
	var out, told output
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, strings.NewReader(""), &out, &told) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != 0 || strings.Contains(told.String(), "level=ERROR") {
			t.Errorf("gazetted %s: status %d\n%s", strings.Join(args, " "), code, told.String())
		}
	})
	return &out
}

// output is a buffer that one goroutine fills and another reads.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends p.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is what has been written so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (h *house) request(method, path string, body any) (int, string, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, "", err
	}
	if body == nil {
		b = nil
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, bytes.NewReader(b))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+h.key)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var text bytes.Buffer
	_, err = text.ReadFrom(resp.Body)
	return resp.StatusCode, text.String(), err
}

// publish sends an article to the API.
func (h *house) publish(id, title, category string) {
	h.t.Helper()
	id = strings.NewReplacer(" ", "-", "@", "-").Replace(id)
	status, answer, err := h.request(http.MethodPost, "/api/v1/articles", map[string]any{
		"id": id, "url": h.url + "/?" + id, "title": title, "content_html": "<p>What happened at the " + category + ", told at length.</p>",
		"categories": []string{category}, "tags": []string{"Local"}, "authors": []map[string]string{{"name": "Ruth Adeyemi"}},
	})
	if err != nil || status != http.StatusCreated {
		h.t.Fatalf("publish %s: status %d, %v\n%s", title, status, err, answer)
	}
	// Released, and so on the page and on its way to readers.
	if err := eventually(h.t.Context(), patience, func() (bool, error) {
		_, feed, err := h.request(http.MethodGet, "/feeds/all.json", nil)
		return strings.Contains(feed, title), err
	}); err != nil {
		h.t.Fatalf("%s is not in the feed: %v", title, err)
	}
}

// mails counts the mails to an address in the ledger.
func (h *house) mails(address string) int {
	h.t.Helper()
	var all []struct {
		Address string `json:"address"`
	}
	text := h.command("--json", "delivery", "ls")
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		h.t.Fatalf("%v in %s", err, text)
	}
	n := 0
	for _, d := range all {
		if d.Address == address {
			n++
		}
	}
	return n
}

// startDemo runs the demonstration and returns it and the address of its
// newsroom's own site.
func startDemo(t *testing.T) (h *house, site string) {
	t.Helper()
	dir := t.TempDir()
	out := in(t, []string{"demo", "--dir", dir, "--listen", "127.0.0.1:0"})
	address := regexp.MustCompile(`http://[0-9.:]+/\n`)
	if err := eventually(t.Context(), patience, func() (bool, error) { return address.MatchString(out.String()), nil }); err != nil {
		t.Fatalf("start the demonstration: %v\n%s", err, out.String())
	}
	h = &house{t: t, config: filepath.Join(dir, configName), url: strings.TrimSuffix(address.FindString(out.String()), "/\n")}
	h.ready()
	cfg, err := daemon.LoadConfig(h.config, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h, cfg.Site.URL
}
