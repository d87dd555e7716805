package socks

import (
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/things-go/go-socks5"
	"github.com/things-go/go-socks5/statute"
)

// userPass is the method of RFC 1929.
type userPass struct{ accounts *accounts }

func (userPass) GetCode() uint8 { return statute.MethodUserPassAuth }

// Authenticate asks for a name and a password and checks them. Every failure is
// answered with a status other than success.
func (u userPass) Authenticate(r io.Reader, w io.Writer, _ string) (*socks5.AuthContext, error) {
	s, ok := w.(*shakeConn)
	if !ok {
		return nil, errors.New("go-socks5 hands another connection over")
	}
	if _, err := w.Write([]byte{statute.VersionSocks5, statute.MethodUserPassAuth}); err != nil {
		return nil, err
	}
	name, password, err := readUserPass(r)
	if err == nil {
		err = u.accounts.verify(s.ctx, sourceIP(s.RemoteAddr()), name, password)
	}
	status := statute.AuthSuccess
	if err != nil {
		status = statute.AuthFailure
	}
	if _, werr := w.Write([]byte{statute.UserPassAuthVersion, status}); werr != nil {
		return nil, werr
	}
	if err != nil {
		return nil, err
	}
	s.user = name
	return authenticated(r, w, statute.MethodUserPassAuth)
}

// readUserPass reads the client's message of RFC 1929 section 2. Empty fields are
// read like others; whether they fit is for the accounts to say.
func readUserPass(r io.Reader) (name, password string, err error) {
	var version [1]byte
	if _, err := io.ReadFull(r, version[:]); err != nil {
		return "", "", err
	}
	if version[0] != statute.UserPassAuthVersion {
		return "", "", errors.New("authentication is not of version 1")
	}
	if name, err = readField(r); err != nil {
		return "", "", err
	}
	password, err = readField(r)
	return name, password, err
}

func readField(r io.Reader) (string, error) {
	var length [1]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return "", err
	}
	b := make([]byte, length[0])
	_, err := io.ReadFull(r, b)
	return string(b), err
}

// sourceIP returns the address of a client, invalid if it has none.
func sourceIP(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp != nil {
		return tcp.AddrPort().Addr()
	}
	return netip.Addr{}
}
