package socks

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/things-go/go-socks5/statute"
)

// Commands beside those of RFC 1928: look a name up, and look an address's name up. Tor has introduced them; clients that must not ask a
// resolver of their own use them. The answer is in place of the bound address.
const (
	commandResolve    = 0xf0
	commandResolvePTR = 0xf1
)

func isResolve(command byte) bool { return command == commandResolve || command == commandResolvePTR }

// takeResolve takes a request down that go-socks5 would refuse because it does not know the command. r is behind the authentication.
func (s *shakeConn) takeResolve(r peeker) error {
	head, err := r.Peek(2)
	if err != nil || head[0] != statute.VersionSocks5 || !isResolve(head[1]) {
		return nil // for go-socks5 to say
	}
	req, err := statute.ParseRequest(r)
	switch {
	case errors.Is(err, statute.ErrUnrecognizedAddrType):
		_, err := s.Write(replyBytes(ReplyAddrTypeNotSupported, netip.AddrPort{}))
		return errors.Join(err, errBadRequest)
	case err != nil:
		return err
	}
	early, err := r.Peek(r.Buffered())
	if err != nil {
		return err
	}
	s.request = &request{command: req.Command, early: slices.Clone(early), odd: req.Reserved != 0}
	s.request.target, s.targetErr = hostOf(&req.DstAddr)
	if s.targetErr == nil && req.Command == commandResolvePTR && !s.request.target.ip.IsValid() {
		s.targetErr = &ReplyError{Reply: ReplyAddrTypeNotSupported, Err: errors.New("only an address has a name to look up")}
	}
	return errTaken
}

// errTaken keeps go-socks5 from going on with a request that has been taken down.
var errTaken = errors.New("request taken down")

// peeker is a *bufio.Reader.
type peeker interface {
	Read(p []byte) (int, error)
	Peek(n int) ([]byte, error)
	Buffered() int
}

// hostOf returns the host of a request that go-socks5 has parsed. Its port is of no interest.
func hostOf(a *statute.AddrSpec) (Target, error) {
	if a.AddrType == statute.ATYPDomain {
		return newHost(a.FQDN)
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	if !ok {
		return Target{}, &ReplyError{Reply: ReplyAddrTypeNotSupported, Err: errors.New("no address in request")}
	}
	return Target{ip: ip.Unmap()}, nil
}

// hostReply returns a success that carries a host in place of the bound address.
func hostReply(t Target) []byte {
	t.ip = t.ip.WithZone("")
	return t.appendTo([]byte{statute.VersionSocks5, byte(ReplySucceeded), 0})
}

// reverseResolver finds the names of an address. *net.Resolver is one.
type reverseResolver interface {
	LookupAddr(ctx context.Context, addr string) (names []string, err error)
}

// resolve looks up what a request asks for. Only what could be connected to, at some port at least, is looked up and told.
func (d *targetDialer) resolve(ctx context.Context, command byte, t Target) (Target, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errDialTimeout)
	defer cancel()
	if err := d.permitSomewhere(t); err != nil {
		return Target{}, err
	}
	found, err := t, error(nil)
	switch {
	case command == commandResolvePTR:
		found, err = d.nameOf(ctx, t.ip)
	case !t.ip.IsValid():
		found, err = d.addressOf(ctx, cancel, t.name)
	}
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	return found, err
}

// permitSomewhere applies the rules to a host as if for a connection to any port. With one port that is allowed the host is no secret.
func (d *targetDialer) permitSomewhere(t Target) (refusal error) {
	for _, t.port = range d.rules.portsThatMatter() {
		err := d.checkName(t)
		if err == nil && t.ip.IsValid() {
			err = d.checkAddr(t.name, netip.AddrPortFrom(t.ip, t.port))
		}
		if err == nil {
			return nil
		}
		if refusal == nil {
			refusal = err
		}
	}
	return refusal
}

// addressOf returns the address of a name: an IPv4 one if there is any, because that is what those who ask can use.
func (d *targetDialer) addressOf(ctx context.Context, cancel context.CancelFunc, name string) (Target, error) {
	answers := make(chan answer, 2)
	go ask(ctx, d.resolver, name, true, answers)
	go ask(ctx, d.resolver, name, false, answers)
	var found Target
	var refusal, failure error
	for range cap(answers) { // each comes, at the latest when ctx is done
		a := <-answers
		if a.err != nil && failure == nil && found.ip == (netip.Addr{}) {
			failure = a.err
		}
		for _, ip := range a.addrs[:min(len(a.addrs), maxCandidates)] {
			t := Target{name: name, ip: ip.Unmap()}
			if err := d.permitSomewhere(t); err != nil {
				refusal = err
				continue
			}
			if !found.ip.IsValid() || !a.v6 {
				found = Target{ip: t.ip}
			}
			if !a.v6 {
				cancel() // the other answer is of no use
			}
			break
		}
	}
	switch {
	case found.ip.IsValid():
		return found, nil
	case refusal != nil:
		return Target{}, refusal
	case failure != nil:
		return Target{}, failure
	}
	return Target{}, &net.DNSError{Err: "no addresses", Name: name, IsNotFound: true}
}

// nameOf returns the name of an address. What is no host name is not told: the zone may be anybody's.
func (d *targetDialer) nameOf(ctx context.Context, ip netip.Addr) (Target, error) {
	r, ok := d.resolver.(reverseResolver)
	if !ok {
		return Target{}, &ReplyError{Reply: ReplyCommandNotSupported}
	}
	names, err := r.LookupAddr(ctx, ip.WithZone("").String())
	if err != nil {
		return Target{}, err
	}
	for _, name := range names {
		if name, err := canonicalName(name); err == nil {
			return Target{name: name}, nil
		}
	}
	return Target{}, &net.DNSError{Err: "no name", Name: ip.String(), IsNotFound: true}
}
