# Everything sets itself up: a machine with Python >= 3.11 (venv, pip) and make is enough.
#   make demo       build, push, pull and run a real web application
#   make test       lint, types, tests (under 8 minutes on two cores)
#   make test-long  the long sets as well
#   make scoreboard specs/scoreboard.md from the figures that `make test-long` left in build/
#   make lint       ruff and mypy alone
#   make image      our own image, for two platforms, into .make/image; TAG=... pushes it there instead
#   make bench      the figures of bench/README.md, on this machine (keep it quiet)
#   make clean      remove .venv, .make and caches

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

BIN := .venv/bin
READY := .make/ready-$(shell { cat pyproject.toml; pwd; } | cksum | tr ' ' '-')
JOBS ?= 2

.PHONY: help demo image test test-long scoreboard lint bench peers clean setup

help:
	@sed -n '2,9s/^# //p' Makefile

setup: $(READY)

# The stamp says which pyproject.toml .venv was made from; without a .venv that works it says nothing.
ifeq ($(wildcard $(BIN)/python),)
.PHONY: $(READY)
endif

$(READY): pyproject.toml
	@scripts/setup
	@rm -f .make/ready-* && touch $@

demo: $(READY)
	@$(BIN)/python examples/demo.py

image: $(READY)
	@$(BIN)/ociassemble build . --locked $(if $(TAG),-t $(TAG) --push,-o oci:.make/image:latest)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

peers: $(READY)
	@tests/peers/install

test: $(READY) peers lint
	@$(BIN)/pytest -n $(JOBS) -m "not long" --durations=8 --durations-min=2 -rs $(ARGS)

test-long: $(READY) peers lint
	@HYPOTHESIS_PROFILE=long $(BIN)/pytest -n $(JOBS) --durations=15 -rs $(ARGS)

scoreboard: $(READY)
	@$(BIN)/python scripts/scoreboard

bench: $(READY) peers
	@bench/peers-install
	@status=0; for script in layers memory express suite; do $(BIN)/python bench/$$script.py || status=1; done; exit $$status

clean:
	@rm -rf .venv .make .mypy_cache .ruff_cache .hypothesis .pytest_cache dist build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
