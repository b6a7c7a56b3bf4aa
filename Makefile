# The common tasks; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
PYTEST := $(VENV)/bin/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup train test test-fast lint format clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything, in the tested versions

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet uv -c constraints.txt
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --compile-bytecode -c constraints.txt -e '.[tracking,dev]'
	@touch $@

train: $(READY) ## train on MNIST for minutes, then measure what was learnt
	$(VENV)/bin/gan train experiment=quick
	$(VENV)/bin/gan evaluate ckpt=last data.offline_fallback=true

test: $(READY) ## run all tests, on a GPU too if there is one (CUDA_VISIBLE_DEVICES= hides it)
	$(PYTEST)

test-fast: $(READY) ## run those without processes, a browser or longer runs
	$(PYTEST) -m 'not process and not browser and not slow'

lint: $(READY) ## check style and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(READY) ## put the code into its format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean: ## remove the virtual environment
	rm -rf $(VENV)
