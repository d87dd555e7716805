//go:build !linux

package upstream

import "context"

// watchSystem signals when the interfaces look different from before.
func watchSystem(ctx context.Context, signal chan<- struct{}) {
	pollNetifs(ctx, pollEvery, readNetifs, signal)
}
