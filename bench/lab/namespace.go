package lab

import (
	"context"
	"net"
	"os/exec"
	"slices"
)

// Namespace is the network of the client or of the server.
type Namespace struct {
	name string
	ns   *netns
}

// Name is the one for `ip netns exec`.
func (n *Namespace) Name() string { return n.name }

// Do runs f inside the namespace: sockets that f makes itself belong to it for
// ever. Goroutines that f starts are not inside, and resolving names starts
// some, so f dials and listens on IP addresses.
func (n *Namespace) Do(f func() error) error { return n.ns.do(f) }

// Command is exec.CommandContext inside the namespace. The command keeps the
// process id that it is started with.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	prefix := n.Prefix()
	return exec.CommandContext(ctx, prefix[0], slices.Concat(prefix[1:], []string{"--", name}, args)...)
}

// Prefix is what a child of this process puts in front of a command to run it
// inside the namespace.
func (n *Namespace) Prefix() []string { return []string{"nsenter", "--net=" + n.ns.path()} }

// ShellPrefix is the same for a shell of the same user that has nothing to do
// with this process.
func (n *Namespace) ShellPrefix() []string { return n.ns.shellPrefix() }

// Listen listens on an IP address inside the namespace. Plain TCP: Go's own
// listeners would speak the kernel's MPTCP.
func (n *Namespace) Listen(network, addr string) (ln net.Listener, err error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	err = n.Do(func() (err error) {
		ln, err = lc.Listen(context.Background(), network, addr)
		return err
	})
	return ln, err
}

// ListenPacket is Listen for UDP.
func (n *Namespace) ListenPacket(network, addr string) (pc net.PacketConn, err error) {
	err = n.Do(func() (err error) {
		pc, err = net.ListenPacket(network, addr)
		return err
	})
	return pc, err
}

// Dial connects to an IP address from inside the namespace.
func (n *Namespace) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.DialFrom(ctx, nil, network, addr)
}

// DialFrom is Dial from a local address, which chooses the path.
func (n *Namespace) DialFrom(ctx context.Context, local net.Addr, network, addr string) (c net.Conn, err error) {
	d := net.Dialer{LocalAddr: local}
	d.SetMultipathTCP(false)
	err = n.Do(func() (err error) {
		c, err = d.DialContext(ctx, network, addr)
		return err
	})
	return c, err
}
