# make help says what there is. Needs Go and nothing else; make docker needs an engine.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Static: the same file runs on any distribution and in an empty container.
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'

# How long each fuzz target runs, and which packages are tested, raced and benchmarked.
FUZZTIME ?= 60s
PKG      ?= ./...
BENCH    ?= .
COUNT    ?= 1

# What every change is compiled for; releases are built for more (packaging/release).
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

# Tools, pinned, each in a file of its version.
STATICCHECK := bin/tools/staticcheck-v0.8.2
GOFUMPT     := bin/tools/gofumpt-v0.12.0

.DEFAULT_GOAL := help
.PHONY: help build run test clients long race fuzz bench gobench check format vet staticcheck cross tidy docker share release reproduce clean FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: bin/mpsocks ## bin/mpsocks, one static file

bin/mpsocks: FORCE
	$(BUILD) -o $@ ./cmd/mpsocks

run: build ## build, and run client and egress on this machine to try it
	bin/mpsocks demo

test: ## the whole suite
	$(GO) test -timeout 12m $(PKG)

# Programs that are not installed are skipped, with the name of their Debian package.
clients: ## curl, browsers, ssh and others through the local port, as a table; Linux, root or user namespaces
	MPSOCKS_TEST_CLIENTS=1 $(GO) test -count 1 -v -timeout 20m -run '^TestClients$$' ./cmd/mpsocks

long: ## the tests that wait for minutes of real time: narrow lines, sleep, walks, altered data; Linux, root or user namespaces
	MPSOCKS_TEST_LONG=1 $(GO) test -count 1 -v -timeout 20m -run '^TestLong' ./cmd/mpsocks

# The long simulations of the core have no second goroutine, and what only measures has nothing to race for: -short leaves both to make test. bench/report has no goroutine at all.
race: ## the suite under the race detector
	$(GO) test -race -short -timeout 15m $$($(GO) list $(PKG) | grep -v /bench/report)

fuzz: ## every fuzz target for FUZZTIME (60s)
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' .ci/fuzz $(PKG)

bench: build ## mpsocks beside other transports on emulated paths, the quick set, into out/bench; Linux, under 5 minutes
	bin/mpsocks bench lab --scenario quick --runs 1 --out out/bench

gobench: ## Go benchmarks; BENCH=regexp, COUNT=n
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG)

check: format vet staticcheck tidy cross race ## format, vet, staticcheck, go.mod, every platform, import rules, race
	@echo check: ok

format: $(GOFUMPT)
	@bad=$$($(GOFUMPT) -l .); [ -z "$$bad" ] || { echo "not formatted (gofumpt -w):"; echo "$$bad"; exit 1; }

vet:
	$(GO) vet ./...

staticcheck: $(STATICCHECK)
	$(STATICCHECK) ./...

tidy:
	$(GO) mod tidy -diff

# Tests of other platforms cannot run here, but they must compile: vet does that.
cross:
	@for p in $(PLATFORMS); do \
		echo "cross: $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./... || exit 1; \
	done
	@for os in darwin windows; do \
		echo "cross: tests for $$os"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=amd64 $(GO) vet ./... || exit 1; \
	done
	@echo "cross: tests where an int has 32 bits"
	@CGO_ENABLED=0 GOOS=linux GOARCH=386 $(GO) vet ./...
ifeq ($(shell $(GO) env GOHOSTOS GOHOSTARCH | tr '\n' ' '),linux amd64 )
	@CGO_ENABLED=0 GOARCH=386 $(GO) test -short -timeout 10m ./mptcp/internal/seq ./mptcp/internal/wire ./mptcp/internal/key ./mptcp/option ./mptcp/sched
	@CGO_ENABLED=0 GOARCH=386 $(GO) test -short -timeout 10m -run 'Tolerated|Violations|Receive|Random' ./mptcp/internal/proto
endif

$(STATICCHECK):
	GOBIN=$(CURDIR)/bin/tools $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2
	mv bin/tools/staticcheck $@

$(GOFUMPT):
	GOBIN=$(CURDIR)/bin/tools $(GO) install mvdan.cc/gofumpt@v0.12.0
	mv bin/tools/gofumpt $@

docker: build ## pack the local build into images mpsocks:local and mpsocks-webtarget:local
	CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o out/docker/mpsocks ./cmd/mpsocks
	CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags '-s -w' -o out/docker/webtarget ./docker/webtarget
	mkdir -p out/docker/data
	docker build -q -f docker/Dockerfile.local --target mpsocks -t mpsocks:local out/docker
	docker build -q -f docker/Dockerfile.local --target webtarget -t mpsocks-webtarget:local out/docker
	docker/prepare bin/mpsocks out/demo

share: build ## manual pages and completions for packages, into out/share
	rm -rf out/share
	bin/mpsocks man out/share/man
	for shell in bash zsh fish; do bin/mpsocks completion $$shell >out/share/mpsocks.$$shell || exit 1; done

RELEASE_OS ?=
release: ## archives for every platform with checksums and lists of contents, into out/release
	rm -rf out/release
	$(GO) run ./packaging/release -version $(VERSION) -out out/release $(if $(RELEASE_OS),-platforms $(RELEASE_OS))

# The second build knows nothing of the first: another folder, another cache.
reproduce: release ## make release again elsewhere, and compare; RELEASE_OS=linux/amd64,... for a part
	rm -rf out/again && mkdir -p out/again/tree
	git ls-files -z | tar -c --null -T - | tar -x -C out/again/tree
	cd out/again/tree && GOCACHE=$(CURDIR)/out/again/cache $(GO) run ./packaging/release -version $(VERSION) -out ../release $(if $(RELEASE_OS),-platforms $(RELEASE_OS))
	cmp out/release/SHA256SUMS out/again/release/SHA256SUMS
	cd out/again/release && sha256sum --quiet -c ../../release/SHA256SUMS
	rm -rf out/again
	@echo reproduce: the same to the byte

clean: ## remove what was built
	rm -rf bin out
