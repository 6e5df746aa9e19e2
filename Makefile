# `make` or `make help` lists the targets. `make check` never writes; `make fix` does.
LAB := .venv/bin/lab
PY := .venv/bin/python
READY := .venv/.ready

.PHONY: help demo demo-broken test test-unit check fix bench setup doctor clean
.DEFAULT_GOAL := help

help: ## show these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS='	' read -r t d; do printf '  make %-12s %s\n' "$$t" "$$d"; done

demo: setup ## users keep their state through a rolling upgrade and random kills
	@$(LAB) run demo

demo-broken: setup ## the same with sessions in the replicas' memory: why it matters
	@$(LAB) run demo-broken; code=$$?; [ $$code -eq 1 ] || exit $$code

test: setup ## all tests: the quick ones, then those on real containers
	@$(PY) -m pytest

test-unit: $(READY) ## the tests that need no Docker (seconds)
	@$(PY) -m pytest tests/unit tests/contract -m 'not e2e'

check: $(READY) ## lint, format and types; writes nothing
	@$(PY) -m ruff check lab tests images
	@$(PY) -m ruff format --check lab tests images
	@$(PY) -m mypy

fix: $(READY) ## mend what lint and format can mend
	@$(PY) -m ruff check --fix lab tests images
	@$(PY) -m ruff format lab tests images

bench: setup ## figures as ratios: a rolling upgrade here and by `docker compose up -d`, demo cold and warm
	@$(PY) -m tests.bench

setup: $(READY) ## engine, Compose and images; does nothing the second time
	@$(LAB) setup

doctor: $(READY) ## what this machine has, and the command that mends what is missing
	@$(LAB) doctor

clean: $(READY) ## remove what a killed lab left behind
	@$(LAB) clean

$(READY): pyproject.toml .ci/constraints.txt lab/bootstrap.sh
	@sh lab/bootstrap.sh
