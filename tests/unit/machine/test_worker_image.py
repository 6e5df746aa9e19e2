"""What a worker's image is made of: the modules that users need, and nothing that the lab itself may change freely."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from lab.machine import worker_image


def test_all_that_a_worker_loads_is_in_it(tmp_path: Path) -> None:
    """And it loads without the rest of the lab."""
    for name, content in worker_image._own_files().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import lab.workers.worker as one; print(one.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(str(tmp_path)), done.stderr


def test_packages_are_in_the_versions_of_this_lab() -> None:
    """So that a worker does what this lab's own crowd does."""
    wanted = worker_image._packages()
    assert f"msgspec=={metadata.version('msgspec')}" in wanted
    assert f"httptools=={metadata.version('httptools')}" in wanted


def test_the_tag_says_what_it_is_made_of() -> None:
    """Whatever changes, it is another image."""
    files = {"lab/a.py": b"1"}
    first = worker_image._digest("base:1", b"FROM", "p==1", files)
    others = {
        worker_image._digest("base:2", b"FROM", "p==1", files),
        worker_image._digest("base:1", b"TO", "p==1", files),
        worker_image._digest("base:1", b"FROM", "p==2", files),
        worker_image._digest("base:1", b"FROM", "p==1", {"lab/a.py": b"2"}),
        worker_image._digest("base:1", b"FROM", "p==1", {"lab/b.py": b"1"}),
    }
    assert first not in others
    assert len(others) == 5
