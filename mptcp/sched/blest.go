package sched

// BLEST is MinRTT, but leaves a far path idle when what it would carry blocked the stream's window (Ferlin, Alay, Mehani, Boreli: "BLEST:
// Blocking Estimation-based MPTCP Scheduler for Heterogeneous Networks", IFIP Networking 2016). The near path F sends during one round trip
// of the far path S
//
//	X = (window of F + segment x (k-1)/2) x k, with k = round trip of S / round trip of F;
//
// S is held if lambda x X is more than the stream's window leaves beside what S has in flight and the octets in question. The paper adapts
// lambda to the stalls it sees; that is state, which a policy has not, so it stays where the authors' code for Linux begins. Where windows are
// wide, as ours get, BLEST is MinRTT.
type BLEST struct{}

const (
	blestLambda  = 1.2
	blestSegment = 1400 // octets by which F's window grows in a round trip, as in congestion avoidance
)

// Name returns "blest".
func (BLEST) Name() string { return "blest" }

// Copies returns false.
func (BLEST) Copies() bool { return false }

// Decide implements Policy.
func (BLEST) Decide(i int, paths []Path, job Job) Verdict {
	if v := (MinRTT{}).Decide(i, paths, job); v != Send {
		return v
	}
	f := i // the nearest path, room or not
	for j := range paths {
		if !paths[j].Suspect && Admit(j, paths) == Send && nearer(j, f, paths) {
			f = j
		}
	}
	if f == i || job.Window == 0 {
		return Send
	}
	k := paths[i].SRTT.Seconds() / max(paths[f].SRTT.Seconds(), 1e-6)
	x := (float64(paths[f].Window) + blestSegment*(k-1)/2) * k
	if blestLambda*x > float64(job.Window-paths[i].InFlight-job.Chunk) {
		return HeldWindow
	}
	return Send
}
