# Two commands for a fresh machine: `make demo` and `make test`. The rest is for the bench.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: rehearsal help install demo tour repair-study repair-real test lint types arch unit real skill score driven benchmarks docs fuzz kill year raises coverage mutate remote certify clean
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) --editable .
	touch $@

$(VENV)/.dev-ready: $(VENV)/.ready
	$(PIP) --editable '.[dev]'
	touch $@

install: $(VENV)/.ready  ## the package with torch for the CPU into .venv (2 minutes, 1.4 GB)

demo: $(VENV)/.ready  ## a forecaster that is ill: find what ails it, repair it, prove it, on one page
	$(BIN)/heliosight improve --config-name ill

tour: $(VENV)/.ready  ## the whole way on a simulated Sun: train, score, diagnose, explain, report
	$(BIN)/heliosight demo

test: lint types arch unit  ## everything CI runs

lint: $(VENV)/.dev-ready  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev-ready  ## mypy
	$(BIN)/mypy

arch: $(VENV)/.dev-ready  ## the import contract
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/.dev-ready  ## pytest on both cores
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --durations 8

real: $(VENV)/.ready  ## the table of references on real observations (HELIOSIGHT_DATA)
	$(BIN)/heliosight evaluate --config-name real

skill: $(VENV)/.ready  ## skill on the simulated Sun against its oracle, three seeds
	$(BIN)/heliosight data --config-name skill
	for seed in 1 2 3; do for stage in train evaluate; do \
	  $(BIN)/heliosight $$stage --config-name skill seed=$$seed run_dir=runs/skill/seed_$$seed \
	    data.type=store data.folder=runs/skill/data || exit 1; done; done
	$(BIN)/python benchmarks/skill.py

driven: $(VENV)/.ready  ## the gain of images on real ap, walk-forward (HELIOSIGHT_DATA)
	$(BIN)/heliosight train --config-name band
	$(BIN)/heliosight train --config-name driven
	$(BIN)/heliosight evaluate --config-name driven

score: $(VENV)/.ready  ## explanations held to a known truth, three worlds and five seeds
	$(BIN)/heliosight explain --score --config-name score

repair-study: $(VENV)/.ready  ## repair rate over planted faults (hours, resumable)
	$(BIN)/heliosight improve study --config-name ill name=repair_study

repair-real: $(VENV)/.ready  ## diagnose and repair on real ap, last fold, one seed (HELIOSIGHT_DATA)
	$(BIN)/heliosight train --config-name band
	$(BIN)/heliosight improve --config-name driven improve.fold=-1 improve.seeds=1

benchmarks: $(VENV)/.dev-ready  ## measured ratios, each in one interleaved run
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

rehearsal: $(VENV)/.dev-ready  ## the live chain on archives played from a simulated Sun, kept in runs/rehearsal
	rm -rf runs/rehearsal
	HELIOSIGHT_REHEARSAL=runs/rehearsal $(BIN)/pytest -p no:cacheprovider tests/workflows/test_workflows_live.py
	@echo "look: $(BIN)/heliosight forecast --serve forecast.archive=runs/rehearsal/model/forecast"

remote: $(VENV)/.dev-ready  ## ask every archive whether it still answers as its reader knows (network)
	$(BIN)/pytest -m remote tests/remote

fuzz: $(VENV)/.dev-ready  ## 10,000 broken files over every reader
	$(BIN)/python knocks/fuzz.py

kill: $(VENV)/.dev-ready  ## kill -9 at 50 random moments of data build, train, improve and certify
	OMP_NUM_THREADS=1 $(BIN)/python knocks/kill.py

year: $(VENV)/.dev-ready  ## a year of hindcasts in one process: memory and files
	OMP_NUM_THREADS=1 $(BIN)/python knocks/year.py

raises: $(VENV)/.dev-ready  ## errors whose words no test asks for
	$(BIN)/python knocks/raises.py

coverage: $(VENV)/.dev-ready  ## what the tests run of every room, and the functions that they never do
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --ignore=tests/packaging --cov --cov-report=json:build/coverage.json
	$(BIN)/python knocks/uncovered.py build/coverage.json

mutate: $(VENV)/.dev-ready  ## small faults in scores, statistics and windows: do the tests notice?
	OMP_NUM_THREADS=1 $(BIN)/python knocks/mutate.py

docs: $(VENV)/.dev-ready  ## the documentation site, warnings are errors
	$(PIP) --editable '.[docs]'
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/site
	@echo "site: build/site/index.html"

certify: $(VENV)/.ready  ## the diagnosis examined on models of known health, both halves
	$(BIN)/heliosight certify; $(BIN)/heliosight certify --half test

clean:  ## remove runs and caches, keep the environment
	rm -rf runs outputs multirun .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
