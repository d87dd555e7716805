package sched

// Admit applies what every policy obeys, and what is sent again as well: roles and suspicion.
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
		case p.Role == Secondary && q.Role == Primary && !q.Saturated:
			return HeldRole
		}
	}
	return Send
}

// ready reports whether path j could take octets now: a path must not wait for one that cannot.
func ready(j int, paths []Path) bool {
	q := &paths[j]
	return !q.Saturated && !q.Busy && !q.Suspect && Admit(j, paths) == Send
}
