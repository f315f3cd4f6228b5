package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"gazetted/internal/faults/link"
	"gazetted/internal/faults/run"
	"gazetted/internal/faults/sink"
	"gazetted/internal/news"
)

// lateReply is F19, a second for each minute: the daemon waits ten for the reply to the
// dot. The relay has taken the message and says so after delay.
func lateReply(delay time.Duration, times int) injection {
	late := sink.Rule{Name: "late", Stage: sink.Taken, First: true, Times: times, Delay: delay}
	lossy := ""
	if delay > 10*time.Second {
		lossy = late.Name
	}
	send := misbehave(lossy, late)
	return func(ctx context.Context, w *run.World) error {
		if err := w.Configure(w.SinkRelay(`dot_timeout = "10s"`)); err != nil {
			return err
		}
		if err := send(ctx, w); err != nil {
			return err
		}
		all, err := ledger(ctx, w)
		if err != nil {
			return err
		}
		doubts := 0
		for _, d := range all {
			doubts += d.Doubts
		}
		if doubts != w.Bound {
			w.Problem("%d replies came after the time, and %d deliveries are listed as uncertain", w.Bound, doubts)
		}
		return nil
	}
}

// alone demands that no transaction had more than one recipient.
func alone(_ context.Context, w *run.World) error {
	if n := w.Relay.Stats().Faults["several recipients"]; n > 0 {
		w.Problem("%d transactions had several recipients", n)
	}
	return nil
}

// repair is something that keeps all mail from a relay until it is mended.
type repair struct {
	name  string
	begin func(w *run.World) error
	// seen is what the daemon says in its log once it has found out; "": that the relay
	// takes no mail.
	seen string
}

// repaired runs daemons one after the other: each of the first finds one of the faults, the
// last one finds it mended.
func repaired(mended func(w *run.World) error, faults ...repair) injection {
	return func(ctx context.Context, w *run.World) error {
		for _, f := range faults {
			if err := f.begin(w); err != nil {
				return err
			}
			p, err := w.Start(ctx)
			if err != nil {
				return err
			}
			seen := f.seen
			if seen == "" {
				seen = "relay takes no mail"
			}
			if err := w.Until(ctx, f.name, func() (bool, error) { return p.Events(seen) > 0 || w.Relay.Stats().Taken > 0, nil }); err != nil {
				return err
			}
			if err := w.Pass(ctx, time.Second); err != nil { // nothing more is to happen
				return err
			}
			w.Injected++
			if err := p.Stop(ctx); err != nil {
				return err
			}
			if n := w.Relay.Stats().Taken; n > 0 {
				w.Problem("%s: %d mails were sent all the same", f.name, n)
			}
		}
		if err := mended(w); err != nil {
			return err
		}
		if err := finish(ctx, w); err != nil {
			return err
		}
		return uncharged(ctx, w)
	}
}

// tlsFaults is the part of F23 that TLS has: whatever is wrong with it, nothing leaves, and
// never a password in plain text.
func tlsFaults(ctx context.Context, w *run.World) error {
	trusted, err := sink.NewAuthority()
	if err != nil {
		return err
	}
	stranger, err := sink.NewAuthority()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"ca.pem": trusted.PEM(), "password": []byte("canary-3c77\n")} {
		if err := os.WriteFile(filepath.Join(w.Dir, name), content, 0o600); err != nil {
			return err
		}
	}
	if err := w.Configure(w.SinkRelay(`tls = "starttls"`, `ca_file = "ca.pem"`, `username = "robot"`, `password_file = "password"`)); err != nil {
		return err
	}
	w.Relay.Login("robot", "canary-3c77")
	offer := func(name string, a *sink.Authority, ip string, until time.Time) repair {
		return repair{name: name, begin: func(w *run.World) error {
			cert, err := a.Issue(ip, until)
			w.Relay.Secure(cert)
			return err
		}}
	}
	day := time.Now().Add(24 * time.Hour)
	good := offer("good", trusted, "127.0.0.1", day)
	mended := func(w *run.World) error { w.Relay.Version(0); return good.begin(w) }
	err = repaired(mended,
		repair{name: "STARTTLS is not offered", begin: func(w *run.World) error { w.Relay.Secure(nil); return nil }},
		offer("the certificate has expired", trusted, "127.0.0.1", time.Now().Add(-time.Minute)),
		offer("the certificate is another's", trusted, "127.0.0.2", day),
		offer("nobody knows who issued the certificate", stranger, "127.0.0.1", day),
		repair{name: "the password is wrong", begin: func(w *run.World) error {
			w.Relay.Login("robot", "canary-other")
			return good.begin(w)
		}, seen: "relay refuses how we are configured"},
		repair{name: "the old protocol", begin: func(w *run.World) error {
			w.Relay.Login("robot", "canary-3c77")
			return outdated(w, trusted)
		}})(ctx, w)
	faults := w.Relay.Stats().Faults
	if n := faults["login in plain text"]; n > 0 {
		w.Problem("a password was sent in plain text %d times", n)
	}
	if faults["handshake refused"] == 0 || faults["login refused"] == 0 {
		w.Problem("O8: no certificate or no login was refused: %v", faults)
	}
	return err
}

