# Setpoint: `make demo` shows it, `make run` keeps a server running, `make test` proves it. `make help` lists the rest.
# Every path is relative, so that the folder may be called anything; nothing beyond GNU make 3.81 is used.

PYTHON ?= python3
VENV := .venv/bin/python
PORT ?=
FAULTS := faults-on-sqlite faults-on-mariadb faults-on-postgresql faults-once
FAULTS_ANYWHERE := $(addprefix tests/faults/,test_kills.py test_redis.py test_queue.py test_database.py)
FAULTS_ONCE := $(filter-out $(FAULTS_ANYWHERE),$(wildcard tests/faults/test_*.py))
SERVICES := services-on-mariadb services-on-postgresql
unexport PYTHONPATH
.DEFAULT_GOAL := help
.PHONY: help demo plant run test check test-services test-faults bench bench-full lock $(FAULTS) $(SERVICES)

help: ## list these targets
	@echo "Setpoint: usage: make <target>"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1 \2/p' Makefile | awk '{ t = $$1; $$1 = ""; printf "  %-14s%s\n", t, $$0 }'

demo: .venv/.demo ## run the worked example through a server of its own (PORT= for a fixed port)
	@exec $(VENV) -m launcher demo $(if $(PORT),--port $(PORT))

plant: .venv/.demo ## compare the modes on a simulated plant whose optimum is known (SEEDS="1 2 3" for more of it)
	@exec $(VENV) -m examples.boiler_plant.modes --seeds $(or $(SEEDS),1)

run: .venv/.run ## keep a server running on instance/ (PORT= for another port)
	@exec $(VENV) -m launcher run $(if $(PORT),--port $(PORT))

test: .venv/.dev ## run the tests, with branch coverage
	@echo "Running the tests ..."
	@$(VENV) -m pytest --quiet --numprocesses auto --maxprocesses 4 --dist loadfile --cov --cov-report=term

check: .venv/.dev ## check format, lint, types and the import table
	@echo "Checking format, lint, types and imports ..."
	@$(VENV) -m ruff format --check --quiet .
	@$(VENV) -m ruff check --quiet .
	@$(VENV) -m mypy --no-error-summary
	@$(VENV) -m pytest --quiet --no-header tests/test_imports.py

test-faults: .venv/.dev ## kill processes and see that nothing is lost (FAULTS_FORM=long for hours of it)
	@echo "Killing processes, and counting what is lost, on SQLite, MariaDB and PostgreSQL at once ..."
	@$(MAKE) --no-print-directory --keep-going --jobs 4 $(FAULTS)

test-services: .venv/.dev ## run the API tests on MariaDB, PostgreSQL, Redis and S3
	@echo "Running the tests on MariaDB and on PostgreSQL, with Redis and S3 ..."
	@$(MAKE) --no-print-directory --keep-going --jobs 2 $(SERVICES)

# These mostly wait for other processes. The output of each is shown when it is done.
$(filter faults-on-%,$(FAULTS)): faults-on-%:
	$(call tests-on,$*,$(FAULTS_ANYWHERE))

faults-once:
	$(call tests-on,sqlite,$(FAULTS_ONCE))

$(SERVICES): services-on-%:
	$(call tests-on,$*,$(addprefix tests/,services api tasks sockets migrations))

define tests-on
@log=$$(mktemp); $(VENV) -m pytest --quiet --backend $(1) $(2) > $$log 2>&1; status=$$?; cat $$log; rm $$log; exit $$status
endef

bench: .venv/.bench ## measure in the short form, and write docs/benchmarks.md
	@$(VENV) -m benchmarks

bench-full: .venv/.bench ## measure everything, cell by cell; goes on where it was stopped
	@$(VENV) -m benchmarks --full

lock: .venv/.dev ## resolve Pipfile anew into Pipfile.lock and dependency/
	@echo "Resolving Pipfile ..."
	@$(VENV) dependency/lock.py

# ---- the environment: one stamp for each set of packages, each set holding the one before ----

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "setpoint: Python 3.11 or newer is needed, but $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "setpoint: $(PYTHON) has no venv module; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making .venv ..."
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.run: .venv/.made dependency/requirements.txt
.venv/.demo: .venv/.made dependency/requirements-demo.txt
.venv/.dev: .venv/.made dependency/requirements-dev.txt
.venv/.bench: .venv/.made dependency/requirements-bench.txt

.venv/.run .venv/.demo .venv/.dev .venv/.bench:
	@echo "Installing what $(word 2,$^) names ..."
	@$(VENV) -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r $(word 2,$^)
	@touch $@
