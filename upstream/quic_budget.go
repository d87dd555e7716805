package upstream

import (
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/mpsocks/mpsocks/mptcp"
)

// quicLeastWindow is what a connection gets however little memory is left.
const quicLeastWindow = 1 << 20

// quicBudget bounds the flow-control windows of all connections of an egress
// together: what clients may send that targets do not take yet.
type quicBudget struct {
	base *quic.Config // of connections while there is plenty

	mu   sync.Mutex
	left int64 // may be negative by the least windows
	held map[*quic.Conn]int64
}

func newQUICBudget(s *mptcp.Config, base *quic.Config) *quicBudget {
	b := &quicBudget{left: 8 * quicMaxConnWindow, held: make(map[*quic.Conn]int64)}
	if s != nil && s.Budget > 0 {
		b.left = int64(s.Budget)
	}
	b.base = base.Clone()
	b.base.AllowConnectionWindowIncrease = b.grow
	return b
}

// window is what a new connection begins with: at most a quarter of what is left.
func (b *quicBudget) window() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return min(b.base.InitialConnectionReceiveWindow, uint64(max(b.left/4, quicLeastWindow)))
}

// config is the configuration of a new connection.
func (b *quicBudget) config(*quic.ClientInfo) (*quic.Config, error) {
	w := b.window()
	c := b.base.Clone()
	c.InitialConnectionReceiveWindow = w
	c.InitialStreamReceiveWindow = min(c.InitialStreamReceiveWindow, w)
	return c, nil
}

// open puts a connection's first window on the account, as far as it is known: the
// handshake has taken a moment.
func (b *quicBudget) open(c *quic.Conn) {
	w := int64(b.window())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[c] = w
	b.left -= w
}

// grow decides whether a connection's window may grow. It is called by quic-go.
func (b *quicBudget) grow(c *quic.Conn, delta uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := int64(delta)
	if _, ok := b.held[c]; !ok || d > b.left {
		return false
	}
	b.held[c] += d
	b.left -= d
	return true
}

// close takes a connection off the account.
func (b *quicBudget) close(c *quic.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += b.held[c]
	delete(b.held, c)
}
