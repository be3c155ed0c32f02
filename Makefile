# make repro   set up and build everything      make test   set up and run the tests
# make setup   .venv/ with everything           make setup BACKEND=cuda13 (or cuda12) on Linux with an NVIDIA GPU
# make check   set up, lint and check types      make docs   set up and build the documentation: site/index.html
# make bench   set up and measure speed beside torch and mlx-lm; ROUNDS=5 for steadier medians than those of 3
PYTHON ?= python3
VENV := .venv
# What is there already stays; a new environment is for the CPU (on macOS that includes Metal).
BACKEND ?= $(or $(patsubst $(VENV)/.ready-%,%,$(wildcard $(VENV)/.ready-*)),cpu)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
READY := $(VENV)/.ready-$(BACKEND)

.PHONY: setup repro test check docs bench
setup: $(READY)

# uv installs in half a minute what takes pip two. It asks PyPI, or what UV_DEFAULT_INDEX names. What is not compiled now would be
# at every start, wherever PYTHONDONTWRITEBYTECODE is set.
$(READY): pyproject.toml requirements.lock cantica/engine/backend/environment.py $(wildcard cantica/engine/backend/patches/*.py)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Cantica needs Python 3.11 or newer; {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check --quiet uv --constraint requirements.lock
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV) --editable '.[$(BACKEND),dev]' --constraint requirements.lock
	$(VENV)/bin/python -m cantica.engine.backend.environment
	$(VENV)/bin/python -m cantica.commands.dvc.plots_page
	@$(VENV)/bin/cantica merge-lock --set-up
	touch $@

repro: setup
	cantica check
	dvc repro

test: setup
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 15

check: setup
	ruff check
	ruff format --check
	mypy

# The variable switches off an advertisement for a successor, which would be the only warning.
docs: setup
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet
	@echo 'site/index.html is there. Its search works through a server: python -m http.server --directory site'

bench: setup
	dvc repro --quiet base dataset
	CANTICA_BENCH_ROUNDS=$(or $(ROUNDS),3) python -m pytest benchmarks/test_speed.py --benchmark-enable --benchmark-quiet -s
