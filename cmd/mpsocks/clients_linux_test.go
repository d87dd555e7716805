package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/net/proxy"

	"github.com/mpsocks/mpsocks/bench/lab"
	"github.com/mpsocks/mpsocks/socks"
)

// clientsEnv has TestClients run; `make clients` sets it. The programs are many and some
// are slow, so that the usual suite goes without them.
const clientsEnv = "MPSOCKS_TEST_CLIENTS"

// realClient is a program of somebody else and how it uses the proxy. The command is
// for sh, with these variables:
//
//	PORT, LOCKED       ports of a client without and with users (alice, secret)
//	URL, IPURL, SECURE a web page: by name, by address, by TLS
//	PAGE               a page of 100 objects
//	ID, BODY           what the page is called, and what is in it
//	PAC                URL of a PAC file
//	HOST, IP           the server; only the egress knows the name
//	CONF, SELF, DIR    the client's file, this program, a folder for the command's own
//	DNS                a UDP port of this machine whose datagrams go through the proxy to the only server that knows the name
//	SOCKET             a unix socket of the client with users
//	LIMIT              seconds for a program that does not end by itself
//
// It must print BODY, unless it is to fail. The same command is then run with ports at
// which nobody listens, where it must not print it, and must not reach the server.
type realClient struct {
	name    string
	needs   string // programs, with the Debian packages that have them: PROGRAM:PACKAGE
	command string
	fails   bool // with the right port, too
	objects int  // that the server must have been asked for
}

const (
	python     = "/usr/bin/python3:python3"
	pySocks    = python + " /usr/lib/python3/dist-packages/socks.py:python3-socks"
	pyReq      = pySocks + " /usr/lib/python3/dist-packages/requests:python3-requests"
	chains     = "proxychains4:proxychains4"
	sshNC      = "ssh:openssh-client nc:netcat-openbsd /usr/sbin/sshd:openssh-server"
	sshConnect = "ssh:openssh-client connect-proxy:connect-proxy /usr/sbin/sshd:openssh-server"
	sshArgs    = `-F /dev/null -i "$KEYS/key" -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR ` +
		`-o "ProxyCommand=nc -X 5 -x 127.0.0.1:$PORT %h %p"`
	chain = `printf 'strict_chain\nproxy_dns\n[ProxyList]\nsocks5 127.0.0.1 %s\n' "$PORT" >"$DIR/chain"; proxychains4 -q -f "$DIR/chain" `

	chromium = `chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking ` +
		`--disable-component-update --user-data-dir="$DIR/profile" --dump-dom `
	chromiumEnd = ` "$PAGE" 2>"$DIR/log" | grep -o "loaded 100 of 100" && echo "$BODY"`
	// firefoxHead are settings without which Firefox asks the world for things.
	firefoxHead = `mkdir "$DIR/profile"; cat >"$DIR/profile/user.js" <<'END'
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.reportingpolicy.firstRun", false);
user_pref("app.update.enabled", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("captivedetect.canonicalURL", "");
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
END
`
	firefoxEnd = `HOME="$DIR" timeout "$LIMIT" firefox-esr --headless --no-remote --profile "$DIR/profile" --screenshot "$DIR/page.png" "$PAGE" >"$DIR/log" 2>&1; ` +
		`test -s "$DIR/page.png" && echo "$BODY"`
	redsocksHead = `printf 'base { log_info = off; daemon = off; redirector = iptables; }\nredsocks { local_ip = 127.0.0.1; local_port = 12345; ip = 127.0.0.1; port = %s; type = socks5; }\n' "$PORT" >"$DIR/conf"
iptables -t nat -A OUTPUT -p tcp -d "$IP" --dport 8080 -j REDIRECT --to-ports 12345 || exit 77
/usr/sbin/redsocks -c "$DIR/conf" >"$DIR/log" 2>&1 & red=$!
trap 'kill $red; iptables -t nat -D OUTPUT -p tcp -d "$IP" --dport 8080 -j REDIRECT --to-ports 12345' EXIT
for i in 1 2 3 4 5 6 7 8 9 10; do ss -ltn | grep -q :12345 && break; sleep 0.2; done
`
)

