# All targets run from a clean clone. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/
PACKAGES := ironpost-core ironpost-daemon plugins/ebpf plugins/guard plugins/logpipe plugins/sbom
SOURCES := $(PACKAGES:%=%/src) ironpost-daemon/hatch_build.py monitoring/generator monitoring/pictures
STAMP := $(VENV)/.installed
# Programs that the tests need, and the Debian packages that bring them.
PEERS := prometheus=prometheus promtool=prometheus sshd=openssh-server ssh=openssh-client rsyslogd=rsyslog \
         openssl=openssl git=git dockerd=docker.io docker-compose=docker-compose debootstrap=debootstrap \
         busybox=busybox-static ip=iproute2 chromium=chromium npm=npm \
         /usr/lib/*/rsyslog/lmnsd_gtls.so=rsyslog-gnutls journalctl=systemd logger=bsdutils nginx=nginx \
         apache2=apache2
# Those that Debian installs only in place of another one are unpacked beside it, with their libraries.
UNPACKED := syslog-ng-core libglib2.0-0 libivykis0 libjson-c5 libnet1 libpcre3 libwrap0
PYTEST_ARGS ?=
export UV_PYTHON_DOWNLOADS := never

.PHONY: help setup demo test check unit apt bench torture lowest coverage docs dashboards pictures lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv with all six packages editable and the test tools

$(STAMP): requirements.lock VERSION $(PACKAGES:%=%/pyproject.toml) .ci/bootstrap
	@echo "setting up $(VENV) (once; takes a minute at most)" >&2
	@.ci/bootstrap "$(PYTHON)" "$(VENV)"
	@. .ci/uv-env && "$$UV" pip install --quiet --python $(VENV) --require-hashes -r requirements.lock
	@. .ci/uv-env && "$$UV" pip install --quiet --python $(VENV) --no-deps --no-build-isolation $(PACKAGES:%=-e %)
	@pwd -P > $@

# Scripts and editable installs hold the clone's path, so all is built anew when it was moved.
BUILT_IN := $(shell cat $(STAMP) 2>/dev/null)
ifneq ($(BUILT_IN),)
ifneq ($(BUILT_IN),$(CURDIR))
.PHONY: $(STAMP)
endif
endif

demo: setup ## replay a day of logs with attacks in it (or your own: make demo LOG=FILE)
	@$(RUN)ironpost demo $(if $(LOG),--log "$(LOG)")

test: setup apt check unit ## everything: formatting, lint, types, import contracts, all tests

check: setup ## formatting, lint, types, import contracts
	$(RUN)ruff format --check --quiet . || { $(RUN)ruff format --diff --quiet .; exit 1; }
	$(RUN)ruff check --quiet .
	$(RUN)mypy $(SOURCES)
	$(RUN)lint-imports --no-logo

unit: setup ## the tests alone; PYTEST_ARGS="tests/core -k alerts" for some of them
	$(RUN)python -m pytest $(PYTEST_ARGS)

apt: ## install the real programs that the tests run against (as root; named otherwise)
	@.ci/apt $(PEERS)
	@.ci/unpack .peers $(UNPACKED)

bench: setup ## all benchmarks; each prints its ratio to a peer or limit of the same run
	@for bench in tests/bench/bench_*.py; do echo "== $$bench"; $(RUN)python $$bench || exit 1; done

torture: setup ## the long forms: a hundred SIGKILLs, twenty rounds of rotation, large files, much memory
	IRONPOST_KILLS=100 IRONPOST_ROUNDS=20 IRONPOST_LARGE=1 $(RUN)python -m pytest tests/chaos --timeout=3000

lowest: setup ## the tests of all packages with the oldest dependencies that they declare
	@. .ci/uv-env && "$$UV" venv --quiet --allow-existing --python $(RUN)python .venv-lowest
	@. .ci/uv-env && "$$UV" pip install --quiet --python .venv-lowest --resolution lowest-direct $(PACKAGES:%=-e %) \
		"pytest>=8.3" "pytest-timeout>=2.3" "hypothesis>=6.115" "psutil>=6.1"
	.venv-lowest/bin/python -m pytest tests/core tests/daemon tests/logpipe -p no:cacheprovider

coverage: setup ## branch coverage of the tests that run in one process, by package
	$(RUN)coverage run -m pytest -q tests/core tests/daemon tests/logpipe
	@for package in core:100 logpipe:95 daemon:95; do \
		echo "== $$package"; $(RUN)coverage report --include "*/ironpost_$${package%:*}/*" --fail-under $${package#*:} \
		--skip-covered || failed=1; done; exit $${failed:-0}

docs: setup ## write the generated references in docs/ and the example configuration anew
	$(RUN)python -m ironpost_daemon.references docs
	$(RUN)ironpost config init --force ironpost.toml.example

dashboards: setup ## write the dashboards in monitoring/ anew
	$(RUN)python -m monitoring.generator

pictures: setup ## draw the dashboards into docs/pictures, after a quarter of an hour of load
	$(RUN)python -m monitoring.pictures --minutes 15

lock: setup ## pin the newest versions that fit
	@. .ci/uv-env && "$$UV" lock --upgrade --quiet && "$$UV" export --quiet --all-packages --no-emit-workspace --no-header > requirements.lock
	@. .ci/uv-env && "$$UV" export --quiet --all-packages --no-dev --no-emit-workspace --no-header > monitoring/requirements.lock
	@. .ci/uv-env && echo hatchling | "$$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --constraint requirements.lock - > monitoring/requirements-build.lock

clean: ## remove what the other targets made
	rm -rf $(VENV) .venv-lowest .uv .peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
