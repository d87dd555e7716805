package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
	"github.com/mpsocks/mpsocks/mptcp"
)

// A Stage is a step on the way over a path to the egress.
type Stage string

// The stages in their order. A Probe that has failed at one has passed those before it.
const (
	StageInterface Stage = "interface" // the interface is there and up, or the address is
	StageName      Stage = "dns"       // the egress's name has addresses
	StageRoute     Stage = "route"     // the interface leads to one of them
	StageTCP       Stage = "tcp"       // something accepts connections there
	StageTLS       Stage = "tls"       // it is the egress
	StageHello     Stage = "hello"     // it takes this client
	StageSize      Stage = "mtu"       // packets of full size arrive
)

const (
	// stageTime bounds one stage: twice what programs wait for a connection.
	stageTime = 4 * time.Second
	// probeSize is more than two packets of any path. It goes in one TLS record, of which
	// nothing is understood before all of it has come.
	probeSize = 8 << 10
)

// A Probe is what an attempt to reach the egress over one path has shown.
type Probe struct {
	Path      string
	Interface string     // it leaves by; empty: whatever the system chooses
	Source    netip.Addr // it leaves from, if that is known
	To        netip.Addr // the egress's address, if it was found
	Bound     bool       // the socket was tied to the interface
	Failed    Stage      // at which it ended; empty: everything works
	Err       error      // why
	MTU       int        // of the route, as the kernel believes; 0: unknown
	Connect   time.Duration
	Secure    time.Duration // of the TLS handshake, which takes one round trip
}

// ProbePaths tries every path of a client's configuration by itself, as a client would.
// For transports other than TransportMPTCP and TransportTCP it ends after StageRoute.
func ProbePaths(ctx context.Context, cfg ClientConfig) ([]Probe, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if cfg.PinFile != "" {
		if err := cfg.pin.load(cfg.PinFile); err != nil {
			return nil, fmt.Errorf("probe: %w", err)
		}
	}
	protocol := alpnStream
	if cfg.Transport == TransportMPTCP {
		protocol = alpnSession
	}
	t, err := clientTLS(cfg.Identity, cfg.pin, protocol)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	ls := newLines(&cfg, t, notSentLowat)
	ls.refresh(ctx)
	list := ls.all()
	probes := make([]Probe, len(list))
	var wg sync.WaitGroup
	for i, l := range list {
		wg.Go(func() { probes[i] = l.probe(ctx, &cfg) })
	}
	wg.Wait()
	return probes, nil
}

// probe goes through the stages.
func (l *line) probe(ctx context.Context, cfg *ClientConfig) Probe {
	p := Probe{Path: l.Name, Interface: l.Interface, Source: l.Source}
	fail := func(s Stage, err error) Probe {
		p.Failed, p.Err = s, flatten(err)
		return p
	}
	all, err := l.dialer.netifs()
	if err == nil {
		err = l.ready(all)
	}
	if err != nil {
		return fail(StageInterface, err)
	}
	egress, err := within(ctx, stageTime, func(ctx context.Context) ([]netip.AddrPort, error) {
		return resolveAll(ctx, l.dialer.names, l.dialer.egress)
	})
	if err != nil {
		return fail(StageName, fmt.Errorf("look up %s: %w", strings.Join(l.dialer.egress, ", "), err))
	}
	p.To = egress[0].Addr()
	targets, err := l.targets(all, l.dialer.number, egress)
	if err != nil {
		return fail(StageRoute, err)
	}
	if via := l.relevant(all); via != nil && p.Interface == "" {
		p.Interface = via.name
	}
	if cfg.Transport != TransportMPTCP && cfg.Transport != TransportTCP {
		return p
	}
	for i := range targets {
		p.Failed, p.Err = l.reach(ctx, cfg, &targets[i], &p)
		if p.Err == nil {
			break
		}
	}
	return p
}

