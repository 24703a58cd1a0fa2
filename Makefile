# Every target does its own set-up. `make help` lists them.

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
FLIP ?=
IMAGES ?=
MODEL ?=
THRESHOLD ?= 0.5
PORT ?= 8000
LOCALE ?=

# The newest Python that requirements.lock is for, on the PATH or among pyenv's, unless PYTHON says
# another. Where there is none, uv fetches one.
PYTHONS := 3.13 3.12 3.11
find_python = $(shell for version in $(1); do \
  for python in python$$version "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python; do \
    "$$python" -c 'import ensurepip' 2> /dev/null && echo "$$python" && exit; done; done)
PYTHON ?= $(call find_python,$(PYTHONS))
new_venv = $(if $(PYTHON),"$(PYTHON)" -m venv,uv venv --seed --python $(firstword $(PYTHONS)))
NO_PYTHON := there is no Python $(PYTHONS) with the module venv here, nor uv, which fetches one: install either (on Debian, venv is in python3-venv), or say where one is: make PYTHON=/path/to/python3.13
CHECK_PYTHON := import sys; from ssd_model import runtime; \
  sys.exit(runtime.python_fault() or print("Python", sys.version.split()[0], "of", sys.executable))

BIN := $(VENV)/bin
# A variable's text for the shell, as it is: $(HOME) in it stays that. But the shell would leave a ~ in
# quotes alone.
home = $(subst :::,,$(subst :::~/,$(HOME)/,:::$(1)))
quoted = '$(subst ','\'',$(call home,$(value $1)))'
option = $(if $(value $2),$1=$(call quoted,$2))
output = $(if $(value OUTPUT),$(call quoted,OUTPUT),build)
TRAINING = $(call option,--minutes,MINUTES) $(call option,--epochs,EPOCHS) \
  $(call option,--batch-size,BATCH_SIZE) $(call option,--learning-rate,LEARNING_RATE) \
  $(call option,--pretrained,PRETRAINED) $(call option,--flip,FLIP)
# A misspelt variable on the command line would have no effect, and nobody would notice.
VARIABLES := DATA_DIR PROFILE TARGET_RATIO PRUNED_PARAMS SEED OUTPUT MINUTES EPOCHS BATCH_SIZE \
  LEARNING_RATE PRETRAINED FLIP IMAGES MODEL THRESHOLD PORT LOCALE PLACE WORKERS ONLY VENV PYTHON
said := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
$(foreach name,$(filter-out $(VARIABLES),$(said)),$(warning $(name) is not a variable of this Makefile: see the table in README.md))
READY := $(VENV)/.ready
UV := build/uv/bin/uv

.PHONY: help setup data check-data run-notebooks detect html serve lab messages test test-html lint format baseline results benchmark benchmark-boards benchmark-workers engines lock smoke-pythons clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

setup: $(READY) ## make the virtual environment

$(BIN)/pip:
	@$(if $(PYTHON)$(shell command -v uv 2> /dev/null),,echo "$(NO_PYTHON)"; exit 2)
	@$(if $(PYTHON),"$(PYTHON)" -c '$(CHECK_PYTHON)')
	$(new_venv) $(VENV)

