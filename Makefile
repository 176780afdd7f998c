# Everything a checkout needs: `make run` starts the service, `make test` runs the tests. Both set up .venv first.
#
# What has to be there beforehand: Python 3.11 or 3.12 with its venv module, make, and a package index pip can reach.
# Override on the command line: `make PYTHON=/path/to/python3.12 VENV=/elsewhere ARGS="--model tiny" run`.

VENV ?= .venv
EXTRAS ?= worker,train,text
ARGS ?=
# The first of these that starts and is new enough; a name on PATH may be a shim without a Python behind it.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3 python,$(shell \
	$(name) -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $(name))))

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
READERS ?= .venv-readers
WORKERS ?= 2
# One thread a process: parallel test workers and the service's own processes share the cores.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help setup run test parity readers check format lint types contracts bench demo clean

help:  ## Show this list.
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

setup: $(STAMP)  ## Create .venv and install the project, its extras and the development tools.

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "expected Python 3.11 or 3.12 (with venv) on PATH, found none; \
	install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) could not make a virtual environment; \
	on Debian and Ubuntu install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@echo "installing into $(VENV): minutes the first time (torch is several GB with its CUDA libraries)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--editable ".[$(EXTRAS)]" --group dev
	@touch $@

run: $(STAMP)  ## Start the service (Valkey, gateway, worker) and print its URL. ARGS are passed on.
	@exec $(BIN)/univs serve $(ARGS)

test: $(STAMP)  ## Run the fast tests. ARGS are passed to pytest.
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow and not gpu" -q $(ARGS)

parity: $(STAMP)  ## Compare with the published network; fails without its fixtures (../shared/univs/parity).
	UNIVS_PARITY=required $(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m parity -q \
		tests/model/parity $(ARGS)

readers:  ## Read exports back with the tools they are for (Label Studio, Datumaro, TrackEval), in .venv-readers.
	@for group in readers-labelling readers-tracking; do \
	  python=$(READERS)/$$group/bin/python; \
	  test -x $$python || $(PYTHON) -m venv $(READERS)/$$group || exit 1; \
	  $$python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1" && \
	  $$python -m pip install --quiet --disable-pip-version-check --editable ".[service]" --group $$group && \
	  $(TEST_ENV) $$python -m pytest -q tests/service/exports/test_maintained_readers.py $(ARGS) || exit 1; \
	done

check: format lint types contracts test  ## Everything below and the tests: what must pass before a push.

format: $(STAMP)  ## Check the formatting.
	$(BIN)/ruff format --check .

lint: $(STAMP)  ## Check the style.
	$(BIN)/ruff check .

types: $(STAMP)  ## Check the types, strictly.
	$(BIN)/mypy

contracts: $(STAMP)  ## Check who imports whom.
	PYTHONPATH=model:service $(BIN)/lint-imports

bench: $(STAMP)  ## Measure frames per second. ARGS: see `univs bench --help`.
	@$(BIN)/univs bench $(ARGS)

demo: $(STAMP)  ## Segment a clip made from shipped photographs, on the running service or in process.
	@$(BIN)/univs demo $(ARGS)

clean:  ## Remove the environment, caches and build outputs.
	rm -rf $(VENV) $(READERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
