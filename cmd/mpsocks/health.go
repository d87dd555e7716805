package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func healthCmd(e env) *cobra.Command {
	var f askFlags
	f.environ = e.environ
	c := &cobra.Command{
		Use:   "health",
		Short: "Say by the exit code whether the client or egress that runs here can serve",
		Long: "health asks the admin port and ends with 0 if the program can serve, and with 1 and the reason if\n" +
			"it cannot: a client needs a path that reaches its egress, an egress its open ports and no draining.\n" +
			"It is for what watches containers and services. A client whose lines are all down is not healthy,\n" +
			"but need not be restarted: it goes on trying.",
		Example: "  mpsocks health\n  mpsocks health -c /etc/mpsocks/egress.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			answer, err := f.fetch(c, "/status")
			if err != nil {
				return err
			}
			var s statusView
			if err := json.Unmarshal(answer, &s); err != nil {
				return fmt.Errorf("read the status: %w", err)
			}
			if err := s.health(); err != nil {
				return err
			}
			fmt.Fprintf(e.out, "ok: %s %s\n", dash(s.Role), dash(s.Session.State))
			return nil
		},
	}
	f.addWho(c)
	return c
}

// health says why the program cannot serve, or nothing.
func (s statusView) health() error {
	want := "up"
	if s.Role == roleEgress {
		want = "listening"
	}
	switch {
	case s.Session.State == want:
		return nil
	case s.Session.Reason != "":
		return fmt.Errorf("%s is %s, not %s: %s", dash(s.Role), dash(s.Session.State), want, s.Session.Reason)
	}
	for _, p := range s.Paths {
		if s.Role != roleEgress && p.why() != "-" {
			return fmt.Errorf("%s is %s, not %s: path %s is %s: %s; it goes on trying, `mpsocks paths` shows all of them",
				dash(s.Role), dash(s.Session.State), want, dash(p.Name), dash(p.State), p.why())
		}
	}
	return fmt.Errorf("%s is %s, not %s", dash(s.Role), dash(s.Session.State), want)
}
