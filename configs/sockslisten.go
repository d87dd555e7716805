package configs

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// unixMark begins a listen address that is the file name of a unix socket.
const unixMark = "unix:"

// maxSocketPath is what the address of a unix socket has room for on every system (macOS: 104 bytes with a NUL).
const maxSocketPath = 103

// DefaultSocketMode lets only its owner connect to a unix socket.
const DefaultSocketMode fs.FileMode = 0o600

// UnixSocket returns the file name of a listen address that is a unix socket.
func UnixSocket(listen string) (file string, ok bool) { return strings.CutPrefix(listen, unixMark) }

// socksListen reads one or several addresses for programs: IP:PORT or unix:PATH.
func socksListen(to *[]string) setter {
	const want = "an address such as 127.0.0.1:1080 or unix:/run/mpsocks.sock"
	return list(want, func(d *decoder, n *node, key string) {
		s, ok := d.str(n, key, want)
		if !ok {
			return
		}
		err := CheckListen(s)
		if file, isUnix := UnixSocket(s); isUnix {
			if err = checkSocket(file); err == nil {
				s = unixMark + resolve(d.file, file)
				err = checkSocket(s[len(unixMark):]) // longer now
			}
		}
		switch {
		case err != nil:
			d.problem(n, key, "%v", err)
		case slices.Contains(*to, s):
			d.problem(n, key, "%s is in the list twice", s)
		default:
			*to = append(*to, s)
		}
	})
}

func checkSocket(file string) error {
	switch {
	case file == "":
		return fmt.Errorf("address %q has no file name", unixMark)
	case file[0] == '@':
		return fmt.Errorf("%q: an abstract socket has no owner, so everybody could connect; want a file name", unixMark+file)
	case len(file) > maxSocketPath:
		return fmt.Errorf("the name of the socket %q has more than %d bytes", file, maxSocketPath)
	}
	return nil
}

// socketMode reads the permissions of a file in octal, as chmod has them.
func socketMode(to *fs.FileMode) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "permissions such as 0660")
		if !ok {
			return
		}
		v, err := strconv.ParseUint(s, 8, 32)
		if err != nil || len(s) < 3 || len(s) > 4 || v > 0o777 {
			d.problem(n, key, "must be permissions in octal, such as 0600 or 0660, not %q", s)
			return
		}
		*to = fs.FileMode(v)
	}
}

// networks reads a list of networks or addresses.
func networks(to *[]netip.Prefix) setter {
	const want = "a network such as 192.168.1.0/24"
	return list(want, func(d *decoder, n *node, key string) {
		s, ok := d.str(n, key, want)
		if !ok {
			return
		}
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		switch {
		case err != nil || p.Addr().Is4In6():
			d.problem(n, key, "must be %s or an address, not %q", want, s)
		case p != p.Masked():
			d.problem(n, key, "%s has bits beyond its prefix length; the network is %v", s, p.Masked())
		case slices.Contains(*to, p):
			d.problem(n, key, "%s is in the list twice", s)
		default:
			*to = append(*to, p)
		}
	})
}
