package sysservice

import (
	"encoding/xml"
	"fmt"
	"path/filepath"
	"strings"
)

// label is what launchd calls the service.
func (s Service) label() string { return "net.mpsocks." + s.Role }

// Plist is the text of the service's job for launchd (launchd.plist(5)).
func (s Service) Plist(logFile string) string {
	var args strings.Builder
	for _, a := range append([]string{s.Program}, s.args()...) {
		fmt.Fprintf(&args, "\t\t<string>%s</string>\n", xmlText(a))
	}
	return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>` + s.label() + `</string>
	<key>ProgramArguments</key>
	<array>
` + args.String() + `	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>ExitTimeOut</key>
	<integer>30</integer>
	<key>ProcessType</key>
	<string>Interactive</string>
	<key>SoftResourceLimits</key>
	<dict>
		<key>NumberOfFiles</key>
		<integer>65536</integer>
	</dict>
	<key>StandardErrorPath</key>
	<string>` + xmlText(logFile) + `</string>
</dict>
</plist>
`
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // into memory
	return b.String()
}

func (s Service) plistFile(home string) string {
	if s.User {
		return filepath.Join(home, "Library/LaunchAgents", s.label()+".plist")
	}
	return filepath.Join("/Library/LaunchDaemons", s.label()+".plist")
}

func (s Service) logFile(home string) string {
	if s.User {
		return filepath.Join(home, "Library/Logs", s.Name()+".log")
	}
	return filepath.Join("/var/log", s.Name()+".log")
}

// domain is where launchctl looks for the service.
func (s Service) domain(uid int) string {
	if s.User {
		return fmt.Sprintf("gui/%d", uid)
	}
	return "system"
}

func (s Service) launchdInstall(home string, uid int) []Step {
	return []Step{
		{Run: []string{"launchctl", "bootout", s.domain(uid) + "/" + s.label()}, May: true}, // an older one
		{Write: s.plistFile(home), Text: s.Plist(s.logFile(home)), Mode: 0o644},
		{Run: []string{"launchctl", "bootstrap", s.domain(uid), s.plistFile(home)}},
	}
}

func (s Service) launchdUninstall(home string, uid int) []Step {
	return []Step{
		{Run: []string{"launchctl", "bootout", s.domain(uid) + "/" + s.label()}, May: true},
		{Remove: s.plistFile(home)},
	}
}

func (s Service) launchdStatus(uid int) []string {
	return []string{"launchctl", "print", s.domain(uid) + "/" + s.label()}
}
