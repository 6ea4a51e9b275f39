# Quorate: two commands matter, `make demo` and `make test`. Everything installs into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PROTOS := $(wildcard proto/quorate/v1/*.proto)

# Hundreds of short processes start here: what Python compiles of our own code is kept for the next one.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check test-full bench stubs wire lock clean help

help:            ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/'

demo: .venv/light.done    ## simulate a country, run hub and nodes, leave build/demo/report.html (options: ARGS="--seed 7")
	@$(BIN)/python -m deploy.demo $(ARGS)

test: check      ## lint, types, import rules, stubs, breaking changes of proto/, tests
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: .venv/dev.done     ## everything of `make test` that runs no code of ours
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m mypy -n 2
	$(BIN)/python deploy/stubs.py --check
	$(BIN)/buf lint
	for old in tests/wire/v*/descriptors.binpb; do $(BIN)/buf breaking --against $$old || exit 1; done

test-full: .venv/dev.done ## long statistical, fault and fuzz suites
	$(BIN)/python -m pytest -m full --hypothesis-profile thorough --timeout 3600 $(ARGS)
	$(BIN)/python -m pytest --hypothesis-profile thorough $(ARGS) tests/unit/node/fast tests/unit/node/statistics tests/unit/privacy tests/statistical/test_presence.py

bench: .venv/dev.done     ## measurements, as ratios against a peer or a limit of the same run
	$(BIN)/python -m tests.benchmarks $(ARGS)

stubs: .venv/dev.done     ## regenerate the gRPC stubs after a change of proto/
	$(BIN)/python deploy/stubs.py

wire: .venv/dev.done      ## record anew what this unreleased version says on the wire (docs/wire.md)
	$(BIN)/python -m tests.wire.record

lock: .venv/dev.done      ## resolve the lock files again
	$(BIN)/pip-compile -q $(LOCK_FLAGS) --extra node --extra hub --extra demo -o requirements/light.txt pyproject.toml
	$(BIN)/pip-compile -q $(LOCK_FLAGS) --extra node --extra hub --extra demo --extra spark --extra postgres --extra dev -c requirements/light.txt -o requirements/dev.txt pyproject.toml
LOCK_FLAGS := --strip-extras --allow-unsafe --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --all-build-deps -c requirements/constraints.txt

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "make: no python3.11 found. Install Python 3.11 or newer, or say where it is: make demo PYTHON=/path/to/python3.11"; exit 3; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than Python 3.11. Say where a newer one is: make demo PYTHON=/path/to/python3.11"; exit 3; }
	$(PYTHON) -m venv .venv

.venv/%.done: requirements/%.txt pyproject.toml | .venv/bin/python
	@echo "Installing the locked dependencies of requirements/$*.txt into .venv (once) ..."
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile --require-hashes -r requirements/$*.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@# Compiled on all cores instead of by pip on one; what does not compile is for another Python.
	@$(BIN)/python -m compileall -qq -j 0 $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') || true
	@touch $@ $(if $(filter dev,$*),.venv/light.done)

clean:           ## remove what the commands made
	rm -rf .venv build *.egg-info