var realClients = []realClient{
	{name: "curl socks4", needs: "curl:curl", command: `curl -fsS -x socks4://127.0.0.1:$PORT $IPURL`},
	{name: "curl socks4a", needs: "curl:curl", command: `curl -fsS -x socks4a://127.0.0.1:$PORT $URL`},
	{name: "curl socks5", needs: "curl:curl", command: `curl -fsS -x socks5://127.0.0.1:$PORT $IPURL`},
	{name: "curl socks5h", needs: "curl:curl", command: `curl -fsS -x socks5h://127.0.0.1:$PORT $URL`},
	{name: "curl socks5h, password", needs: "curl:curl", command: `curl -fsS -x socks5h://alice:secret@127.0.0.1:$LOCKED $URL`},
	{name: "curl socks5h, wrong password", needs: "curl:curl", command: `curl -fsS -x socks5h://alice:wrong@127.0.0.1:$LOCKED $URL`, fails: true},
	{name: "curl socks5h, no password", needs: "curl:curl", command: `curl -fsS -x socks5h://127.0.0.1:$LOCKED $URL`, fails: true},
	{name: "curl socks4a, no password", needs: "curl:curl", command: `curl -fsS -x socks4a://alice@127.0.0.1:$LOCKED $URL`, fails: true},
	{name: "curl http", needs: "curl:curl", command: `curl -fsS -x http://127.0.0.1:$PORT $URL`},
	{name: "curl http, password", needs: "curl:curl", command: `curl -fsS -x http://alice:secret@127.0.0.1:$LOCKED $URL`},
	{name: "curl http, wrong password", needs: "curl:curl", command: `curl -fsS -x http://alice:wrong@127.0.0.1:$LOCKED $URL`, fails: true},
	{name: "curl https by CONNECT", needs: "curl:curl", command: `curl -fsSk -x http://127.0.0.1:$PORT $SECURE`},
	{name: "curl https by CONNECT, password", needs: "curl:curl", command: `curl -fsSk -x http://alice:secret@127.0.0.1:$LOCKED $SECURE`},
	{name: "curl https by socks5h", needs: "curl:curl", command: `curl -fsSk -x socks5h://127.0.0.1:$PORT $SECURE`},
	// The next ones are what curl's own suite asks of a SOCKS proxy.
	{name: "curl by ALL_PROXY, socks4", needs: "curl:curl", command: `ALL_PROXY=socks4://127.0.0.1:$PORT curl -fsS $IPURL`},
	{name: "curl by ALL_PROXY, socks5", needs: "curl:curl", command: `ALL_PROXY=socks5://127.0.0.1:$PORT curl -fsS $IPURL`},
	{name: "curl socks5h, --connect-to", needs: "curl:curl", command: `curl -fsS -x socks5h://127.0.0.1:$PORT --connect-to "::$HOST:8080" http://elsewhere.example/t/$ID`},
	{name: "curl socks5h by a unix socket", needs: "curl:curl", command: `curl -fsS -x "socks5h://alice:secret@localhost$SOCKET" $URL`},
	{name: "curl socks5h, longest password", needs: "curl:curl", command: `long=$(printf '%0255d' 7); curl -fsS --proxy-user "$long:$long" -x socks5h://127.0.0.1:$LOCKED $URL`},
	{name: "curl socks5h, password too long", needs: "curl:curl", command: `long=$(printf '%0256d' 7); curl -fsS --proxy-user "$long:$long" -x socks5h://127.0.0.1:$LOCKED $URL`, fails: true},
	{name: "curl socks5h, name too long", needs: "curl:curl", command: `curl -fsS -x socks5h://127.0.0.1:$PORT http://$(printf '%0300d' 7).example:8080/t/$ID`, fails: true},
	{name: "curl socks5h, two requests on one connection", needs: "curl:curl", command: `curl -fsS -x socks5h://127.0.0.1:$PORT $URL $URL | uniq -d`},
	{name: "curl socks5h, HEAD and POST", needs: "curl:curl", command: `curl -fsSI -o /dev/null -x socks5h://127.0.0.1:$PORT $URL --next -fsS -d x=y -x socks5h://127.0.0.1:$PORT $URL`},
	{name: "curl by mpsocks env", needs: "curl:curl", command: `vars=$(` + programEnv + `=1 "$SELF" env --shell sh -c "$CONF") || exit 1; eval "$vars"; curl -fsS $URL`},
	{name: "curl by all_proxy of mpsocks env", needs: "curl:curl", command: `vars=$(` + programEnv + `=1 "$SELF" env --shell sh -c "$CONF") || exit 1; eval "$vars"; unset http_proxy HTTP_PROXY; curl -fsS $URL`},
	{name: "wget http", needs: "wget:wget", command: `http_proxy=http://127.0.0.1:$PORT wget -t 1 -qO- $URL`},
	{name: "wget http, password", needs: "wget:wget", command: `http_proxy=http://alice:secret@127.0.0.1:$LOCKED wget -t 1 -qO- $URL`},
	{name: "wget https by CONNECT", needs: "wget:wget", command: `https_proxy=http://127.0.0.1:$PORT wget -t 1 --no-check-certificate -qO- $SECURE`},
	{name: "wget by proxychains4", needs: "wget:wget " + chains, command: chain + `wget -t 1 -qO- $URL`},
	{name: "iperf3 by proxychains4, down", needs: "iperf3:iperf3 " + chains, command: chain + `iperf3 -c $HOST -n 2M -R >"$DIR/out" && grep -q receiver "$DIR/out" && echo "$BODY"`},
	{name: "iperf3 by proxychains4, up", needs: "iperf3:iperf3 " + chains, command: chain + `iperf3 -c $HOST -n 2M >"$DIR/out" && grep -q receiver "$DIR/out" && echo "$BODY"`},
	{name: "ssh by nc -X 5", needs: sshNC, command: `ssh ` + sshArgs + ` $HOST "echo '$BODY'"`},
	{name: "ssh by nc -X connect", needs: sshNC, command: `ssh ` + strings.Replace(sshArgs, "-X 5", "-X connect", 1) + ` $HOST "echo '$BODY'"`},
	{name: "scp by nc -X 5", needs: sshNC + " scp:openssh-client", command: `head -c 1000000 /dev/urandom >"$DIR/a"; echo "$BODY" >>"$DIR/a"; scp -q ` + strings.Replace(sshArgs, "-p 2222", "-P 2222", 1) + ` "$DIR/a" "$HOST:$DIR/b" && cmp "$DIR/a" "$DIR/b" && tail -n 1 "$DIR/b"`},
	{name: "git by ssh and nc -X 5", needs: sshNC + " git:git", command: `git init -q "$DIR/repo" && cd "$DIR/repo" && git -c user.name=x -c user.email=x@x.example commit -q --allow-empty -m "$BODY" && ` +
		`GIT_SSH_COMMAND='ssh ` + sshArgs + `' git clone -q "ssh://$HOST$DIR/repo" "$DIR/copy" 2>"$DIR/log" && git -C "$DIR/copy" log --format=%s`},
	{name: "ssh by connect-proxy -S", needs: sshConnect, command: `ssh ` + sshBy(`connect-proxy -S 127.0.0.1:$PORT %h %p`) + ` $HOST "echo '$BODY'"`},
	{name: "scp by connect-proxy -H", needs: sshConnect + " scp:openssh-client", command: `head -c 1000000 /dev/urandom >"$DIR/a"; echo "$BODY" >>"$DIR/a"; ` +
		`scp -q ` + strings.Replace(sshBy(`connect-proxy -H 127.0.0.1:$PORT %h %p`), "-p 2222", "-P 2222", 1) + ` "$DIR/a" "$HOST:$DIR/b" && cmp "$DIR/a" "$DIR/b" && tail -n 1 "$DIR/b"`},
	{name: "git by http and http.proxy", needs: "git:git", command: `git -c http.proxy=socks5h://127.0.0.1:$PORT ls-remote "http://$HOST:8080/git/$ID" | grep -q refs/heads/main && echo "$BODY"`},
	{name: "git by ssh and connect-proxy -S", needs: sshConnect + " git:git", command: `git init -q "$DIR/repo" && cd "$DIR/repo" && git -c user.name=x -c user.email=x@x.example commit -q --allow-empty -m "$BODY" && ` +
		`GIT_SSH_COMMAND='ssh ` + sshBy(`connect-proxy -S 127.0.0.1:$PORT %h %p`) + `' git clone -q "ssh://$HOST$DIR/repo" "$DIR/copy" 2>"$DIR/log" && git -C "$DIR/copy" log --format=%s`},
	{name: "PySocks UDP", needs: pySocks, command: `/usr/bin/python3 -c '
import os, socket, socks, struct
s = socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM); s.set_proxy(socks.SOCKS5, "127.0.0.1", int(os.environ["PORT"])); s.settimeout(5)
name = b"".join(bytes([len(l)]) + l.encode() for l in os.environ["HOST"].split(".")) + b"\0"
for tries in range(3):
    s.sendto(struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + name + b"\0\1\0\1", (os.environ["IP"], 53))
    try: answer, by = s.recvfrom(512); break
    except socket.timeout: pass
assert answer[:2] == b"\0\7" and answer[-4:] == socket.inet_aton(os.environ["IP"]) and by == (os.environ["IP"], 53), (answer, by)
print(os.environ["BODY"])'`},
	{name: "PySocks", needs: pySocks, command: `/usr/bin/python3 -c '
import os, socks, urllib.parse
u = urllib.parse.urlparse(os.environ["URL"])
s = socks.socksocket(); s.set_proxy(socks.SOCKS5, "127.0.0.1", int(os.environ["PORT"]), rdns=True); s.settimeout(30)
s.connect((u.hostname, u.port)); s.sendall(("GET %s HTTP/1.0\r\nHost: x\r\n\r\n" % u.path).encode())
print(s.makefile("rb").read().decode())'`},
	{name: "PySocks socks4a", needs: pySocks, command: `/usr/bin/python3 -c '
import os, socks, urllib.parse
u = urllib.parse.urlparse(os.environ["URL"])
s = socks.socksocket(); s.set_proxy(socks.SOCKS4, "127.0.0.1", int(os.environ["PORT"]), rdns=True); s.settimeout(30)
s.connect((u.hostname, u.port)); s.sendall(("GET %s HTTP/1.0\r\nHost: x\r\n\r\n" % u.path).encode())
print(s.makefile("rb").read().decode())'`},
	{name: "requests socks5h, password", needs: pyReq, command: `/usr/bin/python3 -c '
import os, requests
p = "socks5h://alice:secret@127.0.0.1:" + os.environ["LOCKED"]
print(requests.get(os.environ["URL"], proxies={"http": p, "https": p}, timeout=30).text)'`},
	{name: "requests http and CONNECT", needs: pyReq, command: `/usr/bin/python3 -W ignore -c '
import os, requests
p = "http://127.0.0.1:" + os.environ["PORT"]
requests.get(os.environ["SECURE"], proxies={"http": p, "https": p}, timeout=30, verify=False).raise_for_status()
print(requests.get(os.environ["URL"], proxies={"http": p, "https": p}, timeout=30).text)'`},
	{name: "dig by UDP ASSOCIATE", needs: "dig:bind9-dnsutils", command: `test "$(dig +short +tries=2 +time=5 @127.0.0.1 -p $DNS $HOST A)" = "$IP" && echo "$BODY"`},
	{name: "kdig by UDP ASSOCIATE", needs: "kdig:knot-dnsutils", command: `test "$(kdig +short +retry=1 +time=5 @127.0.0.1 -p $DNS $HOST A)" = "$IP" && echo "$BODY"`},
	{name: "Chromium socks5", needs: "chromium:chromium", command: chromium + `--proxy-server=socks5://127.0.0.1:$PORT` + chromiumEnd, objects: 100},
	{name: "Chromium http", needs: "chromium:chromium", command: chromium + `--proxy-server=http://127.0.0.1:$PORT` + chromiumEnd, objects: 100},
	{name: "Chromium by PAC URL", needs: "chromium:chromium", command: chromium + `--proxy-pac-url=$PAC` + chromiumEnd, objects: 100},
	{name: "Firefox socks5", needs: "firefox-esr:firefox-esr", command: firefoxHead + `printf 'user_pref("network.proxy.type", 1);\nuser_pref("network.proxy.socks", "127.0.0.1");\n` +
		`user_pref("network.proxy.socks_port", %s);\nuser_pref("network.proxy.socks_version", 5);\nuser_pref("network.proxy.socks_remote_dns", true);\n' $PORT >>"$DIR/profile/user.js"; ` + firefoxEnd, objects: 100},
	{name: "Firefox by PAC URL", needs: "firefox-esr:firefox-esr", command: firefoxHead + `printf 'user_pref("network.proxy.type", 2);\nuser_pref("network.proxy.autoconfig_url", "%s");\n` +
		`user_pref("network.proxy.socks_remote_dns", true);\n' $PAC >>"$DIR/profile/user.js"; ` + firefoxEnd, objects: 100},
	{name: "redsocks", needs: "/usr/sbin/redsocks:redsocks iptables:iptables curl:curl ss:iproute2", command: redsocksHead + `curl -fsS --max-time 20 $IPURL`},
}

