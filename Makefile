# The two commands are `make run` and `make test`; both do all their own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run install dev peers test lint types bench lock clean

help:
	@echo "make run      start the gateway with a demo profile (HTTP 8080, CoAP 5683/udp, MQTT 1883, data in data/)"
	@echo "make test     run every test, the real clients included"
	@echo "make install  set up $(VENV) and nothing else; then $(BIN)/firstlight is there"
	@echo "make lint types bench    ruff, mypy --strict, what a provision costs"

run: install
	@PYTHONSAFEPATH=1 $(BIN)/firstlight serve --demo

install: $(VENV)/.installed

dev: $(VENV)/.dev

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "firstlight needs Python 3.11 or newer: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@touch $@

# coap-client, mosquitto, PostgreSQL, nginx and so on: what nobody here wrote and the tests talk to.
peers:
	@.ci/peers

test: dev peers
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --include='core/*' --fail-under=100
	@$(BIN)/python -m coverage report --omit='core/*' --fail-under=90

lint: dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: dev
	@$(BIN)/mypy

bench: dev peers
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.replicas

# Needs uv (https://docs.astral.sh/uv/) on the path; writes no registry's address.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file requirements.lock
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* build dist *.egg-info
