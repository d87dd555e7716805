package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// device is one end of a path: what the kernel of one namespace sends comes
// out of read, and write puts packets into that kernel. Each packet has a
// virtio-net header in front.
//
// It is a TUN device or, where /dev/net/tun may not be opened, a packet socket
// on the far side of a veth pair.
type device struct {
	fd int
	// ether stands in front of what a packet socket sends; nil for TUN.
	ether []byte
	frame []byte // room to put it there
	f     *os.File
}

// etherLen is the length of an Ethernet header.
const etherLen = 14

// read puts the next packet of the kernel into b, which has room for vnetLen +
// maxPacket and etherLen more. It returns the packet with its virtio-net
// header, or nothing if there is none now.
func (d *device) read(b []byte) []byte {
	for {
		n, err := unix.Read(d.fd, b)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil
		case d.ether == nil:
			return b[:n]
		case n > vnetLen+etherLen:
			return stripEther(b[:n])
		}
	}
}

// stripEther takes the Ethernet header out from behind the virtio-net header.
// What is not IP has nothing to do here and comes out too short to be.
func stripEther(b []byte) []byte {
	v := parseVnet(b)
	if t := binary.BigEndian.Uint16(b[vnetLen+12:]); t != unix.ETH_P_IP && t != unix.ETH_P_IPV6 {
		return b[:vnetLen]
	}
	if v.flags&vnetNeedsCsum != 0 {
		v.csumStart -= etherLen
	}
	v.hdrLen = max(v.hdrLen, etherLen) - etherLen
	b = b[etherLen:]
	v.put(b)
	return b
}

// write hands a packet to the kernel; false when it did not take it, which is
// when the interface is down.
func (d *device) write(b []byte) bool {
	if d.ether != nil {
		b = d.addEther(b)
	}
	for {
		_, err := unix.Write(d.fd, b)
		if err == unix.EINTR {
			continue
		}
		return err == nil
	}
}

func (d *device) addEther(b []byte) []byte {
	v := parseVnet(b)
	if v.flags&vnetNeedsCsum != 0 {
		v.csumStart += etherLen
	}
	if v.hdrLen > 0 {
		v.hdrLen += etherLen
	}
	d.frame = appendVnet(d.frame[:0], v)
	d.frame = append(d.frame, d.ether...)
	if b[vnetLen]>>4 == 6 {
		binary.BigEndian.PutUint16(d.frame[vnetLen+12:], unix.ETH_P_IPV6)
	}
	d.frame = append(d.frame, b[vnetLen:]...)
	return d.frame
}

func (d *device) close() error {
	if d.f != nil {
		return d.f.Close()
	}
	return unix.Close(d.fd)
}

// file makes the device known to package os, for a child to inherit; close
// closes it. It is not for reading any more: package os makes it blocking.
func (d *device) file() *os.File {
	if d.f == nil {
		d.f = os.NewFile(uintptr(d.fd), "lab device")
	}
	return d.f
}

// openDevice makes one end of path i in namespace n.
func (l *Lab) openDevice(n *Namespace, i int) (*device, error) {
	name := l.cfg.Paths[i].Name
	if l.emulator == nil && !l.cfg.Veth {
		d, err := openTUN(n, name, !l.cfg.NoOffload)
		if !errors.Is(err, errNoTUN) {
			return d, err
		}
	}
	return l.openVeth(n, i)
}

// openVeth makes a veth pair from n to the emulator's own namespace and opens
// a packet socket on the far side.
func (l *Lab) openVeth(n *Namespace, i int) (*device, error) {
	if err := l.needEmulator(); err != nil {
		return nil, err
	}
	name, far := l.cfg.Paths[i].Name, fmt.Sprintf("c%d", i)
	if n == l.server {
		far = fmt.Sprintf("s%d", i)
	}
	near := []string{
		fmt.Sprintf("link add %s type veth peer name %s netns %s", name, far, l.emulator.ns.path()),
		// Without ARP there is nobody to answer for: the other end is us.
		fmt.Sprintf("link set %s arp off", name),
	}
	if l.cfg.NoOffload {
		near = append(near, fmt.Sprintf("link set %s gso_max_segs 1", name))
	}
	if err := n.ip(near...); err != nil {
		return nil, err
	}
	if err := l.emulator.ip(fmt.Sprintf("link set %s up mtu %d arp off", far, l.cfg.Paths[i].MTU)); err != nil {
		return nil, err
	}
	mac, err := hardwareAddr(n, name)
	if err != nil {
		return nil, err
	}
	return openPacket(l.emulator, far, mac)
}

// needEmulator makes the namespace that holds the far sides of veth pairs.
func (l *Lab) needEmulator() error {
	if l.emulator != nil {
		return nil
	}
	ns, err := newNetns()
	if err != nil {
		return err
	}
	l.emulator = &Namespace{name: l.cfg.Name + "-emulator", ns: ns}
	return l.emulator.sysctl(baseSysctls(false))
}