// sshBy are the arguments of ssh that have it go by another command than nc.
func sshBy(proxyCommand string) string {
	before, _, _ := strings.Cut(sshArgs, "ProxyCommand=")
	return before + "ProxyCommand=" + proxyCommand + `"`
}

// deadPort is one at which nobody listens.
const deadPort = "9"

// TestClients runs programs that people use through the local port, on a laboratory
// whose egress alone knows the server's name, and prints a table of what came of it.
func TestClients(t *testing.T) {
	if os.Getenv(clientsEnv) == "" {
		t.Skip("`make clients` runs this")
	}
	c := newClientsBed(t)
	table := &bytes.Buffer{}
	w := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "program\tthrough the proxy\tdead port\ttime")
	for i, r := range realClients {
		t.Run(r.name, func(t *testing.T) {
			if missing := r.missing(); missing != "" {
				fmt.Fprintf(w, "%s\tskipped: %s\t\t\n", r.name, missing)
				t.Skip(missing)
			}
			start := time.Now()
			alive := c.run(t, r, fmt.Sprintf("c%d", i), false)
			took := time.Since(start)
			dead := "not run"
			if alive != skipped {
				dead = c.run(t, r, fmt.Sprintf("d%d", i), true)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.name, alive, dead, took.Round(10*time.Millisecond))
		})
	}
	t.Run("HTTP/3 by UDP ASSOCIATE", func(t *testing.T) {
		start := time.Now()
		alive, dead := c.runHTTP3(t, "c-h3", labSocks), c.runHTTP3(t, "d-h3", "127.0.0.1:"+deadPort)
		if alive != nil || dead == nil || c.hits("d-h3") > 0 {
			t.Errorf("through the proxy %v, by a dead port %v", alive, dead)
		}
		fmt.Fprintf(w, "HTTP/3 by UDP ASSOCIATE\t%s\t%s\t%s\n", word(alive == nil, "ok"), word(dead != nil, "fails"), time.Since(start).Round(10*time.Millisecond))
	})
	t.Run("Go x/net/proxy", func(t *testing.T) {
		start := time.Now()
		alive, dead := c.runGo(t, "c-go", "1080"), c.runGo(t, "d-go", deadPort)
		if alive != nil || dead == nil || c.hits("d-go") > 0 {
			t.Errorf("through the proxy %v, by a dead port %v", alive, dead)
		}
		fmt.Fprintf(w, "Go x/net/proxy\t%s\t%s\t%s\n", word(alive == nil, "ok"), word(dead != nil, "fails"), time.Since(start).Round(10*time.Millisecond))
	})
	_ = w.Flush()
	t.Logf("real clients:\n%s", table)
}

