# `make` or `make help` lists the targets. `make check` never writes; `make fix` does.
LAB := .venv/bin/lab
PY := .venv/bin/python
READY := .venv/.ready
BROWSER := .venv/.browser
# Three runs beside each other keep two cores busy; most of a run is waiting. One: make test BESIDE=1.
BESIDE := 3
# Tests start some hundred Pythons: what one has compiled is there for the next, whatever the machine's default.
unexport PYTHONDONTWRITEBYTECODE
# The quick tests count, and each more that collects them costs seconds; the slow ones mostly wait, for runs in this
# process and for what they started.
QUICK := -m pytest -n 3 -m 'not e2e and not browser and not prove and not slow'
SLOW := -m pytest -n 8 -m 'slow and not e2e and not browser and not prove'
REAL := -m pytest -n $(BESIDE) --dist loadgroup --no-loadscope-reorder -m '(e2e or browser) and not prove'

.PHONY: help demo demo-broken smoke test test-unit prove check fix sweep sabotage workshop lessons bench setup yard doctor clean
.DEFAULT_GOAL := help

help: ## show these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS='	' read -r t d; do printf '  make %-12s %s\n' "$$t" "$$d"; done

demo: setup ## users keep their state through a rolling upgrade and random kills
	@$(LAB) run demo --ui

demo-broken: setup ## the same with sessions in the replicas' memory: why it matters
	@$(LAB) run demo-broken --ui; code=$$?; [ $$code -eq 1 ] || exit $$code

smoke: $(READY) ## the tests that need no Docker, without the few that take seconds each (a minute)
	@$(PY) $(QUICK)

test: setup $(BROWSER) ## what every commit must hold: the quick tests, then those on real containers (13 minutes)
	@$(PY) $(QUICK)
	@$(PY) $(SLOW)
	@$(PY) $(REAL)

test-unit: smoke ## smoke, by its former name

prove: setup $(BROWSER) ## all that is long, each part or one (PART=lessons); a table, and prove.json (hours)
	@$(PY) -m tests.prove $(PART)

check: $(READY) ## lint, format and types; writes nothing
	@$(PY) -m ruff check lab tests images
	@$(PY) -m ruff format --check lab tests images
	@$(PY) -m mypy

fix: $(READY) ## mend what lint and format can mend, and write the schema and the reference anew
	@$(LAB) schema >lab/scenario.schema.json.new && mv lab/scenario.schema.json.new lab/scenario.schema.json
	@$(LAB) reference >lab/REFERENCE.md.new && mv lab/REFERENCE.md.new lab/REFERENCE.md
	@$(PY) -m ruff check --fix lab tests images
	@$(PY) -m ruff format lab tests images

sweep: setup ## every strategy with every fault at every phase, then deployers killed at every step and 100 times at random
	@$(LAB) sweep
	@$(LAB) sweep --deployer-kills 100

sabotage: setup ## builds with one mistake each: every one must turn a run red by its own promise (half an hour)
	@$(PY) -m tests.sabotage

workshop: setup ## lessons to work through by hand: break it, predict it, mend it, have it graded
	@echo "in each shell, first:  . .venv/bin/activate"
	@$(LAB) lesson list
	@echo "  teaching it: lab/lessons/TRAINER.md"

lessons: setup ## every lesson's broken half must break by its own promise, its solution hold (3 seeds, 24 minutes)
	@$(LAB) lesson dev-check --seeds 3

bench: setup ## figures as ratios: rollouts here and by others' ways, the demo cold and warm
	@$(PY) -m tests.bench

setup: $(READY) ## engine, Compose and images; does nothing the second time
	@$(LAB) setup

yard: setup ## three engines in containers of this machine, in one swarm; away again: lab yard down
	@$(LAB) yard up

doctor: $(READY) ## what this machine has, and the command that mends what is missing
	@$(LAB) doctor

clean: $(READY) ## remove what a killed lab left behind
	@$(LAB) clean

$(READY): pyproject.toml .ci/constraints.txt lab/bootstrap.sh
	@sh lab/bootstrap.sh

$(BROWSER): $(READY) lab/browser.sh
	@sh lab/browser.sh
