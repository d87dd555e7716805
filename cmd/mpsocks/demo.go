package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/socks"
	"github.com/mpsocks/mpsocks/upstream"
)

// demoTargets opens what a demo on one machine wants to reach: this machine by
// any of its addresses, and the networks round it. Metadata services stay
// closed: the demo may run on a rented machine.
var demoTargets = []string{"127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}

func demoCmd(e env) *cobra.Command {
	var socksAddr, adminAddr string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run client and egress in one process, to try it on this machine",
		Long: "demo runs a client and an egress in one process, with two paths over loopback addresses and\n" +
			"keys that are gone when it ends. Unlike a real egress it also reaches targets on this machine.",
		Example: "  mpsocks demo\n  mpsocks demo --socks 127.0.0.1:2080 --admin 127.0.0.1:2090",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for flag, addr := range map[string]string{"socks": socksAddr, "admin": adminAddr} {
				if err := checkLoopback(addr); err != nil {
					return usagef("--%s: %w", flag, err)
				}
			}
			return runDemo(c.Context(), e, socksAddr, adminAddr)
		},
	}
	c.Flags().StringVar(&socksAddr, "socks", configs.DefaultSocksListen, "address of the local proxy port")
	c.Flags().StringVar(&adminAddr, "admin", configs.DefaultClientAdmin, "address of the admin port")
	return c
}

// checkLoopback refuses what other machines could reach: the demo has no
// password and opens this machine's own ports.
func checkLoopback(addr string) error {
	if err := configs.CheckListen(addr); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(addr)
	if a, parseErr := netip.ParseAddr(host); err != nil || host != "localhost" && (parseErr != nil || !a.IsLoopback()) {
		return fmt.Errorf("%s is not a loopback address", addr)
	}
	return nil
}

func runDemo(ctx context.Context, e env, socksAddr, adminAddr string) error {
	log, err := newLogger(e, configs.Log{})
	if err != nil {
		return err
	}
	defer log.Close(logFlush)
	client, egress, err := demoParts()
	if err != nil {
		return err
	}
	out, err := openEgress(egress, log.Logger)
	if err != nil {
		return err
	}
	client.listen, client.admin = []string{socksAddr}, configs.Admin{Listen: adminAddr}
	client.upstream.Egress = []string{out.up.Addrs()[0].String()}
	in, err := openClient(client, log.Logger)
	if err != nil {
		out.stop(ended())
		return demoPort(err)
	}
	stop := func(ctx context.Context) {
		in.stop(ctx)
		out.stop(ctx)
	}
	loops, err := in.start(ctx)
	if err != nil {
		stop(ended())
		return err
	}
	in.log.Info("ready", in.ready()...)
	printDemo(e, in)
	s := service{log: log.Logger, drain: configs.DefaultDrain, serve: append(loops, out.start(ctx)...), stop: stop}
	return s.run(ctx, e.signals)
}

// demoPort has an error about a port speak of the flag that names it.
func demoPort(err error) error {
	var taken *portError
	if errors.As(err, &taken) {
		return &portError{map[string]string{"socks.listen": "--socks", "admin.listen": "--admin"}[taken.key], taken.err}
	}
	return err
}

// demoParts makes keys, and a client with two paths to an egress on this machine.
func demoParts() (clientParts, egressParts, error) {
	clientID, err := upstream.NewIdentity()
	if err != nil {
		return clientParts{}, egressParts{}, err
	}
	egressID, err := upstream.NewIdentity()
	if err != nil {
		return clientParts{}, egressParts{}, err
	}
	rules, err := socks.ParseTargetRules(demoTargets, nil)
	if err != nil {
		return clientParts{}, egressParts{}, err
	}
	client := clientParts{upstream: upstream.ClientConfig{
		EgressKey: egressID.Public(), Identity: clientID, Transport: "mptcp", Paths: demoPaths(),
	}}
	egress := egressParts{
		upstream: upstream.EgressConfig{
			Listen: []string{"127.0.0.1:0"}, Identity: egressID,
			Clients: []upstream.ClientKey{{Name: "demo", Key: clientID.Public()}},
		},
		targets: socks.EgressConfig{Targets: rules},
	}
	return client, egress, nil
}

// demoPaths are two paths over loopback, from two addresses where the system
// has them (Linux has all of 127.0.0.0/8, macOS only one).
func demoPaths() []upstream.PathConfig {
	one := netip.MustParseAddr("127.0.0.1")
	two := netip.MustParseAddr("127.0.0.2")
	if ln, err := listenTCP(netip.AddrPortFrom(two, 0).String()); err != nil {
		two = one
	} else {
		_ = ln.Close()
	}
	return []upstream.PathConfig{{Name: "path1", Source: one}, {Name: "path2", Source: two}}
}

// printDemo says what to try.
func printDemo(e env, c *clientSide) {
	proxy := strings.Join(c.ports.addresses(), ",")
	fmt.Fprintf(e.out, "The demo is running; Ctrl-C ends it. Try, in another terminal:\n\n"+
		"  curl --socks5-hostname %[1]s https://example.org/\n"+
		"  curl -x http://%[1]s https://example.org/\n", proxy)
	fmt.Fprintf(e.out, "  http://%s/#token=%s   the status page, in a browser\n", c.admin.Addr(), c.token)
	if at := c.admin.Addr().String(); at == configs.DefaultClientAdmin {
		fmt.Fprintf(e.out, "  %s status\n\n", e.command())
	} else {
		fmt.Fprintf(e.out, "  %s status --admin %s\n\n", e.command(), at)
	}
}