func word(ok bool, good string) string {
	if ok {
		return good
	}
	return "WRONG"
}

// missing says which program is not here, and what to install.
func (r *realClient) missing() string {
	for _, need := range strings.Fields(r.needs) {
		name, pkg, _ := strings.Cut(need, ":")
		_, err := exec.LookPath(name)
		if strings.HasPrefix(name, "/") {
			_, err = os.Stat(name)
		}
		if err != nil {
			return fmt.Sprintf("%s is not installed (package %s)", filepath.Base(name), pkg)
		}
	}
	return ""
}

// clientsBed is a bed with servers for real programs.
type clientsBed struct {
	*bed
	keys, lockedConf, deadConf string
	deadPAC                    string
	socket                     string // of the client with users
	trust                      *tls.Config

	mu   sync.Mutex
	seen map[string]map[string]bool // paths asked for, by id
}

func newClientsBed(t *testing.T) *clientsBed {
	t.Helper()
	c := &clientsBed{bed: newBed(t, bedConfig{paths: []string{"200M/4ms", "100M/6ms"}}), seen: make(map[string]map[string]bool)}
	c.serve(t, c.lab.Server(), labServer+":8080", http.HandlerFunc(c.ServeHTTP), false)
	c.serve(t, c.lab.Server(), labServer+":4443", http.HandlerFunc(c.ServeHTTP), true)
	dead, err := socks.PAC(socks.PACConfig{Proxy: "127.0.0.1:" + deadPort})
	if err != nil {
		t.Fatal(err)
	}
	c.serve(t, c.lab.Client(), "127.0.0.1:1097", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ns-proxy-autoconfig")
		fmt.Fprint(w, dead)
	}), false)
	c.deadPAC = "http://127.0.0.1:1097/proxy.pac"

	c.serveHTTP3(t)
	c.forwardDNS(t)
	text := read(t, c.file("client"), clientFile)
	c.socket = c.file("client", "locked.sock")
	long := fmt.Sprintf("%0255d", 7)
	locked := strings.Replace(text, "listen: 127.0.0.1:1080", fmt.Sprintf("listen: [127.0.0.1:1081, %q]\n  users: {alice: secret, %q: %q}", "unix:"+c.socket, long, long), 1)
	locked = strings.Replace(locked, "# This machine's private key", "admin: {listen: off}\n# This machine's private key", 1)
	c.lockedConf = write(t, c.file("client"), "locked.yaml", locked)
	c.deadConf = write(t, c.file("client"), "dead.yaml", strings.Replace(text, "listen: 127.0.0.1:1080", "listen: 127.0.0.1:"+deadPort, 1))
	second := startProgram(t, t, c.lab.Client(), nil, "client", "-c", c.lockedConf)
	second.line(t, " ready ")
	c.keys = c.startSSHD(t)
	c.background(t, "iperf3", "-s", "-B", labServer)
	return c
}

