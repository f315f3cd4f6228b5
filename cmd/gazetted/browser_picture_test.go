package main

import (
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Where pictures are to be written, as absolute paths; neither is set in a usual
// run.
const (
	picturesVar = "GAZETTED_TEST_SCREENSHOTS"
	readmeVar   = "GAZETTED_TEST_PICTURE"
)

// tallest bounds a picture's height in pixels; front pages have no end.
const tallest = 3000

func wanted() bool { return os.Getenv(picturesVar) != "" || os.Getenv(readmeVar) != "" }

// picture writes a PNG of the page, from its top, if somebody wants pictures.
func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv(picturesVar)
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		b.t.Fatal(err)
	}
	height, err := value[float64](b, `document.documentElement.scrollHeight`)
	if err != nil {
		b.t.Fatal(err)
	}
	width, err := value[float64](b, `innerWidth`)
	if err != nil {
		b.t.Fatal(err)
	}
	b.capture(filepath.Join(dir, name+".png"), page.Viewport{Width: width, Height: min(height, tallest), Scale: 1})
}

// readmePicture writes the front page down to the end of its first story.
func (b *tab) readmePicture(address string) {
	b.t.Helper()
	path := os.Getenv(readmeVar)
	if path == "" {
		return
	}
	b.size(1280)
	b.scheme("light")
	b.goTo(address)
	b.check("front page", 1280)
	height, err := value[float64](b, `Math.ceil(document.querySelector(".stories > .card").getBoundingClientRect().bottom)`)
	if err != nil {
		b.t.Fatal(err)
	}
	b.capture(path, page.Viewport{Width: 1280, Height: height, Scale: 1})
}

func (b *tab) capture(path string, clip page.Viewport) {
	b.t.Helper()
	beyond := true
	var got page.CaptureScreenshotResult
	// The first time makes the browser decode the pictures below the window, the
	// second has them.
	for range 2 {
		var err error
		if got, err = chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Clip: &clip, CaptureBeyondViewport: &beyond}); err != nil {
			b.t.Fatalf("picture %s: %v", path, err)
		}
	}
	if err := os.WriteFile(path, got.Data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