// outdated is a relay that speaks nothing newer than TLS 1.1.
func outdated(w *run.World, a *sink.Authority) error {
	cert, err := a.Issue("127.0.0.1", time.Now().Add(time.Hour))
	if err != nil {
		return err
	}
	w.Relay.Secure(cert)
	w.Relay.Version(tls.VersionTLS11)
	return nil
}

// tooSmall is the part of F23 that is about SIZE: the relay takes no mail as large as ours.
func tooSmall(ctx context.Context, w *run.World) error {
	return repaired(func(w *run.World) error { w.Relay.Limit(0); return nil },
		repair{name: "SIZE", begin: func(w *run.World) error { w.Relay.Limit(500); return nil }, seen: "edition is held back"})(ctx, w)
}

// noName is F25: the relay's name does not resolve, until the configuration is mended.
func noName(ctx context.Context, w *run.World) error {
	return repaired(func(w *run.World) error { return w.Configure(w.SinkRelay()) },
		repair{name: "the name", begin: func(w *run.World) error { return w.Configure(w.SinkRelay(`host = "relay.invalid"`)) }})(ctx, w)
}

// oneOfTwo is F25 and F11 with a second relay: of two that share the mail one cannot be
// reached, and the other takes all.
func oneOfTwo(host string, port int) injection {
	return func(ctx context.Context, w *run.World) error {
		bad := w.SinkRelay(`name = "bad"`, fmt.Sprintf("host = %q", host), fmt.Sprintf("port = %d", port), "weight = 3")
		if err := w.Configure(bad, w.SinkRelay("weight = 1")); err != nil {
			return err
		}
		p, err := w.Start(ctx)
		if err != nil {
			return err
		}
		if err := conclude(ctx, w, p); err != nil {
			return err
		}
		w.Injected = p.Events("relay takes no mail")
		// Of the pauses, 5 s and doubling, few fit into the time of a run.
		if w.Injected > 8 {
			w.Problem("the breaker opened %d times", w.Injected)
		}
		return uncharged(ctx, w)
	}
}

// failOver is F11 with a second relay: one of two dies in mid-run and stays dead.
func failOver(ctx context.Context, w *run.World) error {
	cable, err := link.New(ctx, w.Relay.Addr())
	if err != nil {
		return err
	}
	defer func() { _ = cable.Close() }()
	_, port, err := net.SplitHostPort(cable.Addr())
	if err != nil {
		return err
	}
	w.Relay.Set(slowly(5 * time.Millisecond)...)
	if err := w.Configure(w.SinkRelay(`name = "dying"`, "port = "+port, "weight = 1"), w.SinkRelay("weight = 1")); err != nil {
		return err
	}
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.UntilTaken(ctx, w.Subscribers/4); err != nil {
		return err
	}
	w.Bound += w.Connections
	cable.Set(link.Cut)
	w.Injected++
	if err := conclude(ctx, w, p); err != nil {
		return err
	}
	through, err := ledger(ctx, w)
	if err != nil {
		return err
	}
	relays := map[string]int{}
	for _, d := range through {
		if d.State == news.DeliveryAccepted {
			relays[d.Relay]++
		}
	}
	if relays["dying"] < w.Subscribers/20 || relays["sink"] < w.Subscribers/2 {
		w.Problem("the mails went through %v", relays)
	}
	return nil
}