// serve serves until the test ends.
func (c *clientsBed) serve(t *testing.T, ns *lab.Namespace, addr string, h http.Handler, secure bool) {
	t.Helper()
	ln, err := ns.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener = ln
	t.Cleanup(s.Close)
	if secure {
		s.StartTLS()
		return
	}
	s.Start()
}

// ServeHTTP answers /t/ID with a text, /page/ID with a page of 100 objects, /o/ID/N with
// one of them, and what is below /git/ID with a reference.
func (c *clientsBed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	part := strings.Split(r.URL.Path, "/")
	if len(part) < 3 {
		http.NotFound(w, r)
		return
	}
	c.mu.Lock()
	if c.seen[part[2]] == nil {
		c.seen[part[2]] = make(map[string]bool)
	}
	c.seen[part[2]][r.URL.Path] = true
	c.mu.Unlock()
	switch part[1] {
	case "t":
		fmt.Fprintln(w, bodyOf(part[2]))
	case "git": // a repository, as far as its list of references
		fmt.Fprintf(w, "%040d\trefs/heads/main\n", 1)
	case "o":
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>`)
	case "page":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><body onload="var n=0;for(var i of document.images)n+=i.naturalWidth>0;document.body.append('loaded '+n+' of '+document.images.length)">`)
		for i := range 100 {
			fmt.Fprintf(w, `<img src="/o/%s/%d">`, part[2], i)
		}
	default:
		http.NotFound(w, r)
	}
}

