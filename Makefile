# Recado: `make run` starts the gateway on this machine, `make test` tests it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup run test lint types bench clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Recado needs Python 3.11 or newer; PYTHON=/path/to/python3 make chooses one."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

setup: $(VENV)/.ready ## a virtual environment with everything, and .venv/bin/recado

run: setup ## the gateway on http://127.0.0.1:8080
	$(BIN)/recado up

test: setup ## every test that can run here
	$(BIN)/pytest $(PYTEST_ARGS)

lint: setup ## ruff and the template's checkers
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/cfn-lint template.yaml

types: setup ## mypy, strict
	$(BIN)/mypy

clean: ## remove what make made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
