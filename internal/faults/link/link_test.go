package link_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"gazetted/internal/faults/link"
)

// echo answers every line with itself.
func echo(t *testing.T, prefix string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for in := bufio.NewScanner(c); in.Scan(); {
					_, _ = io.WriteString(c, prefix+in.Text()+"\n")
				}
			}()
		}
	}()
	return l.Addr().String()
}

type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{c, bufio.NewReader(c)}
}

func (c *client) say(line string) (string, error) {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	return c.in.ReadString('\n')
}

func TestTheCableCanBePulled(t *testing.T) {
	t.Parallel()
	k, err := link.New(t.Context(), echo(t, "one "))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	c := dial(t, k.Addr())
	if got, err := c.say("a"); got != "one a\n" || err != nil {
		t.Fatalf("passed %q, %v", got, err)
	}

	k.Delay(50 * time.Millisecond)
	begun := time.Now()
	if got, err := c.say("b"); got != "one b\n" || err != nil || time.Since(begun) < 50*time.Millisecond {
		t.Fatalf("delayed %q, %v, after %s", got, err, time.Since(begun))
	}
	k.Delay(0)

	k.Set(link.Silent)
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if got, err := c.say("c"); err == nil {
		t.Fatalf("silent, but answered %q", got)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	k.Set(link.Pass)
	if got, err := c.in.ReadString('\n'); got != "one c\n" || err != nil {
		t.Fatalf("after silence %q, %v", got, err)
	}

	k.Set(link.Cut)
	if got, err := c.say("d"); err == nil {
		t.Fatalf("cut, but answered %q", got)
	}
	if got, err := dial(t, k.Addr()).say("e"); err == nil {
		t.Fatalf("cut, but a new connection answered %q", got)
	}
	if k.Broken() == 0 {
		t.Error("nothing was broken")
	}

	k.Set(link.Pass)
	k.Lead(echo(t, "two "))
	if got, err := dial(t, k.Addr()).say("f"); got != "two f\n" || err != nil {
		t.Fatalf("led elsewhere %q, %v", got, err)
	}
}
