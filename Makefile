# make demo | check | test | lint | bench | gpu | notebooks | pictures | clean | help. Everything is set up on the way, in
# .venv; only `gpu` makes no environment: machines with a GPU come with a torch of their own.

VENV  := .venv
BIN   := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
DEMO_EXTRAS := plot
TEST_EXTRAS := dev,hf,onnx,parquet,plot,po,translate
# Python compiles what it imports; compiling all that is installed takes longer than the rest of the set-up.
INSTALL := install -q --disable-pip-version-check --no-compile -c constraints.txt
# Where bytecode is not kept, each process that a test starts compiles torch again.
PYTEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile
RUN   ?= runs/demo
OP    ?= all

.DEFAULT_GOAL := help
.PHONY: demo check test test-tensorflow lint bench gpu mutants notebooks pictures clean help

demo: $(VENV)/.ready-demo  ## train a small multilingual encoder on real text and show how its languages align
	$(BIN)/xformer demo --run $(RUN)

check: lint  ## lint, then the tests that are quick: the loop while you work, under 90 seconds on two cores
	$(PYTEST) -m "not slow" $(ARGS)

test: lint  ## lint, then the whole test suite
	$(PYTEST) $(ARGS)

test-tensorflow:  ## what `xformer export tensorflow` writes, in an environment of its own with TensorFlow
	$(PYTHON) -m venv .venv-tensorflow
	.venv-tensorflow/bin/python -m pip $(INSTALL) -e . hypothesis pytest tensorflow-cpu tokenizers
	.venv-tensorflow/bin/python -m pip $(INSTALL) --no-deps tensorflow-text
	env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=2 .venv-tensorflow/bin/pytest \
		tests/interop/tensorflow tests/interop/export/test_tensorflow_folder.py $(ARGS)

lint: $(VENV)/.ready-test  ## style, format and types: ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.ready-demo  ## kernels beside their peers on this machine; OP=attention for one, ARGS=--quick for a look
	$(BIN)/xformer bench $(OP) $(ARGS)

gpu:  ## on a machine with a GPU: test and measure all kernels there, in under ten minutes; ARGS=--dry-run for the plan
	PYTHONPATH=. $(or $(wildcard $(BIN)/python),$(PYTHON)) -P -m xformer.benchmarks.gpu $(ARGS)

notebooks: $(VENV)/.ready-test  ## run the three notebooks on RUN=runs/demo; what they show goes to build/notebooks
	mkdir -p build/notebooks
	for one in notebooks/*.ipynb; do XFORMER_RUN=$(RUN) $(BIN)/jupyter execute $$one --output=$(CURDIR)/build/$$one || exit 1; done

pictures: $(VENV)/.ready-test  ## pictures of the attention page of RUN=runs/demo for the docs: light, dark, narrow
	$(BIN)/python -P -m xformer.benchmarks.page.pictures $(RUN) $(ARGS)

mutants: $(VENV)/.ready-test  ## break each kernel in small ways; the tests must notice; ARGS='--kernel glu' for one
	PYTHONPATH=. $(BIN)/python -P -m tests.mutation.run $(ARGS)

clean:  ## remove the environment, caches and builds; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './runs/*' -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

# One environment. The demo's packages come first and are enough to use it; the tests add theirs on top.
$(BIN)/python:
ifeq ($(strip $(PYTHON)),)
	@echo "xformer needs Python 3.11 or newer, and found none as python3, python3.13, python3.12 or python3.11."; \
	echo "Install one, or name it: make $(or $(MAKECMDGOALS),help) PYTHON=/path/to/python3.12"; exit 1
else
	$(PYTHON) -m venv $(VENV)
endif

$(VENV)/.ready-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip $(INSTALL) -e '.[$(DEMO_EXTRAS)]'
	@touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip $(INSTALL) -e '.[$(TEST_EXTRAS)]'
	@tests/install_chromium.sh
	@touch $@ $(VENV)/.ready-demo
