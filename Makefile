# Every target does its own set-up. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
DATA_DIR ?=
PROFILE ?= standard
TARGET_RATIO ?= 0.2
PRUNED_PARAMS ?=
SEED ?= 0
OUTPUT ?= build
MINUTES ?=
EPOCHS ?=
BATCH_SIZE ?=
LEARNING_RATE ?=
PRETRAINED ?=
PORT ?= 8000

# The shell leaves a ~ in quotes as it is.
home = $(patsubst ~/%,$(HOME)/%,$(1))
override OUTPUT := $(call home,$(OUTPUT))
override DATA_DIR := $(call home,$(DATA_DIR))
override PRETRAINED := $(call home,$(PRETRAINED))

BIN := $(VENV)/bin
TRAINING := $(if $(MINUTES),--minutes $(MINUTES)) $(if $(EPOCHS),--epochs $(EPOCHS)) \
  $(if $(BATCH_SIZE),--batch-size $(BATCH_SIZE)) $(if $(LEARNING_RATE),--learning-rate $(LEARNING_RATE)) \
  $(if $(PRETRAINED),--pretrained "$(PRETRAINED)")
READY := $(VENV)/.ready

.PHONY: help setup data check-data run-notebooks html serve lab test test-html lint format baseline results benchmark lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(READY) ## make the virtual environment

# A hash for each package: what is installed is what was tested. The project itself is installed, too,
# so that a notebook finds its packages from anywhere.
$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else "Python %d.%d is not supported: use 3.10, 3.11 or 3.12, say make PYTHON=python3.11" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

data: $(READY) ## draw the road-sign scenes
	$(BIN)/python -m ssd_model.data.scenes --out $(OUTPUT)/data/signs

check-data: $(READY) ## list all faults of a data folder: DATA_DIR=...
	@test -n "$(DATA_DIR)" || { echo "say which folder: make check-data DATA_DIR=..."; exit 2; }
	$(BIN)/python -m ssd_model.data.check "$(DATA_DIR)"

run-notebooks: $(READY) ## run the four notebooks: DATA_DIR= PROFILE=smoke|standard|full TARGET_RATIO= PRUNED_PARAMS= SEED= OUTPUT= MINUTES= EPOCHS= BATCH_SIZE= LEARNING_RATE= PRETRAINED=
	$(BIN)/python -m utils.run_notebooks --profile $(PROFILE) --target-ratio $(TARGET_RATIO) --seed $(SEED) \
	  --output "$(OUTPUT)" $(if $(DATA_DIR),--data-dir "$(DATA_DIR)") $(TRAINING) $(if $(value PRUNED_PARAMS),--pruned-params '$(subst ','\'',$(value PRUNED_PARAMS))')

# The report is the last thing that a run leaves.
html: $(READY) ## make the HTML tutorial of the notebooks that were run (and run them, if none were)
	@test -e "$(OUTPUT)/report.json" || $(MAKE) --no-print-directory run-notebooks
	$(BIN)/python -m docs.build --output "$(OUTPUT)"

serve: $(READY) ## show the HTML tutorial: PORT=8000
	@test -e "$(OUTPUT)/html/index.html" || $(MAKE) --no-print-directory html
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory "$(OUTPUT)/html" $(PORT)

lab: $(READY) ## open the notebooks in JupyterLab
	JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter lab --notebook-dir . notebooks

test: $(READY) ## run the tests
	$(BIN)/python -m pytest

test-html: $(READY) ## open the pages of make html in a browser
	OUTPUT="$(OUTPUT)" $(BIN)/python -m pytest -m html tests/docs/test_html.py

lint: $(READY) ## check style, and that the notebooks carry no outputs
	@$(BIN)/nbstripout --verify notebooks/*.ipynb || { echo "these notebooks carry outputs: make format removes them"; exit 1; }
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(READY) ## mend style, strip the notebooks' outputs
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/nbstripout notebooks/*.ipynb

baseline: $(READY) ## train the shipped baseline again (about two hours on two cores; goes on where it stopped)
	$(BIN)/python -m study.shipped_baseline

results: $(READY) ## measure what pruning costs, for results/ (hours; goes on where it stopped)
	$(BIN)/python -m study

benchmark: $(READY) ## measure how fast it all is, beside other engines and PyTorch (most of an hour, on an idle machine)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmark/requirements.txt
	$(BIN)/python -m benchmark

lock: requirements.in ## pin requirements.in in requirements.lock
	$(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet uv
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	  --no-annotate --output-file requirements.lock requirements.in

clean: ## remove what was generated; the virtual environment stays
	rm -rf build
