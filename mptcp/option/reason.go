package option

import "strconv"

// Reason says in an MP_TCPRST why a subflow was reset (RFC 8684 section 3.6).
type Reason uint8

// The registered reasons (RFC 8684 section 7.4).
const (
	ReasonUnspecified Reason = 0x00
	ReasonMPTCP       Reason = 0x01 // MPTCP-specific error
	ReasonResources   Reason = 0x02 // lack of resources
	ReasonProhibited  Reason = 0x03 // administratively prohibited
	ReasonTooMuchData Reason = 0x04 // too much outstanding data
	ReasonPerformance Reason = 0x05 // unacceptable performance
	ReasonMiddlebox   Reason = 0x06 // middlebox interference
)

// String returns the words of the registry in lower case.
func (r Reason) String() string {
	switch r {
	case ReasonUnspecified:
		return "unspecified"
	case ReasonMPTCP:
		return "mptcp-specific error"
	case ReasonResources:
		return "lack of resources"
	case ReasonProhibited:
		return "administratively prohibited"
	case ReasonTooMuchData:
		return "too much outstanding data"
	case ReasonPerformance:
		return "unacceptable performance"
	case ReasonMiddlebox:
		return "middlebox interference"
	}
	return "reason " + strconv.Itoa(int(r))
}
