package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/doctor"
	"github.com/mpsocks/mpsocks/upstream"
)

// examinePath puts into words what an attempt over one path has shown.
func examinePath(r *doctor.Report, cfg *configs.Client, p *upstream.Probe, subject string, others bool) {
	stages := []upstream.Stage{
		upstream.StageInterface, upstream.StageName, upstream.StageRoute, upstream.StageTCP, upstream.StageTLS, upstream.StageHello, upstream.StageSize,
	}
	for _, s := range stages {
		if s == p.Failed {
			r.Add(doctor.Fail, string(s), subject, mendStage(p), "%v", p.Err)
			break
		}
		if s == upstream.StageTCP && p.Connect == 0 {
			r.Add(doctor.Unknown, string(s), subject, "", "not tried with the transport %s; `mpsocks status` shows how it does", cfg.Transport)
			break
		}
		if text := passedStage(s, p); text != "" {
			r.Add(doctor.OK, string(s), subject, "", "%s", text)
		}
		if s == upstream.StageTLS && cfg.Transport == upstream.TransportTCP {
			break // there is no session to be welcomed to
		}
	}
	examineBetween(r, p, subject)
	if p.Interface != "" && p.Source.IsValid() && p.To.IsValid() && !p.To.IsLoopback() {
		r.Routing(doctor.Way{Path: p.Path, Interface: p.Interface, Source: p.Source, To: p.To, Bound: p.Bound, Others: others})
	}
	if p.Interface != "" && p.Connect > 0 && !p.Bound && !p.To.IsLoopback() {
		r.Add(doctor.Warn, "bind-device", subject, "route by source, as in docs/operations.md#paths",
			"sockets cannot be tied to %s here (Linux from 5.7 and macOS can); the source address must choose the line", p.Interface)
	}
}

// passedStage is what can be said of a stage that went well.
func passedStage(s upstream.Stage, p *upstream.Probe) string {
	switch s {
	case upstream.StageTCP:
		return fmt.Sprintf("%v accepts connections after %v", p.To, tenths(p.Connect))
	case upstream.StageTLS:
		return fmt.Sprintf("it is the egress; TLS took %v", tenths(p.Secure))
	case upstream.StageHello:
		return "the egress takes this client"
	case upstream.StageSize:
		if p.MTU > 0 {
			return fmt.Sprintf("packets of full size arrive; the route's is %d", p.MTU)
		}
		return "packets of full size arrive; this system does not tell the route's"
	case upstream.StageName:
		return fmt.Sprintf("the egress is at %v", p.To)
	}
	return "in order"
}

// tenths is d in tenths of milliseconds, and not 0.
func tenths(d time.Duration) time.Duration {
	const least = 100 * time.Microsecond
	return max(d.Round(least), least)
}

// mendStage is what to do about the stage at which a path has failed.
func mendStage(p *upstream.Probe) string {
	switch p.Failed {
	case upstream.StageInterface:
		if p.Interface != "" {
			return fmt.Sprintf("ip link set %s up, plug it in, or correct the path's interface", p.Interface)
		}
		return "ip addr shows the addresses there are; correct the path's source"
	case upstream.StageName:
		return "see that the name in egress.address is right and resolves here (resolvectl query NAME), or write the IP address"
	case upstream.StageRoute:
		if p.Interface == "" {
			return "ip route add default via GATEWAY"
		}
		return fmt.Sprintf("ip route add default via GATEWAY dev %s table 43\nip rule add from ADDRESS table 43", p.Interface)
	case upstream.StageTCP:
		if errors.Is(p.Err, syscall.ECONNREFUSED) {
			return "start the egress, or correct the port in egress.address"
		}
		return "open the egress's port in its firewall and in that of this line; some lines let only 443 through: listen there too"
	case upstream.StageTLS:
		return mendTLS(p)
	case upstream.StageHello:
		return "on the egress: mpsocks init --dir DIR --client NAME for a new link, then mpsocks reload; or add this client's key to clients"
	case upstream.StageSize:
		dev := p.Interface
		if dev == "" {
			dev = "DEVICE"
		}
		return fmt.Sprintf("ip link set %s mtu 1400, or less; or sysctl -w net.ipv4.tcp_mtu_probing=1", dev)
	}
	return ""
}

// mendTLS tells whoever answers in the egress's place from the egress.
func mendTLS(p *upstream.Probe) string {
	switch {
	case errors.Is(p.Err, upstream.ErrNoPin):
		return "start the client while two lines work, so that it learns the egress's key (egress.verify), or set egress.key"
	case errors.Is(p.Err, upstream.ErrWrongEgressKey):
		return "something else than the egress of egress.key answers: the egress has new keys (join again), the address is wrong, or TLS is intercepted on this line"
	case errors.As(p.Err, new(tls.RecordHeaderError)):
		return "no TLS answers: a captive portal (log in with a browser on this line), a proxy, or another service on that port of " + p.To.String()
	}
	return "connections open and TLS does not: a middlebox or firewall on this line, or another service on that port; try port 443"
}

// examineBetween looks for signs of what stands between: address translation, and boxes
// that answer in the egress's place.
func examineBetween(r *doctor.Report, p *upstream.Probe, subject string) {
	if p.Connect == 0 {
		return
	}
	if p.Source.IsValid() && isInside(p.Source) && p.To.IsValid() && !isInside(p.To) {
		r.Add(doctor.OK, "nat", subject, "", "%v is private and the egress is not: an address translator is between, which is usual", p.Source)
	} else {
		r.Add(doctor.OK, "nat", subject, "", "no sign of one")
	}
	const check = "middlebox"
	switch {
	case p.Secure == 0 && p.Failed == upstream.StageTLS:
		r.Add(doctor.Warn, check, subject, "", "something accepts connections at %v that is not the egress", p.To)
	case p.Secure > 5*p.Connect && p.Secure-p.Connect > 100*time.Millisecond:
		r.Add(doctor.Warn, check, subject, "", "TCP is answered after %v and TLS after %v: something nearer may answer for the egress", tenths(p.Connect), tenths(p.Secure))
	default:
		r.Add(doctor.OK, check, subject, "", "no sign of one")
	}
}

func isInside(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || netip.MustParsePrefix("100.64.0.0/10").Contains(a)
}
