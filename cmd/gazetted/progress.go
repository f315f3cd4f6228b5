package main

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// bar is a progress bar on the terminal; nil where no person looks. A size of
// -1 is not known, and shown by what was done so far.
func (a *app) bar(size int64, bytes bool) *progressbar.ProgressBar {
	f, ok := a.stderr.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return nil
	}
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription("importing"),
		progressbar.OptionShowBytes(bytes), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
}

// progress shows how much of in was read.
func (a *app) progress(in io.Reader, size int64) io.Reader {
	bar := a.bar(size, true)
	if bar == nil {
		return in
	}
	reader := progressbar.NewReader(in, bar)
	return &reader
}
