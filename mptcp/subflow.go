package mptcp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// subflow is one path's connection: a goroutine that reads records, one that writes them.
type subflow struct {
	s       *Session
	carrier *Carrier
	sock    *tcpsock.Socket
	in      *bufio.Reader
	head    [wire.HeaderLen]byte // the reader's; here because a local one would be allocated for each record
	core    *proto.Subflow
	path    *path // nil on the responder
	// announced is set where the path was dialled at an address that the peer announced.
	announced bool
	since     time.Time
	offered   option.Version // in MP_CAPABLE

	// Guarded by the session's mu.
	idle    bool // the writer waits for something to send
	ended   bool
	cause   error
	last    []byte // what the writer sends before it closes
	wake    *sync.Cond
	gone    chan struct{} // closed when both goroutines have ended
	txBytes uint64
	rxBytes uint64
	counted [2]uint64 // octets of IP packets sent and received, by the kernel's last count
	learned time.Time // when kernel was read
	lowat   int
	pace    uint64           // octets per second
	retry   time.Duration    // the longest wait of the kernel's before it repeats; zero: its own
	control proto.Congestion // what the kernel was told
	cried   bool             // a suspicion lasted, and was logged
	removed proto.Instant    // when the log said last that the peer withdrew the address; zero: never
	doubted proto.Instant    // since when the path has been suspect; zero: it is not
}

const (
	// readAhead is small on purpose: headers and options come through it, payload is read straight into its own buffer.
	readAhead = 512
	// infoEvery is how old the kernel's figures of a busy path may be.
	infoEvery = 5 * time.Millisecond
	// batchSpan is how long the path may take for the records that are written in one call, if that is more than one: on a path of many Gbit/s the calls
	// cost more than anything else, and on others nothing is to be bound before it must.
	batchSpan = 500 * time.Microsecond
	// batchMost bounds them, in octets.
	batchMost = 64 << 10
)

// newSubflow wraps a carrier before its handshake.
func newSubflow(c *Carrier) *subflow {
	return &subflow{
		carrier: c, sock: tcpsock.Of(c.TCP), in: bufio.NewReaderSize(c.Conn, readAhead),
		gone: make(chan struct{}), since: time.Now(),
	}
}

// attach adds the subflow to the session's core and starts its goroutines. mu is held.
func (sf *subflow) attach(s *Session, addrID, peerAddrID uint8, role Role, backup bool, rtt time.Duration) error {
	core, err := s.core.AddSubflow(s.now(), addrID, peerAddrID, role, backup, rtt)
	if err != nil {
		return fmt.Errorf("join session %s: %w", s.id, err)
	}
	sf.s, sf.core = s, core
	core.User = sf
	sf.wake = sync.NewCond(&s.mu)
	s.subs = append(s.subs, sf)
	sf.traceAttached()
	sf.chooseCongestion()
	s.reckon()
	s.retie()
	s.wg.Add(2)
	both := make(chan struct{})
	go sf.readRecords(both)
	go sf.writeRecords(both)
	s.drain()
	return nil
}

func subflowOf(c *proto.Subflow) *subflow { return c.User.(*subflow) }

// wakeWriter lets the writer look for work. mu is held.
func (sf *subflow) wakeWriter() {
	if sf.idle && (sf.ended || sf.s.core.CanSend(sf.core)) {
		sf.idle = false
		sf.wake.Signal()
	}
}

// readRecords takes records in until the connection ends.
func (sf *subflow) readRecords(writerDone <-chan struct{}) {
	defer sf.s.wg.Done()
	var opts [wire.MaxOptions]byte
	for {
		h, payload, err := sf.readRecord(opts[:])
		if err == nil {
			err = sf.handleRecord(opts[:h.OptionLen], h, payload)
		}
		if err != nil {
			sf.broke(err)
			<-writerDone // it may still be saying farewell
			if errors.Is(err, ErrAltered) {
				sf.hearOut()
			}
			break
		}
	}
	sf.close()
	close(sf.gone)
}

// hearOutMost bounds what is read for nothing, in octets: more than is under way on most paths.
const hearOutMost = 4 << 20

// hearOut reads what still comes on a connection that is of no more use, for as long as a farewell may take: it would be reset if it were closed with that unread, and
// the other side would not hear why, which is the last thing that was sent.
func (sf *subflow) hearOut() {
	if sf.carrier.TCP == nil {
		return
	}
	_ = sf.carrier.TCP.SetReadDeadline(time.Now().Add(closeFlush))
	_, _ = io.CopyN(io.Discard, sf.carrier.TCP, hearOutMost)
}

// broke takes the subflow out because reading or what was read failed.
func (sf *subflow) broke(err error) {
	sf.s.mu.Lock()
	defer sf.s.unlock()
	sf.end(err)
	sf.s.drain()
}

