# Everything one does with this project. Needs make, Node 20 or later, and Python 3.13 or uv; `make setup` fetches the rest.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON := .venv/bin/python
UV := .venv/bin/uv
UV_VERSION := 0.13.8
PYTEST := $(PYTHON) -m pytest
STACK := $(PYTHON) -m local.stack
CODE := functions layers/dependencies local shared tests
# How many tests run at once.
WORKERS ?= 2
# Property tests of a few seconds; the longer ones wait for `make test`.
LONG := $(patsubst %,tests/property/test_%.py,audit_chain membership proration subscription_lives usage_caps)
QUICK := $(filter-out $(LONG),$(wildcard tests/property/test_*.py))

export AWS_EC2_METADATA_DISABLED := true
export SAM_CLI_TELEMETRY := 0

.PHONY: help setup up down status tokens log story catalogue check test proof bench lint-template docs lock build clean forget

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ── set-up ────────────────────────────────────────────────────────────────────────────────────────────────────────

setup: .venv/.installed .venv-local/.installed .venv-tools/.tables node_modules/.installed ## environments and tools, from hashed lists

# uv goes into .venv whatever made it, so that nothing else is needed from here on.
.venv/.uv:
	@echo "  · environment"
	@if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then \
		test -x $(PYTHON) || uv venv --quiet --python 3.13 .venv; \
		test -x $(UV) || uv pip install --quiet --python $(PYTHON) uv==$(UV_VERSION); \
	else \
		python=$$(for p in python3.13 python3; do \
			$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && { echo $$p; break; }; done); \
		test -n "$$python" || { \
			echo "✗ set-up"; echo "  why:  neither Python 3.13 nor uv is on the path"; \
			echo "  next: install one of them (docs.astral.sh/uv), then make setup"; exit 1; } >&2; \
		test -x $(PYTHON) || $$python -m venv .venv; \
		test -x $(UV) || $(PYTHON) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	fi
	@touch $@

.venv/.installed: .venv/.uv requirements/dev.txt requirements/runtime.txt requirements/training.txt requirements/documents.txt
	@echo "  · what code and tests need"
	@$(UV) pip install --quiet --python $(PYTHON) --require-hashes -r requirements/runtime.txt -r requirements/dev.txt -r requirements/training.txt -r requirements/documents.txt
	@touch $@

.venv-local/.installed: .venv/.uv requirements/local.txt
	@echo "  · the local AWS emulator"
	@test -x .venv-local/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-local
	@$(UV) pip install --quiet --python .venv-local/bin/python --require-hashes -r requirements/local.txt
	@touch $@

.venv-tools/.installed: .venv/.uv requirements/tools.txt
	@echo "  · static analysis of the template"
	@test -x .venv-tools/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-tools
	@$(UV) pip install --quiet --python .venv-tools/bin/python --require-hashes -r requirements/tools.txt
	@touch $@

# checkov reads paths with a grammar whose tables it else works out anew for each of some hundred paths (15 s a run).
# They name the grammar they are of; tables of another are not used.
.venv-tools/.tables: .venv-tools/.installed
	@.venv-tools/bin/python -c "import os, ply.yacc; from bc_jsonpath_ng.ext import parser; \
		ply.yacc.yacc(module=parser.ExtentedJsonPathParser(), debug=False, tabmodule='parser_jsonpath_parsetab', \
		outputdir=os.path.dirname(parser.__file__), write_tables=True, start='jsonpath')"
	@touch $@

# Binaries only; no package's install script runs.
node_modules/.installed: package-lock.json
	@echo "  · test binaries"
	@command -v npm >/dev/null 2>&1 || { \
		echo "✗ set-up"; echo "  why:  npm is not on the path"; echo "  next: install Node 20 or later, then make setup"; exit 1; } >&2
	@npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

# ── the stack on this machine ─────────────────────────────────────────────────────────────────────────────────────

up: .venv/.installed .venv-local/.installed ## the whole product here: emulator, simulators, deployment, demo users, story
	@$(STACK) up

down: ## stop it; its state stays
	@test ! -x $(PYTHON) || $(STACK) down

status: ## what runs, and where
	@$(STACK) status

tokens: ## fresh access tokens in .local/stack.json
	@$(STACK) tokens

log: ## what a function logged: make log FUNCTION=crm_api
	@$(STACK) log $(FUNCTION)

story: ## tell the demo story again
	@$(PYTHON) -m local.story

