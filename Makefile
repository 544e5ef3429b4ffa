# Everything a newcomer needs: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# Which Python makes .venv: the first of python3, python3.14, … that the locks hold, unless it is named here.
PYTHON ?=
BIN := .venv/bin
# Some container images forbid bytecode; without it every process of the tests compiles all of them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install run audit check fast lint format packages test test-long faults coverage fuzz environments docs lock clean screenshots bench

help:  ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install:  ## Install the product and its development tools into .venv, from the hashed lock
	@PYTHON="$(PYTHON)" bash tools/install.sh requirements/dev.lock

run:  ## Start the product with services of its own; Ctrl-C ends all of it
	@PYTHON="$(PYTHON)" bash tools/install.sh requirements/run.lock
	@bash tools/system_packages.sh $(RUN_PACKAGES)
	@exec bash tools/run.sh

lint: install  ## Formatting, lint, templates, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	git ls-files 'templates/*.html' | xargs -r $(BIN)/djade --target-version 5.2 --check
	$(BIN)/mypy .
	$(BIN)/lint-imports

audit: install  ## Known vulnerabilities of what production installs, where an advisory service can be asked
	$(BIN)/python tools/audit.py

check: install  ## Lint and the fast tests, side by side: about a minute
	@$(MAKE) --no-print-directory -j2 -Otarget lint fast

fast: install
	$(BIN)/pytest -q -n auto --maxprocesses 4 -m "not slow and not network and not browser"

test: lint audit environments  ## All but what is long: with real services, the package index and a browser
	$(WHOLE) -m "not long and not faults"

test-long: environments  ## The rest: every version, distribution, action and look, of which `make test` has one each
	$(WHOLE) -m "long or faults"

WHOLE := $(BIN)/pytest -n auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder --durations=40

environments: install
	@bash tools/system_packages.sh $(TEST_PACKAGES)
	$(BIN)/python -m tests.environments

# Debian packages. Without some of them some things are not offered, and their tests are left out with a sentence.
RUN_PACKAGES := mmdebstrap buildah netavark bubblewrap
TEST_PACKAGES := $(RUN_PACKAGES) skopeo chromium libatomic1 xmlsec1 rabbitmq-server prometheus curl dnf

packages:  ## As root: the Debian packages that `make run` and `make test` use, for every user of this machine
	@bash tools/system_packages.sh $(TEST_PACKAGES)

format: install  ## Format the code and the templates
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files 'templates/*.html' | xargs -r $(BIN)/djade --target-version 5.2

docs: install  ## Write what is made of the code: the table of variables, the SDK's reference, the tree of folders
	$(BIN)/python tools/configuration_reference.py
	$(BIN)/python tools/sdk_reference.py
	$(BIN)/python tools/code_map.py
	$(BIN)/python tools/lifecycle_diagram.py

# The largest lock is made first and the others of it, so that what is tested is what runs.
COMPILE := $(BIN)/uv pip compile -q $(UPGRADE) --generate-hashes --no-emit-index-url --python-version 3.11 --universal
SAME := -c requirements/dev.lock

lock: install  ## Make the locks again from pyproject.toml; UPGRADE=--upgrade takes newer versions
	$(COMPILE) --extra local --extra dev pyproject.toml -o requirements/dev.lock
	$(COMPILE) $(SAME) --extra local pyproject.toml -o requirements/run.lock
	$(COMPILE) $(SAME) pyproject.toml -o requirements/main.lock
	$(COMPILE) $(SAME) requirements/clients/dependencies.txt -o requirements/clients/dependencies.lock
	$(BIN)/python -m tools.client_wheels

bench: install  ## Our builds beside those by hand and by buildah, and the look at native libraries; takes hours
	@bash tools/system_packages.sh mmdebstrap skopeo buildah netavark bubblewrap
	$(BIN)/python -m benchmarks.builders
	$(BIN)/python -m benchmarks.native_libraries

faults: install  ## Every scenario of faults in RUNS rounds (1); test-results/faults.jsonl keeps all, and the table is of it
	RI_TEST_FAULT_RUNS=$(or $(RUNS),1) $(BIN)/pytest -q tests/faults

# Of the packages in pyproject.toml, processes that the tests start included. TESTS names some of the tests.
coverage: environments  ## How much of the workers' code and of make run the tests of `make test` reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --maxprocesses 2 --dist loadfile -m "not long and not faults" $(TESTS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

fuzz: install  ## New examples for what comes from outside, SECONDS (60) for each target
	RI_TEST_FUZZ_SECONDS=$(or $(SECONDS),60) $(BIN)/pytest -q tests/fuzz

screenshots: install  ## Pictures of every page, desktop and phone, light and dark
	$(BIN)/pytest -q tests/browser/screenshots.py

clean:  ## Remove what was installed and made; the state in .local stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis test-results
