# `make reproduce` runs the whole experiment. The other targets are for development.
PROFILE ?= quick
ARGS    ?=
# The arguments in ARGS that every command takes, not only `restage reproduce`.
SET      = $(shell echo '$(ARGS)' | grep -oE -- '(-S|--set)[ =]?[^ ]+')
CARGO   ?= cargo
# Runs a command in both workspaces, the tool's and the stages'.
EACH     = scripts/each-workspace
TARGET  := $(or $(CARGO_TARGET_DIR),target)
RESTAGE := $(TARGET)/release/restage

.PHONY: help reproduce test check fmt compare claims audit bench-train bench-train-gpu bench-runner bench-isolation keras-check torture cuda fuzz clean

help:
	@echo 'make reproduce [PROFILE=quick|cpu|paper] [ARGS="-S key=value"]  run what is stale, print Table I, write the report page'
	@echo 'make compare   [PROFILE=..]   compare the result tables with the committed ones'
	@echo 'make claims    [PROFILE=..]   judge what the paper claims, and compare the verdicts with the committed ones'
	@echo 'make test                     all tests; no network, no GPU'
	@echo 'make check                    formatting, lints, documentation'
	@echo 'make torture                  crashes and errors at every fault point, hundreds of kills: about 10 minutes'
	@echo 'make cuda                     the CUDA kernels without a GPU: sanitizers, and NVRTC for three generations'
	@echo 'make fuzz                     each fuzz target briefly (longer: scripts/fuzz run MINUTES)'
	@echo 'make bench-train [ARGS=--quick]  training speed compared with PyTorch and Keras (docs/benchmarks.md)'
	@echo 'make bench-train-gpu [ARGS=..]   training speed on an NVIDIA GPU compared with PyTorch (docs/benchmarks.md)'
	@echo 'make bench-runner [ARGS=--quick]  the runner compared with ninja, make, DVC and others (docs/benchmarks.md)'
	@echo 'make bench-isolation [ARGS=..]   what keeping a stage apart costs (docs/benchmarks.md)'
	@echo 'make keras-check [ARGS=--quick]  our training compared with Keras, step for step (docs/accuracy.md)'
	@echo 'make audit                    licences, banned crates, sources (needs cargo-deny)'

$(RESTAGE): FORCE
	@$(CARGO) build --release --locked --quiet -p restage
FORCE:

reproduce: $(RESTAGE)
	@$(RESTAGE) reproduce --profile $(PROFILE) $(ARGS)
	@echo
	@cat results/$(PROFILE)/table1.md
	@echo
	@$(RESTAGE) report --profile $(PROFILE) $(SET)

compare: $(RESTAGE)
	@$(RESTAGE) compare --profile $(PROFILE)

claims: $(RESTAGE)
	@$(RESTAGE) claims --profile $(PROFILE)

test:
	$(EACH) $(CARGO) test --workspace --locked

cuda:
	scripts/cuda-compile-check
	scripts/cuda-sanitize

torture:
	$(CARGO) test -p restage -p restage-engine --locked -- --ignored

fuzz:
	@scripts/fuzz smoke

check:
	$(EACH) $(CARGO) fmt --all --check
	$(EACH) $(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(EACH) $(CARGO) doc --workspace --no-deps --locked --document-private-items

fmt:
	$(EACH) $(CARGO) fmt --all

audit:
	@if command -v cargo-deny >/dev/null; then $(EACH) cargo deny --workspace --locked check --config $(CURDIR)/deny.toml bans licenses sources; \
	else echo 'audit skipped: cargo-deny is not installed (cargo install --locked cargo-deny)'; fi

bench-train:
	@command -v python3 >/dev/null || { echo 'bench-train needs python3, 3.9 or later'; exit 1; }
	@python3 scripts/bench-train $(ARGS)

bench-train-gpu:
	@command -v python3 >/dev/null || { echo 'bench-train-gpu needs python3, 3.9 or later, with PyTorch'; exit 1; }
	@python3 scripts/bench-train-gpu $(ARGS)

bench-runner:
	@command -v python3 >/dev/null || { echo 'bench-runner needs python3, 3.9 or later'; exit 1; }
	@python3 scripts/bench-runner $(ARGS)

bench-isolation: $(RESTAGE)
	@command -v python3 >/dev/null || { echo 'bench-isolation needs python3, 3.9 or later'; exit 1; }
	@python3 scripts/bench-isolation --restage $(RESTAGE) $(ARGS)

keras-check:
	@command -v python3 >/dev/null || { echo 'keras-check needs python3, 3.9 or later'; exit 1; }
	@python3 scripts/keras-check $(ARGS)

clean:
	$(CARGO) clean
