"""JUnit XML: the dialect that is described by ``reports/junit.xsd`` and that CI services read.

One test suite per engine, one test case per scenario. *Violated* is a failure, *inconclusive* an error,
*not run* skipped. A verdict that no case shows is a case of its own, since a file without a failure reads
as a pass.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from harness.model import Verdict
from harness.reporting import faults, words
from harness.reporting.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model import Check, NotRun, Report, Violation

JUNIT_FILE = "junit.xml"


def render_junit(report: Report) -> str:
    """Return the report as a JUnit XML document."""
    root = ET.Element("testsuites", name="oversell")
    for engine in _engines(report):
        checks = [check for check in report.checks if check.engine == engine]
        skipped = [skip for skip in report.not_run if skip.engine == engine]
        cases = [*map(_checked, checks), *map(_skipped, skipped)]
        root.append(_suite(f"oversell.{engine}", report, cases, sum(check.seconds for check in checks)))
    if _says_nothing(report):
        root.append(_suite("oversell", report, [_inconclusive_run(report)], 0.0))
    _count(root, root.iter("testcase"))
    root.set("time", _seconds(report.seconds))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _engines(report: Report) -> Iterable[str]:
    names = [check.engine for check in report.checks] + [skip.engine for skip in report.not_run]
    return dict.fromkeys(names)


def _says_nothing(report: Report) -> bool:
    shown = any(check.verdict is Verdict.INCONCLUSIVE for check in report.checks)
    return report.verdict is Verdict.INCONCLUSIVE and not shown


def _suite(name: str, report: Report, cases: list[ET.Element], seconds: float) -> ET.Element:
    suite = ET.Element("testsuite", name=one_line(name))
    _count(suite, cases)
    suite.set("time", _seconds(seconds))
    if stamp := _timestamp(report.started):
        suite.set("timestamp", stamp)
    properties = ET.SubElement(suite, "properties")
    for key in ("target", "database", "seed", "verdict"):
        ET.SubElement(properties, "property", name=key, value=one_line(str(getattr(report, key))))
    suite.extend(cases)
    return suite


def _timestamp(started: str) -> str | None:
    # The format's time stamps have no zone; ours are UTC.
    try:
        return datetime.fromisoformat(started).replace(tzinfo=None).isoformat(timespec="seconds")
    except ValueError:
        return None


def _count(element: ET.Element, cases: Iterable[ET.Element]) -> None:
    cases = list(cases)
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))


def _case(scenario: str, classname: str, seconds: float) -> ET.Element:
    return ET.Element(
        "testcase", name=one_line(scenario), classname=one_line(classname), time=_seconds(seconds)
    )


def _checked(check: Check) -> ET.Element:
    case = _case(check.scenario, f"oversell.{check.engine}", check.seconds)
    if check.verdict is Verdict.VIOLATED:
        sentences = [_sentence(violation, check) for violation in check.violations]
        _add(case, "failure", sentences or ["a law was broken"], "violated")
    elif check.verdict is Verdict.INCONCLUSIVE:
        _add(case, "error", check.reasons or ("no reason given",), "inconclusive")
    ET.SubElement(case, "system-out").text = _body(_numbers(check))
    return case


def _sentence(violation: Violation, check: Check) -> str:
    commit = words.commit(violation)
    by = f" ({commit[0]})" if commit else ""
    return f"{violation.law} (in {words.hit_rate(violation, check)}): {violation.message}{by}"


def _skipped(skip: NotRun) -> ET.Element:
    case = _case(skip.scenario, f"oversell.{skip.engine}", 0.0)
    ET.SubElement(case, "skipped", message=one_line(skip.reason))
    return case


def _inconclusive_run(report: Report) -> ET.Element:
    case = _case("verdict", "oversell", 0.0)
    _add(case, "error", report.reasons or ("no reason given",), "inconclusive")
    return case


def _add(case: ET.Element, tag: str, sentences: Iterable[str], kind: str) -> None:
    sentences = list(sentences)
    more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
    element = ET.SubElement(case, tag, message=one_line(sentences[0]) + more, type=kind)
    element.text = _body(sentences)


def _numbers(check: Check) -> Iterable[str]:
    yield f"runs {check.runs}, hits {check.hits}"
    yield f"operations {check.operations}, most overlapping {check.overlapping}"
    if explored := words.exploration(check):
        yield explored
    if check.audit:
        yield f"audited: {check.audit}, commits {check.commits_audited}, states {check.states_audited}"
    if loaded := words.load(check):
        yield f"load: {loaded}"
    if broke := faults.chaos(check):
        yield f"broken at random: {broke}"
    for law, result in check.laws.items():
        yield f"{law}: {result.judgement}{f' ({result.reason})' if result.reason else ''}"


def _body(lines: Iterable[str]) -> str:
    return "\n".join(map(one_line, lines))


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
