package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/mpsocks/mpsocks/mptcp"
)

// alertsOfAltered are what a TLS 1.3 peer says (RFC 8446, section 6.2) of records that
// somebody has changed on the way: unexpected message, bad record MAC, record
// overflow, decode error, protocol version.
var alertsOfAltered = []tls.AlertError{10, 20, 22, 50, 70}

// alteredError says that a path does not carry what was sent.
type alteredError struct{ err error }

func (e *alteredError) Error() string { return "data was altered on the way: " + e.err.Error() }

func (e *alteredError) Unwrap() []error { return []error{mptcp.ErrAltered, e.err} }

// altered marks an error of a TLS connection whose handshake is done, if it means that
// what came is not what was sent. crypto/tls has no type for alerts that come in;
// what it says of them is what it says of tls.AlertError.
func altered(err error) error {
	var op *net.OpError
	var header tls.RecordHeaderError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &header):
		return &alteredError{fmt.Errorf("tls: %s", header.Msg)}
	case !errors.As(err, &op) || op.Err == nil:
		return err
	case op.Op == "local error", op.Op == "remote error" && slices.ContainsFunc(alertsOfAltered, func(a tls.AlertError) bool { return a.Error() == op.Err.Error() }):
		return &alteredError{op.Err}
	}
	return err
}

// alteredHandshake is altered for a handshake, of which most errors mean something else: but a record that does not decrypt by the keys
// just agreed upon.
func alteredHandshake(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "local error" && op.Err != nil && op.Err.Error() == badRecordMAC.Error() {
		return &alteredError{op.Err}
	}
	return err
}

// badRecordMAC is TLS's alert bad_record_mac.
const badRecordMAC = tls.AlertError(20)
