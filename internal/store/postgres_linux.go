package store

import (
	"syscall"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall lacks:
// milliseconds that sent data may stay unacknowledged. Without it a dead link is
// noticed after a quarter of an hour.
const tcpUserTimeout = 18

// limitSilence is for net.Dialer.Control.
func limitSilence(network, _ string, c syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	// A system that does not know the option is only slower to notice.
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silentFor.Milliseconds()))
	})
}
