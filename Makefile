# All targets run from a clean clone. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/
PACKAGES := ironpost-core ironpost-daemon plugins/ebpf plugins/guard plugins/logpipe plugins/sbom
SOURCES := $(PACKAGES:%=%/src)
STAMP := $(VENV)/.installed
# bench sizes are overridable: make bench LINES=200000
export UV_PYTHON_DOWNLOADS := never

.PHONY: help setup demo test check lint types imports unit apt bench lock clean dist

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv with all six packages editable and the test tools

$(STAMP): requirements.lock VERSION $(PACKAGES:%=%/pyproject.toml) .ci/bootstrap
	@.ci/bootstrap "$(PYTHON)" "$(VENV)"
	@. .ci/uv-env && $$UV pip install --quiet --python $(VENV) --require-hashes -r requirements.lock
	@. .ci/uv-env && $$UV pip install --quiet --python $(VENV) --no-deps --no-build-isolation $(PACKAGES:%=-e %)
	@touch $@
