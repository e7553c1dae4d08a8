# Two commands do everything from a fresh clone: `make demo` and `make test`.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: help demo serve-demo test test-kills test-rounding lint types check accuracy bench-linear clean

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

# what the demo needs: the core, without torch and the tools
$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt -e .
	touch $@

# what the service and all of its pages need: the core and two extras
$(VENV)/.serve: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[serve,map]'
	touch $@

# everything, which is enough for the demo too
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt -e '.[dev]'
	touch $(VENV)/.demo $(VENV)/.serve $@

demo: $(VENV)/.demo  ## install the core, then the main job on built-in data (needs no network)
	$(BIN)/shoal demo

serve-demo: $(VENV)/.serve  ## a page with models, people and traffic: http://127.0.0.1:8000/
	$(BIN)/shoal demo --serve

# As many processes as WORKERS, each with one thread for BLAS and torch, since several that wait for
# each other on busy cores take many times as long. A file is run by one of them, so that what its
# tests share is made once.
WORKERS ?= 2
test: $(VENV)/.installed  ## install everything, then all tests (SHOAL_DATA: with real data)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-kills: $(VENV)/.installed  ## what tests of clusters kill for minutes: ten minutes and more
	SHOAL_KILLS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/cluster -k kill

test-rounding: $(VENV)/.installed  ## all tests as if on other processors, in random order: hours
	$(BIN)/python tests/rounding.py

lint: $(VENV)/.installed  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed  ## static types
	$(BIN)/mypy

check: lint types test  ## all that CI runs

accuracy: $(VENV)/.installed  ## real data against published figures: about 3 h on 2 cores, 8 GB
	$(BIN)/python benchmarks/accuracy/run.py ml-1m
	$(BIN)/python benchmarks/accuracy/run.py lightgcn

bench-linear: $(VENV)/.installed  ## speed and memory beside the peers, small shape: about 45 min
	$(BIN)/python benchmarks/linear/run.py install
	$(BIN)/python benchmarks/linear/run.py kernels
	$(BIN)/python benchmarks/linear/run.py run --shape small
	$(BIN)/python benchmarks/linear/run.py scale

clean:  ## remove what was made here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis shoal-demo
