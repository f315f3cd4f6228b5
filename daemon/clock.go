package daemon

import (
	"time"

	"github.com/jonboulle/clockwork"
)

// steadyClock is gocron's clock: it goes on from where it began, whatever the
// wall clock is set to. gocron counts the next run from the planned instant of
// the last one and takes the monotonic reading off its times, so that after a
// step of two hours back it would not look for anything due for two hours.
type steadyClock struct {
	clockwork.Clock // timers, which are monotonic by nature
	began           time.Time
}

func newSteadyClock() steadyClock {
	return steadyClock{Clock: clockwork.NewRealClock(), began: time.Now()}
}

// Now differs from the wall clock by as much as that was set since the beginning.
func (c steadyClock) Now() time.Time { return c.began.Round(0).Add(time.Since(c.began)) }

// Since and Until belong to Now.
func (c steadyClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
func (c steadyClock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }
