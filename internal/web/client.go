package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// client is the address that a request comes from: the peer, or, where the
// peer is a trusted proxy, the last address in X-Forwarded-For that is not
// one. The zero Addr means that it cannot be known.
func (s *Server) client(r *http.Request) netip.Addr {
	addr := peer(r)
	if !s.trusted(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, ok := parseAddr(strings.TrimSpace(hop))
		if !ok {
			break // whoever stands before an unreadable hop could have written it
		}
		addr = next
		if !s.trusted(addr) {
			break
		}
	}
	return addr
}

func peer(r *http.Request) netip.Addr {
	addr, _ := parseAddr(r.RemoteAddr)
	return addr
}

// parseAddr reads an address with or without a port, as proxies write them.
func parseAddr(text string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone(""), err == nil
}

func (s *Server) trusted(addr netip.Addr) bool {
	return slices.ContainsFunc(s.o.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// onThisMachine tells whether a request comes from the machine itself. A
// proxy on this machine that we were not told to trust makes every visitor
// look local; the headers it adds give it away. The Host is checked so that a
// page elsewhere whose name was made to lead here (DNS rebinding) sees nothing.
func (s *Server) onThisMachine(r *http.Request) bool {
	from := s.client(r)
	if !from.IsLoopback() {
		return false
	}
	if !s.trusted(peer(r)) {
		for _, h := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
			if r.Header.Get(h) != "" {
				return false
			}
		}
	}
	return s.ourHost(r.Host)
}

func (s *Server) ourHost(hostport string) bool {
	if strings.EqualFold(hostport, s.host) {
		return true
	}
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || (err == nil && addr.IsLoopback())
}

// network is the part of an address that is kept as evidence and counted for
// limits: /24 or /48.
func network(addr netip.Addr) netip.Prefix {
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// shortened is the client's address as it may be stored; empty if unknown.
func (s *Server) shortened(r *http.Request) string {
	p := network(s.client(r))
	if !p.IsValid() {
		return ""
	}
	return p.Addr().String()
}
