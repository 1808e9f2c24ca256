# Every target first makes .venv with everything in it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export RHEO_PLATFORM ?= local
export RHEO_HOME ?= $(CURDIR)/.rheo
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where it is set, each of the many processes would compile all of Dagster again, which takes longer than the rest.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo dev test fast fuzz lint format bench package clean

help: ## Shows this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (about a minute the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed; name it with PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip # Python's own takes twice as long
	@$(BIN)/python -m pip install --quiet --quiet --no-compile --constraint constraints.txt --editable '.[spark,java,pandas,polars,aws,dev]'
	@touch $@

demo: $(STAMP) ## Runs the flights pipeline from landing to chart
	@$(BIN)/python -m examples.flights.demo

dev: $(STAMP) ## Starts the Dagster UI with the code locations of workspace.yaml
	@$(BIN)/python -c 'from rheo_assets import LocalPlatform; from rheo_assets.bridge.eventlog.instance import home; home(LocalPlatform().root)'
	@$(BIN)/python -c 'from rheo_assets import LocalPlatform; from examples.scala_python.landing import register; register(LocalPlatform())'
	@echo "http://127.0.0.1:3000 in some seconds, or the port named below where that is taken. Ctrl-C ends it."
	@DAGSTER_HOME="$(RHEO_HOME)/dagster" PYTHONWARNINGS='ignore:Function `dev_command`' \
	$(BIN)/dagster dev -w workspace.yaml --log-level warning

test: $(STAMP) ## Runs all tests
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder # two work while two wait

fast: $(STAMP) ## Runs the tests that need no disk and no JVM
	@$(BIN)/python -m pytest -m fast -q -n 2 --hypothesis-profile quick

fuzz: $(STAMP) ## Looks for examples that no test has seen (some minutes)
	@$(BIN)/python -m pytest -m hypothesis -q -n 2 --hypothesis-profile new

lint: $(STAMP) ## ruff, ruff format, mypy strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## Formats the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(STAMP) ## Runs the benchmarks
	@missed=; for file in benchmarks/p*.py; do echo "== $$file"; $(BIN)/python $$file || missed="$$missed $$file"; done; \
	if [ -n "$$missed" ]; then echo "missed its reach:$$missed"; exit 1; fi

package: $(STAMP) ## Builds the wheel and the sdist, and tries the wheel in a clean environment
	@rm -rf dist build
	@$(BIN)/python -m build --outdir dist . > /dev/null
	@$(BIN)/python tests/packaging/smoke.py dist

clean: ## Removes the virtual environment and caches
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
