package main

import (
	"context"
	"log"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/logging"
)

func clientCmd(e env) *cobra.Command {
	var file, system string
	c := &cobra.Command{
		Use:   "client -c FILE",
		Short: "Run the client: the local proxy port",
		Long: "client opens the local proxy port and keeps a session with the egress over all paths. It logs\n" +
			"`ready` when the port is open; SIGTERM or Ctrl-C lets connections finish, a second one does not.",
		Example: "  mpsocks client -c client.yaml\n  mpsocks client -c client.yaml --system-proxy",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := needConfig(c, e, file); err != nil {
				return err
			}
			return runClient(c.Context(), e, file, system)
		},
	}
	configFlag(c, &file, "the client's configuration")
	c.Flags().StringVar(&system, "system-proxy", "", "set the system's proxy while it runs: pac, socks or off (default system_proxy of the file)")
	c.Flags().Lookup("system-proxy").NoOptDefVal = configs.SystemProxyPAC
	return c
}

// runClient runs a client. system is the value of system_proxy to take instead of the
// file's, unless it is empty.
func runClient(ctx context.Context, e env, file, system string) error {
	cfg, err := e.input(file).Client()
	if err != nil {
		return err
	}
	if system == "" {
		system = cfg.SystemProxy
	} else if err := cfg.CheckSystemProxy(system); err != nil {
		return usagef("--system-proxy: %w", err)
	}
	parts, err := newClientParts(cfg)
	if err != nil {
		return err
	}
	log, err := newLogger(e, cfg.Log)
	if err != nil {
		return err
	}
	defer log.Close(logFlush)
	desk := openDesktop(ctx, e, log.Logger)
	side, err := openClient(parts, log.Logger)
	if err != nil {
		return err
	}
	loops, err := side.start(ctx)
	if err == nil {
		err = desk.set(ctx, system, side)
	}
	if err != nil {
		side.stop(ended())
		return err
	}
	side.log.Info("ready", side.ready()...)
	stop := func(ctx context.Context) {
		desk.release(ctx) // before the port closes, so that no program is sent to nobody
		side.stop(ctx)
	}
	s := &service{log: log.Logger, drain: cfg.Drain, serve: loops, stop: stop, again: e.again, alive: func() { side.up.Status() }}
	r := &clientReload{in: e.input(file), side: side, log: log, service: s, desk: desk, system: system, cfg: cfg, identity: parts.upstream.Identity}
	s.reload = func() { _, _ = r.reload() } // it logs what came of it
	again := func() (any, error) { return r.reload() }
	side.reload.Store(&again)
	return s.run(ctx, e.signals)
}

// logFlush is how long the end of the program waits for whoever reads the log.
const logFlush = time.Second

// newLogger makes the program's logger. What libraries say by the standard library's own, such as net/http of an answer that nobody has asked for, is of
// interest at level debug: it has words of whoever is at the other end, as often as he likes.
func newLogger(e env, l configs.Log) (*logging.Logger, error) {
	out, err := logging.New(logging.Options{Out: e.err, Level: l.Level, Format: l.Format, Color: e.color})
	if err == nil {
		log.SetFlags(0)
		log.SetOutput(slog.NewLogLogger(out.Handler(), slog.LevelDebug).Writer())
	}
	return out, err
}