catalogue: .venv/.installed ## how Stripe's catalogue differs from our plan data; APPLY=1 closes it, STACK_NAME= names a deployment
	@$(PYTHON) -m local.operate $(if $(STACK_NAME),--stack $(STACK_NAME)) catalogue $(if $(APPLY),apply,plan)

forget: ## stop the stack and remove its state
	@$(STACK) forget

# ── what must hold ────────────────────────────────────────────────────────────────────────────────────────────────

check: .venv/.installed ## format, lint, types, import contracts, generated files, unit and quick property tests (about a minute)
	@echo "  · format and lint"
	@$(PYTHON) -m ruff format --check --quiet $(CODE)
	@$(PYTHON) -m ruff check --quiet $(CODE)
	@echo "  · types"
	@$(PYTHON) -m mypy $(CODE)
	@echo "  · import contracts"
	@PYTHONPATH=shared .venv/bin/lint-imports --no-cache
	@echo "  · what is generated"
	@$(PYTHON) -m local.generate --check
	@echo "  · unit and quick property tests"
	@$(PYTEST) -q -n $(WORKERS) --dist worksteal tests/unit $(QUICK)

test: setup ## every suite that must pass, each with its time
	@$(PYTHON) -m tests --workers $(WORKERS)

proof: setup ## the full counts: fault schedules, planted bugs, usage stories, every order of events, a long list
	@$(PYTHON) -m tests.proof

bench: setup ## the budgets, each a ratio measured side by side
	@PYTHONPATH=shared $(PYTHON) -m tests.bench

lint-template: setup ## the template alone: cfn-lint, translation, conventions, checkov
	@$(PYTEST) -q tests/architecture/test_template.py

# ── upkeep ────────────────────────────────────────────────────────────────────────────────────────────────────────

docs: .venv/.installed ## what is generated: API description, event schemas, requirements coverage
	@$(PYTHON) -m local.generate

COMPILE := $(UV) pip compile --quiet --python-version 3.13 --universal --generate-hashes --no-emit-index-url --no-header
lock: .venv/.uv ## recompile the hashed lists from pyproject.toml
	@echo "  · six lists, from the package index"
	@$(COMPILE) pyproject.toml -o requirements/runtime.txt
	@$(COMPILE) -c requirements/runtime.txt --group training -o requirements/training.txt
	@$(COMPILE) -c requirements/runtime.txt --group documents -o requirements/documents.txt
	@$(COMPILE) -c requirements/runtime.txt -c requirements/training.txt -c requirements/documents.txt pyproject.toml --group dev -o requirements/dev.txt
	@$(COMPILE) --group local -o requirements/local.txt
	@$(COMPILE) --group tools -o requirements/tools.txt

build: .venv/.installed ## the layers for Lambda (arm64, or LAYER_ARCHITECTURE=x86_64) under .build/lambda
	@echo "  · layers, a minute or two"
	@rm -rf .build/lambda && mkdir -p .build/lambda/dependencies .build/lambda/training .build/lambda/documents .build/lambda/domain
	@$(MAKE) -s -C layers/training PYTHON=$(CURDIR)/$(PYTHON) ARTIFACTS_DIR=$(CURDIR)/.build/lambda/training build-TrainingLayer
	@$(MAKE) -s -C layers/documents PYTHON=$(CURDIR)/$(PYTHON) ARTIFACTS_DIR=$(CURDIR)/.build/lambda/documents build-DocumentsLayer
	@$(MAKE) -s -C layers/dependencies PYTHON=$(CURDIR)/$(PYTHON) ARTIFACTS_DIR=$(CURDIR)/.build/lambda/dependencies build-DependenciesLayer
	@$(MAKE) -s -C layers/domain PYTHON=$(CURDIR)/$(PYTHON) ARTIFACTS_DIR=$(CURDIR)/.build/lambda/domain build-DomainLayer
	@find .build/lambda/dependencies .build/lambda/domain -type f -exec cat {} + | wc -c | awk '{ printf "  layers: %.1f MB unzipped\n", $$1 / 1e6 }'
	@find .build/lambda/training -type f -exec cat {} + | wc -c | awk '{ printf "  training layer: %.1f MB unzipped\n", $$1 / 1e6 }'
	@find .build/lambda/documents -type f -exec cat {} + | wc -c | awk '{ printf "  documents layer: %.1f MB unzipped\n", $$1 / 1e6 }'

clean: ## remove what was built (environments and the stack's state stay)
	@rm -rf .build .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
