// Command release builds what is released: for every platform one archive with the static
// program and its papers and a list of what is in the program (CycloneDX), and checksums of
// all. Nothing in them tells where, when or by whom they were built, so that two builds of
// one version are the same to the byte: Go and version are all that counts.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// platforms are those that are released, as system/architecture. mips are routers, which
// have no floating point unit.
var platforms = []string{
	"linux/amd64", "linux/arm64", "linux/arm", "linux/mips", "linux/mipsle",
	"darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64",
	"freebsd/amd64", "freebsd/arm64", "freebsd/arm",
}

// papers go into each archive.
var papers = []string{"README.md", "CHANGELOG.md", "LICENSE", "configs/client.yaml", "configs/egress.yaml"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := build{root: ".", log: os.Stderr}
	var only string
	flag.StringVar(&b.version, "version", "", "version, such as v1.2.3")
	flag.StringVar(&b.out, "out", "out/release", "folder for what is built")
	flag.StringVar(&only, "platforms", strings.Join(platforms, ","), "system/architecture, several with commas")
	flag.Parse()
	if err := b.all(ctx, strings.Split(only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// build is one release.
type build struct {
	root, out, version string
	log                *os.File
}

func (b *build) all(ctx context.Context, platforms []string) error {
	if b.version == "" {
		return fmt.Errorf("-version is missing")
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	var made []string
	for _, p := range platforms {
		fmt.Fprintln(b.log, "release:", p)
		names, err := b.one(ctx, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		made = append(made, names...)
	}
	return writeSums(b.out, made)
}

// one builds for one platform and returns the names of the files it made.
func (b *build) one(ctx context.Context, platform string) ([]string, error) {
	system, arch, ok := strings.Cut(platform, "/")
	if !ok {
		return nil, fmt.Errorf("is not system/architecture")
	}
	dir, err := os.MkdirTemp("", "mpsocks-release-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "mpsocks")
	if system == "windows" {
		program += ".exe"
	}
	if err := b.compile(ctx, system, arch, program); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("mpsocks_%s_%s_%s", strings.TrimPrefix(b.version, "v"), system, archName(arch))
	files := []file{{name: name + "/" + filepath.Base(program), from: program, mode: 0o755}}
	for _, p := range papers {
		files = append(files, file{name: name + "/" + p, from: filepath.Join(b.root, p), mode: 0o644})
	}
	archive, pack := name+".tar.gz", packTar
	if system == "windows" {
		archive, pack = name+".zip", packZip
	}
	if err := pack(filepath.Join(b.out, archive), files); err != nil {
		return nil, err
	}
	list := name + ".cdx.json"
	return []string{archive, list}, writeBOM(filepath.Join(b.out, list), program, b.version)
}

// archName says which arm it is: there are several.
func archName(arch string) string {
	if arch == "arm" {
		return "armv7"
	}
	return arch
}

// compile builds the program as the Makefile does. What a release must not depend on, such as
// the state of a checkout, is left out.
func (b *build) compile(ctx context.Context, system, arch, to string) error {
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X main.version="+b.version, "-o", to, "./cmd/mpsocks")
	c.Dir = b.root
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOOS="+system, "GOARCH="+arch,
		"GOARM=7", "GOMIPS=softfloat", "GOAMD64=v1", "GOARM64=v8.0")
	c.Stderr = b.log
	return c.Run()
}

// epoch is the time of every file in an archive: the first that all formats know.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
