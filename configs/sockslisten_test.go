package configs

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSocksListen(t *testing.T) {
	dir := filepath.Join("etc", "mp")
	c, err := ParseClient(filepath.Join(dir, "client.yaml"), []byte(minimal+`
socks:
  listen: [unix:proxy.sock, "127.0.0.1:1080", ":1081"]
  socket_mode: 0660
  allow_clients: [192.168.1.0/24, 10.0.0.7, "2001:db8::/32"]
`))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"unix:" + filepath.Join(dir, "proxy.sock"), "127.0.0.1:1080", ":1081"}; !slices.Equal(c.Socks.Listen, want) {
		t.Errorf("socks.listen = %q, want %q", c.Socks.Listen, want)
	}
	want := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("10.0.0.7/32"), netip.MustParsePrefix("2001:db8::/32")}
	if !slices.Equal(c.Socks.AllowClients, want) || c.Socks.SocketMode != 0o660 {
		t.Errorf("socks = %+v, want clients %v", c.Socks, want)
	}
	if file, ok := UnixSocket("unix:/a/b"); !ok || file != "/a/b" {
		t.Errorf("UnixSocket = %q, %v", file, ok)
	}
	if _, ok := UnixSocket("127.0.0.1:1080"); ok {
		t.Error("an IP address is a unix socket")
	}
}

func TestSocketModes(t *testing.T) {
	for text, want := range map[string]fs.FileMode{"600": 0o600, "0600": 0o600, "'0666'": 0o666, "0777": 0o777} {
		c, err := ParseClient("f", []byte(minimal+"socks: {socket_mode: "+text+"}"))
		if err != nil || c.Socks.SocketMode != want {
			t.Errorf("%s: %v, %v, want %v", text, c.Socks.SocketMode, err, want)
		}
	}
}

func TestSocksListenProblems(t *testing.T) {
	for socks, want := range map[string]string{
		"listen: 'unix:'":      `socks.listen: address "unix:" has no file name`,
		"listen: 'unix:@name'": "an abstract socket has no owner",
		"listen: 'unix:/" + strings.Repeat("x", 103) + "'":      "has more than 103 bytes",
		"listen: 'unix:" + strings.Repeat("x", 103) + "'":       "has more than 103 bytes",
		"listen: ['unix:a', 'unix:./a']":                        "socks.listen[1]: unix:" + filepath.Join("d", "a") + " is in the list twice",
		"listen: 'unix:a:1'":                                    "",
		"listen: ['0.0.0.0:1080'], allow_clients: [10.0.0.0/8]": "",
		"listen: ['0.0.0.0:1080']":                              "set socks.users or socks.allow_clients",
		"listen: ['0.0.0.0:1080'], allow_clients: [10.0.0.1/8]": "socks.allow_clients[0]: 10.0.0.1/8 has bits beyond its prefix length; the network is 10.0.0.0/8",
		"listen: ['0.0.0.0:1080'], allow_clients: [lan]":        `socks.allow_clients[0]: must be a network such as 192.168.1.0/24 or an address, not "lan"`,
		"listen: ['0.0.0.0:1080'], allow_clients: []":           "set socks.users or socks.allow_clients",
		"allow_clients: ['::ffff:10.0.0.0/104']":                "must be a network",
		"allow_clients: ['fe80::1%eth0']":                       "must be a network",
		"allow_clients: [10.0.0.7, 10.0.0.7/32]":                "is in the list twice",
		"socket_mode: rw":                                       "must be permissions in octal",
		"socket_mode: 0o600":                                    "must be permissions in octal",
		"socket_mode: 1777":                                     "must be permissions in octal",
		"socket_mode: 7":                                        "must be permissions in octal",
	} {
		_, err := ParseClient(filepath.Join("d", "client.yaml"), []byte(minimal+"socks: {"+socks+"}"))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v, want %q", socks, fmt.Sprint(err), want)
		}
	}
}
