package bench

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// Transport is something to measure: a way from a local SOCKS port to a target.
type Transport struct {
	Name  string
	Title string
	// Extra is measured only when it is asked for by name.
	Extra bool
	// Open sets the transport up. ctx is for the setting up alone.
	Open func(ctx context.Context, e *Env) (Stage, error)
}

// Env is where a transport is to be set up.
type Env struct {
	Scenario *Scenario
	Lab      *lab.Lab // nil in live mode
	Order    []int    // the paths to use, the best for a single connection first
	Dir      string   // an empty folder, removed when the stage is closed
	// Trace, if not empty, is what the two ends are to record their decisions to, if
	// they can: a file name that TraceClient or TraceEgress is to be appended to.
	Trace  string
	Logger *slog.Logger
}

// A Stage is one transport set up on one scenario, ready for workloads. Dial
// may be called from several goroutines.
type Stage interface {
	// Dial opens a connection to a target through the transport's local SOCKS5
	// port, from where the client runs. It returns when the reply is there
	// that says that the target has been reached.
	Dial(ctx context.Context, target string) (net.Conn, error)
	// Usage is what the two processes have used since their start.
	Usage() (client, egress Usage)
	// ResetPeak forgets the peaks of memory so far, where the system can.
	ResetPeak()
	// PathBytes is what each path has carried so far, where the transport
	// knows; the runner asks the laboratory first.
	PathBytes() []PathBytes
	// Notes are what a report must say about how the transport ran.
	Notes() []string
	Close() error
}

// Usage is what a process has used. Zero is unknown.
type Usage struct {
	CPU  time.Duration
	Peak int64 // bytes of resident memory at the most
}
