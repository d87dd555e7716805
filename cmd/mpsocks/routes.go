package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/socks"
	"github.com/mpsocks/mpsocks/upstream"
)

// dialPaths opens streams for rules that are about paths.
func dialPaths(c *upstream.Client) func(context.Context, socks.PathPolicy) (net.Conn, error) {
	return func(ctx context.Context, p socks.PathPolicy) (net.Conn, error) {
		conn, err := c.DialPaths(ctx, upstream.StreamPaths{Only: p.Only, Redundant: p.Redundant, NoBackup: p.NoBackup})
		if errors.Is(err, upstream.ErrNoPathChoice) || errors.Is(err, upstream.ErrPathsDown) {
			err = &socks.PathsError{Err: err}
		}
		return conn, err
	}
}

// clientRoutes maps the rules of the client's file. Everything that is wrong becomes a problem of its line.
func clientRoutes(c *configs.Client) (*socks.Routes, error) {
	routes, err := socks.ParseRoutes(routeRules(c))
	if err == nil {
		return routes, nil
	}
	var ps configs.Problems
	for _, err := range unjoin(err) {
		key, text := "rules", err.Error()
		if bad, ok := errors.AsType[*socks.RouteError](err); ok {
			key, text = fmt.Sprintf("rules[%d]", bad.Rule), bad.Err.Error()
			if bad.Key != "" {
				key += "." + bad.Key
			}
		}
		ps = append(ps, c.Problem(key, text))
	}
	return nil, ps
}

// routeRules are the rules of the client's file.
func routeRules(c *configs.Client) []socks.RouteRule {
	all := make([]socks.RouteRule, len(c.Rules))
	for i, r := range c.Rules {
		all[i] = socks.RouteRule{
			Match: r.Match, Ports: r.Ports, Users: r.Users, Protocols: r.Protocols, Proxies: r.Proxy, Action: r.Action,
			Paths: socks.PathPolicy{Only: r.Paths, Redundant: r.Redundant, NoBackup: r.NoBackup},
		}
	}
	return all
}
