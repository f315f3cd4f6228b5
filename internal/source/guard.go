package source

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/net/idna"

	"gazetted/internal/news"
)

// Guard decides which addresses may be connected to. It looks at the address
// that a connection is about to be made to, after every resolution and on
// every hop, so that neither a name that points inside, nor one that changes
// between two look-ups, nor a redirect, nor a number in disguise gets past it.
type Guard struct {
	prefixes []netip.Prefix
	hosts    map[string]bool
}

// NewGuard makes a Guard that lets public addresses through, and what allow
// lists: CIDR prefixes, addresses or host names.
func NewGuard(allow []string) (*Guard, error) {
	g := &Guard{hosts: make(map[string]bool)}
	for _, s := range allow {
		s = strings.TrimSpace(s)
		if p, err := netip.ParsePrefix(s); err == nil {
			g.prefixes = append(g.prefixes, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
			g.prefixes = append(g.prefixes, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		host, err := idna.Lookup.ToASCII(strings.TrimSuffix(s, "."))
		if err != nil || host == "" || strings.ContainsAny(host, "/:@ ") {
			return nil, &news.FieldError{Field: "allow", Value: s, Want: "a network such as 10.0.0.0/8, an address or a host name"}
		}
		g.hosts[strings.ToLower(host)] = true
	}
	return g, nil
}

// Check returns a *BlockedError if addr must not be connected to.
func (g *Guard) Check(addr netip.Addr) error {
	plain := addr.Unmap().WithZone("")
	for _, p := range g.prefixes {
		if p.Contains(plain) {
			return nil
		}
	}
	if reason := innerAddress(plain); reason != "" {
		return &BlockedError{Host: addr.String(), Reason: reason + " address; the operator may allow it"}
	}
	return nil
}

// dial wraps a dialer so that every attempt of it, for each address of a name,
// is checked at the last moment before connect(2).
func (g *Guard) dial(d *net.Dialer) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, &BlockedError{Host: addr, Reason: "not an address"}
		}
		checked := *d
		if !g.hosts[strings.ToLower(strings.TrimSuffix(host, "."))] {
			checked.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
				ap, err := netip.ParseAddrPort(address)
				if err != nil {
					return &BlockedError{Host: address, Reason: "not an address"}
				}
				return g.Check(ap.Addr())
			}
		}
		return checked.DialContext(ctx, network, addr) // net/http reads the type
	}
}

// innerAddress names the kind of an address that no publisher's site has; ""
// for a public one. Kinds that net/netip knows come first; the rest is the
// IANA special-purpose registries (RFC 6890) and tunnels whose far end is an
// IPv4 address of the sender's choice.
func innerAddress(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "invalid"
	case a.IsLoopback():
		return "loopback"
	case a.IsPrivate():
		return "private"
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast():
		return "link-local"
	case a.IsMulticast(), a.IsInterfaceLocalMulticast():
		return "multicast"
	case a.IsUnspecified():
		return "unspecified"
	}
	for _, s := range specialNetworks() {
		if s.prefix.Contains(a) {
			return s.name
		}
	}
	return ""
}

type specialNetwork struct {
	prefix netip.Prefix
	name   string
}

func specialNetworks() []specialNetwork {
	p := netip.MustParsePrefix
	return []specialNetwork{
		{p("0.0.0.0/8"), "unspecified"},
		{p("100.64.0.0/10"), "carrier-grade NAT"}, // RFC 6598; also a cloud's metadata service
		{p("168.63.129.16/32"), "cloud metadata"}, // public by number, inner by use
		{p("192.0.0.0/24"), "reserved"},
		{p("192.0.2.0/24"), "documentation"},
		{p("192.88.99.0/24"), "6to4 relay"},
		{p("198.18.0.0/15"), "benchmarking"},
		{p("198.51.100.0/24"), "documentation"},
		{p("203.0.113.0/24"), "documentation"},
		{p("240.0.0.0/4"), "reserved"},
		{p("::/96"), "IPv4-compatible"},
		{p("64:ff9b::/96"), "NAT64"},
		{p("64:ff9b:1::/48"), "NAT64"},
		{p("100::/64"), "discard"},
		{p("2001::/32"), "Teredo"},
		{p("2001:db8::/32"), "documentation"},
		{p("2002::/16"), "6to4"},
		{p("fec0::/10"), "site-local"},
		{p("::ffff:0:0:0/96"), "translated IPv4"},
	}
}
