# `make` alone lists the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# Finds or starts a PostgreSQL and finds Chromium, then runs what follows it.
TESTENV := go run ./internal/testenv

# The race detector needs cgo, and so a C compiler; a machine with only Go has none.
CC   := $(shell go env CC)
RACE := $(if $(shell command -v $(firstword $(CC)) 2>/dev/null),-race)

TEST_TIMEOUT ?= 25m
FUZZTIME     ?= 10s
PKG          ?= ./...

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/gazetted, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/gazetted ./cmd/gazetted

.PHONY: test
test: ## Run every test on SQLite and PostgreSQL (PKG=./digest for one package)
ifeq ($(RACE),)
	@echo "no C compiler ($(CC)): running without the race detector"
	$(TESTENV) env CGO_ENABLED=0 go test -count=1 -timeout $(TEST_TIMEOUT) $(PKG)
else
	$(TESTENV) env CGO_ENABLED=1 go test -race -count=1 -timeout $(TEST_TIMEOUT) $(PKG)
endif

.PHONY: bench
bench: ## Run every benchmark
	$(TESTENV) go test -run '^$$' -bench . -benchmem -timeout 60m $(PKG)

.PHONY: fuzz
fuzz: ## Fuzz every fuzz target for FUZZTIME each (10s)
	@set -e; for pkg in $$(go list $(PKG)); do \
	  targets=$$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); \
	  for target in $$targets; do \
	    echo "$$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

.PHONY: faults
faults: ## Run every fault of docs/reliability.md against the real binary (FAULTS=F1,F18 for some)
	$(TESTENV) go run ./internal/faults --only '$(FAULTS)'

.PHONY: lint
lint: bin/tools/golangci-lint ## Run the linters (.golangci.yml gives their reasons)
	bin/tools/golangci-lint run ./...

.PHONY: vuln
vuln: bin/tools/govulncheck ## Look for known vulnerabilities in what the code calls
	bin/tools/govulncheck ./...

.PHONY: generate
generate: ## Write the generated reference in docs/reference anew
	go run ./cmd/gazetted docs --dir docs/reference

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin

# The tools have a module of their own, so that their dependencies never meet ours.
bin/tools/golangci-lint: internal/tools/go.mod internal/tools/go.sum
	CGO_ENABLED=0 go -C internal/tools build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

bin/tools/govulncheck: internal/tools/go.mod internal/tools/go.sum
	CGO_ENABLED=0 go -C internal/tools build -o ../../$@ golang.org/x/vuln/cmd/govulncheck
	@touch $@