// hits is how many different things of an id were asked for.
func (c *clientsBed) hits(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen[id])
}

func bodyOf(id string) string { return "the body of " + id }

// startSSHD runs an SSH server for the user of the test, and returns the folder of the
// keys. Where it cannot run, the clients of it fail and say so.
func (c *clientsBed) startSSHD(t *testing.T) (keys string) {
	t.Helper()
	keys = t.TempDir()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		return keys
	}
	for _, name := range []string{"host", "key"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(keys, name)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	_ = os.Mkdir("/run/sshd", 0o755) // as root sshd insists on it
	write(t, keys, "sshd_config", fmt.Sprintf("Port 2222\nListenAddress %s\nHostKey %s/host\nAuthorizedKeysFile %s/key.pub\nPidFile none\n"+
		"StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n", labServer, keys, keys))
	c.background(t, "/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(keys, "sshd_config"))
	return keys
}

// background runs a server in the server's namespace until the test ends, if it is
// installed.
func (c *clientsBed) background(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		return
	}
	cmd := c.lab.Server().Command(context.Background(), name, args...)
	out := newWatched()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // ended because it was killed
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, clip(out.String(), 4000))
		}
	})
}

const (
	skipped = "skipped"
	// clientTime ends a program that hangs.
	clientTime = 90 * time.Second
	// skipCode is what a command ends with that finds that it cannot run here.
	skipCode = 77
)

