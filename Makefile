PYTHON ?= python3
VENV := .venv
RNNREG := $(VENV)/bin/rnnreg

# What `make reproduce` runs: make reproduce PROFILE=standard SEEDS=5 DATA=/where/the/data/is ARGS="--jobs 1"
PROFILE ?= quick
SEEDS ?= 2
DATA ?= data
STORE ?= runs
ARGS ?=

# Seconds that `make campaign` takes.
BUDGET ?= 3600

# Tests run in parallel, those of one file in one process, since they share what is costly to make. One more process than
# there are cores, as some tests wait for a cluster. WORKERS=0: in this one.
WORKERS ?= $(shell expr $$(nproc) + 1)
PYTEST := $(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder -rs

TABLE := $(RNNREG) table --store results/records --output results --readme README.md

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test test-fast coverage lint types campaign table check-table verify causes check wheel docs \
	constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.done ## virtual environment in .venv with pinned dependencies

$(VENV)/.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "needs Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); name another with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $@

reproduce: setup ## train a profile (PROFILE, SEEDS, DATA, STORE) and print its table
	$(RNNREG) reproduce --profile $(PROFILE) --seeds $(SEEDS) --data='$(DATA)' --store='$(STORE)' $(ARGS)

test: setup ## all tests, in parallel
	$(PYTEST)

test-fast: setup ## unit tests alone, for the inner loop: less than a minute
	$(PYTEST) tests/unit

coverage: setup ## all tests; fail when too few lines and branches of the packages, or of one file, are run
	$(PYTEST) --cov --cov-report=term --cov-report=json
	$(VENV)/bin/python .ci/coverage.py coverage.json

lint: setup ## ruff: style and formatting; codespell: spelling
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	git ls-files -z | xargs -0 $(VENV)/bin/codespell

types: setup ## mypy on the three packages
	$(VENV)/bin/mypy

campaign: setup ## kills, flipped bits, full disks, fuzzed inputs for BUDGET seconds; outcome to docs/reliability.md
	PYTHONPATH=tests $(VENV)/bin/python -m campaign --budget $(BUDGET) --write docs/reliability.md $(ARGS)

table: setup ## make the committed tables and figures and the README's table again from the committed records
	$(TABLE)

check-table: setup ## fail if the committed tables or figures are stale
	$(TABLE) --check

verify: setup ## recompute all that can be recomputed of the committed records
	$(RNNREG) verify results/records --junit runs/verify/junit.xml

causes: setup ## plant known mistakes in runs; fail if `rnnreg compare` does not name them (minutes)
	PYTHONPATH=tests $(VENV)/bin/python tests/system/planted_causes.py

check: setup ## train a few rows and fail when a metric has moved from the committed baseline
	$(RNNREG) check --data='$(DATA)' --wandb off --junit runs/check/junit.xml

wheel: ## build the wheel into dist/, install it without extras into an empty environment, and train a tiny model with it
	PYTHON=$(PYTHON) bash .ci/wheel dist

docs: setup ## build the documentation with the report of the committed records into site/
	$(VENV)/bin/mkdocs build --site-dir site --strict
	$(RNNREG) report --store results/records --output site/report

constraints: ## renew constraints.txt: the newest versions that pyproject.toml allows, in an environment of their own
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder"; \
	"$$folder/bin/python" -m pip install --quiet '.[dev]'; \
	"$$folder/bin/python" -m pip check; \
	"$$folder/bin/python" -m pip freeze --exclude rnnreg > "$$folder/frozen"; \
	sed 's/+[a-z0-9.]*$$//' "$$folder/frozen" > constraints.txt  # a build such as +cpu is this machine's

clean: ## remove the virtual environment, caches and builds; data and runs stay
	rm -rf $(VENV) *.egg-info .pytest_cache .ruff_cache .mypy_cache .coverage .coverage.* coverage.json build dist site
