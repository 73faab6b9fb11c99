# revmd: `make app` opens the laboratory, `make test` runs every test. Each sets up what it needs in .venv.
#
#   make app     [PORT=5006] [ADDRESS=localhost] [ARGS=--no-browser]
#   make lab     the course in JupyterLab [PORT=8888] [ADDRESS=localhost] [ARGS=--no-browser]
#   make test    unit and property tests, then tests in a real browser
#   make check   the fast part of the tests
#   make shapes  the same, with every annotated shape and dtype checked at run time
#   make lint    rules, layout and types of the code
#   make clean   remove what was built here, .venv included
#   PYTHON=/path/to/python3 names the Python that a new .venv is made with.

PORT ?= $(if $(filter lab,$(MAKECMDGOALS)),8888,5006)
ADDRESS ?= localhost
ARGS ?=
JOBS ?= 2
PYTHON ?=

# Relative paths only: the checkout may lie in a folder whose name has spaces.
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input --quiet
PYTEST := $(PY) -m pytest
PINS := pyproject.toml constraints.txt
ARTIFACTS := test-artifacts
NEWS := @jupyterlab/apputils-extension:announcements # JupyterLab would ask whether to fetch its news from another host

.PHONY: help app lab test check shapes lint notebooks clean browser
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,10p'

app: .venv/installed-app
	@echo "revmd: opening http://$(ADDRESS):$(PORT) (Ctrl-C stops it)"
	@$(PY) -m revmd_app app --port "$(PORT)" --address "$(ADDRESS)" $(ARGS)

lab: .venv/installed-lab
	@echo "revmd: opening JupyterLab on notebooks/ (Ctrl-C twice stops it)"
	@$(PY) -m jupyterlab notebooks --port "$(PORT)" --ip "$(ADDRESS)" $(ARGS)

test: .venv/installed-test browser
	@mkdir -p $(ARTIFACTS) && rm -f $(ARTIFACTS)/*.xml
	@failed=0; \
	$(PYTEST) -n $(JOBS) --dist worksteal -m "not browser" --junitxml=$(ARTIFACTS)/unit.xml || failed=1; \
	$(PYTEST) -m browser --screenshot=only-on-failure --output=$(ARTIFACTS)/browser \
	    --junitxml=$(ARTIFACTS)/browser.xml || failed=1; \
	$(PY) .ci/summary.py $(ARTIFACTS)/unit.xml $(ARTIFACTS)/browser.xml || failed=1; \
	exit $$failed

check: .venv/installed-test
	@$(PYTEST) -x -n $(JOBS) --dist worksteal -m "not slow and not browser"

shapes: .venv/installed-test
	@$(PYTEST) -n $(JOBS) --dist worksteal -m "not slow and not browser" \
	    --jaxtyping-packages=revmd_app,typecheck.checked

lint: .venv/installed-test
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

# The texts in notebooks/*.py are the source; this writes the .ipynb beside them, without output.
notebooks: .venv/installed-test
	@$(PY) -m jupytext --quiet --update --to ipynb notebooks/*.py

clean:
	rm -rf .venv build dist $(ARTIFACTS) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

browser: .venv/installed-test
	@sh .ci/browser "$(PY)"

# An existing .venv is used as it is; the stamps say which pins were last installed into it.
.venv/bin/python:
	@sh .ci/venv "$(PYTHON)"

.venv/installed-app: $(PINS) | .venv/bin/python
	@echo "revmd: installing the app into .venv (1.5 GB, about a minute; once) ..."
	@$(PIP) install -c constraints.txt hatchling editables
	@$(PIP) install -c constraints.txt --no-build-isolation -e .
	@touch $@

.venv/installed-lab: $(PINS) | .venv/bin/python
	@echo "revmd: installing the app and JupyterLab into .venv (1.5 GB, about a minute; once) ..."
	@$(PIP) install -c constraints.txt hatchling editables
	@$(PIP) install -c constraints.txt --no-build-isolation -e ".[lab]"
	@$(PY) -m jupyter labextension disable $(NEWS) >/dev/null 2>&1
	@touch .venv/installed-app $@

.venv/installed-test: $(PINS) | .venv/bin/python
	@echo "revmd: installing the app and what its tests need into .venv (1.7 GB, about a minute; once) ..."
	@$(PIP) install -c constraints.txt hatchling editables
	@$(PIP) install -c constraints.txt --no-build-isolation -e ".[lab,test]"
	@$(PY) -m jupyter labextension disable $(NEWS) >/dev/null 2>&1
	@touch .venv/installed-app .venv/installed-lab $@