// readRecord reads one record; the options go to opts.
func (sf *subflow) readRecord(opts []byte) (h wire.Header, payload *bufpool.Buf, err error) {
	head := sf.head[:]
	if _, err = io.ReadFull(sf.in, head); err != nil {
		return h, nil, err
	}
	if h, err = wire.ParseHeader(head); err != nil {
		return h, nil, &proto.SubflowError{Reason: option.ReasonMPTCP, What: err.Error()}
	}
	if _, err = io.ReadFull(sf.in, opts[:h.OptionLen]); err != nil || h.PayloadLen == 0 {
		return h, nil, err
	}
	payload = bufpool.Get(h.PayloadLen)
	if _, err = io.ReadFull(sf.in, payload.B); err != nil {
		payload.Free()
		return h, nil, err
	}
	return h, payload, nil
}

func (sf *subflow) handleRecord(opts []byte, h wire.Header, payload *bufpool.Buf) error {
	s := sf.s
	s.mu.Lock()
	defer s.unlock()
	if sf.ended {
		payload.Free()
		return nil
	}
	s.heard = true
	sf.rxBytes += uint64(wire.HeaderLen + h.OptionLen + h.PayloadLen)
	err := s.core.HandleRecord(s.now(), sf.core, opts, payload)
	s.drain()
	return err
}

// writeRecords sends what the core has for this subflow, chosen when the kernel has room for it: one record at a time, and more on a path that takes no
// time for them.
func (sf *subflow) writeRecords(done chan<- struct{}) {
	defer sf.s.wg.Done()
	defer close(done)
	buf := make([]byte, 0, wire.HeaderLen+wire.MaxOptions+largePiece)
	for {
		err := sf.sock.WaitWritable()
		if err == nil {
			buf, err = sf.nextRecords(buf[:0])
		}
		if err == nil && len(buf) > 0 {
			_, err = sf.carrier.Conn.Write(buf)
		}
		if err != nil {
			sf.stopped(err)
			return
		}
		sf.learn()
	}
}

// errFarewell ends the writer after its last record.
var errFarewell = errors.New("subflow ended")

// nextRecords waits for something to send.
func (sf *subflow) nextRecords(buf []byte) ([]byte, error) {
	s := sf.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if buf = sf.poll(buf); len(buf) > 0 {
			sf.txBytes += uint64(len(buf))
			sf.followCongestion() // before the kernel sees that the connection idled
			if s.core.HandsOver(sf.core) {
				for _, other := range s.subs {
					other.wakeWriter()
				}
			}
			s.arm()
			return buf, nil
		}
		if sf.ended {
			return buf, errFarewell
		}
		sf.idle = true
		sf.wake.Wait()
		sf.idle = false
	}
}

// poll appends the record that the subflow is to send now, if there is one, and those after it that its path serialises within batchSpan. mu is held.
func (sf *subflow) poll(buf []byte) []byte {
	core, now := sf.s.core, sf.s.now()
	most := min(int(sf.core.Rate()*batchSpan.Seconds()), batchMost-largePiece)
	for {
		rec, ok := core.PollSend(now, sf.core, buf)
		if !ok || len(rec) > most {
			return rec
		}
		buf = rec
	}
}

// learn asks the kernel about the path now and then, and keeps the socket's queue as short as the path's rate allows.
func (sf *subflow) learn() {
	now := time.Now()
	if now.Sub(sf.learned) < infoEvery {
		return
	}
	sf.learned = now
	info, ok := sf.sock.Info()
	if !ok {
		return
	}
	k := proto.PathInfo{MinRTT: info.MinRTT, RTT: info.RTT, Resent: uint64(max(info.Retrans, 0)), Segment: info.MSS, Segments: info.Segments, Acked: info.BytesAcked, DeliveryRate: float64(info.DeliveryRate)}
	if info.MSS > 0 {
		k.InFlight = info.Unacked / info.MSS
	}
	if info.RTT > 0 {
		k.WindowRate = float64(info.CWnd) / info.RTT.Seconds()
	}
	sf.s.mu.Lock()
	sf.counted = counted(info, sf.remote())
	sf.s.core.HandleInfo(sf.s.now(), sf.core, k)
	lowat, pace, retry := sf.core.NotSentLowat(), sf.core.Pace(), sf.core.RetryLimit()
	sf.followCongestion()
	sf.s.unlock()
	if pace != sf.pace && (pace == 0 || sf.pace == 0 || pace < sf.pace*15/16 || pace > sf.pace*17/16) {
		sf.pace = pace
		_ = sf.sock.SetMaxPacingRate(pace) // the same
	}
	if retry != 0 && (retry < sf.retry*7/8 || retry > sf.retry*9/8) || retry == 0 && sf.retry != 0 {
		sf.retry = retry
		_ = sf.sock.SetRetryLimit(retry) // the same
	}
	if lowat < sf.lowat*3/4 || lowat > sf.lowat*5/4 {
		sf.lowat = lowat
		_ = sf.sock.SetNotSentLowat(lowat) // where there is no such option the core's own limit stands alone
	}
}

