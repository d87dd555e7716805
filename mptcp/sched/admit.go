package sched

// Admit applies what every policy obeys, and what is sent again as well: roles, costs and suspicion.
func Admit(i int, paths []Path) Verdict {
	p := &paths[i]
	if p.Role == Never {
		return HeldRole
	}
	for j := range paths {
		q := &paths[j]
		if j == i || q.Suspect || q.Role == Never {
			continue
		}
		switch {
		case p.Suspect:
			return HeldSuspect
		case p.Role == Backup && q.Role < Backup:
			return HeldRole
		case p.Role == Secondary && q.Role == Primary && !q.overflows():
			return HeldRole
		case p.Role == q.Role && p.Cost > q.Cost && (p.Role == Backup || !q.overflows()):
			return HeldCost
		}
	}
	return Send
}

// overflows reports whether others may carry what was meant for p.
func (p *Path) overflows() bool { return p.Saturated && p.Spills }

// below reports whether p waits for q to be full: by its role, or as its cost is higher.
func (p *Path) below(q *Path) bool { return p.Role > q.Role || p.Role == q.Role && p.Cost > q.Cost }

// ready reports whether path j could take octets now: a path must not wait for one that cannot.
func ready(j int, paths []Path) bool {
	q := &paths[j]
	return !q.Saturated && !q.Busy && !q.Suspect && Admit(j, paths) == Send
}
