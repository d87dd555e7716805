package upstream

import (
	"fmt"
	"net"
	"slices"
)

// kernelPath is the name of the one path that the transport "kernel" has: which
// lines it takes is the system's business.
const kernelPath = "kernel"

// newKernel returns the transport "kernel": as "tcp" it gives every stream a TLS
// connection of its own, but over the MPTCP of the operating system, bound to
// nothing. The endpoints that are set up in the system (ip-mptcp(8) on Linux)
// decide which lines it uses. Where the system, the egress or something between
// them does not do MPTCP the connection is plain TCP; status tells.
func newKernel(cfg *ClientConfig) (*lone, error) {
	if cfg.Paths != nil {
		cfg.Logger.Info("paths are left to the system", "transport", TransportKernel)
	}
	free := *cfg
	free.Paths = []PathConfig{{Name: kernelPath, Egress: everyEgress(cfg)}}
	return newLone(&free)
}

// everyEgress returns the egress's addresses of all paths: none of them is tied
// to a path here.
func everyEgress(cfg *ClientConfig) []string {
	all := slices.Clone(cfg.Egress)
	for _, p := range cfg.Paths {
		for _, e := range p.Egress {
			if p.Role != RoleNever && !slices.Contains(all, e) {
				all = append(all, e)
			}
		}
	}
	return all
}

// subflowsOf returns how many subflows c has, and 0 if it is plain TCP.
func subflowsOf(c *net.TCPConn) int {
	if on, err := c.MultipathTCP(); err != nil || !on {
		return 0
	}
	return max(countSubflows(c), 1)
}

// describeKernel says what the system made of the connections.
func (p *PathStatus) describeKernel(open []*net.TCPConn) {
	multi := 0
	for _, c := range open {
		if n := subflowsOf(c); n > 0 {
			multi++
			p.Subflows = max(p.Subflows, n)
		}
	}
	p.Reason = kernelReason(len(open), multi, p.Subflows)
}

// kernelReason says in words what the system made of the connections: of how
// many, how many are MPTCP, and with how many subflows at most.
func kernelReason(all, multi, subflows int) string {
	switch {
	case all == 0:
		return "not connected"
	case multi == 0:
		return "plain tcp: this system, the egress or something between them does not do mptcp"
	case multi < all:
		return fmt.Sprintf("mptcp with %d subflows; %d of %d connections are plain tcp", subflows, all-multi, all)
	case subflows == 1:
		return "mptcp with 1 subflow; others need endpoints in the system (ip mptcp endpoint)"
	}
	return fmt.Sprintf("mptcp with %d subflows", subflows)
}
