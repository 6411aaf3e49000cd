# Two commands on a fresh machine: `make sweep` and `make test`. All they need is Python 3.11, 3.12, 3.13 or 3.14.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# for the tests, installed where they run as root: package=program
DEBIAN := openssh-server=sshd rsync=rsync iproute2=ip curl=curl chromium=chromium

.PHONY: help env sweep check test test-slow check-pythons cluster-check test-cluster gpu-check clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.env: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.test: $(VENV)/.env
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

env: $(VENV)/.env  ## make the environment in .venv

sweep: $(VENV)/.env  ## a real sweep on the built-in images; leaves runs/shapes-<date>
	$(BIN)/python -m tune sweep --data shapes --width 32 --batch 32 --loss hinge --spectral-norm \
		--lr-schedule linear --lr-decay-at 0.4 --ema-half-life 20000 --space examples/shapes.toml \
		--trials 8 --images-per-trial 192000 --images-per-tick 12000

check: $(VENV)/.test  ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check  ## everything a change must pass; as root also on a cluster of network namespaces
	@tests/debian.sh $(DEBIAN)
	tests/run.sh $(BIN)/python -m pytest

test-slow: $(VENV)/.test  ## tests that kill processes or train for long
	@tests/debian.sh $(DEBIAN) postgresql=pg_ctlcluster
	$(BIN)/python -m pytest -m slow

check-pythons:  ## lints, types and a smoke run on each Python 3.11 to 3.14 that is installed
	tests/pythons.sh

cluster-check: $(VENV)/.test  ## rehearse cluster.yaml and examples/onprem.yaml without a cloud
	$(BIN)/python -m pytest tests/cluster/test_files.py

test-cluster: $(VENV)/.test  ## the same with a real `ray up`, on hosts made of network namespaces; needs root
	@tests/debian.sh $(DEBIAN)
	$(BIN)/python -m pytest -m 'cluster and not slow' tests/cluster

gpu-check: $(VENV)/.env  ## on a machine with CUDA: every loss, precision and fault of GPUs against the CPU
	$(BIN)/python benchmarks/gpu.py

clean:  ## remove environments and caches, keep results
	rm -rf $(VENV) .venvs build *.egg-info .mypy_cache .ruff_cache
