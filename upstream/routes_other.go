//go:build !linux && !darwin && !freebsd && !windows

package upstream

import "net/netip"

// routesComplete: nothing is read; only the networks of an interface's own
// addresses are known. Paths must be configured.
const routesComplete = false

func readRoutes() (map[int][]netip.Prefix, error) { return nil, nil }
