"""The page, live or as one file: markup, style and script in one document that loads nothing from anywhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lab.model import Value
from lab.report.document import Report
from lab.report.events import AnyPageEvent
from lab.report.markdown import MARKS
from lab.report.requests import RequestTable

FOLDER = Path(__file__).with_name("page")
SCRIPT = tuple(
    f"{name}.js"
    for name in ("fold", "state", "board", "timeline", "latency", "time", "ask", "control", "report", "begin")
)
"""The page's script, in the order in which its parts are put together: one element, one hash."""
KINDS = {"held": "held", "broken": "broken"}
BAR = 480
"""Width of the longest bar of a histogram, of 640."""


class PageControl(Value):
    """What the page offers to do, with what proves to the lab that the page asks."""

    token: str
    acts: tuple[str, ...]
    images: tuple[str, ...]


class PageConfig(Value, omit_defaults=False):
    """What the page's script is told; no control: it only looks."""

    control: PageControl | None = None
    run: str = ""
    """The run whose record holds what this file does not."""


class LivePage(Value):
    """A page with the policy under which a browser may show it."""

    html: str
    policy: str


def live_page(title: str, config: PageConfig) -> LivePage:
    """The page that follows a run over /events. The policy goes into a header of its answer."""
    html = _render(title=title, config=_data(config))
    return LivePage(html=html, policy=_policy("connect-src 'self'", "frame-ancestors 'none'"))


def report_page(report: Report, tape: Sequence[AnyPageEvent], requests: RequestTable, *, beside: bool) -> str:
    """The report as one file that opens from disk, carries its own policy, and needs no network.

    Only one that lies `beside` the record links to the record's files.
    """
    config = _data(PageConfig(run=report.run))
    given = {"config": config, "tape": _data(tape), "requests": _data(requests)}
    return _render(title=report.title, **given, report=report, beside=beside, csp=_policy())


def _render(
    *,
    title: str,
    config: Markup,
    tape: Markup | None = None,
    requests: Markup | None = None,
    report: Report | None = None,
    beside: bool = False,
    csp: str = "",
) -> str:
    given = {} if report is None else {"beside": beside, **_for_report(report)}
    given |= {"config": config, "tape": tape or "", "requests": requests or "", "title": title, "report": report}
    return render_page("page.html", csp=csp, styles=("page.css",), scripts=SCRIPT, **given)


def render_page(template: str, *, csp: str, styles: Sequence[str], scripts: Sequence[str], **given: object) -> str:
    """One of our templates with our own style and script in it; all that is given is text, unless it is Markup."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    environment.globals |= {
        "number": _number,
        "ms": _milliseconds,
        "marks": {str(key): mark for key, mark in MARKS.items()},
    }
    css, js = (Markup(_assets(names)) for names in (styles, scripts))  # noqa: S704 -- our own files
    return environment.get_template(template).render(csp=csp, css=css, js=js, **given)


def _for_report(report: Report) -> dict[str, object]:
    head = " ".join(report.headline[0].split()) if report.headline else ""
    most = max(report.tries.values(), default=1)
    engine = report.environment.engine
    environment = {
        "began": report.environment.began,
        "seed": report.environment.seed,
        "machine": ", ".join(part for part in (report.environment.system, _cores(report.environment.cores)) if part),
        "Python": report.environment.python,
        "engine": ", ".join(f"{name} {value}" for name, value in engine.items()),
        "Compose": " ".join(report.environment.compose),
    }
    return {
        "kind": KINDS.get(report.verdict, "unknown"),
        "headline": head.removeprefix(report.verdict.upper()).strip(),
        "bars": [(tries, count, round(BAR * count / most)) for tries, count in report.tries.items()],
        "releases": list(dict.fromkeys((*report.environment.releases, *report.answers_by_release))),
        "environment": [(name, value) for name, value in environment.items() if value not in {None, ""}],
    }


def _asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _assets(names: Sequence[str]) -> str:
    return "".join(_asset(name) for name in names)


def _policy(*more: str) -> str:
    return page_policy(("page.css",), SCRIPT, *more)


def page_policy(styles: Sequence[str], scripts: Sequence[str], *more: str) -> str:
    """Nothing but a document's own style and script, named by their hashes."""
    style, script = _hash(_assets(styles)), _hash(_assets(scripts))
    parts = ("default-src 'none'", f"script-src '{script}'", f"style-src '{style}'", "img-src data:", "base-uri 'none'")
    return "; ".join((*parts, "form-action 'none'", *more))


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(value: object) -> Markup:
    """As JSON that can stand within a script element whatever is in it."""
    text = msgspec.json.encode(value).decode()
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 -- nothing is left in it that ends the element


def _number(count: int) -> str:
    return f"{count:,}".replace(",", "\u2009")


def _cores(count: int | None) -> str:
    return "" if count is None else f"{count} core{'' if count == 1 else 's'}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
