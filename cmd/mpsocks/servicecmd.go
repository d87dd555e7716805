package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/sysservice"
)

// serviceFlags say which service is meant.
type serviceFlags struct {
	config string
	user   bool
	dry    bool
}

func serviceCmd(e env) *cobra.Command {
	c := &cobra.Command{
		Use:   "service",
		Short: "Install the client or the egress as a service of this system",
		Long: "service makes the program start with the machine: as a hardened unit of systemd, as a job of\n" +
			"launchd, or as a service of Windows. With --dry-run it shows the files and commands and does nothing.",
		Example: "  mpsocks service install -c /etc/mpsocks/egress.yaml --dry-run\n" +
			"  mpsocks service status -c /etc/mpsocks/egress.yaml",
		Args: knownVerb,
		RunE: briefGroup,
	}
	c.AddCommand(
		servicePartCmd(e, "install", "Install the service and start it", "  mpsocks service install -c /etc/mpsocks/client.yaml\n  mpsocks service install -c ~/.config/mpsocks/client.yaml --user", sysservice.Service.Install,
			func(s sysservice.Service) string {
				return fmt.Sprintf("See `mpsocks service status -c %s` and `mpsocks status`.", quote(s.Config))
			}),
		servicePartCmd(e, "uninstall", "Stop the service and remove it; configuration and keys stay", "  mpsocks service uninstall -c /etc/mpsocks/client.yaml", sysservice.Service.Uninstall,
			func(s sysservice.Service) string { return s.Config + " and the keys are still there." }),
		serviceStatusCmd(e),
	)
	return withUsageArgs(c)
}

func (f *serviceFlags) add(c *cobra.Command) {
	configFlag(c, &f.config, "the configuration that the service runs with")
	c.Flags().BoolVar(&f.user, "user", false, "a service of your own, which needs no root: it runs while you are logged in")
}

// service is what the flags mean. The configuration must be right: a service that does not
// start is found out too late.
func (f *serviceFlags) service(c *cobra.Command) (sysservice.Service, error) {
	s := sysservice.Service{User: f.user}
	if err := need(c, "config", f.config); err != nil {
		return s, err
	}
	var err error
	if s.Config, err = filepath.Abs(f.config); err != nil {
		return s, err
	}
	if s.Program, err = os.Executable(); err != nil {
		return s, fmt.Errorf("find this program: %w", err)
	}
	client, egress, err := configs.Load(s.Config)
	switch {
	case err != nil:
		return s, err
	case client != nil:
		s.Role, s.Files = "client", clientFiles(client)
		_, err = newClientParts(client)
	default:
		s.Role, s.Files = roleEgress, namedFiles(egress.Identity, egress.Trace.File)
		_, err = newEgressParts(egress)
	}
	return s, err
}

// clientFiles are those that a client's configuration names.
func clientFiles(c *configs.Client) []string {
	names := []string{c.Identity, c.Usage, c.Trace.File, c.Egress.Pin}
	for i := range c.Egress.Others {
		names = append(names, c.Egress.Others[i].Identity)
	}
	return namedFiles(names...)
}

// namedFiles are the names that are not empty. Those of a configuration whose name is absolute are absolute themselves.
func namedFiles(names ...string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// servicePartCmd carries out a plan; next says what to do then.
func servicePartCmd(e env, name, short, example string, plan func(sysservice.Service) ([]sysservice.Step, error), next func(sysservice.Service) string) *cobra.Command {
	var f serviceFlags
	c := &cobra.Command{
		Use: name + " -c FILE", Short: short, Example: example, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := f.service(c)
			if err != nil {
				return err
			}
			steps, err := plan(s)
			if err != nil {
				return fmt.Errorf("%s the service: %w", name, err)
			}
			if f.dry {
				for _, st := range steps {
					fmt.Fprintln(e.out, st)
				}
				return nil
			}
			if err := sysservice.Carry(c.Context(), steps); err != nil {
				if errors.Is(err, os.ErrPermission) && !f.user {
					return fmt.Errorf("%w; run it as root, or with --user", err)
				}
				return err
			}
			fmt.Fprintf(e.err, "%s: %sed. %s\n", s.Name(), name, next(s))
			return nil
		},
	}
	f.add(c)
	c.Flags().BoolVar(&f.dry, "dry-run", false, "print the files and commands, and do nothing")
	return c
}

func serviceStatusCmd(e env) *cobra.Command {
	var f serviceFlags
	c := &cobra.Command{
		Use: "status -c FILE", Short: "What the service manager says of the service", Args: noArgs,
		Example: "  mpsocks service status -c /etc/mpsocks/client.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := f.service(c)
			if err != nil {
				return err
			}
			text, err := s.Status(c.Context())
			fmt.Fprint(e.out, text)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name(), err)
			}
			return nil
		},
	}
	f.add(c)
	return c
}

// asService runs the program under the service manager that has started it, if one did:
// when that wants the end, signals has an interrupt.
func asService(args []string, e env, signals chan<- os.Signal) int {
	return sysservice.Run(func(stop <-chan struct{}) int {
		done := make(chan struct{})
		defer close(done)
		go func() {
			select {
			case <-stop:
				signals <- os.Interrupt
			case <-done:
			}
		}()
		return run(context.Background(), args, e)
	})
}
