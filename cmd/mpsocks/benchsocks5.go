package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"
	"github.com/things-go/go-socks5"
)

// socks5Verb is the verb of `mpsocks bench` by which it starts itself as a SOCKS5
// server that is nothing but the library.
const socks5Verb = "socks5"

func benchSocks5Cmd(e env) *cobra.Command {
	return &cobra.Command{
		Use:    socks5Verb + " ADDR",
		Short:  "Serve SOCKS5 by the library alone, to compare with; no password, no rules",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkLoopback(args[0]); err != nil {
				return usagef("%w", err)
			}
			return runSocks5(c.Context(), e, args[0])
		},
	}
}

// runSocks5 serves until a signal. It dials loopback alone: it asks nobody for a
// password.
func runSocks5(ctx context.Context, e env, addr string) error {
	ln, err := listenTCP(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer stopOn(e.signals, cancel)()
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	fmt.Fprintf(e.err, "socks5 ready socks=%s\n", ln.Addr())
	err = socks5.NewServer(socks5.WithDial(dialOwn)).Serve(ln)
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return nil
	}
	return err
}

// dialOwn connects to targets on this machine.
func dialOwn(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := checkLoopback(addr); err != nil {
		return nil, err
	}
	var d net.Dialer
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, network, addr)
}
