# Each of `make sweep`, `make figures`, `make docs` and `make test` works alone, from a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
# What is imported is compiled when it first is, and kept: pip would compile much that never is.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: install sweep figures docs test suite lint bench clean
.DEFAULT_GOAL := sweep

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "phasejax needs Python 3.11 or newer: make install PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --editable '.[dev]'
	touch $@

sweep: install  ## the phase diagram of Adam on real data, into out/digits
	$(BIN)/python sweeps/digits.py

figures: install  ## every figure of the gallery, into docs/figures: an hour on two cores
	$(BIN)/python -m figures

docs: install  ## the documentation, into out/site
	$(BIN)/mkdocs build --strict

test: install  ## everything the project claims
	$(MAKE) --jobs 2 lint suite

suite: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: install  ## phasejax beside the alternatives and the machine's limits
	$(PIP_INSTALL) --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv out
