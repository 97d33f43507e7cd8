# Everything a developer or an operator runs. Each target sets up .venv by itself.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
WORKERS ?= $(shell expr $$(nproc) + 1)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help demo test check bench mutants clean format constraints

help: ## print this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gatekeeper needs Python 3.11 or later: set PYTHON=/path/to/python3.11")' >&2
	@echo 'setting up $(VENV) (once)' >&2
	@$(PYTHON) -m venv $(VENV) >&2
	@$(BIN)/pip install --quiet --require-hashes --no-deps -r constraints.txt >&2
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e . >&2
	@touch $@

demo: $(VENV)/.ready ## set up a simulated barracks and run it: ARGS="--seconds 20 --json", ARGS="--keep"
	@$(BIN)/gatekeeper demo $(ARGS)

test: $(VENV)/.ready ## run every test against a real broker and database: ARGS="-k name", WORKERS=0 in one process
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.ready ## lint, format, types, import contracts, dependencies
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/deptry . 2>&1

# A peer that cannot be had is no reason to measure nothing: the benchmark says what it does without.
$(VENV)/.peers: $(VENV)/.ready constraints-bench.txt
	@echo 'installing the engines to compare with (once)' >&2
	@$(BIN)/pip install --quiet --require-hashes --no-deps -r constraints-bench.txt >&2 && touch $@ || true

bench: $(VENV)/.peers ## measure latency, throughput, decisions and the log against floors and peers of the same run
	@$(BIN)/python -m tests.benchmarks $(ARGS)

$(VENV)/.mutation: $(VENV)/.ready constraints-mutation.txt
	@echo 'installing mutmut (once)' >&2
	@$(BIN)/pip install --quiet --require-hashes --no-deps -r constraints-mutation.txt >&2
	@touch $@

mutants: $(VENV)/.mutation ## change the core in one place at a time and see whether a test notices: ARGS="gatekeeper.core.rules.*"
	@PATH="$(abspath $(BIN)):$$PATH" nice $(BIN)/mutmut run --max-children 2 $(ARGS)
	@$(BIN)/python -m tests.mutation

format: $(VENV)/.ready ## put the code in the agreed form
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

constraints: $(VENV)/.ready ## pin every dependency anew, with hashes
	@$(BIN)/uv pip compile pyproject.toml --extra server --extra embedded --extra timestamp --extra parquet --extra gpio --extra osdp --group pyproject.toml:dev --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet -o constraints.txt
	@$(BIN)/uv pip compile --group pyproject.toml:bench --universal --constraints constraints.txt \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet -o constraints-bench.txt
	@$(BIN)/uv pip compile --group pyproject.toml:mutation --universal --constraints constraints.txt \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet -o constraints-mutation.txt

clean: ## remove the environment, caches and the demo's data
	@rm -rf $(VENV) .gatekeeper .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis bench.json mutants
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
