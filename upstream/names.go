package upstream

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// nameFresh is how long an answer stands for the next dials: long enough for a
// burst of them, short enough for an egress that moves.
const nameFresh = 5 * time.Second

// namePatience is how long a dial waits for a new answer when there is an old one.
const namePatience = 500 * time.Millisecond

// nameCache remembers the addresses of the egress's few names. When the resolver
// fails, which it does just when lines come and go, the last answer counts.
type nameCache struct {
	ask resolver

	mu    sync.Mutex
	known map[string]nameAnswer
}

type nameAnswer struct {
	addrs []netip.Addr
	at    time.Time
}

func newNameCache(ask resolver) *nameCache {
	return &nameCache{ask: ask, known: make(map[string]nameAnswer)}
}

// LookupNetIP implements resolver.
func (c *nameCache) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	c.mu.Lock()
	last, ok := c.known[host]
	c.mu.Unlock()
	if ok && time.Since(last.at) < nameFresh {
		return last.addrs, nil
	}
	if ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, namePatience)
		defer cancel()
	}
	addrs, err := c.ask.LookupNetIP(ctx, network, host)
	if err != nil || len(addrs) == 0 {
		if ok {
			return last.addrs, nil
		}
		return nil, err
	}
	c.mu.Lock()
	c.known[host] = nameAnswer{addrs, time.Now()}
	c.mu.Unlock()
	return addrs, nil
}
