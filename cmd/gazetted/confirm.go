package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// errNotConfirmed says that a person, or nobody, answered no.
var errNotConfirmed = errors.New("not confirmed; --yes does it without asking")

// confirm asks before what cannot be undone. Without an answer nothing is done.
func (a *app) confirm(yes bool, question string, args ...any) error {
	if yes {
		return nil
	}
	fmt.Fprintf(a.stderr, question+" [y/N] ", args...)
	answer, err := bufio.NewReader(io.LimitReader(a.stdin, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	default:
		return errNotConfirmed
	}
}
