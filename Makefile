# Every target does its own set-up, in .venv: a machine needs python3 (3.10 to 3.13) and make.
#   make demo    track the sample clip          make lint    ruff, mypy, codespell
#   make test    the test suite (ARGS="-k roi") make bench   measure, beside the peers
#   make clean   remove outputs and caches      make distclean   and .venv
#   make arm     ARM processors, emulated by QEMU (an hour or more; ARGS="--cpus cortex-a76")
#   make gif     the animation in README.md     make docs   the documentation, build/docs/index.html

PYTHON ?= python3
VENV   ?= .venv
DOCS   ?= .venv-docs
CLIP   ?= samples/clips/balance.mp4
ARGS   ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

.PHONY: demo test lint bench arm gif docs site clean distclean
.DEFAULT_GOAL := test

demo: $(VENV)/.demo
	@$(BIN)/edgepose track $(CLIP) --video demo.mp4 --jsonl demo.jsonl
	@echo "Done: demo.mp4 shows the pose on the video, demo.jsonl has the joints of each frame."

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted: run $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy
	@# A sample may need a package, such as polars, that is not here.
	@$(BIN)/mypy --disable-error-code=import-not-found samples/*.py
	@$(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md docs benchmarks/README.md samples

bench: $(VENV)/.dev
	@$(BIN)/edgepose benchmark $(ARGS)

arm: $(VENV)/.dev
	@$(BIN)/python -m benchmarks arm $(ARGS)

gif: $(VENV)/.dev
	@$(BIN)/python samples/animated_gif.py $(CLIP) docs/images/overlay.gif

# The documentation has an environment of its own: its tools are nobody else's.
docs:
	@$(MAKE) --no-print-directory VENV=$(DOCS) site
	@echo "Done: build/docs/index.html."

site: $(VENV)/.docs
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs

clean:
	@rm -rf build dist *.egg-info demo.mp4 demo.jsonl .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find edgepose runtime converters tests benchmarks samples -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV) $(DOCS) .venv-arm

# What is installed is remembered by a stamp, so that a second run starts at once.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting up $(VENV) (once, some minutes) ..."
	@$(PIP) install -c constraints.txt -e '.[cli]'
	@$(call usable_opencv)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting up $(VENV) for development (once, some minutes) ..."
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@$(call usable_opencv)
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml constraints.txt docs/constraints.txt | $(BIN)/python
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "The documentation needs Python 3.11 to 3.13: make docs PYTHON=/path/to/python3"; exit 1; }
	@echo "Setting up $(VENV) for the documentation (once, about a minute) ..."
	@$(PIP) install -c constraints.txt -c docs/constraints.txt -e '.[cli,docs]'
	@$(call usable_opencv)
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	    { echo "edgepose needs Python 3.10 to 3.13: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "Python's venv module is missing (Debian: apt-get install python3-venv)"; exit 1; }

# opencv-python needs the system's libGL. Where there is none (servers, containers), the same
# version without windows takes its place, in .venv only.
define usable_opencv
$(BIN)/python -c 'import cv2' 2>/dev/null || { \
    $(PIP) uninstall --yes opencv-python && \
    sed -n 's/^opencv-python==/opencv-python-headless==/p' constraints.txt | \
        xargs $(PIP) install --no-deps --force-reinstall; }
endef
