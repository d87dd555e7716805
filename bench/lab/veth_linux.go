package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// socketBuffer is asked for, and may be cut by the system's limit.
const socketBuffer = 8 << 20

// hardwareAddr returns the address of an interface in n.
func hardwareAddr(n *Namespace, name string) (mac net.HardwareAddr, err error) {
	err = n.Do(func() error {
		ifi, err := net.InterfaceByName(name)
		if err == nil {
			mac = ifi.HardwareAddr
		}
		return err
	})
	return mac, err
}

// openPacket opens a packet socket on an interface in n that sends to mac.
func openPacket(n *Namespace, name string, mac net.HardwareAddr) (d *device, err error) {
	if len(mac) != 6 {
		return nil, fmt.Errorf("packet socket on %s: address %q is not Ethernet", name, mac)
	}
	ether := make([]byte, etherLen)
	copy(ether, mac)
	ether[6] = 2 // from a locally administered address; nobody answers it
	ether[12] = unix.ETH_P_IP >> 8
	err = n.Do(func() error {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		// Protocol 0: nothing comes before it is bound.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		d = &device{fd: fd, ether: ether}
		return d.bind(ifi.Index)
	})
	if err != nil {
		if d != nil {
			err = errors.Join(err, d.close())
		}
		return nil, fmt.Errorf("packet socket on %s: %w", name, err)
	}
	return d, nil
}

func (d *device) bind(ifindex int) error {
	for _, opt := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING} {
		if err := unix.SetsockoptInt(d.fd, unix.SOL_PACKET, opt, 1); err != nil {
			return err
		}
	}
	for _, opt := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(d.fd, unix.SOL_SOCKET, opt[0], socketBuffer) != nil {
			_ = unix.SetsockoptInt(d.fd, unix.SOL_SOCKET, opt[1], socketBuffer)
		}
	}
	_ = unix.SetsockoptInt(d.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	return unix.Bind(d.fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: ifindex})
}

// networkOrder is htons.
func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
