# Everything a newcomer needs: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# Which Python makes .venv: the first of python3, python3.14, … that the locks hold, unless it is named here.
PYTHON ?=
BIN := .venv/bin
# The public client's versions that the tests run, each in an environment of its own.
CLIENTS := 2.13.2

.PHONY: help install run audit check lint format packages test docs lock clean screenshots bench

help:  ## List what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

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

check: lint  ## Lint and the fast tests: under a minute
	$(BIN)/pytest -q -n auto --maxprocesses 4 -m "not slow and not network and not browser"

test: lint audit  ## Everything, with real services, the package index and a browser
	@bash tools/system_packages.sh $(TEST_PACKAGES)
	$(BIN)/python -m tests.environments requirements/clients/*.lock
	$(BIN)/pytest -n auto --maxprocesses 2 --dist loadfile --durations=10

# Debian packages. Without some of them some things are not offered, and their tests are left out with a sentence.
RUN_PACKAGES := mmdebstrap buildah netavark bubblewrap
TEST_PACKAGES := $(RUN_PACKAGES) skopeo chromium libatomic1 xmlsec1 rabbitmq-server prometheus curl

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

# The largest lock is made first and the others of it, so that what is tested is what runs.
COMPILE := $(BIN)/uv pip compile -q $(UPGRADE) --generate-hashes --no-emit-index-url --python-version 3.11 --universal
SAME := -c requirements/dev.lock

lock: install  ## Make the locks again from pyproject.toml; UPGRADE=--upgrade takes newer versions
	$(COMPILE) --extra local --extra dev pyproject.toml -o requirements/dev.lock
	$(COMPILE) $(SAME) --extra local pyproject.toml -o requirements/run.lock
	$(COMPILE) $(SAME) pyproject.toml -o requirements/main.lock
	for version in $(CLIENTS); do \
	  echo "rime-sdk==$$version" | $(COMPILE) --overrides requirements/clients/overrides.txt - \
	    -o requirements/clients/rime-sdk-$$version.lock || exit; \
	done

bench: install  ## Our builds beside buildah + pip and + uv, in one table; takes some minutes
	@bash tools/system_packages.sh mmdebstrap skopeo buildah netavark bubblewrap
	$(BIN)/python -m benchmarks.builders

screenshots: install  ## Pictures of every page, desktop and phone, light and dark
	$(BIN)/pytest -q tests/browser/screenshots.py

clean:  ## Remove what was installed and made; the state in .local stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis test-results
