package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
	"github.com/mpsocks/mpsocks/internal/sysproxy"
)

func systemProxyCmd(e env) *cobra.Command {
	c := &cobra.Command{
		Use:   "system-proxy",
		Short: "Set the system's proxy to the client that runs here, or put back what was there",
		Long: "system-proxy sets the proxy that browsers and other programs of a desktop use: on macOS of every\n" +
			"network service, on Linux of GNOME and KDE, on Windows in the Internet Settings. What was there\n" +
			"before is kept in a file and comes back with off, also after a crash. For shells there is env.",
		Example: "  mpsocks system-proxy on\n  mpsocks system-proxy status\n  mpsocks system-proxy off\n" +
			"  mpsocks client -c client.yaml --system-proxy      while the client runs",
		Args: knownVerb,
		RunE: briefGroup,
	}
	c.AddCommand(systemProxyOnCmd(e), systemProxyOffCmd(e), systemProxyStatusCmd(e))
	return withUsageArgs(c)
}

func systemProxyOnCmd(e env) *cobra.Command {
	var file string
	var bySocks bool
	c := &cobra.Command{
		Use:     "on",
		Short:   "Have programs use the client that runs here, until off",
		Example: "  mpsocks system-proxy on\n  mpsocks system-proxy on -c client.yaml --socks",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			how := configs.SystemProxyPAC
			if bySocks {
				how = configs.SystemProxySocks
			}
			return runSystemProxyOn(c.Context(), e, file, how)
		},
	}
	configFlag(c, &file, "the file of the client (default: the ports that a client has by default)")
	c.Flags().BoolVar(&bySocks, "socks", false, "by the SOCKS port itself, not by a PAC file")
	return c
}

func runSystemProxyOn(ctx context.Context, e env, file, how string) error {
	cfg, err := clientOrDefault(e, file)
	if err != nil {
		return err
	}
	if err := cfg.CheckSystemProxy(how); err != nil {
		return usagef("system-proxy: %w", err)
	}
	port, err := localPort(cfg.Socks.Listen)
	if err != nil {
		return err
	}
	if err := answers(ctx, port, how, cfg.Admin.Listen); err != nil {
		return err
	}
	system, err := e.system()
	if err != nil {
		return err
	}
	t := systemTarget(how, port, cfg.Admin.Listen)
	if err := system.On(ctx, t, sysproxy.ByHand); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "The system's proxy is %s now; `%s system-proxy off` puts back what was there.\n", t, e.command())
	return err
}

// clientOrDefault reads where a client's ports are, or where they are by default.
func clientOrDefault(e env, file string) (*configs.Client, error) {
	return e.input(file).Ports()
}

// answerTime is how long a client of this machine may take to accept a connection.
const answerTime = 3 * time.Second

// answers says why programs that are sent to a client would be sent to nobody.
func answers(ctx context.Context, port netip.AddrPort, how, adminAddr string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", port.String())
	if err != nil {
		return fmt.Errorf("nothing answers at %s, so no program would have a network: start the client first, or name its file with -c: %w", port, err)
	}
	_ = c.Close()
	if how != configs.SystemProxyPAC {
		return nil
	}
	if err := admin.HasPAC(ctx, adminAddr); err != nil {
		return fmt.Errorf("the client has no PAC file: %w", err)
	}
	return nil
}

func systemProxyOffCmd(e env) *cobra.Command {
	return &cobra.Command{
		Use:     "off",
		Short:   "Put back the setting of before",
		Example: "  mpsocks system-proxy off",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			system, err := e.system()
			if err != nil {
				return err
			}
			done, err := system.Off(c.Context())
			if err != nil {
				return err
			}
			for _, key := range done.Left {
				fmt.Fprintf(e.err, "Left as it is, because somebody else has changed it: %s\n", key)
			}
			text := "The system's proxy is as it was before.\n"
			if !done.Any {
				text = "The system's proxy was not set from here; nothing was changed.\n"
			}
			_, err = fmt.Fprint(e.out, text)
			return err
		},
	}
}

func systemProxyStatusCmd(e env) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Say what the system's proxy is",
		Example: "  mpsocks system-proxy status",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			system, err := e.system()
			if err != nil {
				return err
			}
			lines, err := system.Status(c.Context())
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
			for _, l := range lines {
				fmt.Fprintf(w, "%s\t%s\n", l.Desktop, systemWords(l))
			}
			return w.Flush()
		},
	}
}

// systemWords is the setting of a desktop for people.
func systemWords(l sysproxy.Line) string {
	switch {
	case l.Setting == "":
		return "no proxy"
	case l.Ours && l.Owner == sysproxy.ByClient:
		return l.Setting + " (set by the client, until it ends)"
	case l.Ours:
		return l.Setting + " (set by system-proxy on)"
	}
	return l.Setting + " (not set from here)"
}
