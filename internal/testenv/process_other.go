//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
)

// runAs knows no portable way to run as another account.
func runAs(_ *exec.Cmd, as *user.User) error {
	if as != nil {
		return errors.New("it does not run as root: run the tests from an ordinary account")
	}
	return nil
}

// ownGroup leaves cmd in our process group, where the terminal's interrupt reaches it.
func ownGroup(*exec.Cmd) {}

func signalGroup(cmd *exec.Cmd, sig os.Signal) {
	_ = cmd.Process.Signal(sig) // it may have ended already
}
