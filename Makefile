PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SPECS := $(wildcard specs/*.muon)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo bench test test-slow test-aot lint generate check-generated family clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything that the other targets need

# A .venv that has no pip, such as one whose making was interrupted, is made again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "muondsl needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,demo,integrations]'
	@touch $@

# OpenMP threads that wait by spinning for long slow each other down several times over where another process
# wants a core; a short spin costs nothing on an idle machine.
demo: setup ## Compile specs/moonlight.muon and train a small GPT with it, beside AdamW
	$(BIN)/muondsl compile specs/moonlight.muon
	GOMP_SPINCOUNT=5000 $(BIN)/python -m demo.train_gpt

bench: setup ## Measure and count steps on this CPU beside torch.optim.Muon and what else is installed
	GOMP_SPINCOUNT=5000 $(BIN)/python -m benchmarks

test: check-generated ## Check the generated files and run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow and not aot"

test-slow: setup ## Run the tests that take minutes: 20,000 fuzzed inputs, hundreds of random programs
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "slow and not aot"

test-aot: setup ## Compile every kernel of every spec for every target, and read the binaries
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m aot

lint: setup ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

generate: setup ## Compile every spec into generated/
	$(BIN)/muondsl compile $(SPECS)

check-generated: setup ## Fail if a file in generated/ is not what its spec yields
	$(BIN)/muondsl compile --check $(SPECS)

family: setup ## Write the tables of docs/family.md from the specs and their references
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.family.document

clean: ## Remove caches, builds and what the demo wrote; .venv stays
	rm -rf build dist demo/out benchmarks/out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
