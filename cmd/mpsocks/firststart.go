package main

import (
	"fmt"
	"path/filepath"

	"github.com/mpsocks/mpsocks/configs"
)

// firstStart sets an egress up in dir by the environment alone, if it is not: its keys, its
// configuration and one client, whose join link goes to standard output this once. It
// returns the configuration to start with.
func firstStart(e env, dir string) (file string, err error) {
	file = filepath.Join(dir, egressFile)
	found, err := exists(dir, egressFile, egressKey)
	switch {
	case err != nil:
		return "", err
	case len(found) == 2:
		return file, nil
	case len(found) == 1:
		return "", fmt.Errorf("%s is there alone, so %s was set up before and has lost a part: bring it back, or remove this one as well and all clients join anew", found[0], dir)
	}
	listen, address, err := configs.Input{Environ: e.environ}.EgressPorts()
	if err != nil {
		return "", err
	}
	if len(address) == 0 {
		return "", usagef("%s is empty, and MPSOCKS_ADDRESS does not say what clients dial, such as egress.example.net:8443", dir)
	}
	if len(listen) == 0 {
		listen = listenFor(address)
	}
	return file, initNew(e, initFlags{dir: dir, address: address, listen: listen, client: firstClient})
}

// firstClient is the name of the client that an egress is set up with when nobody names one.
const firstClient = "client"
