"""The documents as tests read them: pages, the blocks of code that they show, and the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
TUTORIAL = DOCS / "tutorial" / "README.md"
REFERENCE = ROOT / "lab" / "REFERENCE.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
"""What people read first; the lessons, the trainer's guide and the generated reference have their own tests, too."""

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?:<\?php )?(?:#|//) ((?:in )?[\w./-]+)\n")


@dataclass(frozen=True)
class Block:
    """One fenced block. `name` is the file that its first line names, "in lab.yaml" for a part of a scenario."""

    page: Path
    line: int
    language: str
    name: str
    text: str

    @property
    def at(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        named = _NAME.match(match[2])
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match[1], named[1] if named else "", match[2]))
    return found


def all_blocks() -> list[Block]:
    """Those of all pages."""
    return [block for page in PAGES for block in blocks_of(page)]


def shown_file(page: Path, name: str) -> str:
    """The file of this name as a page shows it last."""
    found = [block.text for block in blocks_of(page) if block.name == name]
    assert found, f"{page.name} shows no {name}"
    return found[-1]


def commands_of(block: Block) -> Iterator[str]:
    """The lines that a person or a CI would type, without their comments."""
    for line in block.text.splitlines():
        yield re.sub(r"\s+#.*", "", line)
