package socks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/things-go/go-socks5/statute"
)

// Handshake is the client's side of a SOCKS5 CONNECT (RFC 1928, RFC 1929). Unless
// told otherwise it takes no more than one flight each way: it offers one method
// only, so that it knows the answer, and sends everything at once.
type Handshake struct {
	Target Target
	// Username and Password are for a server that asks for them; no user name
	// means no authentication.
	Username, Password string
	// Payload is sent right behind the request, in the same write. The server
	// delivers it to the target once it is connected.
	Payload []byte
	// Stepwise waits for each answer before the next message, for servers that
	// lose what comes early.
	Stepwise bool

	command byte   // 0: CONNECT
	answer  Target // to a command that is no CONNECT: what stands in place of the bound address
}

// longAgo unblocks a pending Read or Write when set as its deadline.
var longAgo = time.Unix(1, 0)

// Do runs the handshake on conn, a fresh connection to a SOCKS5 server, and returns
// the address that the server's connection to the target is bound to (invalid if
// the server tells a name or nothing). Nothing after the server's reply is read.
// When ctx ends first its cause is returned. A refusal by the server is a
// *ReplyError. After an error conn is of no more use; Do does not close it.
func (h *Handshake) Do(ctx context.Context, conn net.Conn) (netip.AddrPort, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo) })
	bound, err := h.do(conn)
	if !stop() {
		return netip.AddrPort{}, fmt.Errorf("socks handshake: %w", context.Cause(ctx))
	}
	return bound, err
}

func (h *Handshake) do(conn net.Conn) (netip.AddrPort, error) {
	if h.Stepwise {
		return h.step(conn)
	}
	if err := h.Send(conn); err != nil {
		return netip.AddrPort{}, err
	}
	return h.Receive(conn)
}

// Send writes the whole flight in one Write.
func (h *Handshake) Send(w io.Writer) error {
	b, err := h.appendGreeting(nil)
	if err != nil {
		return err
	}
	b = h.appendAuth(b)
	b = h.appendRequest(b)
	b = append(b, h.Payload...)
	return write(w, b)
}

// Receive reads the answers to the flight, not a byte more.
func (h *Handshake) Receive(r io.Reader) (netip.AddrPort, error) {
	if err := h.readMethod(r); err != nil {
		return netip.AddrPort{}, err
	}
	if err := h.readAuthStatus(r); err != nil {
		return netip.AddrPort{}, err
	}
	return h.readReply(r)
}

// step runs the handshake message by message.
func (h *Handshake) step(conn net.Conn) (netip.AddrPort, error) {
	b, err := h.appendGreeting(nil)
	if err != nil {
		return netip.AddrPort{}, err
	}
	steps := []struct {
		send []byte
		read func(io.Reader) error
	}{
		{b, h.readMethod},
		{h.appendAuth(nil), h.readAuthStatus},
		{h.appendRequest(nil), func(io.Reader) error { return nil }},
	}
	for _, s := range steps {
		if err := write(conn, s.send); err != nil {
			return netip.AddrPort{}, err
		}
		if err := s.read(conn); err != nil {
			return netip.AddrPort{}, err
		}
	}
	bound, err := h.readReply(conn)
	if err == nil {
		err = write(conn, h.Payload)
	}
	return bound, err
}

func write(w io.Writer, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("socks handshake: %w", err)
	}
	return nil
}

func (h *Handshake) method() byte {
	if h.Username == "" {
		return statute.MethodNoAuth
	}
	return statute.MethodUserPassAuth
}

func (h *Handshake) appendGreeting(b []byte) ([]byte, error) {
	const maxField = 255 // RFC 1929 section 2
	switch {
	case h.Target.port == 0 && h.command == 0:
		return nil, errors.New("socks handshake: no target")
	case len(h.Username) > maxField || len(h.Password) > maxField:
		return nil, errors.New("socks handshake: user name or password longer than 255 bytes")
	}
	return append(b, statute.VersionSocks5, 1, h.method()), nil
}

