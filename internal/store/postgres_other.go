//go:build !linux

package store

import (
	"syscall"
)

// limitSilence is for net.Dialer.Control. Only Linux has such a limit.
func limitSilence(_, _ string, _ syscall.RawConn) error { return nil }
