"""Checks → JUnit XML, one test case a check, as CI servers read it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from mnistcli.display.budget import check_row
from mnistcli.display.text import count
from mnistcli.records.comparisons import RunsDocument
from mnistcli.records.documents import Check, RunRecord

KINDS = {"failure": "budget", "error": "training"}
UNDECIDED = "inconclusive: the limit is inside the 95 % interval of the mean; "


class Case(NamedTuple):
    """A test case, and what is wrong, if anything."""

    name: str
    problem: str | None = None
    kind: Literal["failure", "error"] = "failure"


class Suite(NamedTuple):
    """A name that is the same in every job, what is added to it, start and seconds."""

    preset: str
    about: str = ""
    started: str = ""
    spent: float = 0


def run_as_junit(record: RunRecord) -> bytes:
    """Return the checks of a run."""
    properties = {
        "run": record.run_id,
        "path": record.path,
        "seed": str(record.seed),
        "weights_sha256": record.weights_sha256,
    }
    cases = [_check_case(check) for check in record.checks]
    suite = Suite(record.preset.name, "", record.started, record.train_seconds)
    return _render(suite, cases, properties)


def runs_as_junit(document: RunsDocument) -> bytes:
    """Return the checks of the mean of several runs, and the runs that failed."""
    summary, runs = document.summary, document.runs
    cases = [_check_case(check) for check in document.checks]
    cases += [Case(f"seed {run.seed}", run.reason, "error") for run in document.failed]
    properties = {
        "runs": " ".join(run.run_id for run in runs),
        "seeds": " ".join(map(str, summary.seeds)),
    }
    spent = sum(run.train_seconds for run in runs)
    about = f", mean of {count(len(runs), 'seed')}"
    return _render(Suite(summary.preset, about, runs[0].started, spent), cases, properties)


def unfinished_as_junit() -> bytes:
    """Return the error that a training did not finish: what holds until it has."""
    case = Case("training", "the training did not finish; its log says why", "error")
    return _render(Suite("training"), [case], {})


def _check_case(check: Check) -> Case:
    row = check_row(check)
    name = f"{row.name} {row.limit}"
    match check.verdict:
        case "pass":
            return Case(name)
        case "fail":
            return Case(name, f"{row.name}: measured {row.measured}, limit {row.limit}")
        case "inconclusive" if check.reason:
            return Case(name, f"inconclusive: {row.name} {row.measured}: {check.reason}")
        case "inconclusive":
            return Case(name, f"{UNDECIDED}mean {row.measured}, limit {row.limit}")


def _render(suite: Suite, cases: Sequence[Case], properties: dict[str, str]) -> bytes:
    kinds = [case.kind for case in cases if case.problem is not None]
    counts = {
        "tests": str(len(cases)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "time": f"{suite.spent:.3f}",
    }
    root = Element("testsuites", {"name": "mnistcli", **counts})
    name = _clean(suite.preset + suite.about)
    element = SubElement(root, "testsuite", {"name": name, "skipped": "0", **counts})
    if suite.started:
        element.set("timestamp", _clean(suite.started[:19]))  # UTC: the format has no time zone
    if properties:
        parent = SubElement(element, "properties")
        for key, value in properties.items():
            SubElement(parent, "property", name=key, value=_clean(value))
    for case in cases:
        _add_case(element, f"mnistcli.{suite.preset}", case)
    ElementTree.indent(root)
    page: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return page + b"\n"


def _add_case(parent: Element, classname: str, case: Case) -> None:
    element = SubElement(parent, "testcase", classname=_clean(classname), name=_clean(case.name))
    if case.problem is not None:
        problem = _clean(case.problem)
        SubElement(element, case.kind, message=problem, type=KINDS[case.kind]).text = problem


def _clean(text: str) -> str:
    """Replace what XML cannot hold, such as control characters."""
    return "".join(c if c.isprintable() else " " for c in text)