// run runs a program against ports that answer or do not, and judges it.
func (c *clientsBed) run(t *testing.T, r realClient, id string, dead bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTime)
	defer cancel()
	cmd := c.lab.Client().Command(ctx, "sh", "-c", r.command)
	cmd.Env = append(c.environ(t, id, dead), "DIR="+t.TempDir(), "KEYS="+c.keys)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	// Browsers are many processes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == skipCode {
		t.Logf("not possible here: %s", errs.String())
		return skipped
	}
	got := strings.Contains(out.String(), bodyOf(id)) && c.hits(id) >= r.objects
	want := !dead && !r.fails
	if got == want && (want || c.hits(id) == 0) {
		return map[bool]string{true: "ok", false: "fails, as it must"}[want]
	}
	t.Errorf("dead port %v: printed %q, %v, %d objects of the server; it said %s", dead, clip(out.String(), 1000), err, c.hits(id), clip(errs.String(), 2000))
	return "WRONG"
}

// environ are the variables of a command.
func (c *clientsBed) environ(t *testing.T, id string, dead bool) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port, locked, conf, pac, limit := "1080", "1081", c.file("client", clientFile), "http://"+labClientAdmin+"/proxy.pac", "80"
	dns, socket := dnsPort, c.socket
	if dead {
		port, locked, conf, pac, limit = deadPort, deadPort, c.deadConf, c.deadPAC, "20"
		dns, socket = deadPort, c.socket+".dead"
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.Contains(strings.ToLower(v), "_proxy=") })
	return append(
		env, "PORT="+port, "LIMIT="+limit, "LOCKED="+locked, "ID="+id, "BODY="+bodyOf(id), "HOST="+labName, "IP="+labServer, "PAC="+pac, "CONF="+conf, "DNS="+dns, "SOCKET="+socket, "SELF="+self,
		"URL=http://"+labName+":8080/t/"+id, "IPURL=http://"+labServer+":8080/t/"+id, "SECURE=https://"+labName+":4443/t/"+id, "PAGE=http://"+labName+":8080/page/"+id,
	)
}

