//go:build !linux

package doctor

func clockSynced() (synced, known bool) { return false, false }

func (r *Report) congestion(n Needs) {
	if n.Congestion != "" || n.Auto {
		r.Add(Unknown, "congestion", "", "", "this system does not let a program choose its congestion control; it uses its own")
	}
}

func (r *Report) kernelMPTCP(wanted bool) {
	if wanted {
		r.Add(Unknown, "kernel-mptcp", "", "", "this system does not say whether it speaks MPTCP; `mpsocks status` shows it of live connections")
	}
}

// Routing examines how the kernel routes what comes from a path's address.
func (r *Report) Routing(w Way) {
	r.Add(Unknown, "source-routing", "path "+w.Path, "", "this system does not tell which interface it would choose for %s", w.Source)
}
