package sched

// RoundRobin gives each subflow that has room a record in turn (as measured by Paasch, Ferlin, Alay, Bonaventure: "Experimental Evaluation of
// Multipath TCP Schedulers", CSWS 2014, and part of their Linux code). Under load each path takes what its window allows, as with any policy; a
// short answer is cut into pieces over all paths and is there when the slowest has delivered.
type RoundRobin struct{}

// Name returns "roundrobin".
func (RoundRobin) Name() string { return "roundrobin" }

// Copies returns false.
func (RoundRobin) Copies() bool { return false }

// Decide implements Policy.
func (RoundRobin) Decide(i int, paths []Path, _ Job) Verdict {
	if v := Admit(i, paths); v != Send {
		return v
	}
	mine := paths[i].Turn
	for j := range paths {
		if t := paths[j].Turn; j != i && (t < mine || t == mine && j < i) && ready(j, paths) {
			return HeldTurn
		}
	}
	return Send
}
