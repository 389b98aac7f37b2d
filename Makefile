# The commands to remember. Each creates .venv from requirements.lock when it is missing or out of date.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
DAYS ?= 7
# Processes of `make test` and `make slow`, each with a sandbox of its own.
JOBS ?= 2
BIN := .venv/bin
READY := .venv/.ready
# A uv on the path is used; otherwise pip puts one into .venv.
UV := $(shell command -v uv 2>/dev/null)
# The machine's own certificates, as pip takes them: companies put their proxy's among them.
export UV_SYSTEM_CERTS := 1

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(READY)  ## from S3 files to dbt models, by itself, with a summary (DAYS=365 for the whole year)
	@$(BIN)/datalake demo --days $(DAYS)

dev: $(READY)  ## the platform with the Dagster UI, until Ctrl-C
	@$(BIN)/datalake dev

test: $(READY)  ## all tests but the slow ones below (JOBS=2 at once)
	@$(BIN)/datalake dbt-manifest
	@$(BIN)/pytest -q -m "not slow" -n $(JOBS) --dist loadgroup

slow: $(READY)  ## properties with many examples, whole trips of many shapes of files
	@$(BIN)/datalake dbt-manifest
	@$(BIN)/pytest -q -m slow -n $(JOBS) --dist loadgroup

conformance: $(READY)  ## the mapping on DuckDB, embedded and classic Spark (with Java 17), and as printed programs
	@$(BIN)/pytest -q tests/conformance

faults: $(READY)  ## kill every step of arrivals, publish and load, and restart
	@$(BIN)/pytest -q tests/faults

soak: $(READY)  ## the whole platform under random faults, then all rows compared (SOAK_SECONDS=600, SOAK_SEED=...)
	@$(BIN)/python -m tests.soak

check: $(READY)  ## lint, types, import rule, SQL style, definitions
	@$(BIN)/datalake dbt-manifest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/datalake validate
	cd dbt_project && ../$(BIN)/sqlfluff lint models tests macros
	$(BIN)/dagster definitions validate -w workspace.yaml

bench: $(READY)  ## measure; each benchmark prints one JSON object as its last line
	@set -e; for name in $$(ls benchmarks/*.py | xargs -n1 basename | sed 's/\.py$$//' | grep -v '^_'); do \
		echo "== $$name"; $(BIN)/python -m benchmarks.$$name $(BENCH_ARGS); done

lock:  ## pin again what pyproject.toml asks for
	$(or $(UV),$(BIN)/uv) pip compile pyproject.toml --extra dev --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --universal --python-version 3.11 -o requirements.lock -q

clean:  ## remove the environment; the sandbox's state stays (datalake sandbox reset)
	rm -rf .venv dbt_project/target

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found %d.%d; name one: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@echo "Preparing .venv from requirements.lock"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -n "$(UV)" || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@uv="$(or $(UV),$(BIN)/uv)"; \
		"$$uv" pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
		"$$uv" pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $(READY)

.PHONY: help demo dev test slow conformance faults soak check bench lock clean
