package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/lab"
)

// checkTime is how long a step of the check takes unless the user says. There are
// seven for each path and two for all together.
const checkTime = 3 * time.Second

// checkLab prints for every scenario what its paths are set to beside what they
// do on this machine. Steps take that long, and longer where lines are slow.
func checkLab(ctx context.Context, e env, scenarios []*bench.Scenario, seed uint64, step time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer stopOn(e.signals, cancel)()
	for _, s := range scenarios {
		fmt.Fprintf(e.out, "%s: %s\n", s.Name, s.Title)
		if err := checkScenario(ctx, e, s, seed, time.Duration(max(s.Scale.Time, 1)*float64(step))); err != nil {
			return fmt.Errorf("check scenario %s: %w", s.Name, err)
		}
		fmt.Fprintln(e.out)
	}
	return nil
}

func checkScenario(ctx context.Context, e env, s *bench.Scenario, seed uint64, step time.Duration) error {
	l, err := lab.New(lab.Config{Paths: s.Paths, Sysctls: s.Sysctls, Seed: seed})
	if err != nil {
		return err
	}
	_, err = lab.SelfCheck(ctx, l, e.out, step)
	return errors.Join(context.Cause(ctx), err, l.Close())
}
