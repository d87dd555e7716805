package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const proc = "/proc/sys/net"

// setting reads a kernel parameter; empty if there is none.
func setting(name string) string {
	text, err := os.ReadFile(filepath.Join(proc, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func clockSynced() (synced, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err == nil
}

func (r *Report) congestion(n Needs) {
	const check = "congestion"
	available := strings.Fields(setting("ipv4/tcp_available_congestion_control"))
	allowed := strings.Fields(setting("ipv4/tcp_allowed_congestion_control"))
	if len(available) == 0 {
		r.Add(Unknown, check, "", "", "the kernel does not list its congestion controls")
		return
	}
	want := n.Congestion
	if n.Auto {
		want = "bbr"
	}
	load := fmt.Sprintf("modprobe tcp_%s && sysctl -w net.ipv4.tcp_allowed_congestion_control=\"%s %s\"", want, strings.Join(allowed, " "), want)
	level, effect := Fail, "session.congestion names it"
	if n.Auto {
		level, effect = Warn, "lines that lose packets at random carry less without it"
	}
	switch {
	case want == "" || slices.Contains(allowed, want):
		r.Add(OK, check, "", "", "allowed here: %s", strings.Join(allowed, " "))
	case slices.Contains(available, want):
		r.Add(level, check, "", strings.TrimPrefix(load, "modprobe tcp_"+want+" && "), "%s is there, but not allowed to ordinary users; %s", want, effect)
	default:
		r.Add(level, check, "", load, "%s is not there (there are: %s); %s", want, strings.Join(available, " "), effect)
	}
}

func (r *Report) kernelMPTCP(wanted bool) {
	const check = "kernel-mptcp"
	level := OK
	if wanted {
		level = Fail
	}
	switch v := setting("mptcp/enabled"); v {
	case "1":
		r.Add(OK, check, "", "", "the kernel has MPTCP; the transport kernel can use it")
	case "0":
		r.Add(level, check, "", "sysctl -w net.mptcp.enabled=1", "the kernel's MPTCP is switched off; only the transport kernel needs it")
	default:
		r.Add(level, check, "", "", "the kernel has no MPTCP; only the transport kernel needs it")
	}
}

// Routing examines how the kernel routes what comes from a path's address.
func (r *Report) Routing(w Way) {
	subject := "path " + w.Path
	back, err := routeFrom(w.Source, w.To)
	table := fmt.Sprintf("ip route add default via GATEWAY dev %s table 43\nip rule add from %s table 43", w.Interface, w.Source)
	switch {
	case err != nil:
		r.Add(Fail, "source-routing", subject, table, "no route from %s to %s: %v", w.Source, w.To, err)
	case back != w.Interface && !w.Bound:
		r.Add(Fail, "source-routing", subject, table, "what comes from %s leaves by %s, not by %s: two paths would be one line", w.Source, back, w.Interface)
	case back != w.Interface:
		r.Add(Warn, "source-routing", subject, table, "what comes from %s would leave by %s; only because sockets are tied to %s do they not", w.Source, back, w.Interface)
	default:
		r.Add(OK, "source-routing", subject, "", "from %s to %s by %s", w.Source, w.To, w.Interface)
	}
	r.rpFilter(w, subject, back)
}

// rpFilter looks for strict reverse path filtering (RFC 3704 section 2.2) where answers
// come in by another interface than the route back takes.
func (r *Report) rpFilter(w Way, subject, back string) {
	const check = "rp_filter"
	if !w.To.Is4() {
		return // IPv6 has none in the kernel itself
	}
	dir := "ipv4/conf/"
	one, all := setting(dir+w.Interface+"/rp_filter"), setting(dir+"all/rp_filter")
	if one == "" && all == "" {
		r.Add(Unknown, check, subject, "", "the kernel does not show it")
		return
	}
	strict := max(one, all) == "1" // the larger of the two counts; 2 is loose
	mend := fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=2", w.Interface)
	switch {
	case strict && back != w.Interface:
		r.Add(Fail, check, subject, mend, "strict on %s, and the route back to %s leaves by %s: the kernel drops every answer", w.Interface, w.To, back)
	case strict && w.Others:
		r.Add(Warn, check, subject, mend, "strict on %s: answers are dropped as soon as another line has the better route", w.Interface)
	default:
		r.Add(OK, check, subject, "", "not in the way")
	}
}

// routeFrom is the interface that the kernel sends packets from one address to another
// by, if their socket is not tied to one.
func routeFrom(from, to netip.Addr) (string, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return "", os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, routeRequest(from, to), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return "", os.NewSyscallError("netlink", err)
	}
	buf := make([]byte, 8<<10)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return "", os.NewSyscallError("netlink", err)
	}
	index, err := routeInterface(buf[:n])
	if err != nil {
		return "", err
	}
	ifi, err := net.InterfaceByIndex(index)
	if err != nil {
		return "", err
	}
	return ifi.Name, nil
}
