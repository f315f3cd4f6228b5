package news

import (
	"context"
	"time"
)

// patienceKey is the key of WithPatience in a context.
type patienceKey struct{}

// WithPatience says that a write under ctx should wait no longer than d until
// it can begin, and otherwise be ErrUnavailable: a person is waiting, and can be
// told to come back. Once begun, it is brought to its end.
func WithPatience(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, d)
}

// Patience returns how long a write may wait; false: as long as it takes.
func Patience(ctx context.Context) (time.Duration, bool) {
	d, ok := ctx.Value(patienceKey{}).(time.Duration)
	return d, ok
}
