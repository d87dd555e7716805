//go:build !unix && !windows

package sysservice

import "context"

// Install plans nothing here.
func (s Service) Install() ([]Step, error) { return nil, ErrNotSupported }

// Uninstall plans nothing here.
func (s Service) Uninstall() ([]Step, error) { return nil, ErrNotSupported }

// Status knows nothing here.
func (s Service) Status(context.Context) (string, error) { return "", ErrNotSupported }

// Run calls serve.
func Run(serve func(stop <-chan struct{}) int) int { return serve(nil) }
