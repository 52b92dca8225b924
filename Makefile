# The two commands of README.md are `make demo` and `make test`; everything else is for people who work on clearway.

CARGO ?= cargo
# Nodes of a lab started by hand.
N ?= 4
# Seconds for each fuzz target.
FUZZ_SECONDS ?= 60

.PHONY: help demo test test-nova test-fleet lint bench fuzz docs deny setup lab-base lab-base-newer lab-up lab-down \
	lab-verify nova-base nova-up nova-down clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

setup: ## Install what demo and test need (or say what to type)
	@tools/setup

demo: setup lab-base ## A lab of real nodes with planted faults: check, trace, diff, repair; then a drain on a real Nova
	$(CARGO) build --workspace
	@tools/demo

# Properties are tried with the same cases everywhere, so that a red run speaks of the change and not of luck; `make fuzz`
# looks for new cases.
test: export PROPTEST_RNG_SEED ?= 1
test: setup lint ## Everything: formatting, lints, units, real OpenSSH, the lab with every planted fault, real Nova
	@$(MAKE) --no-print-directory lab-base lab-base-newer
	$(CARGO) test --workspace --exclude clearway-nova-lab --no-fail-fast
	@tools/test-nova

test-nova: setup ## Only the moves on a real Nova and Keystone, installed from PyPI
	@$(MAKE) --no-print-directory lab-base
	@tools/test-nova

test-fleet: setup ## The tests of whole fleets, and those that take too long for `make test`: 80 kills of proofs, 200 of repairs, 100 of drains, and every planted fault on OpenSSH 10
	@$(MAKE) --no-print-directory lab-base lab-base-newer
	$(CARGO) test --test fleet -- --include-ignored
	CLEARWAY_LAB_IMAGE=newer $(CARGO) test --test faults
	$(CARGO) test --test repair -- --include-ignored
	@tools/test-nova --ignored

lint: ## Formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --lib --bins -- -D warnings
	$(CARGO) clippy --workspace --all-targets -- -D warnings -A clippy::unwrap_used -A clippy::print_stdout -A clippy::print_stderr
	@# Targets that `cargo test` leaves out are not among all targets either.
	$(CARGO) clippy --test moves --test real -- -D warnings -A clippy::unwrap_used -A clippy::print_stdout -A clippy::print_stderr

bench: ## Measure against peers, in one run
	@tools/setup bench
	@$(MAKE) --no-print-directory lab-base
	$(CARGO) bench --workspace

fuzz: ## Each fuzz target for FUZZ_SECONDS, guided by coverage where there is cargo-fuzz
	@tools/fuzz $(FUZZ_SECONDS)

docs: ## Regenerate docs/reasons.md and the man pages
	$(CARGO) run --quiet -- reasons --format markdown > docs/reasons.md.new && mv docs/reasons.md.new docs/reasons.md

deny: ## Licences and advisories (needs cargo-deny)
	cargo deny check

lab-base: ## Make the nodes' root file system, once
	@$(CARGO) run --quiet -p clearway-lab --bin lab -- base --install

lab-base-newer: ## The same with Debian 13, whose OpenSSH 10 penalises sources (tests without it say SKIPPED)
	@$(CARGO) run --quiet -p clearway-lab --bin lab -- base --image newer --install || \
		echo "SKIPPED: the image with OpenSSH 10 cannot be made here, so what its penalties do is not shown" >&2

lab-up: lab-base ## Start a lab of N nodes and say how to use it
	@$(CARGO) run --quiet -p clearway-lab --bin lab -- up --nodes $(N)

lab-down: ## Stop it
	@$(CARGO) run --quiet -p clearway-lab --bin lab -- down

lab-verify: lab-base ## Plant every fault and let OpenSSH say whether it does what its file says
	@$(CARGO) run --quiet -p clearway-lab --bin lab -- verify

nova-base: ## Install Nova from PyPI and make its databases, once
	@tests/nova/setup >/dev/null

nova-up: nova-base ## Start a real Nova with N steerable computes and say how to use it
	@$(CARGO) run --quiet -p clearway-nova-lab --bin nova-lab -- up --computes $(N) --servers 2

nova-down: ## Stop it
	@$(CARGO) run --quiet -p clearway-nova-lab --bin nova-lab -- down

clean:
	$(CARGO) clean
