# Every target installs what it misses first; a second run starts at once. PYTHON names another Python 3.11.
.PHONY: demo up down test test-marquez quick check bench lock clean ready ready-tests
.NOTPARALLEL:
export PYTHON
BIN := .venv/bin
ONLY ?= *

# A real trends file where the optional test inputs lie beside the clone; otherwise the bundled sample.
demo: export THROUGHLINE_TRENDS_FILE ?= $(abspath $(wildcard ../shared/data/youtube/2018-11-01_GB_videos.csv))
demo: ready  ## one job through all three families on the real stack
	$(BIN)/throughline demo

up: ready  ## start the stack
	$(BIN)/throughline up

down:  ## stop the stack
	$(BIN)/throughline down

quick: ready  ## every test that needs no running stack and is done at once
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not stack and not slow"

test: ready-tests  ## every test
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not stack"
	$(BIN)/python -m pytest -q -m stack

test-marquez: ready  ## the recordings of a real Marquez, asked again of the one at MARQUEZ_URL; MARQUEZ_RESET empties it
	$(BIN)/python -m pytest -q tests/marquez/test_recordings.py

check: ready  ## style, types, lock, layout, order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy include $(wildcard dags/*.py plugins/*.py)
	$(BIN)/python -m pytest -q tests/test_layout.py tests/test_order.py tests/test_lock.py

bench: ready  ## benchmarks; ONLY=name for one
	@status=0; for file in tests/bench/bench_$(subst -,_,$(ONLY)).py; do $(BIN)/python "$$file" || status=1; done; exit $$status

lock: ready  ## compile requirements.txt from pyproject.toml; UPGRADE=1 takes newer versions
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --generate-hashes -q -o requirements.txt $(if $(UPGRADE),--upgrade)

clean:  ## stop the stack and delete its state: databases, artifacts, logs, secrets
	test ! -x $(BIN)/throughline || $(BIN)/throughline down --delete
	rm -rf out .mypy_cache .ruff_cache .pytest_cache .hypothesis

ready:
	@include/stack/install.sh

ready-tests:
	@include/stack/install.sh tests