// dnsPort is where programs on the client's side find the server's name server.
const dnsPort = "5300"

// forwardDNS is what a program needs that does not speak SOCKS by itself: its datagrams go through an association to the name server, and the answers
// back to whoever has asked last.
func (c *clientsBed) forwardDNS(t *testing.T) {
	t.Helper()
	local, err := c.lab.Client().ListenPacket("udp", "127.0.0.1:"+dnsPort)
	if err != nil {
		t.Fatal(err)
	}
	u := c.associate(t, labSocks)
	var last atomic.Pointer[net.Addr]
	var wg sync.WaitGroup
	pump := func(from net.PacketConn, pass func(p []byte, from net.Addr)) {
		b := make([]byte, 4096)
		for {
			n, at, err := from.ReadFrom(b)
			if err != nil {
				return
			}
			pass(b[:n], at)
		}
	}
	wg.Go(func() {
		pump(local, func(p []byte, from net.Addr) {
			last.Store(&from)
			_, _ = u.WriteTo(p, &net.UDPAddr{IP: net.ParseIP(labServer), Port: 53})
		})
	})
	wg.Go(func() { pump(u, func(p []byte, _ net.Addr) { _, _ = local.WriteTo(p, *last.Load()) }) })
	t.Cleanup(func() {
		_ = local.Close()
		_ = u.Close()
		wg.Wait()
	})
}

// associate opens an association on the client's side.
func (c *clientsBed) associate(t *testing.T, proxy string) *socksPacketConn {
	t.Helper()
	sock, err := c.lab.Client().ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := udpAssociate(c.dial(t, proxy), sock)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// serveHTTP3 serves the same as the others by HTTP/3.
func (c *clientsBed) serveHTTP3(t *testing.T) {
	t.Helper()
	pc, err := c.lab.Server().ListenPacket("udp", labServer+":4443")
	if err != nil {
		t.Fatal(err)
	}
	cert, pool := quicIdentity(t)
	c.trust = &tls.Config{RootCAs: pool, ServerName: "echo.test"}
	serveHTTP3(t, pc, cert, http.HandlerFunc(c.ServeHTTP))
}

// runHTTP3 is a program that speaks HTTP/3 and SOCKS5 UDP.
func (c *clientsBed) runHTTP3(t *testing.T, id, proxy string) error {
	t.Helper()
	control, err := c.lab.Client().Dial(t.Context(), "tcp", proxy)
	if err != nil {
		return err
	}
	defer control.Close()
	sock, err := c.lab.Client().ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	u, err := udpAssociate(control, sock)
	if err != nil {
		return err
	}
	tr := http3Through(u, &net.UDPAddr{IP: net.ParseIP(labServer), Port: 4443}, c.trust)
	defer tr.Close()
	resp, err := (&http.Client{Transport: tr, Timeout: clientTime}).Get("https://echo.test/t/" + id)
	if err != nil {
		return err
	}
	return bodyIs(resp, id)
}

// bodyIs reads an answer.
func bodyIs(resp *http.Response, id string) error {
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil || body.String() != bodyOf(id)+"\n" {
		return fmt.Errorf("body %q, %w", &body, err)
	}
	return nil
}

// runGo is Go's own SOCKS5 client.
func (c *clientsBed) runGo(t *testing.T, id, port string) error {
	t.Helper()
	d, err := proxy.SOCKS5("tcp", "127.0.0.1:"+port, nil, namespaceDialer{c.lab.Client()})
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DialContext: d.(proxy.ContextDialer).DialContext, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr, Timeout: clientTime}).Get("http://" + labName + ":8080/t/" + id)
	if err != nil {
		return err
	}
	return bodyIs(resp, id)
}

// namespaceDialer dials from inside a namespace.
type namespaceDialer struct{ ns *lab.Namespace }

func (d namespaceDialer) Dial(network, addr string) (net.Conn, error) {
	return d.ns.Dial(context.Background(), network, addr)
}

func (d namespaceDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.ns.Dial(ctx, network, addr)
}
