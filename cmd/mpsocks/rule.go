package main

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/socks"
)

func ruleCmd(e env) *cobra.Command {
	c := &cobra.Command{
		Use:   "rule",
		Short: "Say which rule decides about a target, and why",
		Long:  "rule reads the rules of a client's file; nothing needs to run, nothing is looked up and nobody is connected to.",
		Example: "  mpsocks rule test www.example.com:443 -c client.yaml\n" +
			"  mpsocks rule test 192.168.1.7:22 -c client.yaml --user alice",
		Args: knownVerb,
		RunE: briefGroup,
	}
	c.AddCommand(ruleTestCmd(e))
	return withUsageArgs(c)
}

// ruleTest is what rule test asks about.
type ruleTest struct {
	file, user, proxy string
	udp               bool
}

func ruleTestCmd(e env) *cobra.Command {
	var q ruleTest
	c := &cobra.Command{
		Use:   "test HOST[:PORT] -c FILE",
		Short: "Say which rule decides about a target, and why those before it do not",
		Long: "test asks the rules one after the other, as the local port does, and shows what each of them says\n" +
			"up to the one that decides. A name is not looked up: rules with networks are for addresses.",
		Example: "  $ mpsocks rule test printer.office.example:631 -c client.yaml\n" +
			"  printer.office.example:631 by tcp, for a program that speaks socks5\n" +
			"    no   rules[0] (client.yaml:20) \"*.onion\" is not for printer.office.example\n" +
			"    yes  rules[1] (client.yaml:22) \"office.example\" is for printer.office.example\n" +
			"  direct: from this machine, not through the egress; the name is looked up here",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := need(c, "config", q.file); err != nil {
				return err
			}
			return runRuleTest(e, q, args[0])
		},
	}
	configFlag(c, &q.file, "the client's configuration")
	c.Flags().StringVar(&q.user, "user", "", "who asks, by a name of socks.users")
	c.Flags().StringVar(&q.proxy, "proxy", "", "what the program speaks to the local port: socks5, socks4, connect or http (default socks5)")
	c.Flags().BoolVar(&q.udp, "udp", false, "ask about a datagram instead of a connection")
	return c
}

// query reads what is asked about.
func (q ruleTest) query(cfg *configs.Client, target string) (socks.RouteQuery, error) {
	if u, err := url.Parse(target); err == nil && u.Scheme != "" && u.Hostname() != "" {
		return socks.RouteQuery{}, usagef("%q is a URL: write %s", target, hostOf(u))
	}
	t, err := socks.ParseQueryTarget(target)
	if err != nil {
		return socks.RouteQuery{}, usagef("%q: want HOST or HOST:PORT: %w", target, err)
	}
	out := socks.RouteQuery{Target: t, User: q.user, Protocol: socks.ProtocolTCP, Proxy: q.proxy}
	if out.Proxy == "" {
		out.Proxy = socks.ProxySOCKS5
	}
	if !slices.Contains([]string{socks.ProxySOCKS5, socks.ProxySOCKS4, socks.ProxyConnect, socks.ProxyHTTP}, out.Proxy) {
		return out, usagef("--proxy %q: want socks5, socks4, connect or http", q.proxy)
	}
	if q.udp {
		out.Protocol = socks.ProtocolUDP
		if out.Proxy != socks.ProxySOCKS5 {
			return out, usagef("--udp: only socks5 has datagrams")
		}
	}
	if _, known := cfg.Socks.Users[q.user]; q.user != "" && !known {
		return out, usagef("--user %q: not in socks.users of %s", q.user, cfg.File)
	}
	return out, nil
}

// hostOf is the host of a URL, and the port that a request for it goes to.
func hostOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "ws": "80", "https": "443", "wss": "443", "ftp": "21"}[u.Scheme]
	}
	if port == "" {
		return u.Hostname()
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func runRuleTest(e env, q ruleTest, target string) error {
	cfg, err := configs.LoadClient(q.file)
	if err != nil {
		return err
	}
	routes, err := clientRoutes(cfg)
	if err != nil {
		return err
	}
	query, err := q.query(cfg, target)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %s, for a program that speaks %s", query.Target.Short(), query.Protocol, query.Proxy)
	if q.user != "" {
		fmt.Fprintf(&b, " as user %s", q.user)
	}
	b.WriteByte('\n')
	for _, v := range routes.Explain(query) {
		answer := "no "
		if v.Matched {
			answer = "yes"
		}
		place := cfg.Problem(fmt.Sprintf("rules[%d]", v.Route.Rule), "")
		fmt.Fprintf(&b, "  %s  rules[%d] (%s:%d) %s\n", answer, v.Route.Rule, place.File, place.Line, v.Reason)
	}
	r := routes.Decide(query)
	switch {
	case len(cfg.Rules) == 0:
		b.WriteString("  there are no rules\n")
	case r.Rule < 0:
		b.WriteString("  no rule matches\n")
	}
	fmt.Fprintf(&b, "%s: %s\n", r, actionText(r, query.Target.IsName()))
	_, err = fmt.Fprint(e.out, b.String())
	return err
}

// actionText says what an action means for a request for a name, or for an address.
func actionText(r *socks.Route, name bool) string {
	lookUp := func(text string) string {
		if !name {
			return "" // there is nothing to be looked up
		}
		return text
	}
	switch r.Action {
	case socks.RouteBlock:
		return "refused (SOCKS reply 2, HTTP 403)"
	case socks.RouteVia:
		return "to the SOCKS5 server " + r.Hop() + lookUp(", which looks the name up") + "; not through the egress"
	case socks.RouteDirect:
		by := "from this machine"
		if r.Path != "" {
			by = "from this machine by " + r.Path
		}
		return by + ", not through the egress" + lookUp("; the name is looked up here")
	}
	text := "through the egress" + lookUp(", which looks the name up")
	if !r.Paths.IsZero() {
		text += "; " + r.Paths.String()
	}
	return text
}
