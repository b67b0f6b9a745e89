import csv
import io
from typing import get_args

import pytest
from rich.console import Console

from mnistcli.display.grades import LiveGrading, grades_as_csv, grades_view, show_grading
from mnistcli.preset.budget_text import parse_budget
from mnistcli.records.grades import Grade, GradesDocument, GradingProgress, Outcome
from tests.display.samples import drawn, row


def make_grade(name: str, verdict: str = "pass", **changes: object) -> Grade:
    fields = {"submission": f"all/{name}.py", "sha256": "0", "verdict": verdict}
    return Grade.model_validate({"name": name} | fields | changes)


GRADES = (
    make_grade(
        "ada", parameters=19_514, macs=376_064, test_accuracy=0.9943, epochs=19.0,
        train_seconds=1_024.13, run="grades/ada-1",
    ),
    make_grade("ben", "fail", parameters=26_010, reason="parameters 26,010", same_as="ada"),
    make_grade("eve", "error", reason="eve.py:6: [bold]\x1b[31m", warnings=("odd",)),
    make_grade("=1+2", "timeout", reason="stopped after 5m"),
    make_grade("mia", "inconclusive", reason="flash"),
    make_grade("x" * 60, "memory", same_as="y" * 60, reason="used more than 4GiB " + "z" * 300),
)  # fmt: skip


def make_document(grades: tuple[Grade, ...]) -> GradesDocument:
    return GradesDocument(
        budget=parse_budget("epochs<20"), settings={}, each_seconds=300, memory=1, grades=grades,
        total=len(grades), passed=False,
    )  # fmt: skip


def test_a_row_a_submission_and_the_reasons_below() -> None:
    lines = drawn(grades_view(make_document(GRADES), "my grades/grades.json"))
    assert row(lines, "ada") == ["19,514", "99.43", "%", "19", "1,024.1", "s", "PASS"]
    assert row(lines, "ben") == ["26,010", "FAIL", "ada"]
    reasons = lines[lines.index("") :]
    assert row(reasons, "ben") == ["parameters", "26,010"]
    assert row(reasons, "eve") == ["eve.py:6:", "[bold][31m;", "warning:", "odd"]
    assert not any(line.startswith("ada") for line in reasons)
    assert (
        lines[-2] == " 6 submissions: 1 pass, 1 fail, 1 inconclusive, 1 error, 1 timeout, 1 memory"
    )
    assert lines[-1] == " written to 'my grades/grades.json'"


def test_columns_and_reasons_that_nobody_needs_are_left_out() -> None:
    lines = drawn(grades_view(make_document(GRADES[:1]), "grades.json"))
    assert "same as" not in lines[0]
    assert lines[3:] == ["", " 1 submission: 1 pass", " written to grades.json"]


def test_csv_has_a_row_a_submission_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(grades_as_csv(make_document(GRADES)))))
    assert {each["verdict"] for each in rows} == set(get_args(Outcome))
    assert rows[0]["test_accuracy"] == "0.9943"
    assert rows[1]["test_accuracy"] == rows[1]["run"] == ""
    assert rows[3]["name"] == "'=1+2"
    cells = [cell for each in rows for cell in each.values()]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


PROGRESS = [
    GradingProgress("ada", 0, 2), GradingProgress("eve", 0, 2),
    GradingProgress("ada", 1, 2, GRADES[0]), GradingProgress("eve", 2, 2, GRADES[2]),
]  # fmt: skip


@pytest.mark.parametrize("quiet", [False, True])
def test_without_a_terminal_a_line_a_grade(quiet: bool) -> None:
    console = Console(file=io.StringIO(), width=80)
    with show_grading(console, quiet=quiet) as tell:
        for progress in PROGRESS:
            tell(progress)
    lines = ["1/2  ada  PASS  99.43 %", "2/2  eve  ERROR  eve.py:6: [bold] [31m"]
    assert console.file.getvalue().splitlines() == ([] if quiet else lines)


def test_on_a_terminal_those_at_work_have_a_row() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    view = LiveGrading(console)

    def names() -> list[str]:
        page = Console(file=io.StringIO(), width=80)
        page.print(view.render())
        return [line.split()[0] for line in page.file.getvalue().splitlines()[2:]]

    for progress in PROGRESS[:2]:
        view.show(progress)
    assert names() == ["ada", "eve"]
    view.show(PROGRESS[2])
    assert names() == ["eve"]
    assert "1/2  ada  PASS  99.43 %" in console.file.getvalue()
