"""A report as JUnit XML: one case a promise, so that any CI shows which of them was broken and by what."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from lab.model import Verdict
from lab.report.document import Report
from lab.report.events import JudgedPromise

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> str:
    """The whole file. A broken promise is a failure; one of which nothing can be told is an error, never a pass.

    What makes the run as a whole worthless is an error of its own, so that no CI calls it green; beside a broken
    promise, which is shown all the same, it bears another name.
    """
    cases = [_case(report, one) for one in report.promises]
    if report.reasons or not cases:
        cases.append(_whole(report))
    failures = sum(1 for case in cases if case.find("failure") is not None)
    errors = sum(1 for case in cases if case.find("error") is not None)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}
    suites = ET.Element("testsuites", {"name": "cluster-lab", **counts, "time": _seconds(report)})
    about = {"skipped": "0", "time": _seconds(report), "timestamp": report.environment.began[:19]}
    about["hostname"] = _clean(report.environment.host)
    suite = ET.SubElement(suites, "testsuite", {"name": _clean(f"lab.{report.name}"), **counts, **about})
    properties = ET.SubElement(suite, "properties")
    for name, value in (("run", report.run), ("seed", report.environment.seed), ("repeat", report.repeat)):
        ET.SubElement(properties, "property", {"name": name, "value": _clean(str(value))})
    suite.extend(cases)
    out = ET.SubElement(suite, "system-out")
    out.text = _clean("\n".join((*report.headline, "not checked:", *report.not_checked)))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _case(report: Report, promise: JudgedPromise) -> ET.Element:
    case = _new_case(report, promise.promise)
    counted = f"{promise.title}: {promise.count} {promise.checks}"
    if promise.verdict == Verdict.BROKEN:
        stories = [one for one in report.stories if one.promise == promise.promise]
        told = "\n".join(line for one in stories for line in (f"at {one.at:.2f} s", *one.lines))
        said = f"{counted}, broken {promise.broken} times"
        failure = ET.SubElement(case, "failure", {"message": _clean(said), "type": promise.promise})
        failure.text = _clean(told + (f"\nlikely: {report.likely}" if report.likely else ""))
    elif promise.verdict == Verdict.COULD_NOT_TELL:
        said = f"{counted}: could not tell ({promise.note})"
        error = ET.SubElement(case, "error", {"message": _clean(said), "type": "could-not-tell"})
        error.text = _clean("\n".join(report.reasons))
    else:
        ET.SubElement(case, "system-out").text = _clean(counted)
    return case


def _whole(report: Report) -> ET.Element:
    case = _new_case(report, "also not shown" if report.verdict == Verdict.BROKEN else "the run as a whole")
    reasons = "\n".join(report.reasons) or "no promise was judged"
    error = ET.SubElement(case, "error", {"message": _clean(reasons.splitlines()[0]), "type": "could-not-tell"})
    error.text = _clean(reasons)
    return case


def _new_case(report: Report, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": _clean(f"lab.{report.name}"), "name": name, "time": _seconds(report)})


def _seconds(report: Report) -> str:
    return f"{report.seconds:.3f}"


def _clean(text: str) -> str:
    """Without the characters that XML can't hold in any form."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
