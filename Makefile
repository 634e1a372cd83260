# Everything a newcomer needs: `make demo`, `make test`. See `make help`.
# Recipes use relative paths only, so that the folder may have a space in its name.

SHELL := /bin/sh
PYTHON ?=
VENV := .venv
PY := $(VENV)/bin/python
MARKS := $(VENV)/.made

.PHONY: help demo test bench packaging lint mutants model models behaviours alchemy native clean

help: ## this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/'

demo: $(MARKS)/run ## set up, then let a supervised team of agents survey this folder
	@sh .ci/native.sh demo
	@$(PY) -m tinyagent_actors demo .

test: $(MARKS)/dev ## set up, then every check
	@sh .ci/native.sh test
	@$(PY) .ci/check.py

lint: $(MARKS)/dev ## only the checks that run no test
	@$(PY) .ci/check.py --lint

mutants: $(MARKS)/dev ## break the package in every way of tests/mutants, and see that a test notices (ONLY=S27: one)
	@$(PY) .ci/mutants.py $(if $(ONLY),--only "$(ONLY)")

model: $(MARKS)/dev ## 10,000 random steps of supervision trees against a model of the rules, with what they covered
	@TINYAGENT_MODEL_STEPS=$${TINYAGENT_MODEL_STEPS:-10000} $(PY) -m pytest -q -s tests/supervision/test_model.py

behaviours: $(MARKS)/dev ## make docs/reference/behaviours.md from the docstrings of the tests
	@$(PY) .ci/behaviours.py

models: $(MARKS)/dev ## make docs/reference/models.md from the data file of models
	@$(PY) .ci/models.py

alchemy: $(MARKS)/dev ## run the tests of providers on the engine alchemy, and write down what it passes and fails
	@sh .ci/native.sh test
	@$(PY) .ci/alchemy.py

bench: $(MARKS)/dev ## the benchmarks, as ratios to references measured in the same run
	@sh .ci/native.sh test
	@$(PY) -m benchmarks

packaging: $(MARKS)/dev ## `pip install .` without cargo, and maturin's wheel, each in a fresh environment
	@$(PY) .ci/packaging.py

native: $(MARKS)/dev ## build the Rust engine (release)
	@sh .ci/native.sh test

clean: ## remove what was made
	rm -rf $(VENV) target .mypy_cache .ruff_cache .pytest_cache .hypothesis tinyagent_actors/_alchemy/*.so

$(PY):
	@sh .ci/venv.sh "$(PYTHON)"

$(MARKS)/run: pyproject.toml | $(PY)
	@echo "setting up $(VENV) (run time)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable .
	@mkdir -p $(MARKS) && touch $@

$(MARKS)/dev: $(MARKS)/run
	@echo "setting up $(VENV) (development tools)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@
