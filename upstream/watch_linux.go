package upstream

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// watchSystem signals whenever the kernel says that a link, an address or a
// route has changed. Where it may not ask, it looks for itself.
func watchSystem(ctx context.Context, signal chan<- struct{}) {
	f, err := openNetlink()
	if err != nil {
		pollNetifs(ctx, pollEvery, readNetifs, signal)
		return
	}
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { _ = f.Close() })
	defer stop()
	tell(signal) // what changed before we listened has no message
	// What the messages say does not matter, only that there are some: the
	// picture is taken afresh.
	buf := make([]byte, 16<<10)
	for ctx.Err() == nil {
		_, err := f.Read(buf)
		switch {
		case err == nil, errors.Is(err, unix.ENOBUFS): // some were lost: all the more reason to look
			tell(signal)
		default:
			if ctx.Err() == nil {
				pollNetifs(ctx, pollEvery, readNetifs, signal)
			}
			return
		}
	}
}

func openNetlink() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
		unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE | unix.RTMGRP_IPV4_RULE | 1<<(unix.RTNLGRP_IPV6_RULE-1)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}