func (h *Handshake) appendAuth(b []byte) []byte {
	if h.method() == statute.MethodNoAuth {
		return b
	}
	b = append(b, statute.UserPassAuthVersion, byte(len(h.Username)))
	b = append(b, h.Username...)
	b = append(b, byte(len(h.Password)))
	return append(b, h.Password...)
}

func (h *Handshake) appendRequest(b []byte) []byte {
	command := h.command
	if command == 0 {
		command = statute.CommandConnect
	}
	return h.Target.appendTo(append(b, statute.VersionSocks5, command, 0))
}

func (h *Handshake) readMethod(r io.Reader) error {
	var b [2]byte
	if err := read(r, b[:]); err != nil {
		return err
	}
	switch {
	case b[0] != statute.VersionSocks5:
		return protocolError("answer is not of SOCKS version 5")
	case b[1] == statute.MethodNoAcceptable:
		return protocolError("next hop accepts none of the offered methods")
	case b[1] != h.method():
		return protocolError("next hop chose a method that was not offered")
	}
	return nil
}

func (h *Handshake) readAuthStatus(r io.Reader) error {
	if h.method() == statute.MethodNoAuth {
		return nil
	}
	var b [2]byte
	if err := read(r, b[:]); err != nil {
		return err
	}
	switch {
	case b[0] != statute.UserPassAuthVersion:
		return protocolError("answer is not of authentication version 1")
	case b[1] != statute.AuthSuccess:
		return protocolError("next hop refused user name or password")
	}
	return nil
}

// readReply reads a reply (RFC 1928 section 6). The reserved byte may be anything.
func (h *Handshake) readReply(r io.Reader) (netip.AddrPort, error) {
	var head [4]byte
	if err := read(r, head[:]); err != nil {
		return netip.AddrPort{}, err
	}
	if head[0] != statute.VersionSocks5 {
		return netip.AddrPort{}, protocolError("reply is not of SOCKS version 5")
	}
	if reply := Reply(head[1]); reply != ReplySucceeded {
		// The address of a refusal is of no interest; it may not even be sent.
		if !reply.known() {
			err := fmt.Errorf("code 0x%02x of no known meaning", byte(reply))
			return netip.AddrPort{}, &ReplyError{Reply: ReplyGeneralFailure, Remote: true, Err: err}
		}
		return netip.AddrPort{}, &ReplyError{Reply: reply, Remote: true}
	}
	host, err := readBound(r, head[3])
	if err != nil || h.command == 0 {
		return netip.AddrPortFrom(host.ip, host.port), err
	}
	h.answer = host
	if host.ip.IsValid() {
		return netip.AddrPort{}, nil
	}
	if h.answer.name, err = canonicalName(host.name); err != nil {
		return netip.AddrPort{}, protocolError("answer holds neither an address nor a host name")
	}
	return netip.AddrPort{}, nil
}

// readBound reads BND.ADDR and BND.PORT. A name is not looked at.
func readBound(r io.Reader, addrType byte) (Target, error) {
	size := 0
	switch addrType {
	case statute.ATYPIPv4:
		size = net.IPv4len
	case statute.ATYPIPv6:
		size = net.IPv6len
	case statute.ATYPDomain:
		var length [1]byte
		if err := read(r, length[:]); err != nil {
			return Target{}, err
		}
		size = int(length[0])
	default:
		return Target{}, protocolError("reply has an address of unknown type")
	}
	const portLen = 2
	b := make([]byte, size+portLen)
	if err := read(r, b); err != nil {
		return Target{}, err
	}
	if addrType == statute.ATYPDomain {
		return Target{name: string(b[:size])}, nil
	}
	ip, _ := netip.AddrFromSlice(b[:size]) // of one of the two sizes
	return Target{ip: ip.Unmap(), port: binary.BigEndian.Uint16(b[size:])}, nil
}

func read(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if err == nil {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("socks handshake: %w", err)
}

func protocolError(text string) error {
	return &ReplyError{Reply: ReplyGeneralFailure, Err: errors.New("socks handshake: " + text)}
}
