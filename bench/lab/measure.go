package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

const (
	probeHeader  = 28   // IPv4 and UDP, what a datagram adds to its payload
	probePayload = 1472 // fills an IP packet of 1500 bytes
	echoPayload  = 64
)

// Report is what Measure found.
type Report struct {
	Paths            []Measured
	UpTCP, DownTCP   float64 // bit/s of TCP payload over all paths at once, one connection each
	UpBusy, DownBusy float64 // emulator's processors in use meanwhile
}

// Measured is what Measure found on one path.
type Measured struct {
	Path             string
	RTTMin, RTTMid   time.Duration
	UpRate, DownRate float64 // bit/s of IP packets that came through under overload; 0 on an unlimited link
	UpTCP, DownTCP   float64 // bit/s of TCP payload, one connection, after its start
	UpLoss, DownLoss float64 // share lost below the rate
}

// Measure finds out what the paths of an otherwise idle lab really do, one path
// after the other, then all at once. Each step (round trip; rate, loss and TCP
// each way; all at once each way) takes about d, of which a second or more gives
// TCP time to find its rate.
func Measure(ctx context.Context, l *Lab, d time.Duration) (r Report, err error) {
	for _, p := range l.Paths() {
		m, err := measurePath(ctx, l, p, d)
		if err != nil {
			return r, fmt.Errorf("measure %s: %w", p.Name(), err)
		}
		r.Paths = append(r.Paths, m)
	}
	if r.UpTCP, r.UpBusy, err = measureAll(ctx, l, Uplink, d); err != nil {
		return r, fmt.Errorf("measure all paths up: %w", err)
	}
	if r.DownTCP, r.DownBusy, err = measureAll(ctx, l, Downlink, d); err != nil {
		return r, fmt.Errorf("measure all paths down: %w", err)
	}
	return r, ctx.Err()
}

// measureAll is measureTCP on all paths at once.
func measureAll(ctx context.Context, l *Lab, dir Direction, d time.Duration) (rate, busy float64, err error) {
	before, err := l.EmulatorCPU()
	if err != nil {
		return 0, 0, err
	}
	type result struct {
		rate float64
		err  error
	}
	results := make(chan result)
	for _, p := range l.Paths() {
		go func() {
			rate, err := measureTCP(ctx, l, p, dir, d)
			results <- result{rate, err}
		}()
	}
	for range l.Paths() {
		r := <-results
		rate += r.rate
		err = errors.Join(err, r.err)
	}
	after, err2 := l.EmulatorCPU()
	return rate, (after - before).Seconds() / d.Seconds(), errors.Join(err, err2)
}

func measurePath(ctx context.Context, l *Lab, p *PathControl, d time.Duration) (m Measured, err error) {
	m.Path = p.Name()
	client, err := l.Client().ListenPacket("udp", net.JoinHostPort(p.ClientAddr().String(), "0"))
	if err != nil {
		return m, err
	}
	defer client.Close()
	server, err := l.Server().ListenPacket("udp", net.JoinHostPort(p.ServerAddr().String(), "0"))
	if err != nil {
		return m, err
	}
	defer server.Close()
	if m.RTTMin, m.RTTMid, err = measureRTT(ctx, client, server, d); err != nil {
		return m, err
	}
	for _, way := range []struct {
		dir            Direction
		from, to       net.PacketConn
		rate, tcp, los *float64
	}{{Uplink, client, server, &m.UpRate, &m.UpTCP, &m.UpLoss}, {Downlink, server, client, &m.DownRate, &m.DownTCP, &m.DownLoss}} {
		link := p.Link(way.dir)
		if link.Rate > 0 {
			// Half the rate shows the loss, half as much again the rate.
			f := flood(ctx, p, way.from, way.to, link.Rate/2, d)
			*way.los = 1 - float64(len(f.arrivals))/float64(max(1, f.sent))
			f = flood(ctx, p, way.from, way.to, link.Rate*3/2, d)
			*way.rate = f.rate()
		}
		if *way.tcp, err = measureTCP(ctx, l, p, way.dir, d); err != nil {
			return m, err
		}
	}
	return m, ctx.Err()
}

// measureRTT sends a datagram every 20 ms and has it sent back.
func measureRTT(ctx context.Context, client, server net.PacketConn, d time.Duration) (least, mid time.Duration, err error) {
	end := time.Now().Add(d)
	_ = server.SetReadDeadline(end.Add(10 * time.Second))
	echoed := make(chan struct{})
	go echo(server, echoed)
	var rtts []time.Duration
	buf := make([]byte, echoPayload)
	for ctx.Err() == nil && (time.Now().Before(end) || len(rtts) == 0 && time.Since(end) < 5*time.Second) {
		sent := time.Now()
		if _, err := client.WriteTo(buf, server.LocalAddr()); err != nil {
			return 0, 0, err
		}
		_ = client.SetReadDeadline(sent.Add(3 * time.Second))
		if _, _, err := client.ReadFrom(buf); err == nil {
			rtts = append(rtts, time.Since(sent))
		}
		pause(ctx, 20*time.Millisecond)
	}
	_ = server.SetReadDeadline(time.Unix(1, 0))
	<-echoed
	_ = server.SetReadDeadline(time.Time{})
	if len(rtts) == 0 {
		return 0, 0, fmt.Errorf("no answer to any probe")
	}
	slices.Sort(rtts)
	return rtts[0], rtts[len(rtts)/2], nil
}