// reach goes through the stages from StageTCP on, to one address.
func (l *line) reach(ctx context.Context, cfg *ClientConfig, t *target, p *Probe) (Stage, error) {
	p.To, p.Bound = t.addr.Addr(), t.device != ""
	if !p.Source.IsValid() {
		p.Source = cmp.Or(t.source, t.fallback)
	}
	start := time.Now()
	tcp, err := within(ctx, stageTime, func(ctx context.Context) (*net.TCPConn, error) { return dialTCP(ctx, t, false) })
	if err != nil {
		return StageTCP, fmt.Errorf("connect to %v: %w", t.addr, reason(err))
	}
	p.Connect, p.MTU = time.Since(start), routeMTU(tcp)
	if a, ok := tcp.LocalAddr().(*net.TCPAddr); ok {
		p.Source = a.AddrPort().Addr().Unmap()
	}
	start = time.Now()
	conn, err := within(ctx, stageTime, func(ctx context.Context) (*tls.Conn, error) { return clientHandshake(ctx, tcp, l.dialer.tls) })
	if errors.Is(err, context.DeadlineExceeded) && l.passesSmall(ctx, *t) {
		return StageSize, errTooLarge(err)
	}
	if err != nil {
		return StageTLS, fmt.Errorf("handshake with %v: %w", t.addr, reason(err))
	}
	p.Secure = time.Since(start)
	if cfg.Transport == TransportTCP {
		return "", conn.Close()
	}
	return l.greet(ctx, cfg, tcp, conn)
}

// smallSegment fits through every path that carries IP (RFC 791 section 3.2: 576 octets).
const smallSegment = 500

// passesSmall reports whether TLS works in small packets. A handshake of today is larger
// than one packet of full size, so it shows a path that loses these.
func (l *line) passesSmall(ctx context.Context, t target) bool {
	t.segment = smallSegment
	if !segments {
		return false // nobody knows
	}
	tcp, err := within(ctx, stageTime, func(ctx context.Context) (*net.TCPConn, error) { return dialTCP(ctx, &t, false) })
	if err != nil {
		return false
	}
	conn, err := within(ctx, stageTime, func(ctx context.Context) (*tls.Conn, error) { return clientHandshake(ctx, tcp, l.dialer.tls) })
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// greet has the egress take a session over the connection, and sends more on it than one
// packet holds.
func (l *line) greet(ctx context.Context, cfg *ClientConfig, tcp *net.TCPConn, conn *tls.Conn) (Stage, error) {
	secret, err := binding(conn)
	if err != nil {
		_ = tcpsock.Abort(tcp)
		return StageHello, err
	}
	given := false
	once := mptcp.Path{Name: l.Name, Dial: func(context.Context) (*mptcp.Carrier, error) {
		if given { // a probe is one connection
			return nil, errProbed
		}
		given = true
		return &mptcp.Carrier{Conn: sessionConn{conn}, TCP: tcp, Binding: secret}, nil
	}}
	s, err := within(ctx, stageTime, func(ctx context.Context) (*mptcp.Session, error) {
		return mptcp.Dial(ctx, sessionConfig(cfg.Session, cfg.Logger), once)
	})
	if err != nil {
		_ = tcpsock.Abort(tcp)
		return StageHello, err
	}
	defer s.Close()
	if err := fullSize(ctx, s); err != nil {
		return StageSize, err
	}
	return "", nil
}

var errProbed = errors.New("a probe makes one connection")

// fullSize sends packets of full size and waits for the egress's answer to what is in
// them: it refuses a request without a target.
func fullSize(ctx context.Context, s *mptcp.Session) error {
	ctx, cancel := context.WithTimeout(ctx, stageTime)
	defer cancel()
	st, err := s.OpenStream(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Reset() }()
	deadline, _ := ctx.Deadline()
	_ = st.SetDeadline(deadline)
	request := make([]byte, probeSize)
	for i := range request {
		request[i] = 0xff // no protocol begins like that: the stream is ended as soon as it has come
	}
	if _, err := st.Write(request); err != nil {
		return errTooLarge(err)
	}
	if _, err = st.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return errTooLarge(err)
	}
	return nil // an end or a reset is an answer
}

func errTooLarge(err error) error {
	return fmt.Errorf("the egress answered to small packets, not to full ones within %v: %w", stageTime, err)
}
