package proto

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/option"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

var update = flag.Bool("update", false, "write what the dialogs in testdata give")

// TestDialogs plays the dialogs of testdata: commands, a line of dashes, and what they must give. See testdata/README.md for the commands.
func TestDialogs(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogs in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playDialog(t, file) })
	}
}

func playDialog(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g := &dialog{t: t, streams: make(map[string]*Stream)}
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		commands, want, _ := strings.Cut(block+"\n", "----\n")
		got := ""
		for _, line := range strings.Split(strings.TrimSpace(commands), "\n") {
			if line != "" && !strings.HasPrefix(line, "#") {
				got += g.do(strings.Fields(line))
			}
		}
		if got != want && !*update {
			t.Errorf("%s: after\n%s\ngot\n%s\nwant\n%s", file, commands, got, want)
		}
		out.WriteString(commands)
		if got != "" {
			out.WriteString("----\n" + got)
		}
		out.WriteString("\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// dialog is a duo that takes orders.
type dialog struct {
	t *testing.T
	*duo
	streams map[string]*Stream // by side and number
}

var sideNames = [2]string{"client", "egress"}

func sideOf(name string) int {
	if name == sideNames[egress] {
		return egress
	}
	return client
}

// do obeys one command and returns what there is to see.
func (g *dialog) do(words []string) string {
	verb, args := words[0], words[1:]
	switch verb {
	case "session":
		hello := roomyHello
		for _, a := range args {
			k, v, _ := strings.Cut(a, "=")
			n, _ := strconv.Atoi(v)
			switch k {
			case "stream-credit":
				hello.StreamCredit = uint32(n)
			case "session-credit":
				hello.SessionCredit = uint64(n)
			case "streams":
				hello.MaxStreams = uint32(n)
			}
		}
		g.duo = newDuo(g.t, hello)
		return ""
	case "path":
		rtt, _ := time.ParseDuration(args[0])
		role := sched.Primary
		if len(args) > 1 {
			role, _ = sched.ParseRole(args[1])
		}
		g.path(rtt, role)
		return ""
	case "wait":
		span, _ := time.ParseDuration(args[0])
		g.wait(span)
		return g.seen()
	case "exchange":
		g.exchange()
		return g.seen()
	case "state":
		return g.states()
	}
	return g.onSide(verb, sideOf(args[0]), args[1:])
}

// onSide obeys what one side does.
func (g *dialog) onSide(verb string, side int, args []string) string {
	s := g.sides[side]
	switch verb {
	case "open":
		st, err := s.OpenStream(g.now)
		if err != nil {
			return err.Error() + "\n"
		}
		g.name(side, st)
		return fmt.Sprintf("stream %d\n", st.id)
	case "send":
		return g.send(side, args)
	case "deliver", "drop":
		return g.move(verb, side, args)
	case "remove":
		s.RemoveSubflow(g.now, g.paths[number(args[0])][side])
		return g.seen()
	case "role":
		role, _ := sched.ParseRole(args[1])
		s.SetRole(g.paths[number(args[0])][side], role)
		return g.seen()
	case "end":
		s.End(g.now, ErrSessionClosed, true)
		return g.seen()
	case "fastclose": // of somebody who guesses the key
		err := g.give(side, 0, option.FastClose{Key: uint64(number(args[0]))}.Append(nil), nil)
		return fmt.Sprintf("%v\n", err) + g.seen()
	}
	return g.onStream(verb, side, g.streams[sideNames[side]+" "+args[0]], args[1:])
}

// onStream obeys what an application does.
func (g *dialog) onStream(verb string, side int, st *Stream, args []string) string {
	switch verb {
	case "write":
		put(st, number(args[0]))
	case "read":
		n := take(g.t, g.now, st)
		end, code := st.ReadErr()
		text := fmt.Sprintf("%s read %d octets", sideNames[side], n)
		if end {
			text += ", end"
		} else if code != CodeNone {
			text += ", " + code.String()
		}
		return text + "\n" + g.seen()
	case "close":
		st.CloseWrite(g.now)
	case "close-read":
		st.CloseRead(g.now)
	case "reset":
		st.Reset(g.now, CodeReset)
	default:
		g.t.Fatalf("unknown command %q", verb)
	}
	return g.seen()
}

func (g *dialog) name(side int, st *Stream) {
	g.streams[fmt.Sprintf("%s %d", sideNames[side], st.id)] = st
}

// send polls one path, or all.
func (g *dialog) send(side int, args []string) (out string) {
	for path := range g.paths {
		if len(args) > 0 && number(args[0]) != path || g.paths[path][side].removed {
			continue
		}
		for _, rec := range g.poll(side, path) {
			out += fmt.Sprintf("%s path %d: %s\n", sideNames[side], path, g.text(side, rec))
		}
	}
	return out + g.seen()
}

// move delivers or drops what a side sent: on one path, or all; so many records, or all.
func (g *dialog) move(verb string, side int, args []string) (out string) {
	for path := range g.paths {
		if len(args) > 0 && number(args[0]) != path {
			continue
		}
		n := -1
		if len(args) > 1 {
			n = number(args[1])
		}
		if verb == "drop" {
			g.wires[path][side] = nil
			continue
		}
		if _, err := g.deliver(side, path, n); err != nil {
			out += fmt.Sprintf("%s path %d: %v\n", sideNames[1-side], path, err)
		}
	}
	return out + g.seen()
}

// exchange sends and delivers everything until nothing is left, in silence.
func (g *dialog) exchange() {
	for range 100 {
		n := 0
		for side := range g.sides {
			for path := range g.paths {
				if !g.paths[path][side].removed {
					n += len(g.poll(side, path))
				}
			}
		}
		for side := range g.sides {
			g.move("deliver", side, nil)
		}
		if n == 0 {
			return
		}
	}
	g.t.Fatal("exchange: records without end")
}

// seen returns the events of both sides.
func (g *dialog) seen() (out string) {
	for side, s := range g.sides {
		for id, st := range s.streams {
			if st.User == nil {
				g.streams[fmt.Sprintf("%s %d", sideNames[side], id)] = st
			}
		}
		for _, e := range g.events(side) {
			out += fmt.Sprintf("%s: %s\n", sideNames[side], e)
		}
	}
	if g.duo != nil {
		g.check()
	}
	return out
}

// states shows both sides' streams and credit.
func (g *dialog) states() (out string) {
	for side, s := range g.sides {
		for st := s.all.first; st != nil; st = s.all.after(st) {
			o, i := st.Buffered()
			out += fmt.Sprintf("%s stream %d: %s, sent %d of %d, unacknowledged or unsent %d, to read %d, window %d\n", sideNames[side], st.id, st.State(),
				st.out.nxt.Sub(s.firstOut()), st.out.limit.Sub(s.firstOut()), o, i, st.in.window)
		}
		out += fmt.Sprintf("%s: %d streams, session credit %d of %d used\n", sideNames[side], s.NumStreams(), s.snd.used, s.snd.limit)
	}
	return out
}

func number(s string) int {
	n, _ := strconv.ParseInt(s, 0, 64)
	return int(n)
}
