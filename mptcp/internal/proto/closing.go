package proto

// closeState is where a stream stands on the way to its end: the machine of RFC 8684, appendix D, driven by DATA_FIN and the DATA_ACK of
// it. TIME_WAIT is missing on purpose: a late copy of a finished stream's data is answered with Gone, which needs no memory of the stream.
type closeState uint8

const (
	stateEstab     closeState = iota
	stateFinWait1             // our DATA_FIN is on its way
	stateFinWait2             // and acknowledged; the peer may still send
	stateClosing              // both sent theirs, ours is not acknowledged
	stateCloseWait            // the peer's arrived, we may still send
	stateLastAck              // and ours is on its way
	stateClosed
)

// String returns the RFC's name.
func (c closeState) String() string {
	return [...]string{"ESTAB", "FIN_WAIT1", "FIN_WAIT2", "CLOSING", "CLOSE_WAIT", "LAST_ACK", "CLOSED"}[min(c, stateClosed)]
}

// closeEvent is what moves a closeState.
type closeEvent uint8

const (
	eventClose    closeEvent = iota // the application closed its sending side
	eventFin                        // the peer's DATA_FIN arrived, and everything before it
	eventFinAcked                   // our DATA_FIN was acknowledged
)

// after returns the state that follows; an event without meaning in c leaves it as it is.
func (c closeState) after(e closeEvent) closeState {
	switch e {
	case eventClose:
		switch c {
		case stateEstab:
			return stateFinWait1
		case stateCloseWait:
			return stateLastAck
		}
	case eventFin:
		switch c {
		case stateEstab:
			return stateCloseWait
		case stateFinWait1:
			return stateClosing
		case stateFinWait2:
			return stateClosed
		}
	case eventFinAcked:
		switch c {
		case stateFinWait1:
			return stateFinWait2
		case stateClosing, stateLastAck:
			return stateClosed
		}
	}
	return c
}

// sending reports whether the application may still write.
func (c closeState) sending() bool { return c == stateEstab || c == stateCloseWait }
