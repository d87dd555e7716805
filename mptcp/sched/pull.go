package sched

// Pull gives data to whatever subflow has room: the sum of the rates on paths that are alike, a slow path's delay on those that are
// not. It is the measure the other policies have to beat.
type Pull struct{}

// Name returns "pull".
func (Pull) Name() string { return "pull" }

// Decide implements Policy.
func (Pull) Decide(i int, paths []Path, _ Job) Verdict { return admit(i, paths) }
