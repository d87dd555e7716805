package upstream

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// ErrPathsFixed says that the transport takes its paths from elsewhere.
var ErrPathsFixed = errors.New("the transport does not choose paths")

// errDropped is why a line carries nothing that is no longer configured.
var errDropped = errors.New("no longer configured")

// SetPaths takes paths in the place of ClientConfig.Paths. A path that stays, with the
// same way to the egress, stays connected and takes its new role; one that has another
// way under the same name is made anew. Streams live on. With an error nothing has changed.
func (c *Client) SetPaths(paths []PathConfig) error {
	cfg := c.cfg
	cfg.Paths = paths
	if err := cfg.check(); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if cfg.Transport == TransportKernel {
		return fmt.Errorf("client: %w", ErrPathsFixed)
	}
	c.usage.configure(paths)
	c.way.paths().configure(paths)
	tell(c.changed)
	return nil
}

// sameWay reports whether a line of the one configuration can go on as that of the
// other: only what it is for differs.
func sameWay(a, b PathConfig) bool {
	a.assign(b)
	if len(a.Egress) == 0 && len(b.Egress) == 0 {
		a.Egress, b.Egress = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// assign takes from p what a path is for.
func (c *PathConfig) assign(p PathConfig) {
	c.Role, c.Cost, c.RateLimit, c.Cap, c.CapStart = p.Role, p.Cost, p.RateLimit, p.Cap, p.CapStart
}

// configure makes the lines those of paths; nil: what is discovered. Whoever uses them
// hears of it by the next refresh.
func (ls *lines) configure(paths []PathConfig) {
	if ls.twin != nil {
		ls.twin.configure(paths)
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.auto = paths == nil
	var kept []*line
	drop := func(l *line) {
		if l.absent == nil {
			ls.dropped = append(ls.dropped, change{l, lineRemoved})
		}
		l.absent = errDropped
	}
	if ls.auto {
		for _, l := range ls.list {
			// What discovery would make goes on, the others have been chosen by hand.
			if sameWay(l.PathConfig, PathConfig{Interface: l.Interface}.withDefaults()) && l.Interface != "" {
				l.assign(PathConfig{}.withDefaults())
				kept = append(kept, l)
				continue
			}
			drop(l)
		}
		ls.list = kept
		return
	}
	old := ls.list
	for _, p := range paths {
		p = p.withDefaults()
		i := slices.IndexFunc(old, func(l *line) bool { return sameWay(l.PathConfig, p) })
		if i < 0 {
			l := ls.newLine(p, ls.freeNumber(append(slices.Clone(old), kept...)))
			l.absent = errNotSeen
			kept = append(kept, l)
			continue
		}
		old[i].assign(p)
		old[i].lost = false
		kept = append(kept, old[i])
	}
	for _, l := range old {
		if !slices.Contains(kept, l) {
			drop(l)
		}
	}
	ls.list = kept
}