// echo sends datagrams back until the read deadline.
func echo(c net.PacketConn, done chan<- struct{}) {
	defer close(done)
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(buf[:n], from)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// flooded is what came of a flood.
type flooded struct {
	sent     int
	arrivals []time.Time
}

// rate is the bit/s of IP packets: the median over eight groups of arrivals, so
// that a moment in which the machine kept the sender waiting does not count.
func (f flooded) rate() float64 {
	const groups = 8
	n := len(f.arrivals)
	size := n / groups
	if size < 2 { // a slow link: all there is
		if n < 2 {
			return 0
		}
		return float64(n-1) * (probePayload + probeHeader) * 8 / max(f.arrivals[n-1].Sub(f.arrivals[0]), 1).Seconds()
	}
	var rates []float64
	for i := range groups {
		// From the last packet of the group before to the last of this one.
		first, last := max(0, i*size-1), (i+1)*size-1
		took := max(f.arrivals[last].Sub(f.arrivals[first]), 1)
		rates = append(rates, float64(last-first)*(probePayload+probeHeader)*8/took.Seconds())
	}
	slices.Sort(rates)
	return (rates[groups/2-1] + rates[groups/2]) / 2
}

// flood sends full-size datagrams at a rate for d and counts the arrivals.
func flood(ctx context.Context, p *PathControl, from, to net.PacketConn, rate int64, d time.Duration) flooded {
	counted := make(chan flooded, 1)
	_ = to.SetReadDeadline(time.Time{})
	nonce := uint64(time.Now().UnixNano())
	if u, ok := to.(*net.UDPConn); ok {
		_ = u.SetReadBuffer(4 << 20)
	}
	go count(to, nonce, counted)
	buf := make([]byte, probePayload)
	binary.BigEndian.PutUint64(buf, nonce)
	sent := 0
	start, last, owed := time.Now(), time.Now(), 1.0
	for now := start; now.Sub(start) < d && ctx.Err() == nil; now = time.Now() {
		// On a busy machine what was missed is not made up for: a burst would
		// overflow the queue and pass for loss.
		owed += min(now.Sub(last), 5*time.Millisecond).Seconds() * float64(rate) / 8 / (probePayload + probeHeader)
		last = now
		for ; owed >= 1; owed-- {
			_, _ = from.WriteTo(buf, to.LocalAddr())
			sent++
		}
		pause(ctx, time.Millisecond)
	}
	_ = settle(ctx, p)
	_ = to.SetReadDeadline(time.Unix(1, 0))
	f := <-counted
	_ = to.SetReadDeadline(time.Time{})
	f.sent = sent
	return f
}

// count counts the datagrams of one flood until the read deadline.
func count(c net.PacketConn, nonce uint64, counted chan<- flooded) {
	var f flooded
	buf := make([]byte, 2048)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			counted <- f
			return
		}
		if n < 8 || binary.BigEndian.Uint64(buf) != nonce {
			continue
		}
		f.arrivals = append(f.arrivals, time.Now())
	}
}

// measureTCP is the goodput of one connection after its first third.
func measureTCP(ctx context.Context, l *Lab, p *PathControl, dir Direction, d time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second+2*d)
	defer cancel()
	near, far, err := connect(ctx, l, p)
	if err != nil {
		return 0, err
	}
	from, to := near, far
	if dir == Downlink {
		from, to = far, near
	}
	end := time.Now().Add(d)
	_ = from.SetDeadline(end)
	_ = to.SetDeadline(end)
	stuffed := make(chan struct{})
	go stuff(from, stuffed)
	rate := drink(to, d/3)
	<-stuffed
	// Unsent megabytes must not follow into the next step: reset, and let what
	// is under way pass.
	for _, c := range []*net.TCPConn{near, far} {
		_ = c.SetLinger(0)
		c.Close()
	}
	return rate, settle(ctx, p)
}

// connect makes a TCP connection over a path.
func connect(ctx context.Context, l *Lab, p *PathControl) (near, far *net.TCPConn, err error) {
	ln, err := l.Server().Listen("tcp", net.JoinHostPort(p.ServerAddr().String(), "0"))
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	n, err := l.Client().DialFrom(ctx, &net.TCPAddr{IP: p.ClientAddr().AsSlice()}, "tcp", ln.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	f, err := ln.Accept()
	if err != nil {
		return nil, nil, errors.Join(err, n.Close())
	}
	return n.(*net.TCPConn), f.(*net.TCPConn), nil
}

// drink reads until the deadline and returns the bit/s, not counting the start.
func drink(r io.Reader, start time.Duration) float64 {
	buf := make([]byte, 256<<10)
	var total int64
	began := time.Now()
	from := began
	for started := false; ; {
		n, err := r.Read(buf)
		if err != nil {
			break
		}
		total += int64(n)
		if !started && time.Since(began) > start {
			started, from, total = true, time.Now(), 0
		}
	}
	return float64(total) * 8 / time.Since(from).Seconds()
}

// settle waits until nothing is under way on the path.
func settle(ctx context.Context, p *PathControl) error {
	for quiet := 0; quiet < 2 && ctx.Err() == nil; quiet++ {
		pause(ctx, 20*time.Millisecond)
		if s := p.Stats(); s.Up.Queued > 0 || s.Down.Queued > 0 {
			quiet = 0
		}
	}
	up, down := p.Link(Uplink), p.Link(Downlink)
	pause(ctx, max(up.Delay+up.Jitter, down.Delay+down.Jitter)+20*time.Millisecond)
	return ctx.Err()
}

// stuff writes until the deadline.
func stuff(w io.Writer, done chan<- struct{}) {
	defer close(done)
	buf := make([]byte, 64<<10)
	for {
		if _, err := w.Write(buf); err != nil {
			return
		}
	}
}
