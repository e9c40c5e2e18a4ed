# Everything that can be done, from a fresh machine on: `make` lists it.

VENV := .venv
BIN := $(VENV)/bin
# The first Python that will do; name another with PYTHON=...
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(or $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c '$(SUITS)' 2>/dev/null; then echo $$python; break; fi; done),python3)
DIR ?= var
ARGS ?=

# Whatever the environment says: else each of many processes compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install run test lint faults bench clean

help: ## list what can be done
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "make %-9s%s\n", $$1, $$2}'

install: $(VENV)/tested ## make .venv with all that running, tests and lint need

run: $(VENV)/runs ## set everything up, run the main job, stay up with Flower (ONCE=1: end when done)
	$(BIN)/python -m worker up --dir $(DIR) $(if $(ONCE),--once,--main-job)

test: $(VENV)/tested ## run the tests (ARGS="-k name" passes options to pytest)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/tested ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

faults: $(VENV)/tested ## the long storm of kills and cuts
	$(BIN)/python -m pytest -m storm $(ARGS)

bench: $(VENV)/tested bench/.venv/made ## measure side by side with peers and COPY, long (QUICK=1: short)
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

bench/.venv/made: bench/requirements.txt | $(VENV)/made
	$(PYTHON) -m venv bench/.venv
	bench/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@

clean: ## delete .venv, caches and the demo's data, also where `up` keeps it for root
	@case "$$(readlink $(DIR)/postgres)" in \
	/var/tmp/celeriac-*/postgres) rm -rf "$$(dirname "$$(readlink $(DIR)/postgres)")";; esac
	rm -rf $(VENV) bench/.venv $(DIR) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/runs: requirements.txt client/pyproject.toml | $(VENV)/made
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt
	@touch $@

# In one call, which resolves once, and compiles what is used when it is used.
$(VENV)/tested: requirements-dev.txt requirements.txt client/pyproject.toml | $(VENV)/made
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements-dev.txt
	@touch $(VENV)/runs $@

$(VENV)/made:
	@$(PYTHON) -c '$(SUITS)' || { echo "Celeriac runs on Python 3.11 to 3.13, but $(PYTHON) is \
	$$($(PYTHON) --version 2>&1 | head -n 1); name another one: make PYTHON=python3.13" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "this Python lacks the module venv; on Debian and Ubuntu: \
	apt install python3-venv" >&2; exit 1; }
	@touch $@
