// Package docker has the images and compose files, and the test that runs them.
package docker
