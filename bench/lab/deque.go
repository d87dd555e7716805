package lab

// deque is a ring of segments that grows and never shrinks while in use: the
// loop must not allocate once a transfer is in its stride.
type deque struct {
	ring []segment // length is a power of two
	head int
	n    int
}

func (d *deque) len() int          { return d.n }
func (d *deque) at(i int) *segment { return &d.ring[(d.head+i)&(len(d.ring)-1)] }
func (d *deque) front() *segment   { return d.at(0) }

func (d *deque) push(s segment) {
	if d.n == len(d.ring) {
		d.grow()
	}
	d.n++
	*d.at(d.n - 1) = s
}

// insert puts s behind every segment that is due no later than s.
func (d *deque) insert(s segment) {
	d.push(s)
	for i := d.n - 1; i > 0 && d.at(i-1).at > s.at; i-- {
		*d.at(i), *d.at(i - 1) = *d.at(i - 1), *d.at(i)
	}
}

func (d *deque) pop() segment {
	s := *d.front()
	*d.front() = segment{}
	d.head = (d.head + 1) & (len(d.ring) - 1)
	d.n--
	return s
}

func (d *deque) grow() {
	ring := make([]segment, max(2*len(d.ring), 64))
	for i := range d.n {
		ring[i] = *d.at(i)
	}
	d.ring, d.head = ring, 0
}
