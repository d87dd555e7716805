package sysservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// restartWait is how long after a crash the service is started again.
const restartWait = 2 * time.Second

// localService is an account that may next to nothing.
const localService = `NT AUTHORITY\LocalService`

// errNoUser says that Windows has no services of one person.
var errNoUser = errors.New("Windows has no services of one person; leave out --user")

// Install plans to install the service and to start it, now and with the machine.
func (s Service) Install() ([]Step, error) {
	if s.User {
		return nil, errNoUser
	}
	return []Step{
		{Words: "install the service " + s.Name() + ": " + windows.ComposeCommandLine(append([]string{s.Program}, s.args()...)) + ", as " + localService, Do: s.create},
		{Run: []string{"icacls", s.Config, "/grant", "*S-1-5-19:R"}}, // LocalService
		{Words: "start the service " + s.Name(), Do: func() error { return s.with(func(v *mgr.Service) error { return v.Start() }) }},
	}, nil
}

// Uninstall plans to stop the service and to remove it. Configuration and keys stay.
func (s Service) Uninstall() ([]Step, error) {
	if s.User {
		return nil, errNoUser
	}
	return []Step{
		{Words: "stop the service " + s.Name(), May: true, Do: func() error {
			return s.with(func(v *mgr.Service) error { _, err := v.Control(svc.Stop); return err })
		}},
		{Words: "remove the service " + s.Name(), Do: func() error { return s.with(func(v *mgr.Service) error { return v.Delete() }) }},
	}, nil
}

// Status is what the service manager says of the service; an error if it does not run.
func (s Service) Status(context.Context) (text string, err error) {
	err = s.with(func(v *mgr.Service) error {
		st, err := v.Query()
		if err != nil {
			return err
		}
		if text = fmt.Sprintf("%s: state %d, process %d\n", s.Name(), st.State, st.ProcessId); st.State != svc.Running {
			return errors.New("the service does not run")
		}
		return nil
	})
	return text, err
}

func (s Service) create() error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("connect to the service manager (is this an administrator's shell?): %w", err)
	}
	defer func() { _ = m.Disconnect() }()
	v, err := m.CreateService(s.Name(), s.Program, mgr.Config{
		DisplayName: "mpsocks " + s.Role, Description: "Carries connections over all network paths at once.",
		StartType: mgr.StartAutomatic, DelayedAutoStart: true, ServiceStartName: localService,
	}, s.args()...)
	if err != nil {
		return fmt.Errorf("install the service %s: %w", s.Name(), err)
	}
	defer v.Close()
	again := mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: restartWait}
	return v.SetRecoveryActions([]mgr.RecoveryAction{again, again, again}, uint32((24 * time.Hour).Seconds()))
}

func (s Service) with(do func(*mgr.Service) error) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("connect to the service manager (is this an administrator's shell?): %w", err)
	}
	defer func() { _ = m.Disconnect() }()
	v, err := m.OpenService(s.Name())
	if err != nil {
		return fmt.Errorf("service %s: %w", s.Name(), err)
	}
	defer v.Close()
	return do(v)
}

// Run calls serve, as a service if the service manager has started this process: then stop
// has a token when the service is to end.
func Run(serve func(stop <-chan struct{}) int) int {
	if is, err := svc.IsWindowsService(); err != nil || !is {
		return serve(nil)
	}
	h := &handler{serve: serve}
	if err := svc.Run("mpsocks", h); err != nil { // the name counts for nothing in a process of one service
		return 1
	}
	return h.code
}

// handler is the service as Windows sees it.
type handler struct {
	serve func(stop <-chan struct{}) int
	code  int
}

// Execute runs until the service has ended.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	const accepts = svc.AcceptStop | svc.AcceptShutdown
	stop, done := make(chan struct{}, 1), make(chan struct{})
	go h.run(stop, done)
	status <- svc.Status{State: svc.Running, Accepts: accepts}
	for {
		select {
		case <-done:
			return h.code != 0, uint32(h.code)
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending, WaitHint: 30000}
				select {
				case stop <- struct{}{}:
				default:
				}
			}
		}
	}
}

func (h *handler) run(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	h.code = h.serve(stop)
}
