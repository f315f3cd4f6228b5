package main

import (
	"context"
	"fmt"
)

const chromiumHint = "install Chromium (Debian: apt-get install chromium; macOS: brew install --cask chromium), " +
	"or set " + chromiumVar + " to its path"

// findChromium returns the path of a Chromium, or of a browser that is driven alike.
func findChromium(ctx context.Context, h host, install bool) (string, error) {
	if given := h.getenv(chromiumVar); given != "" {
		path, err := h.lookPath(given)
		if err != nil {
			return "", &problem{
				fmt.Sprintf("the browser in %s cannot be used: %v", chromiumVar, err),
				"set it to the path of an executable, or unset it to have one found",
			}
		}
		say(h.log, "testenv: Chromium: %s, from %s\n", path, chromiumVar)
		return path, nil
	}
	path := installedChromium(h)
	if path == "" && install {
		if err := installPackage(ctx, h, "Chromium", "chromium", "--cask chromium"); err != nil {
			return "", &problem{err.Error(), chromiumHint}
		}
		path = installedChromium(h)
	}
	if path == "" {
		return "", &problem{"no Chromium is installed", chromiumHint}
	}
	say(h.log, "testenv: Chromium: %s\n", path)
	return path, nil
}

func installedChromium(h host) string {
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"headless_shell", "chrome-headless-shell",
		"/Applications/Chromium.app/Contents/MacOS/Chromium",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	} {
		if path, err := h.lookPath(name); err == nil {
			return path
		}
	}
	return ""
}
