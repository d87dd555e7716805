package mptcp

import (
	"log/slog"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
)

// CongestionAuto lets the session choose each path's congestion control by what the path shows.
const CongestionAuto = "auto"

// kernelNames are what Linux calls the kinds of congestion control. Both may be missing: then what the machine's owner chose stays.
var kernelNames = [...]string{proto.LossBased: "cubic", proto.RateBased: "bbr"}

// chooseCongestion gives the subflow's connection the congestion control that it begins with. mu is held.
func (sf *subflow) chooseCongestion() {
	switch name := sf.s.cfg.Congestion; name {
	case "":
	case CongestionAuto:
		sf.setCongestion(slog.LevelDebug, kernelNames[proto.LossBased])
	default:
		sf.setCongestion(slog.LevelWarn, name)
	}
}

// followCongestion changes it to what the path has turned out to need. mu is held.
func (sf *subflow) followCongestion() {
	kind := sf.core.Congestion()
	if kind == sf.control || sf.s.cfg.Congestion != CongestionAuto {
		return
	}
	sf.control = kind
	if sf.setCongestion(slog.LevelDebug, kernelNames[kind]) {
		s := sf.s
		s.note(slog.LevelDebug, "congestion control changed", "session", s.id, "path", sf.name(), "control", kernelNames[kind], "reason", reasons[kind])
	}
}

var reasons = [...]string{proto.LossBased: "no losses for long, or much to do", proto.RateBased: "losses without a queue, or little to do"}

// setCongestion tells the kernel, and the log at level when that fails: the kernel may not have it, or not let this user choose it. mu is held.
func (sf *subflow) setCongestion(level slog.Level, name string) bool {
	err := sf.sock.SetCongestion(name)
	if err != nil {
		sf.s.note(level, "congestion control not changed", "session", sf.s.id, "path", sf.name(), "control", name, "err", err)
		return false
	}
	sf.trace("subflow:congestion_set", trace.Str("control", name))
	return true
}
