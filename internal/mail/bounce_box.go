package mail

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Box is a place where mail that came back is collected. A Box belongs to one
// goroutine at a time.
type Box interface {
	// Name says which it is, in logs.
	Name() string
	// Collect hands every message that is there to read and puts it away: among
	// the handled ones, or where a person may look at it. A message that could
	// not be recorded (read returned an error) stays where it is, and ends it.
	Collect(ctx context.Context, read ReadFunc) error
}

// ReadFunc takes one message; see Bounces.Read.
type ReadFunc func(ctx context.Context, r io.Reader) (Received, error)

// Limits of a Box.
const (
	// DefaultBouncePoll is how often boxes are looked into.
	DefaultBouncePoll = time.Minute
	// maxReadTime bounds one message.
	maxReadTime = time.Minute
	// maxCollectTime bounds one look into a box.
	maxCollectTime = 10 * time.Minute
)

// Run looks into the boxes until ctx ends, every poll (0: DefaultBouncePoll).
func (b *Bounces) Run(ctx context.Context, boxes []Box, poll time.Duration) error {
	if poll <= 0 {
		poll = DefaultBouncePoll
	}
	for ctx.Err() == nil {
		for _, box := range boxes {
			// What failed has been told; the next look tries again.
			_ = b.Collect(ctx, box)
		}
		pause(ctx, poll, nil)
	}
	return ctx.Err()
}

// Collect looks into one box.
func (b *Bounces) Collect(ctx context.Context, box Box) error {
	look, cancel := context.WithTimeout(ctx, maxCollectTime)
	defer cancel()
	err := box.Collect(look, func(ctx context.Context, r io.Reader) (Received, error) {
		ctx, cancel := context.WithTimeout(ctx, maxReadTime)
		defer cancel()
		rec, err := b.Read(ctx, r)
		if err == nil {
			b.o.Events(BounceEvent{Box: box.Name(), Received: rec})
		}
		return rec, err
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("collect bounces from %s: %w", box.Name(), err)
		b.o.Events(BounceEvent{Box: box.Name(), Err: err})
	}
	return err
}
