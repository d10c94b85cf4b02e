# One command line for everything: `make help` lists it. The task list is the list of tasks/*.py.
TASKS := $(filter-out __init__,$(sort $(patsubst tasks/%.py,%,$(wildcard tasks/*.py))))
VENV ?= .venv
PYTHON := $(VENV)/bin/python
RUN := TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=1 $(PYTHON) -m pipelines
BOOTSTRAP_PYTHON ?= python3

# DATA= is a file, a folder, a built-in name or tfds:NAME; ARGS= are options of the command;
# TEXT= or FILE= is what predict reads; MODEL= is a version directory.
export TEXT FILE DATA MODEL
DATA_OPTION = $(if $(DATA),--data "$$DATA")
MODEL_OPTION = $(if $(MODEL),--model "$$MODEL")

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev test test-fast fuzz lint bench clean train-all smoke report memory-lab

help: ## list all targets
	@echo "Targets (TASK is one of: $(TASKS)):"
	@echo
	@echo "  train-TASK     train, export, verify, evaluate, report     DATA= ARGS=\"--epochs 3\""
	@echo "  predict-TASK   run the latest model                        TEXT=\"...\" or FILE=lines.txt, recent.csv (- for stdin)"
	@echo "  evaluate-TASK  score the latest model on labelled rows     DATA= MODEL="
	@echo "  check-TASK     look at data before training                DATA="
	@echo "  data-TASK      fetch, read and split a data set            DATA="
	@echo "  help-TASK      every setting of a task"
	@echo "  ladder-TASK    how big should it be? larger and larger models  DATA= ARGS=\"--study-seeds 3\""
	@echo "  gradients-TASK how far back gradients reach, by cell       DATA= ARGS=\"--study-cells gru\""
	@echo "  compare-cells-TASK"
	@echo "                 cells, encoders and depths at equal size    DATA= ARGS=\"--study-depths 1\""
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 17
	@echo
	@echo "DATA= takes a file (csv, tsv, jsonl, parquet; .gz), a folder, a built-in name or tfds:NAME."

setup: $(VENV)/.installed $(VENV)/.compiled ## make .venv with the pinned requirements (done by itself on first use)

$(VENV)/.installed: requirements.txt
	@$(BOOTSTRAP_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ": set BOOTSTRAP_PYTHON=/path/to/python3.11")'
	@echo "making $(VENV) and installing the requirements (a few minutes, once)"
	@test -x $(PYTHON) || $(BOOTSTRAP_PYTHON) -m venv $(VENV)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# Once, and after a change of their source: a run that had to do it would wait.
$(VENV)/.compiled: $(VENV)/.installed $(wildcard pipelines/layers/fast/*.py)
	@$(PYTHON) -m pipelines.layers.fast && touch $@

setup-dev: $(VENV)/.installed-dev ## also install what tests and lint need

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

train-%: $(VENV)/.installed $(VENV)/.compiled
	@$(RUN) train $* $(DATA_OPTION) $(ARGS)

data-%: $(VENV)/.installed
	@$(RUN) data $* $(DATA_OPTION) $(ARGS)

check-%: $(VENV)/.installed
	@$(RUN) check $* $(DATA_OPTION) $(ARGS)

evaluate-%: $(VENV)/.installed
	@$(RUN) evaluate $* $(DATA_OPTION) $(MODEL_OPTION) $(ARGS)

predict-%: $(VENV)/.installed
	@$(RUN) predict $* $(if $(FILE),--file "$$FILE") $(if $(TEXT),--text "$$TEXT") $(MODEL_OPTION) $(ARGS)

help-%: $(VENV)/.installed
	@$(RUN) train $* --help

compare-cells-%: $(VENV)/.installed $(VENV)/.compiled
	@$(RUN) compare-cells $* $(DATA_OPTION) $(ARGS)

ladder-%: $(VENV)/.installed $(VENV)/.compiled
	@$(RUN) ladder $* $(DATA_OPTION) $(ARGS)

gradients-%: $(VENV)/.installed $(VENV)/.compiled
	@$(RUN) gradients $* $(DATA_OPTION) $(ARGS)

memory-lab: $(VENV)/.installed ## how long each recurrent cell remembers, with pictures (ARGS=, 15 minutes)
	@$(RUN) memory-lab $(ARGS)

train-all: $(addprefix train-,$(TASKS)) ## train every task on its default data

smoke: $(VENV)/.installed $(VENV)/.compiled ## train every task for a moment on a few rows
	@for task in $(TASKS); do $(RUN) train $$task --limit 200 --epochs 1 || exit 1; done

report: $(VENV)/.installed ## write saved_models/index.html, a table of all runs
	@$(RUN) report

test: $(VENV)/.installed-dev ## all tests, in under ten minutes on two cores
	@TF_CPP_MIN_LOG_LEVEL=3 TF_NUM_INTRAOP_THREADS=1 $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

fuzz: $(VENV)/.installed-dev ## the property tests, with other examples at every run
	@HYPOTHESIS_PROFILE=fuzz TF_CPP_MIN_LOG_LEVEL=3 $(PYTHON) -m pytest -m hypothesis

test-fast: $(VENV)/.installed-dev ## the tests that need no TensorFlow, in seconds
	@$(PYTHON) -m pytest tests/unit

lint: $(VENV)/.installed-dev ## ruff and mypy
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

bench: $(VENV)/.installed-dev ## speed and memory, as ratios against peers      ARGS=--quick
	@failed=; for file in benchmarks/bench_*.py; do echo; echo "== $$file"; \
	  TF_CPP_MIN_LOG_LEVEL=3 $(PYTHON) $$file $(ARGS) || failed="$$failed $$file"; done; \
	test -z "$$failed" || { echo; echo "failed:$$failed"; exit 1; }

clean: ## remove caches; keeps fetched data and trained models
	@rm -rf data/cache .pytest_cache .mypy_cache .ruff_cache .hypothesis $(VENV)/.compiled
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