// end takes the subflow out of the session; its writer says why, if the peer should know, and closes. mu is held.
func (sf *subflow) end(cause error) {
	if sf.ended {
		return
	}
	s := sf.s
	sf.ended, sf.cause = true, cause
	s.core.RemoveSubflow(s.now(), sf.core)
	for i, x := range s.subs {
		if x == sf {
			s.subs = append(s.subs[:i], s.subs[i+1:]...)
			break
		}
	}
	s.reckon()
	var refused *proto.SubflowError
	if errors.As(cause, &refused) {
		sf.last = proto.AppendReset(nil, refused.Reason, false)
		s.note(slog.LevelWarn, "subflow refused", "session", s.id, "path", sf.name(), "remote", sf.remote(), "reason", refused.What)
	} else if !s.ended {
		s.note(slog.LevelInfo, "subflow closed", "session", s.id, "path", sf.name(), "remote", sf.remote(), "reason", cause)
	}
	sf.farewell()
	if sf.path != nil {
		sf.path.lost(sf, cause)
	}
}

// farewell gives the writer a moment to send what is left and has it close. mu is held.
func (sf *subflow) farewell() {
	sf.ended = true
	_ = sf.carrier.Conn.SetDeadline(time.Now().Add(closeFlush))
	sf.idle = false
	sf.wake.Signal()
}

// stopped ends the writer's side: what is left to say goes out, then the sending direction is closed, and the reader reads until the peer has
// closed too, so that no unread data turns the farewell into a reset.
func (sf *subflow) stopped(err error) {
	s := sf.s
	s.mu.Lock()
	wasEnded := sf.ended
	sf.end(err)
	last := sf.last
	s.drain()
	s.unlock()
	if errors.Is(err, errFarewell) {
		if len(last) > 0 {
			_, _ = sf.carrier.Conn.Write(last)
		}
		if sf.closeWrite() {
			return
		}
	} else if wasEnded {
		s.cfg.Logger.Debug("farewell cut short", "session", s.id, "err", err)
	}
	sf.close()
}

// closeWrite ends the sending direction of the carrier and reports whether it has such a thing.
func (sf *subflow) closeWrite() bool {
	if sf.carrier.TCP != nil {
		return sf.carrier.TCP.CloseWrite() == nil
	}
	c, ok := sf.carrier.Conn.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}

// close lets go of the connection. What TLS would add is not needed: the session knows its own end.
func (sf *subflow) close() {
	if sf.carrier.TCP != nil {
		_ = sf.carrier.TCP.Close()
		return
	}
	_ = sf.carrier.Conn.Close()
}

// stateChanged notes that the path stopped answering, or answers again. Most suspicions last for milliseconds: they are for debugging, and only
// one that lasted is news.
func (sf *subflow) stateChanged() {
	s := sf.s
	suspect := sf.core.State() == proto.Suspect
	switch {
	case suspect == (sf.doubted != 0): // something else changed
		return
	case suspect:
		sf.doubted = s.now()
		s.note(slog.LevelDebug, "path suspect", "session", s.id, "path", sf.name(), "srtt", sf.core.SRTT())
	default:
		level := slog.LevelDebug
		if sf.cried {
			level = slog.LevelInfo
		}
		sf.doubted, sf.cried = 0, false
		s.note(level, "path up", "session", s.id, "path", sf.name(), "remote", sf.remote(), "reason", "answers again")
	}
	s.reckon()
	if sf.path != nil {
		sf.path.changed(sf)
	}
}

// silent says that the path does not answer, and on the client has it dialled again beside the silent subflow; whichever answers first is used.
func (sf *subflow) silent() {
	s := sf.s
	sf.cried = true
	s.note(slog.LevelWarn, "path suspect", "session", s.id, "path", sf.name(), "remote", sf.remote(), "reason", "no answer for a while", "srtt", sf.core.SRTT())
	if sf.path != nil && sf.path.sub == sf {
		sf.path.redialBeside()
	}
}

// withdrawnEvery is how often the log says of one subflow that the peer withdrew its address: a peer can do that all the time.
const withdrawnEvery = 10 * time.Second

// withdrawn says that the peer has withdrawn the address that the subflow uses. It stays, if it answers: a removal of what works is a mistake, or an attack
// (RFC 8684, section 3.4.2).
func (sf *subflow) withdrawn() {
	s := sf.s
	now := s.now()
	if sf.removed != 0 && now < sf.removed+withdrawnEvery {
		return
	}
	sf.removed = max(now, 1)
	s.note(slog.LevelWarn, "address withdrawn", "session", s.id, "path", sf.name(), "remote", sf.remote(),
		"reason", "the peer says that its address on this path is gone; the path is probed, and stays if it answers")
}

func (sf *subflow) name() string {
	if sf.path != nil {
		return sf.path.Name
	}
	return fmt.Sprintf("addr%d", sf.core.AddrID())
}

func (sf *subflow) remote() string { return sf.carrier.Conn.RemoteAddr().String() }
