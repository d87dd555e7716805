package lab

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errNoTUN says that this process may not use TUN at all.
var errNoTUN = errors.New("no tun device to be had")

// openTUN makes a TUN device in namespace n.
func openTUN(n *Namespace, name string, offload bool) (d *device, err error) {
	err = n.Do(func() error {
		// The namespace of the device is that in which the file is opened.
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("%w: open /dev/net/tun: %w", errNoTUN, err)
		}
		d = &device{fd: fd}
		return d.attach(name, offload)
	})
	if err != nil {
		if d != nil {
			err = errors.Join(err, d.close())
		}
		return nil, fmt.Errorf("make tun device %s: %w", name, err)
	}
	return d, nil
}

func (d *device) attach(name string, offload bool) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(d.fd, unix.TUNSETIFF, ifr); err != nil {
		return err
	}
	if !offload {
		return unix.IoctlSetInt(d.fd, unix.TUNSETOFFLOAD, 0)
	}
	const tcp = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	// UDP segmentation came with Linux 6.2; without it the kernel cuts for us.
	if unix.IoctlSetInt(d.fd, unix.TUNSETOFFLOAD, tcp|unix.TUN_F_USO4|unix.TUN_F_USO6) == nil {
		return nil
	}
	return unix.IoctlSetInt(d.fd, unix.TUNSETOFFLOAD, tcp)
}
