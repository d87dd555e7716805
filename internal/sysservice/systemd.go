package sysservice

import (
	"os"
	"path/filepath"
	"strings"
)

// systemUser is who the service of a machine runs as: nobody who can do anything else.
const systemUser = "mpsocks"

// sysusers has systemd-sysusers(8) make that user.
const sysusers = "u mpsocks - \"mpsocks\" /var/lib/mpsocks\n"

// unit is the service for systemd; words in braces are filled in. What a proxy does not
// need it cannot do: no file but its own, no device, no other process, no kind of socket
// but those of the net, no memory that is both written and run.
const unit = `[Unit]
Description=mpsocks {role}
Documentation=https://github.com/mpsocks/mpsocks
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart={program} {role} -c {config}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
# 2: the configuration is wrong, and will be on the next start too
RestartPreventExitStatus=2
WatchdogSec=60
LimitNOFILE=65536
{user}
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy={target}
`

// machineOnly are the lines of a unit that only the manager of the machine can obey.
const machineOnly = `User=mpsocks
Group=mpsocks
# A port below 1024 needs this, and nothing needs more.
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
StateDirectory=mpsocks
StateDirectoryMode=0700
ReadWritePaths=-{folder}
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=all
PrivateDevices=yes
PrivateTmp=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes`

// Unit is the text of the service's unit for systemd.
func (s Service) Unit() string {
	user, target := machineOnly, "multi-user.target"
	if s.User {
		user, target = "", "default.target"
	}
	return strings.NewReplacer(
		"{role}", s.Role, "{program}", execQuote(s.Program), "{config}", execQuote(s.Config), "{target}", target,
	).Replace(strings.Replace(unit, "{user}", strings.ReplaceAll(user, "{folder}", systemdQuote(filepath.Dir(s.Config))), 1))
}

// systemdQuote makes a file name one word of a line of a unit (systemd.syntax(7)).
func systemdQuote(name string) string {
	name = strings.ReplaceAll(name, `%`, `%%`)
	if !strings.ContainsAny(name, " \t\"'\\;") {
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// execQuote is systemdQuote for a command, in which variables are put (systemd.service(5)).
func execQuote(name string) string { return strings.ReplaceAll(systemdQuote(name), `$`, `$$`) }

// unitFile is where the unit goes; home is that of the user.
func (s Service) unitFile(home string) string {
	if s.User {
		return filepath.Join(home, ".config/systemd/user", s.Name()+".service")
	}
	return filepath.Join("/etc/systemd/system", s.Name()+".service")
}

const sysusersFile = "/etc/sysusers.d/mpsocks.conf"

func (s Service) systemctl(args ...string) []string {
	if s.User {
		return append([]string{"systemctl", "--user"}, args...)
	}
	return append([]string{"systemctl"}, args...)
}

// systemdInstall gives the service's user the folder of the configuration and the files that it names: he alone reads
// the key. It follows no links, which that user may have made.
func (s Service) systemdInstall(home string) []Step {
	var steps []Step
	if !s.User {
		steps = append(steps,
			Step{Write: sysusersFile, Text: sysusers, Mode: 0o644},
			Step{Run: []string{"systemd-sysusers", sysusersFile}},
			Step{Run: append([]string{"chown", "-h", systemUser + ":"}, s.owned()...)})
	}
	return append(steps,
		Step{Write: s.unitFile(home), Text: s.Unit(), Mode: 0o644},
		Step{Run: s.systemctl("daemon-reload")},
		Step{Run: s.systemctl("enable", "--now", s.Name()+".service")})
}

// systemdUninstall leaves the user and his files where they are.
func (s Service) systemdUninstall(home string) []Step {
	return []Step{
		{Run: s.systemctl("disable", "--now", s.Name()+".service"), May: true},
		{Remove: s.unitFile(home)},
		{Run: s.systemctl("daemon-reload")},
	}
}

func (s Service) systemdStatus() []string {
	return s.systemctl("status", "--no-pager", s.Name()+".service")
}

// hasSystemd reports whether systemd runs this machine (sd_booted(3)).
func hasSystemd() bool {
	_, err := os.Lstat("/run/systemd/system")
	return err == nil
}
