# The two commands of the README are `make check` and `make test`; each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: check test lint bench clean
.DEFAULT_GOAL := check

# Can the shipped ticketing system oversell? ARGS are passed on: make check ARGS="--target service"
check: $(READY)
	$(BIN)/oversell check $(ARGS)

# The test suite against a real Postgres. ARGS are passed on: make test ARGS="tests/laws -x"
test: $(READY)
	$(BIN)/pytest $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/run.py $(ARGS)

clean:
	rm -rf $(VENV) .oversell build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Made again whenever what is to be installed changes.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is not Python 3.11 or newer (found: $$($(PYTHON) --version 2>&1)). Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "make: $(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)
