# Everything runs inside .venv, built once from the exact versions in requirements.lock.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTHON ?= python3

export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: setup demo test launch-test lint docs bench chaos clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=…")'
	@echo 'Installing the exact versions of requirements.lock into $(VENV), once: about 2 GB, a minute or more ...'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)
	$(BIN)/clipsweep run quickstart

# Two processes of one thread each: with small models a second thread gains nothing. A file's tests run in one of them.
test: export OMP_NUM_THREADS ?= 1
test: $(READY)
	$(BIN)/python -m pytest -m "not gpu and not launch" -n 2 --dist loadfile --no-loadscope-reorder

# The files of cluster/launch on a Slurm and an sshd of the tests' own, where those are installed.
launch-test: $(READY)
	$(BIN)/python -m pytest -m launch

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/site
	@echo 'The site is build/site/index.html'

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

chaos: export OMP_NUM_THREADS ?= 1
chaos: $(READY)
	$(BIN)/python -m tests.chaos

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
