# The commands of the project; CI runs the same ones. `make help` lists them.
#
# Build results are outside the checkout, under $(CACHE), shared by all checkouts of one user: Rust's target directory
# (aws-sdk-ec2 alone takes minutes and gigabytes) and a virtual environment per content of requirements.txt.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
# Two concurrent compilations of aws-sdk-ec2 need more memory than most machines have: targets run one after another.
.NOTPARALLEL:

CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/peerd
PYTHON ?= python3
LOCK_HASH := $(shell { sha256sum requirements.txt || shasum -a 256 requirements.txt; } 2>/dev/null | cut -c1-12)
VENV := $(CACHE)/venv-$(LOCK_HASH)
BIN := $(VENV)/bin
export CARGO_TARGET_DIR ?= $(CACHE)/target
export PATH := $(BIN):$(PATH)
export SAM_CLI_TELEMETRY := 0

FUNCTION_NAMES := vpc-events peering-events drift-repair
FUNCTIONS := $(CARGO_TARGET_DIR)/debug
PURE := peerd-core peerd-engine peerd-testkit
MUTANTS := $(CACHE)/tools/bin/cargo-mutants
SOURCES := sandbox tests .ci
# The command line without the AWS SDK, in a directory of its own: in the other one it would replace the program with the SDK.
WITHOUT_SDK := --locked -p peerd --no-default-features --target-dir "$(CARGO_TARGET_DIR)/demo"

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- see it work
.PHONY: run demo sandbox build
run: build $(VENV) ## Watch a mesh form, heal and shrink in the sandbox, then stop (needs no AWS account)
	$(BIN)/python -m sandbox.demo --functions "$(FUNCTIONS)"

demo: toolchain ## Watch the same in a simulation; builds no AWS SDK, so the first run takes a minute
	cargo run --quiet $(WITHOUT_SDK) -- demo

sandbox: build $(VENV) ## Start the local AWS with peerd deployed in it; Ctrl-C stops it
	@exec $(BIN)/python -m sandbox --functions "$(FUNCTIONS)"

build: toolchain sdk-notice ## Compile the three Lambda functions and the command line for this machine (dev profile)
	cargo build --locked $(addprefix -p ,$(FUNCTION_NAMES) peerd)

.PHONY: docs
docs: toolchain ## Generate docs/cli.md from the help texts of the program, and the picture of the demo
	cargo run --quiet $(WITHOUT_SDK) -- reference > docs/cli.md
	cargo run --quiet $(WITHOUT_SDK) -- demo --svg > docs/images/demo.svg

# ---------------------------------------------------------------- check it
.PHONY: check test lint unit
# The tests of the crates without the AWS SDK. The feature lets a test of the simulator disable an invariant.
TEST_PURE := cargo test --locked $(addprefix -p ,$(PURE)) --features peerd-testkit/invariant-switches
TEST_COMMANDS := cargo test $(WITHOUT_SDK)
CLIPPY := cargo clippy --locked --all-targets

check: toolchain $(VENV) ## After every edit: formatting, lint and tests of everything that needs no AWS SDK (a minute)
	cargo fmt --all --check
	$(CLIPPY) $(addprefix -p ,$(PURE)) --features peerd-testkit/invariant-switches -- -D warnings
	$(CLIPPY) -p peerd --no-default-features -- -D warnings
	$(TEST_PURE) --quiet
	$(TEST_COMMANDS) --quiet
	@$(MAKE) --no-print-directory lint-python lint-terms lint-cfn

test: ## Everything that CI runs: lint, unit, sandbox-test, e2e
	@for tier in lint unit sandbox-test e2e; do echo "tier: $$tier"; $(MAKE) --no-print-directory "$$tier"; done

lint: lint-python lint-terms lint-templates lint-rust purity ## Formatting, warnings as errors, templates, crate purity

unit: toolchain sdk-notice ## Rust tests: the crates without the AWS SDK first, then the rest
	$(TEST_PURE)
	cargo test --locked --workspace $(addprefix --exclude ,$(PURE))

# ---------------------------------------------------------------- stress it
.PHONY: bench
bench: build $(VENV) ## Measure calls and times in sandboxes, and write docs/benchmarks.md (half an hour)
	$(BIN)/python -m tests.bench --bin "$(FUNCTIONS)"

.PHONY: sim mutants
SEEDS ?= 10000
sim: toolchain ## Run SEEDS=10000 random scenarios from a fresh seed (FROM=n: from that one), or replay one with SEED=n
	cargo run --locked --quiet --profile sim -p peerd-testkit --bin sim -- \
	  $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) $(if $(FROM),--from $(FROM)))

mutants: toolchain $(MUTANTS) ## Change core and engine line by line and list what no test detects (an hour on two cores)
	$(MUTANTS) mutants --output "$(CACHE)/mutants" --jobs 2 --package peerd-core --package peerd-engine

$(MUTANTS):
	cargo install --locked --root "$(CACHE)/tools" cargo-mutants --version 27.1.0

# Each worker starts a sandbox of its own when a test needs one. K=expression selects tests by name, as pytest -k does.
.PHONY: sandbox-test e2e
WORKERS ?= 5
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup $(if $(K),-k "$(K)") $(ARGS)
sandbox-test: $(VENV) ## Tests of the sandbox and of the benchmarks' page (no Rust needed); K=expression selects
	$(PYTEST) sandbox/tests tests/bench

e2e: build $(VENV) browser ## End-to-end tests against running sandboxes; K=expression selects
	$(PYTEST) tests/e2e

