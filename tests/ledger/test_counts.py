import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from tests import conftest
from tests.ledger import counts
from tests.ledger.counts import add_counts, rows_of_counts
from tests.ledger.files import RELIABILITY_PAGE

FUZZED = "#2\tINITED\n#9\tDONE\nDone 22962 runs in 61 second(s)\nstat::peak_rss_mb: 600\n"


def test_page_is_up_to_date() -> None:
    """If not, run python -m tests.ledger."""
    assert rows_of_counts() in RELIABILITY_PAGE.read_text()


def test_every_kind_has_a_row_and_the_latest_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "COUNTS", tmp_path / "counts.json")
    faults, verdict, npz = (tmp_path / name for name in ("a.json", "verdict.json", "npz.log"))
    verdict.write_text(json.dumps({"mutants": 1_667, "noticed": 1_510}))
    npz.write_text(FUZZED)
    for number, failed in ((400, 2), (500, 0)):
        found = {"counts": {"crash states survived": number}, "failed": failed}
        faults.write_text(json.dumps(found))
        add_counts("a machine", [faults, verdict, npz])
    survived, mutants, inputs = rows_of_counts().splitlines()[2:]
    assert survived.startswith("| crash states survived | 500 | no test failed | ")
    assert mutants.startswith("| mutants of `verdict` | 1,667 | 90.6 % noticed by tests | ")
    assert inputs.startswith("| inputs to the reader `npz` | 22,962 | nothing found in 1 min | ")


def test_what_failed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "COUNTS", tmp_path / "counts.json")
    faults, npz = tmp_path / "a.json", tmp_path / "npz.log"
    faults.write_text(json.dumps({"counts": {"crash states survived": 3}, "failed": 2}))
    npz.write_text(FUZZED + "Test unit written to x/crash-1\n")
    add_counts("a machine", [faults, npz])
    survived, inputs = rows_of_counts().splitlines()[2:]
    assert "| 2 tests failed |" in survived
    assert "| found 1 in 1 min |" in inputs


def test_a_session_of_tests_keeps_what_the_ledger_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "COUNTS", tmp_path / "counts.json")
    monkeypatch.setattr(conftest, "COUNTS", Counter({"crash states survived": 7}))
    config = SimpleNamespace(getoption={"--keep-counts": tmp_path / "a.json"}.get)
    reporter = Mock(config=config, stats={"failed": ["a", "b"], "passed": ["c"]})
    conftest.pytest_terminal_summary(reporter)
    reporter.line.assert_called_once_with("     7 crash states survived")
    add_counts("a machine", [tmp_path / "a.json"])
    (row,) = rows_of_counts().splitlines()[2:]
    assert row.startswith("| crash states survived | 7 | 2 tests failed | ")
