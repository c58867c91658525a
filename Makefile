# flatdata: `make serve` serves the sample site of this repository, `make test` checks everything.
# Both need Python 3.11 or newer and make; the rest is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Films that `make bench` measures with. ROUNDS=3 makes it three repeated rounds.
SIZE ?= 50000

.PHONY: serve test docs bench clean

serve: $(VENV)/.installed
	$(BIN)/flatdata serve --dev-tokens

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist worksteal

# The pages of docs/ that are made from the code.
docs: $(VENV)/.installed
	$(BIN)/python -m flatdata.cli.documentation docs

# Needs Linux, and a machine on which nothing else runs; benchmarks/README.md says more.
bench: $(VENV)/.installed
	@command -v wrk > /dev/null || $$([ "$$(id -u)" = 0 ] || echo sudo) apt-get install --yes wrk
	$(BIN)/python -m benchmarks.run --size $(SIZE) $(if $(ROUNDS),--rounds $(ROUNDS))

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info benchmarks/.peers

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "flatdata needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps are older than pyproject.toml when what is needed changed, and only then is pip asked again.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) install --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[test]'
	touch $@ $(VENV)/.installed
