# Everything a fresh machine needs: `make run` talks, `make test` tests, `make check` is what a commit must pass.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# PyTorch's own index has the tested version without CUDA, which saves gigabytes. Another one: make TORCH_INDEX=URL ...
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# Random examples that `make fuzz` tries of each kind.
FUZZ ?= 5000
# Tools that look at what is installed stand in an environment of their own, so that they aren't part of it.
TOOLS := $(VENV)/tools
# The environment that `make sbom` lists: in an image, /opt/knowledge-bot/bin/python.
SBOM_OF ?= $(BIN)/python
SOURCES := bot tests benchmarks
# Processes that run tests side by side, a file at a time; each takes 1 GB. Three are quicker on two quiet cores.
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
# The tests that start no program, train no model and talk to no platform, but for those that are marked as slow.
QUICK := $(addprefix tests/,core engine evaluation http knowledge observability questions storage test_structure.py)

.PHONY: help run test quick lint check format fuzz lock licences sbom audit bench models load soak clean

help:  ## Show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | while IFS=$$'\t' read -r name what; do \
		printf '  make %-8s %s\n' "$$name" "$$what"; done

run: $(VENV)/.installed  ## Set everything up and talk to the bot in this terminal
	@$(BIN)/knowledge-bot run

test: $(VENV)/.installed-dev  ## Set everything up and run the tests
	@echo "==> Running the tests"
	@$(PYTEST)

quick: $(VENV)/.installed-dev  ## The fast part of the tests, for between commits
	@$(PYTEST) -q -x -m "not slow" $(QUICK)

lint: $(VENV)/.installed-dev  ## Style, types and layers
	@echo "==> Checking style, types and layers"
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy --strict bot
	@$(BIN)/lint-imports

check: lint test  ## All checks: what every commit must pass

format: $(VENV)/.installed-dev  ## Put the code into its form
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

fuzz: $(VENV)/.installed-dev  ## Try random texts, bodies, backups and files for minutes (FUZZ=1000: fewer)
	@FUZZ_EXAMPLES=$(FUZZ) $(BIN)/python -m pytest -q -m fuzz --hypothesis-profile=fuzz --timeout 0
	@$(BIN)/python benchmarks/fuzzing.py --files $$(( $(FUZZ) / 20 ))

lock: $(TOOLS)/.installed  ## Write requirements.lock anew, after a change of constraints.txt
	@$(TOOLS)/bin/uv pip compile pyproject.toml -c constraints.txt --extra openai --generate-hashes --quiet --no-annotate \
		--python-version 3.11 --custom-compile-command "make lock" -o requirements.lock \
		$$($(BIN)/python benchmarks/licences.py --left-out | sed 's/^/--no-emit-package /') > /dev/null

licences: $(VENV)/.installed-dev  ## Write docs/licences.md anew
	@$(BIN)/python benchmarks/licences.py > docs/licences.md

sbom: $(TOOLS)/.installed $(VENV)/.installed  ## List what is installed, with licences, in sbom.json (CycloneDX)
	@$(TOOLS)/bin/cyclonedx-py environment $(SBOM_OF) --pyproject pyproject.toml --output-reproducible -o sbom.json

audit: $(TOOLS)/.installed  ## Ask whether the tested versions have known vulnerabilities (needs the internet)
	@$(TOOLS)/bin/pip-audit --disable-pip --no-deps -r constraints.txt

bench: $(VENV)/.installed-dev  ## Measure indexing and answering on this machine
	@$(BIN)/python benchmarks/indexing.py
	@$(BIN)/python benchmarks/documents.py --files 80
	@$(BIN)/python benchmarks/freshness.py --passages 1000
	@$(BIN)/python benchmarks/answering.py

models: $(VENV)/.installed-dev  ## Fetch small real language models (0.8 GB) to test and measure with
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[models]'
	@$(BIN)/python benchmarks/language_models.py

load: $(VENV)/.installed-dev  ## Measure Discord and Telegram under load and faults, on local servers
	@$(BIN)/python benchmarks/discord_load.py
	@$(BIN)/python benchmarks/telegram_load.py

soak: $(VENV)/.installed-dev  ## Measure faults, overload and a long run: an hour or two
	@$(BIN)/python benchmarks/faults.py kills
	@$(BIN)/python benchmarks/faults.py hostile
	@$(BIN)/python benchmarks/faults.py overload
	@$(BIN)/python benchmarks/faults.py soak

clean:  ## Remove what was installed and cached, but no data
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 run"; exit 1; }
	@echo "==> Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed $(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	@echo "==> Installing the bot and what it needs (about 1.5 GB on disk; minutes on a slow line)"
	@if curl --silent --head --fail --max-time 2 --output /dev/null $(TORCH_INDEX)/torch/ 2>/dev/null; then \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps \
			--index-url $(TORCH_INDEX) torch; fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.$(if $(findstring dev,$@),[dev])'
	@touch $@

$(TOOLS)/.installed: $(BIN)/python Makefile
	@$(BIN)/python -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0 pip-audit==2.10.1 uv==0.13.9
	@touch $@
