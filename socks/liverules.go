package socks

import (
	"net/netip"
	"sync/atomic"
)

// liveRules are target rules that can be exchanged while they are used. Its zero value
// is the default, as that of TargetRules.
type liveRules struct{ now atomic.Pointer[TargetRules] }

func (l *liveRules) set(r TargetRules) { l.now.Store(&r) }

func (l *liveRules) get() *TargetRules {
	if r := l.now.Load(); r != nil {
		return r
	}
	return &TargetRules{}
}

func (l *liveRules) checkName(t Target) error { return l.get().checkName(t) }

func (l *liveRules) checkAddr(name string, ap netip.AddrPort, own func(netip.Addr) bool) error {
	return l.get().checkAddr(name, ap, own)
}

func (l *liveRules) portsThatMatter() []uint16 { return l.get().portsThatMatter() }

// SetTargets changes what may be connected to. Connections that are open go on.
func (e *Egress) SetTargets(r TargetRules) { e.dialer.rules.set(r) }
