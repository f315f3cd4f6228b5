package main

import (
	"os"
	"os/exec"
	"os/user"
	"syscall"
)

// runAs makes cmd run as another account. A nil account is our own.
func runAs(cmd *exec.Cmd, as *user.User) error {
	if as == nil {
		return nil
	}
	uid, gid, err := ids(as)
	if err != nil {
		return err
	}
	// The ids are those of /etc/passwd, 32 bits and never negative there.
	attributes(cmd).Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return nil
}

// ownGroup gives cmd a process group of its own, so that a signal reaches it and all it
// started once, by us, and not a second time from the terminal.
func ownGroup(cmd *exec.Cmd) {
	attributes(cmd).Setpgid = true
}

// signalGroup sends a signal to cmd and all it started: `go test` itself does not pass
// SIGTERM on to the test binaries.
func signalGroup(cmd *exec.Cmd, sig os.Signal) {
	if n, ok := sig.(syscall.Signal); ok {
		_ = syscall.Kill(-cmd.Process.Pid, n) // it may have ended already
	}
}

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}
