# Recado: `make run` starts the gateway on this machine, `make test` tests it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup setup-cloud run build test test-front test-cloud lint types bench bench-lambda clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Recado needs Python 3.11 or newer; PYTHON=/path/to/python3 make chooses one."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

# Each in an environment of its own: both pin a botocore that is not ours.
.venv-emulator/.ready: tools/emulator.txt
	$(PYTHON) -m venv .venv-emulator
	.venv-emulator/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv-sam/.ready: tools/sam.txt
	$(PYTHON) -m venv .venv-sam
	.venv-sam/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

setup-cloud: setup .venv-emulator/.ready .venv-sam/.ready ## SAM's command line and an emulator of AWS (600 MB)

setup: $(VENV)/.ready ## a virtual environment with everything, and .venv/bin/recado

run: setup ## the gateway on http://127.0.0.1:8080
	$(BIN)/recado up

test: setup ## every test that can run here
	$(BIN)/pytest $(PYTEST_ARGS)

NODE_TESTS := tests/node tests/flow tests/faults/test_kill*.py $(addprefix tests/smpp/test_,clients*.py \
	kannel.py other_smscs.py wire_capture.py) $(addprefix tests/docs/test_,bulk_page.py readme.py smpp_page.py)

test-front: setup ## the tests of a node, each with --fronts 1
	RECADO_FRONTS=1 $(BIN)/pytest $(NODE_TESTS) $(PYTEST_ARGS)

test-cloud: setup-cloud ## the template: validated, built, deployed to an emulator of AWS, tested over HTTP, deleted
	$(BIN)/pytest tests/cloud $(PYTEST_ARGS)

lint: setup ## ruff and the template's checkers
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/cfn-lint template.yaml

types: setup ## mypy, strict
	$(BIN)/mypy

# TARGET=emulator: for .venv-emulator's interpreter, which runs the handlers there, whatever Runtime
# says. MAKEFLAGS is set anew, so that a PYTHON of your command line does not reach the layers.
TARGET := lambda
PYTHON_lambda := .venv-sam/bin/python
PYTHON_emulator := .venv-emulator/bin/python
BUILD_lambda := .aws-sam/build
BUILD_emulator := .aws-sam/emulator
BUILD_DIR := $(BUILD_$(TARGET))

build: .venv-sam/.ready $(if $(filter emulator,$(TARGET)),.venv-emulator/.ready) ## Lambda's packages in .aws-sam/build; TARGET=emulator: .aws-sam/emulator
	@test -n "$(PYTHON_$(TARGET))" || { echo "TARGET is lambda or emulator, not $(TARGET)."; exit 1; }
	TARGET=$(TARGET) PYTHON="$(abspath $(PYTHON_$(TARGET)))" MAKEFLAGS=--no-print-directory \
		SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam build --build-dir "$(BUILD_DIR)"
	@.venv-sam/bin/python tools/package_sizes.py "$(BUILD_DIR)"
	@find "$(BUILD_DIR)" -name '*.pyc' | grep -q . || test $(TARGET) = emulator || \
		echo "Without compiled files, for there is no python3.13 here: cold starts take half as long again."

bench: setup ## Recado beside Kannel (installed), in turn; PEERS=<folder of the peers' benchmark> (5 minutes)
	@test -f "$(PEERS)/bench.py" || { echo "PEERS=<folder of the peers' benchmark> make bench: its bench.py drives both."; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check psutil
	$(BIN)/python bench/beside_peers.py $(PEERS) $(BENCH_ARGS)

bench-lambda: setup ## CPU of each function on Lambda, with the network stubbed (3 minutes)
	$(BIN)/python bench/lambda_cpu.py $(BENCH_ARGS)

clean: ## remove what make made
	rm -rf $(VENV) .venv-emulator .venv-sam .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis
