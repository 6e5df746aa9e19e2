"""`python -m tests.golden RUN NAME ABOUT`: keep a run whose verdict somebody has looked at and found right."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.record import ReadRecord
from lab.run.judge import judge_run
from tests.golden import pack, told

if __name__ == "__main__":
    run, name, about = sys.argv[1:]
    what = told(judge_run(ReadRecord(Path(run))).judgement, about)
    pack(Path(run), name, what)
    print(name, what.verdict, what.broken)
