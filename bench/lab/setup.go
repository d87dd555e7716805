package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ip runs ip(8) with one command a line.
func (n *Namespace) ip(lines ...string) error { return n.batch(lines, "-batch", "-") }

// ip6 is ip for the commands that do not see from an address which family is
// meant.
func (n *Namespace) ip6(lines ...string) error { return n.batch(lines, "-6", "-batch", "-") }

func (n *Namespace) batch(lines []string, args ...string) error {
	return n.Do(func() error {
		cmd := exec.Command("ip", args...)
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("ip in namespace %s: %w: %s", n.name, err, strings.TrimSpace(out.String()))
		}
		return nil
	})
}

// sysctl writes kernel settings of the namespace. A setting that this kernel
// does not have is passed over when its name starts with '-'.
func (n *Namespace) sysctl(settings map[string]string) error {
	return n.Do(func() error {
		for k, v := range settings {
			name, optional := strings.CutPrefix(k, "-")
			err := os.WriteFile(filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/")), []byte(v), 0)
			if err != nil && !(optional && os.IsNotExist(err)) {
				return fmt.Errorf("sysctl %s in namespace %s: %w", name, n.name, err)
			}
		}
		return nil
	})
}

// startWith sets the receive buffer that connections begin with, as far as the
// largest allowed goes.
func (n *Namespace) startWith(size int) error {
	const name = "/proc/sys/net/ipv4/tcp_rmem"
	var least, start, most int
	err := n.Do(func() error {
		text, err := os.ReadFile(name)
		if err == nil {
			_, err = fmt.Sscan(string(text), &least, &start, &most)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read %s in namespace %s: %w", name, n.name, err)
	}
	return n.sysctl(map[string]string{"net.ipv4.tcp_rmem": fmt.Sprint(least, max(start, min(size, most)), most)})
}

// baseSysctls make the namespaces behave alike from run to run: no reverse-path
// filter (the server answers each path on itself), nothing remembered about
// earlier connections, no IPv6 chatter unless asked for.
func baseSysctls(ipv6 bool) map[string]string {
	off := "1"
	if ipv6 {
		off = "0"
	}
	return map[string]string{
		"net.ipv4.conf.all.rp_filter":                 "0",
		"net.ipv4.conf.default.rp_filter":             "0",
		"net.ipv4.tcp_no_metrics_save":                "1",
		"-net.ipv6.conf.all.disable_ipv6":             off,
		"-net.ipv6.conf.default.disable_ipv6":         off,
		"-net.ipv6.conf.default.accept_dad":           "0",
		"-net.ipv6.conf.default.router_solicitations": "0",
	}
}

// txQueue is the length of a device's own queue in packets. It is emptied at
// once; it only has to outlast the moments when the emulator does not run.
const txQueue = 4096

// table is the client's routing table of path i.
func table(i int) int { return 101 + i }

// clientRoutes are the lines that (re)make the routes of path i. They are lost
// when the interface goes down.
func (l *Lab) clientRoutes(i int) []string {
	dev := l.paths[i].Name()
	lines := []string{
		fmt.Sprintf("route replace default dev %s metric %d", dev, table(i)),
		fmt.Sprintf("route replace default dev %s table %d", dev, table(i)),
	}
	if l.cfg.IPv6 {
		lines = append(lines,
			fmt.Sprintf("address replace %s/64 dev %s nodad", clientAddr6(i), dev),
			fmt.Sprintf("route replace ::/0 dev %s metric %d", dev, table(i)),
			fmt.Sprintf("route replace ::/0 dev %s table %d", dev, table(i)))
	}
	return lines
}

// setup gives the namespaces their addresses, routes and rules.
func (l *Lab) setup() error {
	client := []string{"link set lo up"}
	server := []string{"link set lo up"}
	for _, a := range l.cfg.Targets {
		line := fmt.Sprintf("address add %s dev lo", a)
		if a.Is6() {
			line += " nodad" // else it cannot be listened on for a moment
		}
		server = append(server, line)
	}
	var rules6 []string
	for i, p := range l.paths {
		up := fmt.Sprintf("link set %s up mtu %d txqueuelen %d", p.Name(), p.cfg.MTU, txQueue)
		client = append(client, fmt.Sprintf("address add %s/24 dev %s", clientAddr(i), p.Name()), up)
		client = append(client, l.clientRoutes(i)...)
		client = append(client, fmt.Sprintf("rule add from %s/24 lookup %d pref %d", clientAddr(i), table(i), table(i)))
		server = append(server, fmt.Sprintf("address add %s/24 dev %s", serverAddr(i), p.Name()), up)
		if l.cfg.IPv6 {
			rules6 = append(rules6, fmt.Sprintf("rule add from %s/64 lookup %d pref %d", clientAddr6(i), table(i), table(i)))
			server = append(server, fmt.Sprintf("address add %s/64 dev %s nodad", serverAddr6(i), p.Name()))
		}
	}
	if err := l.client.ip(client...); err != nil {
		return err
	}
	if len(rules6) > 0 {
		if err := l.client.ip6(rules6...); err != nil {
			return err
		}
	}
	return l.server.ip(server...)
}

// startBuffer is the receive buffer that connections begin with where the kernel's
// MPTCP is used. The kernel finds the size itself, but not soon enough for a
// connection that was idle first: it takes the idle time for the round trip and
// leaves the window at 64 KiB for as long.
const startBuffer = 4 << 20

// EnableMPTCP sets both kernels up for MPTCP over all paths: the client opens
// a subflow from each of its addresses to the server's address it was given.
func (l *Lab) EnableMPTCP() error {
	for _, n := range []*Namespace{l.client, l.server} {
		if err := n.startWith(startBuffer); err != nil {
			return err
		}
	}
	client := []string{"mptcp limits set subflows 8 add_addr_accepted 8"}
	for i, p := range l.paths {
		client = append(client, fmt.Sprintf("mptcp endpoint add %s dev %s subflow", clientAddr(i), p.Name()))
	}
	if err := l.client.ip(client...); err != nil {
		return err
	}
	return l.server.ip("mptcp limits set subflows 8 add_addr_accepted 8")
}
