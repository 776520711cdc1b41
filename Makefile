# make run     train mnist_relu in both frameworks, on the embedded digits
# make test    the test suite
# make test-ci what CI tests besides, which takes longer
# make setup   only install
# make lint    what CI checks besides the tests
# make site    the documents, the Python interface and the book as pages, in site/
# Each installs what it needs into .venv first; what is there already is skipped.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-ci setup lint site

run: $(VENV)/installed
	$(BIN)/python -m parity.run mnist_relu

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest

test-ci: $(VENV)/installed-dev
	$(BIN)/python -m pytest --slow -m ci

setup: $(VENV)/installed

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

site: $(VENV)/installed-dev
	rm -rf site
	$(BIN)/python -m sphinx -W --keep-going -q -c docs . site
	$(BIN)/python -m parity.explain --html site/book

$(VENV)/installed: pyproject.toml requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -r requirements.txt
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install -e '.[tf,torch,mnist,report,docs,dev]'
	touch $@
