package sysservice

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func services() []Service {
	var all []Service
	for _, role := range []string{"client", "egress"} {
		for _, user := range []bool{false, true} {
			all = append(all, Service{Role: role, Program: "/bin/true", Config: "/etc/mp socks/" + role + "%.yaml", User: user})
		}
	}
	return all
}

// TestUnitVerifies asks systemd itself.
func TestUnitVerifies(t *testing.T) {
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze")
	}
	for _, s := range services() {
		file := filepath.Join(t.TempDir(), s.Name()+".service")
		if err := os.WriteFile(file, []byte(s.Unit()), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"verify", "--man=no", file}
		if s.User {
			args = append([]string{"--user"}, args...)
			t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
		}
		// It says what it does not know, and ends with 0 all the same.
		out, err := exec.Command(verify, args...).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, s.Name()) {
				t.Errorf("systemd-analyze verify of %+v: %s", s, line)
			}
		}
		if err != nil {
			t.Errorf("systemd-analyze verify of %+v: %v\n%s", s, err, out)
		}
	}
}

func TestUnit(t *testing.T) {
	for _, s := range services() {
		text := s.Unit()
		if i := strings.IndexAny(text, "{}"); i >= 0 {
			t.Errorf("%+v: a place is not filled in: %s", s, text[i:])
		}
		if want := "\nExecStart=/bin/true " + s.Role + ` -c "/etc/mp socks/` + s.Role + "%%.yaml\"\n"; !strings.Contains(text, want) {
			t.Errorf("%+v: no line %q in\n%s", s, want, text)
		}
		if strings.Contains(text, "User=") == s.User {
			t.Errorf("%+v: a user in the unit of the machine, and only there:\n%s", s, text)
		}
	}
}

// TestPackaged: the units that packages install are those of `service install`.
func TestPackaged(t *testing.T) {
	for _, role := range []string{"client", "egress"} {
		s := Service{Role: role, Program: "/usr/bin/mpsocks", Config: "/etc/mpsocks/" + role + ".yaml"}
		for name, want := range map[string]string{s.Name() + ".service": s.Unit(), "sysusers.conf": sysusers} {
			file := filepath.Join("../../packaging/systemd", name)
			if os.Getenv("MPSOCKS_TEST_WRITE") != "" {
				if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != want {
				t.Errorf("%s is not what service install writes (%v); MPSOCKS_TEST_WRITE=1 go test writes it anew", file, err)
			}
		}
	}
}

func TestPlist(t *testing.T) {
	s := Service{Role: "client", Program: "/usr/local/bin/mpsocks", Config: `/Users/a & b/"c".yaml`, User: true}
	text := s.Plist(s.logFile("/Users/a & b"))
	var words []string
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if c, ok := token.(xml.CharData); ok && strings.TrimSpace(string(c)) != "" {
			words = append(words, string(c))
		}
	}
	all := strings.Join(words, "\n")
	for _, want := range []string{"net.mpsocks.client", "/usr/local/bin/mpsocks\nclient\n-c\n" + `/Users/a & b/"c".yaml`, "/Users/a & b/Library/Logs/mpsocks-client.log"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in the plist:\n%s", want, text)
		}
	}
}

// TestPlans reads what is done where: the order matters.
func TestPlans(t *testing.T) {
	m := Service{Role: "egress", Program: "/usr/bin/mpsocks", Config: "/etc/mpsocks/egress.yaml"}
	u := m
	u.User = true
	for _, tc := range []struct {
		name  string
		steps []Step
		want  []string
	}{
		{"systemd", m.systemdInstall("/root"), []string{
			"write /etc/sysusers.d/mpsocks.conf", "systemd-sysusers /etc/sysusers.d/mpsocks.conf", "chown -h mpsocks: /etc/mpsocks /etc/mpsocks/egress.yaml",
			"write /etc/systemd/system/mpsocks-egress.service", "systemctl daemon-reload", "systemctl enable --now mpsocks-egress.service",
		}},
		{"systemd, user", u.systemdInstall("/home/a"), []string{
			"write /home/a/.config/systemd/user/mpsocks-egress.service", "systemctl --user daemon-reload", "systemctl --user enable --now mpsocks-egress.service",
		}},
		{"systemd, gone", m.systemdUninstall("/root"), []string{
			"systemctl disable --now mpsocks-egress.service", "rm -f /etc/systemd/system/mpsocks-egress.service", "systemctl daemon-reload",
		}},
		{"launchd", m.launchdInstall("/var/root", 0), []string{
			"launchctl bootout system/net.mpsocks.egress", "write /Library/LaunchDaemons/net.mpsocks.egress.plist",
			"launchctl bootstrap system /Library/LaunchDaemons/net.mpsocks.egress.plist",
		}},
		{"launchd, user, gone", u.launchdUninstall("/Users/a", 501), []string{
			"launchctl bootout gui/501/net.mpsocks.egress", "rm -f /Users/a/Library/LaunchAgents/net.mpsocks.egress.plist",
		}},
	} {
		var got []string
		for _, s := range tc.steps {
			line, _, _ := strings.Cut(s.String(), ":\n")
			got = append(got, line)
		}
		if strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", tc.name, strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
		}
	}
}

func TestCarry(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "new", "a.service")
	reached := false
	broken := errors.New("broken")
	err := Carry(t.Context(), []Step{
		{Remove: file},
		{Do: func() error { return broken }, May: true},
		{Write: file, Text: "text\n", Mode: 0o640},
		{Do: func() error { return broken }},
		{Do: func() error { reached = true; return nil }},
	})
	if !errors.Is(err, broken) || reached {
		t.Errorf("Carry = %v, the step behind was reached: %v; want %v and false", err, reached, broken)
	}
	if got, err := os.ReadFile(file); string(got) != "text\n" {
		t.Errorf("wrote %q, %v", got, err)
	}
	if err := Carry(t.Context(), []Step{{Remove: file}}); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(file); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", file, err)
	}
}
