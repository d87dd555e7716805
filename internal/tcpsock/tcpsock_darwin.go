package tcpsock

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

func (s *Socket) info() (Info, bool) {
	var ci *unix.TCPConnectionInfo
	err := s.control(func(fd uintptr) (err error) {
		ci, err = unix.GetsockoptTCPConnectionInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_CONNECTION_INFO)
		return err
	})
	if err != nil {
		return Info{}, false
	}
	// The send buffer holds what is in flight and what is not sent yet, and the
	// kernel does not tell them apart. What exceeds the window cannot be in flight.
	cwnd, buffered := int(ci.Snd_cwnd), int(ci.Snd_sbbytes)
	return Info{
		RTT:     milliseconds(ci.Srtt),
		RTTVar:  milliseconds(ci.Rttvar),
		CWnd:    cwnd,
		Unacked: min(buffered, cwnd),
		NotSent: max(0, buffered-cwnd),
		MSS:     int(ci.Maxseg),
		Retrans: int(ci.Txretransmitpackets),
		State:   ci.State,
	}, true
}

func milliseconds(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }

func setNotSentLowat(fd uintptr, bytes int) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
}

// setReceiveLowat is left out: kqueue has its own threshold, which the runtime sets.
func setReceiveLowat(uintptr, int) error { return errors.ErrUnsupported }

// setUserTimeout uses the time after which a connection that only retransmits
// is dropped; the system counts it in whole seconds.
func setUserTimeout(fd uintptr, d time.Duration) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RXT_CONNDROPTIME, int(roundUp(d, time.Second)))
}

func setSteadyRetries(uintptr, bool) error { return errors.ErrUnsupported }

func setRetryLimit(uintptr, time.Duration) error { return errors.ErrUnsupported }

func setMaxPacingRate(uintptr, uint64) error { return errors.ErrUnsupported }

func setCongestion(uintptr, string) error { return errors.ErrUnsupported }

func congestion(uintptr) (string, error) { return "", errors.ErrUnsupported }
