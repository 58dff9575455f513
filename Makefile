# `make run` starts the app, `make test` sets up and checks everything. Both need Python 3.11+ and the package index.

PYTHON ?= python3
# cpu or gpu: which build of ONNX Runtime. They overwrite each other, so one environment has one of them.
EXTRA ?= cpu
VENV ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUN_STAMP := $(VENV)/.installed-$(EXTRA)
DEV_STAMP := $(VENV)/.installed-$(EXTRA)-dev
OTHER_BUILD := $(if $(filter gpu,$(EXTRA)),onnxruntime,onnxruntime-gpu)
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header -c requirements/constraints.in

.DEFAULT_GOAL := help
.PHONY: help run test lint lock bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN_STAMP) ## set up, get the weights, start the server on 127.0.0.1:8000 (EXTRA=gpu for the GPU build)
	@.ci/system-packages run
	@$(BIN)/streamapp models pull
	@$(BIN)/streamapp serve

test: $(DEV_STAMP) ## set up, get the weights, lint, run all tests; says what was skipped and why
	@.ci/system-packages test
	@$(BIN)/streamapp models pull
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest

lint: $(DEV_STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(DEV_STAMP) ## measure, and print a table of ratios
	@$(BIN)/streamapp models pull
	$(BIN)/python -m benchmarks

lock: $(DEV_STAMP) ## write requirements/*.txt anew, with the newest versions that pyproject.toml allows
	$(COMPILE) --upgrade pyproject.toml --extra cpu --extra demo --group build -o requirements/cpu.txt
	$(COMPILE) --upgrade pyproject.toml --extra gpu --extra demo --group build -c requirements/cpu.txt -o requirements/gpu.txt
	$(COMPILE) --upgrade --group container -c requirements/cpu.txt -o requirements/container.txt
	$(COMPILE) --upgrade --group dev -c requirements/cpu.txt -o requirements/dev.txt

clean: ## remove the environment and what tools left; keeps weights and recordings
	rm -rf $(VENV) build dist artefacts .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@PYTHON="$(PYTHON)" .ci/system-packages venv
	$(PYTHON) -m venv $(VENV)

# The stamps say what is in the environment; one of them at a time is true.
$(RUN_STAMP): requirements/$(EXTRA).txt pyproject.toml | $(BIN)/python
	@rm -f $(VENV)/.installed-*
	@$(PIP) uninstall --quiet --yes $(OTHER_BUILD) 2>/dev/null
	$(PIP) install --quiet --require-hashes -r requirements/$(EXTRA).txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_STAMP): requirements/dev.txt $(RUN_STAMP)
	$(PIP) install --quiet --require-hashes -r requirements/$(EXTRA).txt -r requirements/dev.txt
	@touch $@
