# Everything runs from .venv, which the first target that needs it fills by itself. Nothing has to be activated.

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/.bench

# 3.11 and 3.10 first: for them PyPI has the QuickFIX wheel that demo and tests talk to. A candidate may exist and not run (pyenv's shims),
# so each is tried out.
PYTHON ?= $(shell for p in python3.11 python3.10 python3.12 python3; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

# Test processes in parallel, and whatever else is to be handed to the program that a target runs: make test ARGS="-k framer -x"
JOBS ?= 2
ARGS ?=
# A board: of `make bitstream` and `make flash`. It goes through the environment: whatever it is, the shell sees one word.
BOARD ?=
bitstream flash: export BOARD := $(BOARD)
NAMED_BOARD := $${BOARD:+"$$BOARD"}

# What runs below starts builds of its own; our flags are none of its business.
unexport MAKEFLAGS MAKELEVEL MFLAGS
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage formal mutate lint format types docs soak bench timing timing-diff area bitstream bitstreams flash verilog clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## fill .venv (once; done by the other targets when needed)

demo: $(READY)  ## a FIX session with losses on the way, through the gateware (ARGS="--seed 7")
	@$(BIN)/tag34 demo $(ARGS)

test: $(READY)  ## all tests (ARGS="-k framer -x", JOBS=2)
	@$(BIN)/pytest -n $(JOBS) tests $(ARGS)

# Of the tests, those that show rules at work on a device.
coverage: $(READY)  ## how often the tests see each rule at work, on each device; fails if one is never seen
	@$(BIN)/pytest -n $(JOBS) --rule-coverage build/coverage.json tests/sim/test_device_*.py tests/sim/test_differential.py \
		tests/host $(ARGS)

formal: $(READY)  ## prove properties of the gateware (ARGS="--sample": the quick ones; ARGS="slots")
	@$(BIN)/python -m tests.formal --jobs $(JOBS) $(ARGS)

mutate: $(READY)  ## plant faults in the gateware: do the tests tell them? (ARGS="--sample 50")
	@$(BIN)/python -m tests.mutation --jobs $(JOBS) $(ARGS)

lint: $(READY)  ## ruff: rules and format
	@$(BIN)/ruff check . $(ARGS)
	@$(BIN)/ruff format --check .

format: $(READY)  ## apply ruff's format and its safe fixes
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

types: $(READY)  ## mypy
	@$(BIN)/mypy $(ARGS)

docs: $(READY)  ## make docs/rules.md, docs/proofs.md and docs/boards.md of their sources
	@$(BIN)/python -m tests.rules.page
	@$(BIN)/python -m tests.formal --docs
	@$(BIN)/python -m tag34_boards.bitstream.page

soak: $(READY)  ## random traffic, gateware against golden model (ARGS="--messages 1000000 --sessions 64 --seed 1")
	@$(BIN)/tag34 soak $(ARGS)

bench: $(PEERS)  ## throughput, latency, simulation speed, beside software (ARGS="--sample")
	@$(BIN)/tag34 bench $(ARGS)

timing: $(READY)  ## clock and area on ECP5, docs/timing.md (ARGS="--sample": one shape; ARGS="--component composer")
	@$(BIN)/python -m tag34_boards.timing $(ARGS)

timing-diff: $(READY)  ## clock and area of this tree against the last ones recorded
	@$(BIN)/python -m tag34_boards.timing diff $(ARGS)

area: $(READY)  ## area by component, width and session count: synthesis only
	@$(BIN)/python -m tag34_boards.timing area $(ARGS)

bitstream: $(READY)  ## build a board's bitstream in build/BOARD (BOARD=ulx3s_85f; .venv/bin/tag34 boards lists them)
	@$(BIN)/tag34 bitstream $(NAMED_BOARD) $(ARGS)

bitstreams: $(READY)  ## build all boards and make docs/boards.md of what came out
	@$(BIN)/tag34 bitstream --all $(ARGS)

flash: $(READY)  ## load what was built into a board on USB (BOARD=ulx3s_85f)
	@$(BIN)/tag34 flash $(NAMED_BOARD) $(ARGS)

# The sizes are taken from make's command line only: WIDTH and WINDOW are names that a terminal may have in the environment.
SIZES := WIDTH SESSIONS WINDOW MAX_MESSAGE HOLD HOLD_LIMIT CLOCK_HZ
verilog: $(READY)  ## the core as Verilog with AXI ports, in build/verilog (WIDTH=8 SESSIONS=64 WINDOW= MAX_MESSAGE= HOLD= CLOCK_HZ=)
	@$(BIN)/tag34 verilog $(foreach size,$(SIZES),$(if $(filter command,$(origin $(size))),$(if $($(size)), \
		--$(shell echo $(size) | tr A-Z_ a-z-) '$($(size))'))) $(ARGS)

clean:  ## remove .venv and everything that was built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name '*.egg-info' -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@py='$(PYTHON)'; \
	if [ -z "$$py" ]; then \
		echo "tag34: no Python 3.10 or later with its venv module found (Debian: python3-venv); name one with PYTHON=..." >&2; exit 1; \
	elif ! "$$py" -c '' 2>/dev/null; then \
		echo "tag34: $$py does not run; name another one with PYTHON=..." >&2; exit 1; \
	elif ! "$$py" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then \
		echo "tag34: $$py is $$("$$py" -V 2>&1), 3.10 or later is needed; name another one with PYTHON=..." >&2; exit 1; \
	elif ! "$$py" -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "tag34: $$py has no venv module (Debian: python3-venv)" >&2; exit 1; \
	fi; \
	missing=; for tool in g++ perl; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
		echo "tag34: not found:$$missing; the gateware will run in Amaranth's simulator, which is much slower" >&2; \
	fi; \
	echo "tag34: filling $(VENV) with $$("$$py" -V 2>&1) and the packages of constraints.txt, once; this takes a minute or two"; \
	{ $(BIN)/python -m pip --version >/dev/null 2>&1 || "$$py" -m venv --clear $(VENV); } && \
	$(BIN)/python -m pip install -qq --constraint constraints.txt setuptools && \
	$(BIN)/python -m pip install -qq --constraint constraints.txt --no-build-isolation --editable '.[hdl,sim,serial,boards,dev]' && \
	touch $@

# What is only compared with. Without it the rest can still be measured: its rows say that it is missing.
$(PEERS): $(READY)
	@if $(BIN)/python -m pip install -qq --constraint constraints.txt --no-build-isolation --editable '.[bench]'; then touch $@; \
	else echo "tag34: the packages of the extra 'bench' cannot be installed; what needs them is left out" >&2; fi
