package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
	"github.com/mpsocks/mpsocks/internal/doctor"
	"github.com/mpsocks/mpsocks/upstream"
)

// errUnwell is what doctor ends with when something does not work. The report has said
// the rest.
var errUnwell = errors.New("doctor: something does not work; the report says what, and how to mend it")

func doctorCmd(e env) *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor -c FILE",
		Short: "Find out why it does not work on this machine, and what mends it",
		Long: "doctor examines the machine that a client or egress is to run on: the configuration, ports, limits,\n" +
			"clock and kernel, and for a client every path: interface, name, route, TCP, TLS, the egress's welcome,\n" +
			"packets of full size, routing by source. It changes nothing. Each finding has its cause and what mends\n" +
			"it. It may run beside the program. check reads only the configuration. Exit code 1: something does not work.",
		Example: "  mpsocks doctor -c client.yaml\n  mpsocks doctor -c client.yaml --json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := needConfig(c, e, file); err != nil {
				return err
			}
			r := examine(c.Context(), e.input(file))
			if err := showReport(e, r, asJSON); err != nil {
				return err
			}
			if r.Failed() {
				return errUnwell
			}
			return nil
		},
	}
	configFlag(c, &file, "the configuration of the client or egress")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

func showReport(e env, r *doctor.Report, asJSON bool) error {
	if !asJSON {
		return r.Print(e.out)
	}
	enc := json.NewEncoder(e.out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// descriptors are what a client with many connections, and an egress, may need at once.
const (
	clientDescriptors = 4096
	egressDescriptors = 16384
)

// examine looks at everything. Without a configuration that can be read only that is said.
func examine(ctx context.Context, in configs.Input) *doctor.Report {
	r := &doctor.Report{}
	client, egress, err := in.Load()
	var parts clientParts
	switch {
	case err != nil:
	case client != nil:
		parts, err = newClientParts(client)
	default:
		_, err = newEgressParts(egress)
	}
	if err != nil {
		all := problemsIn(err)
		for i, p := range all {
			mend := ""
			if _, missing := os.Stat(in.File); missing == nil && i == len(all)-1 { // once for all of them
				mend = "change " + in.File + "; `mpsocks check -c " + quote(in.File) + "` says whether anything is left"
			}
			r.Add(doctor.Fail, "config", "", mend, "%s", p)
		}
		return r
	}
	if client == nil {
		r.Add(doctor.OK, "config", "", "", "%s is an egress's, and in order", egress.File)
		examineEgress(ctx, r, egress)
		return r
	}
	r.Add(doctor.OK, "config", "", "", "%s is a client's, and in order", client.File)
	examineClient(ctx, r, client, parts)
	return r
}

// problemsIn are the problems of a configuration, each for itself.
func problemsIn(err error) []string {
	many, ok := errors.AsType[configs.Problems](err)
	if !ok {
		return []string{err.Error()}
	}
	all := make([]string, len(many))
	for i, p := range many {
		all[i] = p.Error()
	}
	return all
}

func examineClient(ctx context.Context, r *doctor.Report, cfg *configs.Client, parts clientParts) {
	running := examineAdmin(ctx, r, cfg.Admin.Listen)
	for _, addr := range cfg.Socks.Listen {
		examinePort(r, "socks.listen", addr, running)
	}
	all := parts.upstream.Each()
	for _, one := range all {
		subject := func(path string) string { return "path " + path }
		if len(all) > 1 {
			subject = func(path string) string { return "path " + path + " to " + one.EgressName }
		}
		probes, err := upstream.ProbePaths(ctx, one)
		if err != nil {
			r.Add(doctor.Fail, "paths", one.EgressName, "", "%v", err)
		}
		for i := range probes {
			examinePath(r, cfg, &probes[i], subject(probes[i].Path), len(probes) > 1)
		}
	}
	r.Machine(machineNeeds(clientDescriptors, cfg.Session, cfg.Transport))
}

func examineEgress(ctx context.Context, r *doctor.Report, cfg *configs.Egress) {
	running := examineAdmin(ctx, r, cfg.Admin.Listen)
	for _, addr := range cfg.Listen {
		examinePort(r, "listen", addr, running)
	}
	if _, err := net.DefaultResolver.LookupHost(ctx, "example.com"); err != nil {
		r.Add(doctor.Fail, "dns", "", "see /etc/resolv.conf, and that UDP port 53 is open", "names of targets are resolved here, and that does not work: %v", err)
	} else {
		r.Add(doctor.OK, "dns", "", "", "names are resolved")
	}
	r.Machine(machineNeeds(egressDescriptors, cfg.Session, ""))
}

func machineNeeds(files uint64, s configs.Session, transport string) doctor.Needs {
	n := doctor.Needs{Files: files, KernelMPTCP: transport == upstream.TransportKernel, Built: built()}
	switch s.Congestion {
	case configs.DefaultCongestion:
		n.Auto = true
	case configs.SystemCongestion:
	default:
		n.Congestion = s.Congestion
	}
	return n
}

// built is when the program was made, or rather the last change that is in it; zero if
// it does not know.
func built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ := time.Parse(time.RFC3339, s.Value) // zero says that it is not known
			return t
		}
	}
	return time.Time{}
}

// examineAdmin finds out whether a program of ours runs, and whether another one is where
// it would be asked.
func examineAdmin(ctx context.Context, r *doctor.Report, addr string) (running bool) {
	if addr == "" {
		r.Add(doctor.Unknown, "running", "", "", "admin.listen is off, so a running program cannot be asked")
		return false
	}
	if _, err := admin.Fetch(ctx, addr, "/status"); err == nil {
		r.Add(doctor.OK, "running", "", "", "an mpsocks answers at %s: its ports are taken for its own", addr)
		return true
	}
	examinePort(r, "admin.listen", addr, false)
	return false
}

// examinePort opens a port for a moment.
func examinePort(r *doctor.Report, key, addr string, running bool) {
	const check = "port"
	if _, isUnix := configs.UnixSocket(addr); isUnix || running {
		return
	}
	ln, err := listenTCP(addr)
	if err == nil {
		_ = ln.Close()
		r.Add(doctor.OK, check, key, "", "%s is free", addr)
		return
	}
	_, port, _ := net.SplitHostPort(addr)
	r.Add(doctor.Fail, check, key, fmt.Sprintf("ss -ltnp 'sport = :%s' names who has it; end that, or change %s", port, key), "%v", (&portError{key, err}).text())
}
