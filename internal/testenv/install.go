package main

import (
	"context"
	"fmt"
	"strings"
)

// installPackage installs what is missing with the machine's own package manager. The
// Homebrew package may carry flags before its name.
func installPackage(ctx context.Context, h host, what, debian, homebrew string) error {
	commands := installCommands(h, debian, homebrew)
	if commands == nil {
		return fmt.Errorf("%s is not installed, and there is no package manager here that this program knows", what)
	}
	say(h.log, "testenv: %s is not installed: installing it\n", what)
	for _, c := range commands {
		if err := h.run(ctx, c[0], c[1:]...); err != nil {
			return fmt.Errorf("install %s: %s: %w", what, strings.Join(c, " "), err)
		}
	}
	return nil
}

// installCommands returns what to run, one command after the other; nil if nothing fits.
func installCommands(h host, debian, homebrew string) [][]string {
	if _, err := h.lookPath("apt-get"); err == nil && h.os == "linux" {
		// Another apt-get may hold the lock: wait for it rather than fail.
		apt := []string{"apt-get", "-o", "DPkg::Lock::Timeout=300"}
		if h.uid != 0 {
			apt = append([]string{"sudo", "-n"}, apt...) // never ask for a password in a test run
		}
		return [][]string{
			append(apt[:len(apt):len(apt)], "update"),
			append(apt[:len(apt):len(apt)], "install", "-y", "--no-install-recommends", debian),
		}
	}
	if _, err := h.lookPath("brew"); err == nil {
		return [][]string{append([]string{"brew", "install"}, strings.Fields(homebrew)...)}
	}
	return nil
}
