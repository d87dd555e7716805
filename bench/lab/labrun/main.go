// Command labrun builds a path laboratory and keeps it for programs that are
// started by hand or by a script.
//
//	labrun -path 20M/30ms -path 20M/30ms [-run 'script.sh'] [-keep]
//	labrun ctl SOCKET COMMAND...
//
// See package lab for the notation of paths and the commands.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "ctl" {
		os.Exit(ctl(os.Args[2:]))
	}
	lab.Reexec()
	code, err := labrun(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "labrun:", err)
	}
	os.Exit(code)
}

// options are the command line.
type options struct {
	cfg    lab.Config
	loss   string
	socket string
	script string
	mptcp  bool
	keep   bool
	check  time.Duration
}

func parse(args []string) (*options, error) {
	o := &options{cfg: lab.Config{Sysctls: map[string]string{}}}
	fs := flag.NewFlagSet("labrun", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: labrun -path RATE/RTT[,KEY=VALUE]... [-path ...] [flags]\n       labrun ctl SOCKET COMMAND...\n\nflags:\n")
		fs.PrintDefaults()
		fmt.Fprintf(fs.Output(), "\ncommands, on standard input, by ctl or as events:\n%s\n  quit\n", lab.Commands)
	}
	fs.Func("path", "add a path, such as 20M/30ms or 50M/20ms,up.rate=10M,loss=1%,queue=64k (repeatable)", o.addPath)
	fs.StringVar(&o.loss, "loss", "", "random loss of every path, both ways")
	fs.StringVar(&o.cfg.Name, "name", "lab", "namespaces are NAME-client and NAME-server")
	fs.BoolVar(&o.cfg.IPv6, "ipv6", false, "also give the paths IPv6 addresses")
	fs.BoolVar(&o.cfg.NoOffload, "no-offload", false, "plain devices without segmentation offload")
	fs.BoolVar(&o.cfg.Veth, "veth", false, "veth pairs and packet sockets instead of TUN devices")
	fs.DurationVar(&o.cfg.Grain, "grain", 0, "packets this close are handled together (default 150 µs; negative: one by one)")
	fs.Uint64Var(&o.cfg.Seed, "seed", 1, "of everything random")
	fs.Func("event", "a change at a time, such as '5s down 0' (repeatable)", o.addEvent)
	fs.Func("sysctl", "KEY=VALUE in both namespaces (repeatable)", o.addSysctl)
	fs.BoolVar(&o.mptcp, "mptcp", false, "set up kernel MPTCP endpoints")
	fs.StringVar(&o.socket, "socket", "", "control socket (default: NAME.sock in the temporary folder)")
	fs.StringVar(&o.script, "run", "", "shell command to run with LAB_CLIENT, LAB_SERVER and LAB_CTL set; its exit code is ours")
	fs.BoolVar(&o.keep, "keep", false, "stay after standard input has ended, until quit or a signal")
	fs.DurationVar(&o.check, "check", 0, "measure for this long per step what was set, print it and quit")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("argument %q: not understood", fs.Arg(0))
	}
	if o.socket == "" {
		o.socket = os.TempDir() + "/" + o.cfg.Name + ".sock"
	}
	o.cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	return o, nil
}

func (o *options) addPath(s string) error {
	p, err := lab.ParsePath(s)
	o.cfg.Paths = append(o.cfg.Paths, p)
	return err
}

func (o *options) addEvent(s string) error {
	at, do, _ := strings.Cut(s, " ")
	d, err := time.ParseDuration(at)
	o.cfg.Events = append(o.cfg.Events, lab.Event{At: d, Do: do})
	return err
}

func (o *options) addSysctl(s string) error {
	k, v, ok := strings.Cut(s, "=")
	if !ok {
		return errors.New("want KEY=VALUE")
	}
	o.cfg.Sysctls[k] = v
	return nil
}

// labrun is main with an exit code.
func labrun(args []string) (int, error) {
	o, err := parse(args)
	if err != nil {
		return 2, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	l, err := lab.New(o.cfg)
	if err != nil {
		return 1, err
	}
	code, err := o.use(ctx, l)
	return code, errors.Join(err, l.Close())
}

// use does with the lab what the command line says.
func (o *options) use(ctx context.Context, l *lab.Lab) (int, error) {
	if o.loss != "" {
		if _, err := l.Run("loss all " + o.loss); err != nil {
			return 2, err
		}
	}
	if o.mptcp {
		if err := l.EnableMPTCP(); err != nil {
			return 1, err
		}
	}
	if o.check > 0 {
		if _, err := lab.SelfCheck(ctx, l, os.Stdout, o.check); err != nil {
			return 1, err
		}
		return 0, nil
	}
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	c, err := listen(l, o.socket, quit)
	if err != nil {
		return 1, err
	}
	defer c.close()
	if o.script != "" {
		return o.runScript(ctx, l)
	}
	o.explain(l)
	go o.readCommands(l, quit) // ends with the process: nothing interrupts a read of a terminal
	<-ctx.Done()
	return 0, nil
}

// readCommands carries out standard input.
func (o *options) readCommands(l *lab.Lab, quit func()) {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if strings.TrimSpace(in.Text()) == "quit" {
			quit()
			return
		}
		answer(l, in.Text(), os.Stdout)
	}
	if !o.keep {
		quit()
	}
}

// answer runs one command and writes what came of it.
func answer(l *lab.Lab, line string, w io.Writer) {
	out, err := l.Run(line)
	io.WriteString(w, out)
	if err != nil {
		fmt.Fprintln(w, "error:", err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// explain prints how to use the lab.
func (o *options) explain(l *lab.Lab) {
	fmt.Printf("client  %s\nserver  %s\n", strings.Join(l.Client().ShellPrefix(), " "), strings.Join(l.Server().ShellPrefix(), " "))
	for i, p := range l.Paths() {
		fmt.Printf("path %d  %s: client %s, server %s, queue %d/%d bytes\n", i, p.Name(), p.ClientAddr(), p.ServerAddr(),
			p.Stats().Up.QueueLimit, p.Stats().Down.QueueLimit)
	}
	self, _ := os.Executable()
	fmt.Printf("target  10.99.0.1 (the server, over any path)\ncontrol %s ctl %s COMMAND..., or commands here\nready\n", self, o.socket)
}

// runScript runs the shell command of -run to its end.
func (o *options) runScript(ctx context.Context, l *lab.Lab) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", o.script)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(),
		"LAB_CLIENT="+strings.Join(l.Client().Prefix(), " "),
		"LAB_SERVER="+strings.Join(l.Server().Prefix(), " "),
		"LAB_CTL="+self+" ctl "+o.socket)
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}
