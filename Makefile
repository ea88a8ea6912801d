# Everything a developer types. Needs make and Python 3.11 or newer; `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN := $(BIN)/python manage.py

# What `check --deploy` is asked about: the settings of an installation behind TLS.
PRODUCTION := DEBUG=off HTTPS=on ALLOWED_HOSTS=example.org CSRF_TRUSTED_ORIGINS=https://example.org \
	SECRET_KEY="$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(64))')"

# How many processes share the tests out: they wait more than they compute.
WORKERS ?= 3

# What `make chaos` is told.
SEED ?= 1
FAULTS ?= 1000
MINUTES ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos bench lint audit up down

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1	\2/p' Makefile

setup: $(STAMP)  ## the virtual environment in .venv, from the pinned requirements

demo: setup  ## the whole path from Kafka to the admin, with sample events (DEMO_ARGS=--no-serve: without the admin)
	@$(RUN) demo $(DEMO_ARGS)

test: setup up  ## the whole suite against the local servers (PYTEST_ARGS="-k name" for a part, WORKERS=0 for one after the other)
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

chaos: setup  ## whole processes under faults, on servers of its own (SEED=1 FAULTS=1000 MINUTES=60, CHAOS_ARGS="--round 3 --keep")
	@$(BIN)/python -m tests.chaos --seed $(SEED) --faults $(FAULTS) --minutes $(MINUTES) $(CHAOS_ARGS)

bench: setup  ## rates and costs against PostgreSQL's own limit, on servers of its own (BENCH_ARGS=--quick: three minutes)
	@$(BIN)/python -m benchmarks run $(BENCH_ARGS)

lint: setup  ## format, lint, types, import contracts, migrations, deployment checks (ten seconds longer with the stack down)
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy consumers
	@$(BIN)/python $(BIN)/lint-imports
	@LOG_LEVEL=CRITICAL $(BIN)/python -W "ignore:Got an error checking a consistent migration history:RuntimeWarning" \
		manage.py makemigrations --check
	@$(PRODUCTION) $(RUN) check --deploy --fail-level WARNING

audit:  ## known holes in the pinned packages, by the index's advisories (needs the internet; packages without an answer fail)
	@test -x $(VENV)/audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)/audit && \
		$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-audit.txt; }
	@$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

up: setup  ## start the local PostgreSQL and Kafka; their data stay in .devstack
	@$(RUN) devstack up

down: setup  ## stop them
	@$(RUN) devstack down

$(STAMP): requirements.txt requirements-dev.txt requirements-otel.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "This needs Python 3.11 or newer, and '$(PYTHON)' is not: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name a newer one: make $(or $(firstword $(MAKECMDGOALS)),setup) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || { \
		rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing the packages into $(VENV) (about 130 MB to download and a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
