"""What the shop's source must never do, read from the source itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SHOP = Path(__file__).parents[3] / "images" / "shop" / "shop"
MODULES = sorted(SHOP.glob("*.py"))
FORBIDDEN = {
    "random": "chance for secrets comes from `secrets`",
    "uuid": "chance for secrets comes from `secrets`",
    "pickle": "what the store holds is never executed",
    "marshal": "what the store holds is never executed",
    "subprocess": "a replica starts nothing",
    "pydantic": "a replica starts quickly",
    "fastapi": "a replica starts quickly",
}


def imports_of(source: str) -> Iterator[str]:
    """The first part of every module that `source` imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_chance_comes_from_secrets_alone() -> None:
    """No module imports another source of randomness, unpickles, or pulls in what makes starting slow."""
    texts = {module.stem: module.read_text() for module in MODULES}
    assert len(texts) > 20
    forbidden = {name: sorted(set(imports_of(text)) & set(FORBIDDEN)) for name, text in texts.items()}
    assert {name: found for name, found in forbidden.items() if found} == {}
    assert [name for name, text in texts.items() if "urandom" in text] == []


def test_the_check_sees_imports_anywhere() -> None:
    """An import inside a function, or of a submodule, is found too."""
    source = "def f():\n    import random\nfrom pickle.x import y\n"
    assert set(imports_of(source)) == {"random", "pickle"}


def test_pages_run_nothing() -> None:
    """No page has a script, an inline style or a handler, so the content policy may forbid them all."""
    pages = sorted((SHOP / "pages").glob("*.html"))
    assert len(pages) >= 9
    for page in pages:
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:|\|\s*safe", page.read_text(), re.I), (
            page.name
        )


def test_every_form_of_a_page_is_guarded() -> None:
    """Each form posts, and carries the CSRF value and a key of its own."""
    for page in (SHOP / "pages").glob("*.html"):
        forms = re.findall(r"<form.*?</form>", page.read_text(), re.S)
        for form in forms:
            assert 'method="post"' in form, page.name
            assert "parts.hidden(csrf, fresh_key())" in form, page.name


def test_scripts_that_write_keep_their_answer() -> None:
    """Each that changes what a user would miss first looks for an earlier answer, and ends by keeping its own."""
    for script in (SHOP / "scripts").glob("*.lua"):
        text = script.read_text()
        if script.stem in {"once", "attempt", "sent"} or text.startswith("#!lua flags=no-writes\n"):
            continue
        assert "local known = earlier()" in text, script.name
        assert text.rstrip().splitlines()[-1].startswith("return keep("), script.name