# A hash for each package: what is installed is what was tested. And no package that the lock doesn't
# name: paddleslim asks for opencv-python 4.6 and imports it nowhere; it is built for numpy 1, so that
# importing paddle beside it would print an error, and it takes 167 MB. An older environment may have it.
# The project itself is installed, too, so that a notebook finds its packages from anywhere.
$(READY): requirements.lock | $(BIN)/pip
	@$(BIN)/python -c '$(CHECK_PYTHON)' || { echo "This is the Python in $(VENV): remove that folder, and make will set it up again"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip uninstall -qq --yes opencv-python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

data: $(READY) ## draw the road-sign scenes
	$(BIN)/python -m ssd_model.data.scenes --out=$(output)/data/signs

check-data: $(READY) ## list all faults of a data folder: DATA_DIR=...
	@test -n $(call quoted,DATA_DIR) || { echo "say which folder: make check-data DATA_DIR=..."; exit 2; }
	$(BIN)/python -m ssd_model.data.check -- $(call quoted,DATA_DIR)

run-notebooks: $(READY) ## run the four notebooks: DATA_DIR= PROFILE=smoke|standard|full TARGET_RATIO= PRUNED_PARAMS= SEED= OUTPUT= MINUTES= EPOCHS= BATCH_SIZE= LEARNING_RATE= PRETRAINED= FLIP=yes|no PLACE=cpu WORKERS= ONLY=
	$(BIN)/python -m notebooks.run --profile=$(call quoted,PROFILE) --target-ratio=$(call quoted,TARGET_RATIO) \
	  --seed=$(call quoted,SEED) --output=$(output) $(call option,--data-dir,DATA_DIR) $(TRAINING) \
	  $(call option,--pruned-params,PRUNED_PARAMS) $(call option,--only,ONLY)

detect: $(READY) ## draw what a saved model finds in photographs: IMAGES= MODEL= THRESHOLD= OUTPUT=
	@test -n $(call quoted,IMAGES) || { echo "say which image or folder: make detect IMAGES=..."; exit 2; }
	$(BIN)/python -m ssd_model.export.detect \
	  --model=$(if $(value MODEL),$(call quoted,MODEL),$(output)/models/pruned) \
	  --threshold=$(call quoted,THRESHOLD) --output=$(output)/detections -- $(call quoted,IMAGES)

# The report is the last thing that a run leaves.
html: $(READY) ## build the HTML tutorial from the notebooks that were run (and run them, if none were)
	@test -e $(output)/report.json || $(MAKE) --no-print-directory run-notebooks
	$(BIN)/python -m docs.build --output=$(output)

serve: $(READY) ## show the HTML tutorial: PORT=8000
	@test -e $(output)/html/index.html || $(MAKE) --no-print-directory html
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory=$(output)/html $(call quoted,PORT)

lab: $(READY) ## open the notebooks in JupyterLab: LOCALE=zh_CN for those in Chinese
	$(if $(LOCALE),$(BIN)/python -m docs.lab "$(LOCALE)")
	JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter lab --notebook-dir . $(if $(LOCALE),"build/$(LOCALE)/notebooks",notebooks)

messages: $(READY) ## bring docs/locale up to date with the pages, and list what has no translation
	$(BIN)/python -m docs.catalogues

# Two files at a time, on one thread each: most of the time goes into building Programs, which has one.
test: $(READY) ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

test-html: $(READY) ## open the pages of make html in a browser
	OUTPUT=$(output) $(BIN)/python -m pytest -m html tests/docs

lint: $(READY) ## check style, and that the notebooks carry no outputs
	@$(BIN)/nbstripout --verify notebooks/*.ipynb || { echo "these notebooks carry outputs: make format removes them"; exit 1; }
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(READY) ## fix the style, strip the notebooks' outputs
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/nbstripout notebooks/*.ipynb

baseline: $(READY) ## train the shipped baseline again (about two hours on two cores; resumes where it stopped)
	$(BIN)/python -m study.shipped_baseline

results: $(READY) ## measure what pruning costs, for results/ (hours; resumes where it stopped)
	$(BIN)/python -m study

benchmark: $(READY) ## measure how fast it all is, compared with other engines and PyTorch (most of an hour, on an idle machine)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts -r benchmark/requirements.txt
	$(BIN)/python -m benchmark

# It converts to LiteRT. It needs Python 3.12 and pins other versions than the lock does.
ONNX2TF := build/onnx2tf/bin/onnx2tf
onnx2tf_python = $(call find_python,3.13 3.12)
$(ONNX2TF):
	@$(if $(onnx2tf_python),"$(onnx2tf_python)" -m venv build/onnx2tf && \
	  build/onnx2tf/bin/python -m pip install --quiet --disable-pip-version-check onnx2tf==2.6.9,\
	  echo "There is no Python 3.12 or 3.13 here: LiteRT cannot be measured")

benchmark-boards: engines $(ONNX2TF) ## measure ncnn, MNN and LiteRT beside ONNX Runtime (some minutes, on an idle machine)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts -r benchmark/requirements-boards.txt
	$(BIN)/python -m benchmark.boards

benchmark-workers: $(READY) ## measure several workers beside one process (some minutes, on an idle machine)
	$(BIN)/python -m benchmark.workers

engines: $(READY) ## install ncnn, an engine for boards: notebook 4 then converts to it, too
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r ssd_model/export/requirements.txt

$(UV):
	$(new_venv) build/uv && build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv

lock: requirements.in $(UV) ## pin requirements.in in requirements.lock
	$(UV) pip compile --quiet --universal --python-version $(lastword $(PYTHONS)) --generate-hashes --no-header \
	  --no-annotate --no-emit-package opencv-python --output-file requirements.lock requirements.in

smoke-pythons: $(PYTHONS:%=smoke-%) ## run a few tests on the other Pythons that the lock is for, as far as they are here

smoke-%: $(READY) $(UV)
	@.ci/smoke-python "$*" "$(call find_python,$*)" $(BIN)/python $(UV)

clean: ## remove what was generated; the virtual environment stays
	rm -rf build
