package sched

// Redundant has every subflow carry everything that it has room for before the peer acknowledges it (Froemmgen, Erbshaeusser, Buchmann,
// Zimmermann, Wehrle: "ReMP TCP: Low Latency Multipath TCP", ICC 2016): the first copy counts. Octets arrive as by the path that happens to be
// best for each, at the price of all the others' rate: together they carry what the best one carries.
type Redundant struct{}

// Name returns "redundant".
func (Redundant) Name() string { return "redundant" }

// Copies returns true.
func (Redundant) Copies() bool { return true }

// Decide implements Policy.
func (Redundant) Decide(i int, paths []Path, _ Job) Verdict { return Admit(i, paths) }
