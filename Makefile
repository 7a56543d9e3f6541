# Two commands on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
TYPED := build/typed/nait

.PHONY: help setup audit quickstart test test-faults check typed bench docs clean

help: ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/.stamp ## make .venv and install everything, pinned

.venv/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m compileall -q nait baselines eval sweeps conf benchmarks  # as pip does for an installed package
	@touch $@

quickstart: setup ## the main job on the embedded world: select, fine-tune, evaluate, leaderboard
	$(BIN)/nait experiment=quickstart

test: setup ## the default test suite; COVERAGE=1 measures branch coverage and holds its floor
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(if $(COVERAGE),--cov)

test-faults: setup ## kills, power cuts, failing disks and flipped bits in whole jobs: 20 minutes
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -m faults -n logical --maxprocesses 4 --dist worksteal tests/faults

check: setup typed ## lint, format, strict types, architecture, documents, every YAML composes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=build/typed $(BIN)/mypy -p nait
	$(BIN)/python -m pytest -n 0 tests/architecture tests/app/test_config.py

# The wings live at the top level and are imported as nait.*: links show the type checker one package.
typed:
	@rm -rf build/typed && mkdir -p $(TYPED)
	@for path in nait/*; do ln -s ../../../$$path $(TYPED)/; done
	@for wing in baselines eval sweeps conf; do ln -s ../../../$$wing $(TYPED)/$$wing; done

bench: setup ## speed, as ratios measured side by side; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

docs: setup ## the documentation site, into build/site; every warning is an error
	$(BIN)/python docs/site/build.py build/site

audit: setup ## known advisories about the installed packages; skipped where pip-audit or the index is missing
	@if ! $(BIN)/python -c 'import pip_audit' 2>/dev/null; then \
	  echo "audit skipped: pip-audit is not installed (pip install pip-audit)"; \
	elif ! $(BIN)/python -c 'import urllib.request as u; u.urlopen("https://pypi.org/simple/pip/", timeout=10)' 2>/dev/null; then \
	  echo "audit skipped: the index is not reachable"; \
	else $(BIN)/python -m pip_audit --local --skip-editable; fi

clean: ## remove what the targets above made, but not the store and the runs
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
