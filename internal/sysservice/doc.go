// Package sysservice makes the program a service of its system: a hardened unit of systemd, a
// job of launchd, a service of Windows. A Service is what is to run; Plan says which files
// and commands that takes, and nothing is done before it is carried out, so that people can
// read it first.
package sysservice
