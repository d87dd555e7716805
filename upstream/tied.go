package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/mpsocks/mpsocks/mptcp"
)

// StreamPaths says which paths a stream may take, both ways; see mptcp.StreamPaths.
type StreamPaths = mptcp.StreamPaths

var (
	// ErrNoPathChoice says that paths cannot be chosen for a stream: the transport has no session, or the egress is of an older version.
	ErrNoPathChoice = errors.New("paths cannot be chosen for a connection")
	// ErrPathsDown is a stream whose paths do not answer, although others may. It is syscall.ENETUNREACH to errors.Is.
	ErrPathsDown error = pathsDown{}
)

type pathsDown struct{}

func (pathsDown) Error() string        { return "no path that the connection may take answers" }
func (pathsDown) Is(target error) bool { return target == syscall.ENETUNREACH }

// DialPaths opens a stream as Dial does, on some paths only. While none of these answers it waits as Dial does, and fails with an error that is
// syscall.ENETUNREACH to errors.Is. It fails with ErrNoPathChoice where paths cannot be chosen.
func (c *Client) DialPaths(ctx context.Context, p StreamPaths) (net.Conn, error) {
	m, ok := c.way.(interface {
		dialOn(ctx context.Context, p StreamPaths) (net.Conn, error)
	})
	if !ok || c.cfg.Transport != TransportMPTCP {
		return nil, fmt.Errorf("dial egress: %w: transport %s", ErrNoPathChoice, c.cfg.Transport)
	}
	return c.dial(ctx, func(ctx context.Context) (net.Conn, error) { return m.dialOn(ctx, p) })
}

// wordsOf names the paths of p.
func wordsOf(p StreamPaths) string {
	switch {
	case len(p.Only) > 0:
		return strings.Join(p.Only, ", ")
	case p.NoBackup:
		return "all that are no backup"
	}
	return "any"
}
