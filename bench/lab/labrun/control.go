package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// control serves commands on a unix socket: a line in, lines out, the last of
// them "ok" or "error: ...".
type control struct {
	ln   net.Listener
	lab  *lab.Lab
	quit func()
	wg   sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

func listen(l *lab.Lab, path string, quit func()) (*control, error) {
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&os.ModeSocket != 0 {
		if other, err := net.Dial("unix", path); err == nil {
			return nil, errors.Join(fmt.Errorf("control socket %s: in use by another lab", path), other.Close())
		}
		os.Remove(path) // of one that was killed
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	c := &control{ln: ln, lab: l, quit: quit, conns: map[net.Conn]bool{}}
	c.wg.Go(c.serve)
	return c, os.Chmod(path, 0o600)
}

func (c *control) serve() {
	for {
		conn, err := c.ln.Accept()
		if err != nil {
			return
		}
		if c.add(conn) {
			c.wg.Go(func() { c.handle(conn) })
		}
	}
}

// add keeps a connection for close, unless that has been.
func (c *control) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return false
	}
	c.conns[conn] = true
	return true
}

func (c *control) remove(conn net.Conn) {
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
	conn.Close()
}

func (c *control) handle(conn net.Conn) {
	defer c.remove(conn)
	in := bufio.NewScanner(conn)
	for in.Scan() {
		if strings.TrimSpace(in.Text()) == "quit" {
			fmt.Fprintln(conn, "ok")
			c.quit()
			return
		}
		answer(c.lab, in.Text(), conn)
	}
}

// close ends every connection and waits for their handlers.
func (c *control) close() {
	c.ln.Close()
	c.mu.Lock()
	c.closed = true
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// ctl sends one command to a running labrun.
func ctl(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: labrun ctl SOCKET COMMAND...")
		return 2
	}
	conn, err := net.Dial("unix", args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "labrun:", err)
		return 1
	}
	defer conn.Close()
	fmt.Fprintln(conn, strings.Join(args[1:], " "))
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		switch {
		case line == "ok\n":
			return 0
		case strings.HasPrefix(line, "error:"):
			fmt.Fprint(os.Stderr, line)
			return 1
		case err != nil:
			fmt.Fprintln(os.Stderr, "labrun:", io.ErrUnexpectedEOF)
			return 1
		}
		fmt.Print(line)
	}
}
