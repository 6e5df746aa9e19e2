"""The parts of a whole proof: each a command of its own, which ends with 0 only where it proved what it says."""

from __future__ import annotations

import sys

from lab.model import Value

_PYTHON = sys.executable
_LAB = (_PYTHON, "-m", "lab")
_PYTEST = (_PYTHON, "-m", "pytest", "-q")
_BESIDE = ("-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder")
_FUZZED = ("tests/unit/scenario/test_fuzz.py", "tests/e2e/test_rendered_configs.py")


class Part(Value):
    """One part. `within` is the most seconds that it may take, several times what it needs."""

    name: str
    proves: str
    argv: tuple[str, ...]
    within: float = 3600.0


PARTS = (
    Part(
        name="lessons",
        proves="every lesson's broken half breaks by its own promise, and its solution holds, with three seeds",
        argv=(*_LAB, "lesson", "dev-check", "--seeds", "3"),
        within=7200,
    ),
    Part(
        name="sabotage",
        proves="every build with one mistake turns a run red by its own promise, and the healthy one holds",
        argv=(_PYTHON, "-m", "tests.sabotage"),
    ),
    Part(
        name="sweep",
        proves="every strategy with every fault at every phase hurts nobody",
        argv=(*_LAB, "sweep"),
        within=7200,
    ),
    Part(
        name="deployer-kills",
        proves="deployers killed at every step and 100 times at random: every rollout ends right",
        argv=(*_LAB, "sweep", "--deployer-kills", "100"),
        within=7200,
    ),
    Part(
        name="swarm",
        proves="three engines in one Swarm: updates, drained and lost nodes, a bad release, a leader's death, users in"
        " workers, ten thousand of them, each ends as it must, and the lab's own deployer beside it",
        argv=(_PYTHON, "-m", "tests.swarm"),
        within=7200,
    ),
    Part(
        name="scale",
        proves="records of 10^7 and 10^8 operations are judged in bounded memory, and by two processes 1.7 times as"
        " quickly as by one",
        argv=(_PYTHON, "-m", "tests.scale"),
        within=14400,
    ),
    Part(
        name="engines",
        proves="the lab on other versions and kinds of engines, behind TLS, from a job's container, and offline",
        argv=(_PYTHON, "-m", "tests.prove.nested"),
    ),
    Part(
        name="emulated",
        proves="all images are built for a processor that this machine has not, and an upgrade on them holds",
        argv=(_PYTHON, "-m", "tests.prove.emulated"),
        within=7200,
    ),
    Part(
        name="leftovers",
        proves="50 runs in a row, jobs that are cancelled or killed, and two at once leave nothing behind",
        argv=(_PYTHON, "-m", "tests.prove.leftovers"),
        within=7200,
    ),
    Part(
        name="soak",
        proves="two hours of upgrades to and fro under fire: the run holds, and nobody's memory grows",
        argv=(_PYTHON, "-m", "tests.prove.soak"),
        within=9000,
    ),
    Part(
        name="e2e",
        proves="the tests on real containers that are too long for every commit",
        argv=(*_PYTEST, "tests", "--ignore", "tests/prove", "-m", "prove", *_BESIDE),  # those are a part of their own
    ),
    Part(
        name="fuzz",
        proves="5,000 scenarios each: read or refused with the key; nginx takes what is rendered",
        argv=("env", "LAB_PROVE=1", *_PYTEST, *_FUZZED),
    ),
    Part(
        name="duel",
        proves="deployments by others' tools behind three proxies, watched: each ends as it must, with its figures",
        argv=(_PYTHON, "-m", "tests.duel"),
        within=7200,
    ),
    Part(
        name="examples",
        proves="the apps of the examples' pages hold as they stand, and are red by their causes as the pages say",
        argv=(*_PYTEST, "tests/prove/test_examples.py", "-m", "prove", "-s"),
    ),
    Part(
        name="bench",
        proves="figures as ratios: rollouts here and by others' ways, the crowd and the oracle beside theirs",
        argv=(_PYTHON, "-m", "tests.bench", "rollouts", "crowd", "own", "oracle"),
    ),
)
