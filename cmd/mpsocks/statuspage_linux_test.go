package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// pageBed is a client with two paths that can be cut, its egress, a target that sends for as long as somebody reads, and a download from it.
type pageBed struct {
	client, egress     *daemon
	file               string // the client's
	admin, egressAdmin string
	proxy              string
	target             string
	cable, phone       *cuttable
	token              string
	downloads          chan error
}

func newPageBed(t *testing.T) *pageBed {
	t.Helper()
	client, egress := testFiles(t)
	b := &pageBed{file: client, downloads: make(chan error, 8)}
	b.egress = launch(t, "egress", "-c", egress)
	at := words(b.egress.err.line(t, " ready "))
	b.egressAdmin = at["admin"]
	to := func() string { return at["listen"] }
	b.cable, b.phone = newCuttable(t, 2_500_000, to), newCuttable(t, 1_000_000, to)
	text := read(t, "", client)
	i := strings.Index(text, "paths: [")
	j := i + strings.Index(text[i:], "\n")
	text = text[:i] + fmt.Sprintf("paths: [{name: cable, source: 127.0.0.1, egress: [%q]}, {name: phone, source: 127.0.0.1, egress: [%q]}]", b.cable.addr(), b.phone.addr()) + text[j:]
	// The ports must be the same again after a restart.
	b.proxy, b.admin = freePort(t), freePort(t)
	text = strings.Replace(text, "listen: 127.0.0.1:0", "listen: "+b.proxy, 1)
	text = strings.Replace(text, "admin: {listen: \"127.0.0.1:0\"}", "admin: {listen: \""+b.admin+"\"}", 1)
	write(t, "", client, text)
	b.start(t)
	b.token = strings.TrimSpace(mpsocks(t, "", "paths", "token", "-c", client).out)
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(buf); err != nil {
				return
			}
		}
	}))
	t.Cleanup(endless.Close)
	b.target = endless.URL
	return b
}

func (b *pageBed) start(t *testing.T) {
	t.Helper()
	b.client = launch(t, "client", "-c", b.file)
	b.client.err.line(t, " ready ")
}

// download begins one that goes on until stop is called.
func (b *pageBed) download(t *testing.T) (stop func()) {
	t.Helper()
	c := throughSocks(t, nil, b.proxy)
	resp, err := c.Get(b.target)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := io.Copy(io.Discard, resp.Body)
		b.downloads <- err
	}()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = resp.Body.Close()
			c.CloseIdleConnections()
		}
	}
	t.Cleanup(stop)
	return stop
}

// card is the card of a path on the page, as an expression.
func card(path string) string {
	return fmt.Sprintf("document.querySelector('article[data-key=%s]')", path)
}

// A real browser looks at the page while a path is cut under a download.
func TestStatusPageInABrowser(t *testing.T) {
	bed := newPageBed(t)
	b := openBrowser(t, 1280, 900, false)
	bed.download(t)
	b.visit("http://" + bed.admin + "/#token=" + bed.token)

	b.until("both paths are shown", card("cable")+"?.innerText.includes('● up') && "+card("phone")+"?.innerText.includes('● up')")
	b.until("the token has left the address", "location.hash === ''")
	b.until("the download is listed with both paths", "document.querySelector('#conns tr')?.innerText.includes('cable, phone')")
	before := b.eval("document.querySelector('#down path.edge').getAttribute('d')")
	b.until("the charts move", fmt.Sprintf("document.querySelector('#down path.edge').getAttribute('d') !== %q", before))
	b.until("rates are shown", "/Mbit/.test(document.querySelector('#down-now').textContent)")

	// The cut: the reason must be there within two seconds of it. The page is told to note when, so that this test's own slowness does not count.
	bed.cable.cut.Store(true)
	took := b.until("the reason appears", "/no answer|does not answer|timeout|connecting again/i.test("+card("cable")+".querySelector('[data-of=why]').textContent)")
	t.Logf("the reason appeared after %v: %s", took, b.text("article[data-key=cable] [data-of=why]"))
	if took > 2*time.Second {
		t.Errorf("the reason appeared after %v, want 2s at most", took)
	}
	b.until("the event is told in words", "/Path cable does not answer/.test(document.querySelector('#events').textContent)")
	b.picture("cut")
	bed.cable.cut.Store(false)
	b.until("it is back", card("cable")+".innerText.includes('● up')")

	// Roles, by the page's own controls.
	b.eval(card("phone") + ".querySelector('select').value = 'backup'")
	b.eval(card("phone") + ".querySelector('[data-of=set]').click()")
	b.until("the role is changed", card("phone")+".querySelector('[data-of=Role]').textContent === 'backup'")
	b.eval(card("phone") + ".querySelector('[data-of=off]').click()")
	b.until("it is switched off", card("phone")+".innerText.includes('switched off by hand')")
	b.until("and can be switched on", card("phone")+".querySelector('[data-of=off]').textContent === 'Switch on'")
	b.eval(card("phone") + ".querySelector('[data-of=off]').click()")
	b.until("it is on again", card("phone")+".querySelector('[data-of=off]').textContent === 'Switch off'")

	// The download, by its button.
	b.eval("document.querySelector('#conns button').click()")
	b.until("the connection has gone", "document.querySelectorAll('#conns tr').length === 0")
	if err := <-bed.downloads; err == nil {
		t.Error("the download ended without an error, want a reset")
	}

	// A reload shows the minutes before at once.
	points := "document.querySelector('#down path.edge').getAttribute('d').split('L').length"
	had := b.eval(points).(float64)
	b.visit("http://" + bed.admin + "/")
	b.until("the history is there after a reload", "document.querySelector('#down path.edge') && "+points+fmt.Sprintf(" >= %v", had))

	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
	}
}

