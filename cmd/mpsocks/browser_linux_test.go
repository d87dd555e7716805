package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium with one page, told what to do by the DevTools protocol over a pair of pipes: messages of JSON that end with a zero byte.
type browser struct {
	t       *testing.T
	cmd     *exec.Cmd
	to      *os.File
	session string
	ended   chan struct{} // closed when its messages have

	mu       sync.Mutex
	last     int
	answers  map[int]chan devMessage
	problems []string // what the page complained of
}

type devMessage struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// browserTime bounds what a browser takes for anything, on a machine that is busy.
const browserTime = time.Minute

// openBrowser starts Chromium, which the test needs, with an empty page of that size. The test ends it.
func openBrowser(t *testing.T, width, height int, dark bool) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs the Debian package chromium")
	}
	theirs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, to: to, answers: make(map[int]chan devMessage), ended: make(chan struct{})}
	b.cmd = exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-extensions", "--no-proxy-server", "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+filepath.Join(t.TempDir(), "profile"), "about:blank")
	b.cmd.ExtraFiles = []*os.File{theirs, out} // its descriptors 3 and 4
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	_ = out.Close()
	go b.read(from)
	t.Cleanup(b.close)
	b.attach(width, height, dark)
	return b
}

func (b *browser) close() {
	_ = b.to.Close() // it ends when nobody can tell it anything any more
	timer := time.AfterFunc(browserTime, func() { _ = b.cmd.Process.Kill() })
	_ = b.cmd.Wait() // how it ended says nothing
	timer.Stop()
	<-b.ended
}

func (b *browser) attach(width, height int, dark bool) {
	b.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		ID string `json:"sessionId"`
	}
	b.call("Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	b.session = attached.ID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.look(width, height, scheme)
}

// look sets the size of the window and the colours that the person prefers.
func (b *browser) look(width, height int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// read takes in what the browser says.
func (b *browser) read(from *os.File) {
	defer close(b.ended)
	defer from.Close()
	r := bufio.NewReader(from)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m devMessage
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if answer := b.answers[m.ID]; answer != nil {
			delete(b.answers, m.ID)
			answer <- m
		}
		switch m.Method {
		case "Runtime.exceptionThrown", "Log.entryAdded":
			b.problems = append(b.problems, m.Method+": "+string(m.Params))
		case "Runtime.consoleAPICalled":
			if strings.Contains(string(m.Params), `"type":"error"`) || strings.Contains(string(m.Params), `"type":"warning"`) {
				b.problems = append(b.problems, m.Method+": "+string(m.Params))
			}
		}
		b.mu.Unlock()
	}
}

// complaints are what the page has complained of since they were asked for last.
func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.problems
	b.problems = nil
	return p
}

// call asks the browser for something and waits for its answer.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	answer := make(chan devMessage, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.answers[id] = answer
	b.mu.Unlock()
	if params == nil {
		params = struct{}{}
	}
	m := map[string]any{"id": id, "method": method, "params": params}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	text, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	timer := time.NewTimer(browserTime)
	defer timer.Stop()
	select {
	case a := <-answer:
		if a.Error != nil {
			b.t.Fatalf("%s: %s", method, a.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(a.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-b.ended:
		b.t.Fatalf("%s: the browser has ended", method)
	case <-timer.C:
		b.t.Fatalf("%s: no answer", method)
	}
}

// eval has the page compute an expression, promises included, and returns its value.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	var out struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &out)
	if e := out.Exception; e != nil {
		b.t.Fatalf("%s: %s %s", expression, e.Text, e.Exception.Description)
	}
	return out.Result.Value
}

// text is an element's text.
func (b *browser) text(selector string) string {
	b.t.Helper()
	return fmt.Sprint(b.eval(fmt.Sprintf("document.querySelector(%q)?.textContent ?? ''", selector)))
}

// until waits for an expression to be true, looking at each frame, and returns how long that took in the page's own time; the test ends if it does not.
func (b *browser) until(what, expression string) time.Duration {
	b.t.Helper()
	took := b.eval(fmt.Sprintf(`new Promise((done) => {
		const from = performance.now();
		const look = () => {
			if (%s) done(performance.now() - from);
			else if (performance.now() - from > %d) done(-1);
			else setTimeout(look, 20);
		};
		look();
	})`, expression, (browserTime / 2).Milliseconds()))
	ms, _ := took.(float64)
	if ms < 0 {
		b.t.Fatalf("%s: not within %v; the page shows:\n%s", what, browserTime/2, b.eval("document.body.innerText"))
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// visit opens a page and waits until it is there.
func (b *browser) visit(url string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.until("open "+url, "document.readyState === 'complete' && location.href.startsWith('http')")
}

// picture writes what the whole page looks like to a file, if TEST_PICTURES names a folder: for people to look at. The programs that tests start refuse variables that begin with MPSOCKS_ and are none of theirs.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("TEST_PICTURES")
	if dir == "" {
		return
	}
	var shot struct {
		Data string `json:"data"`
	}
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Error(err)
	}
}
