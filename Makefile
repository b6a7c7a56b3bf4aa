# The common tasks; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
UV := $(VENV)/bin/uv
# pip's own settings name the index, also for uv, which reads none of them; its cache is in .venv where HOME is read-only.
SET_UP_UV = index="$$($(VENV)/bin/python -m pip config get global.index-url 2>/dev/null || true)"; \
	index="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$index}}"; [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
	mkdir -p "$${XDG_CACHE_HOME:-$$HOME/.cache}/uv" 2>/dev/null && [ -w "$${XDG_CACHE_HOME:-$$HOME/.cache}/uv" ] \
		|| export UV_CACHE_DIR="$(CURDIR)/$(VENV)/cache" UV_TOOL_DIR="$(CURDIR)/$(VENV)/tools";
PYTEST := $(VENV)/bin/python -m pytest -q -n auto --maxprocesses 6 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup train test test-fast test-docs coverage lint format docs dist audit sbom clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything, in the tested versions
	@echo "next: source $(VENV)/bin/activate"

$(READY): pyproject.toml constraints.txt
	@test ! -L $(VENV) || { echo "make: $(VENV) is a link, and what it names would be emptied; remove the link" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet uv -c constraints.txt
	$(SET_UP_UV) $(UV) pip install --quiet --python $(VENV)/bin/python --compile-bytecode -c constraints.txt -e '.[tracking,dev]'
	@touch $@

train: $(READY) ## train on MNIST for minutes, then measure what was learnt
	$(VENV)/bin/gan train experiment=quick
	$(VENV)/bin/gan evaluate ckpt=last data.offline_fallback=true

test: $(READY) ## run the tests, on a GPU too if there is one (CUDA_VISIBLE_DEVICES= hides it)
	$(PYTEST) -m 'not pages'

test-docs: $(READY) ## run the commands of README and docs/ that take seconds
	$(PYTEST) -m pages

test-fast: $(READY) ## run those without processes, a browser or longer runs
	$(PYTEST) -m 'not process and not browser and not slow and not pages'

coverage: $(READY) ## run the tests, and list the lines of gan/ that none of them runs
	$(PYTEST) -m 'not pages' --cov --cov-report=term-missing:skip-covered

lint: $(READY) ## check style, format and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(READY) ## put the code into its format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(READY) ## build the documentation into site/; any warning is an error
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict
	@echo site/index.html

dist: $(READY) ## build sdist and wheel into dist/, check them, and run the wheel from an empty environment
	rm -rf dist
	$(SET_UP_UV) $(VENV)/bin/python -m build --installer uv
	$(VENV)/bin/python -m twine check --strict dist/*
	$(SET_UP_UV) .ci/dist dist/*.whl

audit: $(READY) ## look for known vulnerabilities in the versions of constraints.txt; needs the network
	$(SET_UP_UV) $(UV) tool run pip-audit==2.10.1 --requirement constraints.txt --no-deps --disable-pip --strict \
		|| { echo "make audit: not clean: a vulnerability, or no answer for a package; the lines above say which" >&2; exit 1; }

sbom: $(READY) ## write sbom.json, the packages in .venv, in the CycloneDX format
	$(SET_UP_UV) $(UV) tool run --from cyclonedx-bom==7.5.0 cyclonedx-py environment $(VENV)/bin/python \
		--pyproject pyproject.toml --output-reproducible --output-file sbom.json

clean: ## remove the virtual environment
	rm -rf $(VENV)