// The page says when the program does not answer, and goes on with the next one; what it has seen before stays.
func TestStatusPageOutlivesTheProgram(t *testing.T) {
	bed := newPageBed(t)
	b := openBrowser(t, 1280, 900, true)
	b.visit("http://" + bed.admin + "/")
	b.until("it is up", "document.querySelector('#headline').textContent.startsWith('Up')")
	b.until("there is a chart", "document.querySelectorAll('#down path.edge').length === 2")
	if code := bed.client.stop(); code != exitOK {
		t.Fatalf("client ended with %d:\n%s", code, bed.client.err)
	}
	b.until("it says so", "document.querySelector('#headline').textContent === 'The program does not answer'")
	b.until("what is not known is a dash", "document.querySelector('#down-now').textContent === '-' && "+card("cable")+".querySelector('[data-of=Down]').textContent === '-'")
	b.picture("gone")
	_ = b.complaints() // of the port that was closed
	bed.start(t)
	b.until("it is up again", "document.querySelector('#headline').textContent.startsWith('Up')")
	b.until("with the time before", "document.querySelectorAll('#down rect.gone').length > 0")
	b.until("and says nothing of an outage any more", "document.querySelector('#link').hidden")
}

// audit is what an audit of accessibility looks for, in the page: controls without a name, text with too little contrast (WCAG 2.2, 1.4.3),
// controls too small to be hit (2.5.8).
const audit = `(() => {
	const found = [];
	const name = (e) => (e.getAttribute('aria-label') || document.getElementById(e.getAttribute('aria-labelledby'))?.textContent ||
		[...(e.labels ?? [])].map((l) => l.textContent).join(' ') || (e.matches('input,select') ? '' : e.textContent)).trim();
	for (const e of document.querySelectorAll('button,select,input,a,[role=img],[role=region]')) if (!name(e)) found.push('no name: ' + e.outerHTML.slice(0, 200));
	for (const e of document.querySelectorAll('button,select,input')) {
		const r = e.getBoundingClientRect();
		if (r.width && (r.width < 24 || r.height < 24)) found.push('too small: ' + e.outerHTML.slice(0, 200));
	}
	const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length === 3 ? [...m, 1] : m; };
	const lum = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
	const back = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
	let texts = 0;
	const all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (all.nextNode()) {
		const e = all.currentNode.parentElement;
		if (!all.currentNode.data.trim() || !e.getClientRects().length || e.closest('noscript,:disabled,.ear')) continue;
		texts++;
		const style = getComputedStyle(e);
		const [x, y] = [lum(parse(e.closest('svg') ? style.fill : style.color)), lum(back(e))];
		const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
		if (ratio < 4.5) found.push('contrast ' + ratio.toFixed(2) + ': ' + all.currentNode.data.trim());
	}
	if (texts < 40) found.push('only ' + texts + ' texts seen');
	return found.join('\n');
})()`

// Pictures for people, and what a script can see: nothing is wider than the window, and an audit finds nothing.
func TestStatusPageLayout(t *testing.T) {
	bed := newPageBed(t)
	b := openBrowser(t, 1280, 900, false)
	bed.download(t)
	for _, port := range []string{bed.admin, bed.egressAdmin} {
		who := map[bool]string{true: "client", false: "egress"}[port == bed.admin]
		b.visit("http://" + port + "/")
		b.until("a chart is there", "document.querySelector('#down path.edge')?.getAttribute('d').split('L').length > 3 && document.querySelectorAll('#conns tr').length > 0")
		for _, width := range []int{1240, 768, 390} {
			for _, scheme := range []string{"light", "dark"} {
				b.look(width, 900, scheme)
				b.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
				if over := b.eval("document.documentElement.scrollWidth").(float64) - float64(width); over > 0 {
					t.Errorf("%s at %d px: %v px wider than the window", who, width, over)
				}
				if found := b.eval(audit); found != "" {
					t.Errorf("%s, %s at %d px:\n%s", who, scheme, width, found)
				}
				b.picture(fmt.Sprintf("%s-%s-%d", who, scheme, width))
			}
		}
	}
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
	}
}

// A client of several egresses shows all of them, which is in use, and why.
func TestStatusPageOfSeveralEgresses(t *testing.T) {
	client, home, _ := twoEgresses(t)
	in := launch(t, "client", "-c", client)
	port := words(in.err.line(t, " ready "))["admin"]
	b := openBrowser(t, 1280, 900, false)
	b.visit("http://" + port + "/")
	row := func(name string) string { return "document.querySelector('#egresses tr[data-key=" + name + "]')" }
	b.until("both answer", row("home")+"?.innerText.includes('● up') && "+row("spare")+"?.innerText.includes('● up')")
	b.until("the first is in use, with the reason", row("home")+".innerText.includes('→ yes') && /first/.test("+row("home")+".querySelector('.long').innerText)")
	for _, width := range []int{1240, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.look(width, 900, scheme)
			b.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
			if found := b.eval(audit); found != "" {
				t.Errorf("%s at %d px:\n%s", scheme, width, found)
			}
			b.picture(fmt.Sprintf("egresses-%s-%d", scheme, width))
		}
	}
	home.stop()
	b.until("the other one is in use", row("spare")+".innerText.includes('→ yes') && !"+row("home")+".innerText.includes('→ yes')")
	b.until("the first is down, with the reason", row("home")+".innerText.includes('■ down') && "+row("home")+".querySelector('.long').innerText.length > 3")
	b.look(1240, 900, "light")
	b.picture("egresses-failover")
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
	}
}
