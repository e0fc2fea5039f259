# `make demo` and `make test` need Python 3.11-3.13 and make, and set up the rest themselves.
VENV := .venv
PYTHON := $(shell for p in $(PYTHON_COMMAND) python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	>/dev/null 2>&1 && echo "$$p" && break; done)
# Python compiles the few modules that are used at their first import; pip would compile all.
# Warnings of the build, such as setuptools' about editable installations, tell a user nothing.
PIP := PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
	--constraint constraints.txt

# Tests start hundreds of processes, which would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

# In their order: the files of most tests first would leave the longest tests to the end, and a core idle.
EACH_FILE_TO_A_WORKER := -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow lint docs clean

demo: $(VENV)/installed
	$(VENV)/bin/convsearch demo

test: $(VENV)/compiled
	$(VENV)/bin/python -m pytest $(EACH_FILE_TO_A_WORKER) -m "not slow"

test-slow: $(VENV)/compiled
	$(VENV)/bin/python -m pytest -n auto --dist worksteal -m slow

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# The site goes to build/site. Nothing is fetched: fonts, scripts and inventories are all local.
docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "convsearch needs Python 3.11, 3.12 or 3.13: none was found on the PATH." \
		"Install one, or name it: make PYTHON_COMMAND=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

# Old versions of pip, which come with Python, take a minute longer to choose versions.
$(VENV)/newer-pip: constraints.txt | $(VENV)/bin/python
	$(PIP) --upgrade pip
	@touch $@

$(VENV)/installed: pyproject.toml constraints.txt $(VENV)/newer-pip
	@echo "Installing convsearch into $(VENV) (once; TensorFlow is large, so this takes a few minutes)"
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt $(VENV)/newer-pip
	@echo "Installing convsearch and what its tests need into $(VENV) (once; TensorFlow is large)"
	$(PIP) --editable '.[dev]'
	@touch $(VENV)/installed $@

# Two processes compile what is imported, so that the workers of pytest do not all do it at once.
$(VENV)/compiled: $(VENV)/installed-dev
	@$(VENV)/bin/python -c "import tensorflow" 2>/dev/null & \
	$(VENV)/bin/python -m pytest --collect-only -qq >/dev/null 2>&1; wait
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
