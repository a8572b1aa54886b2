# Two commands: `make demo` sets up and runs the main job, `make test` sets up and passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test setup bench clean

demo: $(VENV)/.demo
	$(BIN)/bellmax train ppo CartPole-v1 --evaluate-every 51200
	$(BIN)/bellmax plot latest --output curve.png
	$(BIN)/bellmax watch latest --output cartpole.gif
	@echo "The learning curve is in curve.png, an episode in cartpole.gif, the run in ./runs."

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=20  # a core each; the tests of a file share programs

setup: $(VENV)/.test

$(VENV)/.made:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "bellmax needs Python 3.11 or newer; name one with make PYTHON=python3.12"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[watch]"
	touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

bench: setup
	$(BIN)/python -m benchmarks.ppo_cartpole
	$(BIN)/python -m pip install --quiet --editable ".[mujoco]"
	$(BIN)/python -m benchmarks.learning

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
