# Everything starts here: `make run` and `make test` work on a fresh machine with Python >= 3.11 and make.
# Settings are environment variables or lines of .env (see .env.example): EPHEMERAL=1 make run

PYTHON ?= python3
BIN := .venv/bin
AGENT := $(BIN)/python $(BIN)/agent  # not by its first line, which some paths break

# Other people's modules, libraries and options: neither the installation nor what it starts is theirs. For the running
# program config/environment.py has the list; what else the installation drops is in tools/bootstrap.py.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONWARNINGS PYTHONOPTIMIZE PYTHONINSPECT
unexport PYTHONPLATLIBDIR PYTHONEXECUTABLE PYTHONDEVMODE PYTHONBREAKPOINT PYTHONDEBUG PYTHONVERBOSE
unexport PYTHONPROFILEIMPORTTIME PYTHONCASEOK
# Tests wait more than they compute: two at a time for each core
WORKERS ?= $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN))
TIMES ?= 30
TEST ?= tests/integration/test_whatsapp_turns.py::test_the_same_webhook_again_changes_nothing

.PHONY: help run install test lint repeat bench chaos power lock clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: install  ## start everything; Ctrl-C stops it
	@exec $(AGENT) run

install:  ## make .venv from requirements.lock; does nothing when it is up to date
	@$(PYTHON) tools/bootstrap.py

# With bytecode whatever the environment says: each workflow's sandbox imports our modules anew, from it in half the time
test: install  ## every check and test; ends with pytest's summary
	@$(PYTHON) tools/bootstrap.py browser
	@{ said=$$($(MAKE) --no-print-directory lint 2>&1); checked=$$?; echo "$$said"; exit $$checked; } & lint=$$!; \
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS); tested=$$?; \
	wait $$lint && exit $$tested

lint: install  ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python $(BIN)/lint-imports

repeat: install  ## TEST (a path, with ::name) TIMES times on a machine that is made busy
	$(BIN)/python tools/repeat.py $(TIMES) $(TEST)

bench: install  ## measure; prints a table and writes bench/results.json
	@exec $(BIN)/python -m bench

chaos: install  ## the long fault runs
	$(BIN)/python -m pytest -m chaos

power: install  ## how soon the model test finds old defects that are put back
	$(BIN)/python -m tests.model.power

lock: install  ## resolve the dependencies of pyproject.toml anew
	$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --no-header --no-emit-index-url -o requirements.lock

clean:  ## remove what was built and measured; DATA_DIR stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist bench/results.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
