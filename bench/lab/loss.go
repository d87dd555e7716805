package lab

import "math/rand/v2"

// lossModel decides which packets are lost: independently, in bursts, or both.
type lossModel struct {
	random float64
	burst  Burst
	bad    bool // state of the Gilbert-Elliott chain
}

func (m *lossModel) set(l Link) {
	m.random, m.burst = l.Loss, l.Burst
	if l.Burst.Enter == 0 {
		m.bad = false
	}
}

// lose steps the model by one packet.
func (m *lossModel) lose(r *rand.Rand) bool {
	lost := m.random > 0 && r.Float64() < m.random
	if m.burst.Enter == 0 {
		return lost
	}
	if m.bad {
		m.bad = r.Float64() >= m.burst.Leave
	} else {
		m.bad = r.Float64() < m.burst.Enter
	}
	if m.bad && (m.burst.Loss == 0 || r.Float64() < m.burst.Loss) {
		lost = true
	}
	return lost
}

// bucket is the policer's token bucket; its zero value is full.
type bucket struct {
	spent float64 // bytes below full
	last  int64   // ns
}

// take reports whether size more bytes conform to p at now.
func (b *bucket) take(p Police, now int64, size int) bool {
	depth := float64(p.Burst)
	if depth == 0 {
		depth = max(float64(p.Rate)/80, 2*1500)
	}
	b.spent = max(0, b.spent-float64(now-b.last)*float64(p.Rate)/8e9)
	b.last = now
	if b.spent+float64(size) > depth {
		return false
	}
	b.spent += float64(size)
	return true
}