# The map is tested in Chromium: the installed one, else one that Playwright or the system's package manager installs.
.PHONY: browser
browser: $(VENV)
	@[[ -n "$${PEERD_CHROMIUM:-}" ]] || command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null \
	  || $(BIN)/playwright install chromium >/dev/null 2>&1 \
	  || { [[ $$(id -u) = 0 ]] && command -v apt-get >/dev/null && echo "chromium: installing it, once" \
	       && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	  || echo "no Chromium: the tests of the map's page are skipped; install chromium or Google Chrome, or name one in PEERD_CHROMIUM" >&2

.PHONY: lint-python lint-terms lint-cfn lint-templates lint-rust purity
lint-python: $(VENV)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

lint-terms: $(VENV)
	$(BIN)/typos

lint-cfn: $(VENV)
	$(BIN)/cfn-lint --include-checks I --template template.yaml spoke.yaml operator.yaml
	$(BIN)/python .ci/lint_policies.py template.yaml spoke.yaml operator.yaml

lint-templates: lint-cfn
	$(BIN)/sam validate --lint --region us-east-1 --template template.yaml
	$(BIN)/sam validate --lint --region us-east-1 --template spoke.yaml
	$(BIN)/sam validate --lint --region us-east-1 --template operator.yaml

lint-rust: toolchain sdk-notice
	cargo fmt --all --check
	$(CLIPPY) --workspace -- -D warnings
	$(CLIPPY) -p peerd --no-default-features -- -D warnings

# Keeps most tests fast and every decision testable: the planner is free of the cloud, the loop of the SDK.
purity: toolchain
	@refuse() { \
	  local tree; tree=$$(cargo tree --locked --package "$$1" --edges normal --prefix none); \
	  if grep -E "^($$2)" <<<"$$tree" >&2; then echo "$$1 must not depend on the crates above" >&2; exit 1; fi; }; \
	refuse peerd-core 'aws|tokio|hyper'; \
	refuse peerd-engine 'aws'; \
	refuse peerd-testkit 'aws'; \
	if cargo tree --locked --package peerd --no-default-features --edges normal --prefix none | grep '^aws' >&2; then \
	  echo "peerd without its feature aws must be free of the AWS SDK" >&2; exit 1; fi; \
	for binary in $(FUNCTION_NAMES) peerd; do \
	  if cargo tree --locked --package "$$binary" --edges features --prefix none | grep -F 'feature "invariant-switches"' >&2; then \
	    echo "$$binary must not be built with invariant switches" >&2; exit 1; fi; done; \
	echo "purity: peerd-core, peerd-engine and peerd-testkit are free of the AWS SDK, peerd-core of any runtime, no binary can disable an invariant"

# ---------------------------------------------------------------- change it, ship it
.PHONY: fmt lock deploy clean
fmt: toolchain $(VENV) ## Format Rust and Python
	cargo fmt --all
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

lock: ## Generate requirements.txt from requirements.in; needs uv (https://docs.astral.sh/uv/)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/getting-started/installation/" >&2; exit 1; }
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	  --custom-compile-command "make lock" requirements.in --output-file requirements.txt

deploy: toolchain $(VENV) ## Build for AWS and deploy the hub with your credentials; prompts for values that samconfig.toml lacks
	@cargo metadata --locked --format-version 1 >/dev/null # sam cannot pass --locked to cargo
	$(BIN)/sam build
	@if grep -qs '^\[default\.deploy\.parameters\]' samconfig.toml; then set -x; $(BIN)/sam deploy; \
	else set -x; $(BIN)/sam deploy --guided --stack-name peerd --capabilities CAPABILITY_NAMED_IAM; fi

clean: ## Remove the build results: Rust's target directory, the virtual environments and .aws-sam
	rm -rf "$(CARGO_TARGET_DIR)" "$(CACHE)"/venv-* .aws-sam

# ---------------------------------------------------------------- prerequisites
.PHONY: toolchain sdk-notice
toolchain:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler (cc) is missing: install gcc or clang; the TLS library needs it" >&2; exit 1; }

sdk-notice:
	@compgen -G "$(FUNCTIONS)/deps/libaws_sdk_ec2-*.rlib" >/dev/null || { \
	  echo "first build: aws-sdk-ec2 alone takes 7 to 16 minutes on two cores and up to 8 GB of memory, once."; \
	  echo "It goes to $(CARGO_TARGET_DIR) (several GB); later builds take seconds."; }

# A virtual environment cannot be moved after its creation, so it is created under a temporary name and then linked in one
# step: an interrupted run leaves nothing that appears complete, and two concurrent runs do not interfere.
# --no-deps: requirements.txt is complete, and pip 23 treats a package's extras as packages without a hash.
$(VENV):
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: Python 3.11 or newer is needed" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version); try: make PYTHON=python3.11 ..." >&2; exit 1; }
	@[[ -n "$(LOCK_HASH)" ]] || { echo "requirements.txt or sha256sum is missing: run make in the root of the checkout" >&2; exit 1; }
	@mkdir -p "$(CACHE)"
	@made=$$(mktemp -d "$(VENV).XXXXXX"); trap '[[ -e "$(VENV)" ]] || rm -rf "$$made"' EXIT; \
	echo "python tools: installing into $(VENV), once (about a minute)"; \
	$(PYTHON) -m venv "$$made"; \
	"$$made/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.txt; \
	"$$made/bin/pip" check >/dev/null; \
	"$$made/bin/python" -c 'import os, sys; made, name = sys.argv[1:]; os.symlink(made, made + ".link"); os.replace(made + ".link", name)' "$$made" "$(VENV)"
