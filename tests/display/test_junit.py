import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from hypothesis import given
from hypothesis import strategies as st

from mnistcli.display.junit import run_as_junit, runs_as_junit, unfinished_as_junit
from mnistcli.records.comparisons import FailedRun
from mnistcli.verdict.several import summarize_runs
from tests.display.samples import make_check, make_run

COUNTS = {"tests", "failures", "errors"}
# Of the schema that Jenkins publishes, junit-10.xsd: attributes required and allowed, children.
SHAPE: dict[str, tuple[set[str], set[str], tuple[str, ...]]] = {
    "testsuites": (set(), {"name", "time", *COUNTS, "disabled"}, ("testsuite",)),
    "testsuite": (
        {"name", "tests"},
        {"time", "timestamp", "skipped", "hostname", "id", "package", "disabled", *COUNTS},
        ("properties", "testcase", "system-out", "system-err"),
    ),
    "properties": (set(), set(), ("property",)),
    "property": ({"name", "value"}, set(), ()),
    "testcase": (
        {"name", "classname"},
        {"time", "status", "assertions"},
        ("skipped", "error", "failure", "system-out", "system-err"),
    ),
    "failure": (set(), {"type", "message"}, ()),
    "error": (set(), {"type", "message"}, ()),
}


def check_shape(element: Element) -> None:
    required, allowed, children = SHAPE[element.tag]
    assert required <= set(element.keys()) <= required | allowed
    order = [children.index(child.tag) for child in element]
    assert order == sorted(order)
    for name in COUNTS & set(element.keys()):
        assert element.get(name, "").isdigit()
    if time := element.get("time"):
        assert float(time) >= 0
    for child in element:
        check_shape(child)


def parse(content: bytes) -> Element:
    """Return the suite of a report, with its shape and its counts checked."""
    root = ElementTree.fromstring(content)
    check_shape(root)
    (suite,) = root
    found = [
        len(suite.findall(path)) for path in ("testcase", "testcase/failure", "testcase/error")
    ]
    for element in (root, suite):
        assert [int(element.get(name, "")) for name in ("tests", "failures", "errors")] == found
    return suite


def test_every_check_of_a_run_is_a_case() -> None:
    checks = (
        make_check("parameters", comparison="<", limit=20_000, value=20_000, verdict="fail"),
        make_check(),
    )
    suite = parse(run_as_junit(make_run(checks=checks, passed=False)))
    assert suite.get("name") == "sprint"
    assert suite.get("timestamp") == "2026-01-01T00:00:00"
    assert suite.get("time") == "5.000"
    bad, good = suite.findall("testcase")
    assert bad.get("name") == "parameters < 20,000"
    (failure,) = bad
    assert failure.get("message") == "parameters: measured 20,000, limit < 20,000"
    assert good.get("name") == "test accuracy ≥ 99.00 %"
    assert list(good) == []


def test_several_runs_have_the_checks_of_their_mean_and_an_error_a_lost_run() -> None:
    accuracies = (0.9930, 0.9950)
    runs = [
        make_run(
            seed,
            checks=(make_check(limit=0.994, value=value, verdict="pass"),),
            test={
                "accuracy": value, "correct": round(value * 10_000), "total": 10_000,
                "loss": 0.02, "interval": (0.99, 0.999),
            },
        )
        for seed, value in enumerate(accuracies)
    ]  # fmt: skip
    lost = FailedRun(seed=7, exit_code=5, reason="the loss is not finite", path="runs/lost")
    suite = parse(runs_as_junit(summarize_runs(runs, [lost])))
    assert suite.get("name") == "sprint, mean of 2 seeds"
    check, error = suite.findall("testcase")
    assert check.get("classname") == error.get("classname") == "mnistcli.sprint"
    assert (check[0].get("message") or "").startswith("inconclusive: ")
    assert error.get("name") == "seed 7"
    assert error[0].tag == "error"
    assert error[0].get("message") == "the loss is not finite"


def test_until_a_training_has_finished_it_is_an_error() -> None:
    suite = parse(unfinished_as_junit())
    assert (suite.get("errors"), suite.get("tests")) == ("1", "1")


def test_a_budget_without_limits_is_an_empty_suite() -> None:
    assert parse(run_as_junit(make_run(checks=()))).get("tests") == "0"


@given(st.text() | st.text('<>&"\x00\x1b\ud800\ufffe]]> '))
def test_any_text_is_valid_xml(text: str) -> None:
    run = make_run(run_id=text, path=text, started=text, weights_sha256=text)
    lost = FailedRun(seed=7, exit_code=5, reason=text, path=text)
    for content in (run_as_junit(run), runs_as_junit(summarize_runs([run], [lost]))):
        suite = parse(content)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", content.decode())
    (error,) = suite.iter("error")
    wanted = "".join(c if c.isprintable() else " " for c in text)
    assert (error.get("message"), error.text or "") == (wanted, wanted)
