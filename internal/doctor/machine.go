package doctor

import (
	"net/netip"
	"time"
)

// Needs is what the machine is examined for.
type Needs struct {
	Files       uint64 // descriptors that may be open at once
	Congestion  string // the kernel's congestion control that the configuration names; empty: none by name
	Auto        bool   // it is chosen by what paths show, bbr among them
	KernelMPTCP bool   // the transport is the system's MPTCP
	Built       time.Time
}

// Machine examines what concerns all paths.
func (r *Report) Machine(n Needs) {
	r.clock(n.Built, time.Now())
	r.files(n.Files)
	r.congestion(n)
	r.kernelMPTCP(n.KernelMPTCP)
}

// clock compares the machine's clock with what is certain: the program was built before
// now. Neither side's keys depend on it, but logs and everything else do.
func (r *Report) clock(built, now time.Time) {
	const check = "clock"
	mend := "timedatectl set-ntp true"
	switch synced, known := clockSynced(); {
	case !built.IsZero() && now.Before(built):
		r.Add(Fail, check, "", mend, "the clock says %s, which is before this program was built", now.Format(time.RFC3339))
	case !known:
		r.Add(Unknown, check, "", "", "this system does not say whether its clock is kept right")
	case !synced:
		r.Add(Warn, check, "", mend, "nothing keeps the clock right: the times in logs may not fit those of other machines")
	default:
		r.Add(OK, check, "", "", "kept right")
	}
}

// A Way is how a path leaves this machine, for the checks of its routing.
type Way struct {
	Path      string
	Interface string     // that it leaves by
	Source    netip.Addr // that it leaves from
	To        netip.Addr // an address of the egress
	Bound     bool       // sockets are tied to the interface
	Others    bool       // there are other paths
}
