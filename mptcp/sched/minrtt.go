package sched

// MinRTT gives octets to the subflow with the lowest smoothed round-trip time of those that have room: the scheduler that the Multipath TCP
// of Linux began with (Raiciu et al.: "How Hard Can It Be? Designing and Implementing a Deployable Multipath TCP", NSDI 2012). Once the near
// path is full whatever comes next goes to a far one, however late it is there; and a near path need not be a fast one.
type MinRTT struct{}

// Name returns "minrtt".
func (MinRTT) Name() string { return "minrtt" }

// Copies returns false.
func (MinRTT) Copies() bool { return false }

// Decide implements Policy.
func (MinRTT) Decide(i int, paths []Path, _ Job) Verdict {
	if v := Admit(i, paths); v != Send {
		return v
	}
	for j := range paths {
		if j != i && nearer(j, i, paths) && ready(j, paths) {
			return HeldFar
		}
	}
	return Send
}

// nearer orders paths by their smoothed round-trip time, and those alike by their index.
func nearer(j, i int, paths []Path) bool {
	a, b := paths[j].SRTT, paths[i].SRTT
	return a < b || a == b && j < i
}
