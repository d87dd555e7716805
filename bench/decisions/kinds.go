package decisions

// Kind is what octets are that a path was given.
type Kind uint8

// The kinds, in the order in which they are drawn on each other.
const (
	New   Kind = iota // for the first time
	Again             // sent again: the path that had them is gone or silent
	Copy              // sent besides, while another path still has them
	Kinds
)

// String is what people call the kind.
func (k Kind) String() string { return [...]string{"new", "sent again", "copies"}[min(k, Copy)] }

// kindOf says which kind a record is by its event and reason.
func kindOf(event, reason string) Kind {
	switch {
	case event == "data:mapping_sent":
		return New
	case reason == "lost":
		return Again
	}
	return Copy
}

// Hold is why a path is given nothing at a moment.
type Hold uint8

// The holds. All but Sending are reasons why the path gets nothing now.
const (
	Sending Hold = iota // it is given what there is
	Idle
	Window
	Socket
	Later
	Role
	Trial
	Credit
	Suspect
	Down // it has no connection
	Other
	Holds
)

var holdWords = [Holds]string{
	Sending: "sending", Idle: "nothing waits", Window: "enough in flight", Socket: "its socket is full", Later: "others deliver sooner",
	Role: "better paths have room", Trial: "on trial", Credit: "the peer takes no more", Suspect: "no answer", Down: "not connected", Other: "another reason",
}

// String is the reason for people.
func (h Hold) String() string { return holdWords[min(h, Other)] }

// holdNames are the words of traces.
var holdNames = map[string]Hold{
	"idle": Idle, "window": Window, "socket": Socket, "later": Later, "role": Role, "trial": Trial, "credit": Credit, "suspect": Suspect,
}

func holdOf(reason string) Hold {
	if h, ok := holdNames[reason]; ok {
		return h
	}
	return Other
}

// Phase is what is being done about a path's window.
type Phase uint8

// The phases.
const (
	Unknown Phase = iota
	Start
	Ramp
	Settle
	Steady
	Drain
)

var phaseNames = [...]string{Unknown: "", Start: "start", Ramp: "ramp", Settle: "settle", Steady: "steady", Drain: "drain"}

// String is the word of traces.
func (p Phase) String() string { return phaseNames[min(p, Drain)] }

func phaseOf(name string) Phase {
	for p, n := range phaseNames {
		if n == name {
			return Phase(p)
		}
	}
	return Unknown
}
