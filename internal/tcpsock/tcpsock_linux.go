package tcpsock

import (
	"encoding/binary"
	"math"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (s *Socket) info() (Info, bool) {
	var ti *unix.TCPInfo
	err := s.control(func(fd uintptr) (err error) {
		ti, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	if err != nil {
		return Info{}, false
	}
	mss := int(ti.Snd_mss)
	return Info{
		RTT:           microseconds(ti.Rtt),
		RTTVar:        microseconds(ti.Rttvar),
		MinRTT:        minRTT(ti.Min_rtt),
		CWnd:          int(ti.Snd_cwnd) * mss,
		Unacked:       int(ti.Unacked) * mss,
		NotSent:       int(ti.Notsent_bytes),
		MSS:           mss,
		DeliveryRate:  ti.Delivery_rate,
		AppLimited:    appLimited(ti),
		BytesAcked:    ti.Bytes_acked,
		BytesSent:     ti.Bytes_sent,
		BytesReceived: ti.Bytes_received,
		SegsSent:      ti.Segs_out,
		SegsReceived:  ti.Segs_in,
		Segments:      uint64(ti.Data_segs_out),
		Retrans:       int(ti.Total_retrans),
		Backoff:       int(max(ti.Backoff, ti.Retransmits)),
		Lost:          int(ti.Lost),
		CAState:       ti.Ca_state,
		State:         ti.State,
	}, true
}

func microseconds(us uint32) time.Duration { return time.Duration(us) * time.Microsecond }

// minRTT maps the kernel's "no sample yet" (all ones) to zero.
func minRTT(us uint32) time.Duration {
	if us == ^uint32(0) {
		return 0
	}
	return microseconds(us)
}

// appLimited reads tcpi_delivery_rate_app_limited, the first bit-field of the
// eighth byte, which the generated Go type counts as padding. The order of
// bit-fields follows the byte order of the machine.
func appLimited(ti *unix.TCPInfo) bool {
	const offset = 7
	b := unsafe.Slice((*byte)(unsafe.Pointer(ti)), offset+1)[offset]
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return b&0x01 != 0
	}
	return b&0x80 != 0
}

func setNotSentLowat(fd uintptr, bytes int) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
}

func setReceiveLowat(fd uintptr, bytes int) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes)
}

func setUserTimeout(fd uintptr, d time.Duration) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(roundUp(d, time.Millisecond)))
}

func setSteadyRetries(fd uintptr, on bool) error {
	v := 0
	if on {
		v = 1
	}
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_THIN_LINEAR_TIMEOUTS, v)
}

// tcpRTOMax is TCP_RTO_MAX_MS of linux/tcp.h, which x/sys does not have yet.
const tcpRTOMax = 44

func setRetryLimit(fd uintptr, d time.Duration) error {
	const least, most = time.Second, 2 * time.Minute // the kernel's bounds; the latter is its default
	if d == 0 {
		d = most
	}
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tcpRTOMax, int(roundUp(min(max(d, least), most), time.Millisecond)))
}

func setMaxPacingRate(fd uintptr, rate uint64) error {
	if rate == 0 {
		rate = math.MaxUint64
	}
	return unix.SetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, rate)
}

func setCongestion(fd uintptr, name string) error {
	return unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
}

func congestion(fd uintptr) (string, error) {
	return unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
}
