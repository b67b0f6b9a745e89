import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mnistcli.display.markdown import (
    escape,
    literal,
    run_as_markdown,
    runs_as_markdown,
    summary_as_markdown,
)
from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import load_preset
from mnistcli.records.comparisons import FailedRun
from mnistcli.verdict.several import summarize_runs
from tests.display.samples import make_check, make_run

HOSTILE = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a|b", "a\\|<b>x</b>", "``` x `y`",
    "![x](https://example.com/x.png)", "[x](javascript:alert(1))", "**x** _y_ ~~z~~", "# x\n## y",
    "&lt;b&gt; &#60;", "</code><b>", "@everyone #1", "www.example.com", "$x$", "\x1b[31m\u202e", "",
    "| --- |", "'; rm -rf ~ #",
)  # fmt: skip
ALLOWED = {
    "text", "code_inline", "fence", "heading_open", "heading_close", "paragraph_open",
    "paragraph_close", "inline", "html_inline", "softbreak",
}  # fmt: skip


def tokens_of(page: str) -> list[Token]:
    found = MarkdownIt("commonmark").enable("table").enable("strikethrough").parse(page)
    return [token for outer in found for token in (outer, *(outer.children or ()))]


def check_is_harmless(page: str) -> None:
    tokens = tokens_of(page)
    kinds = {token.type for token in tokens if not token.type.startswith(("table", "t"))}
    assert kinds <= ALLOWED
    html = {token.content for token in tokens if token.type == "html_inline"}
    assert html <= {"<code>", "</code>"}
    widths = {line.count(" | ") for line in page.splitlines() if line.startswith("| ")}
    assert len(widths) <= 2, "a cell was broken in two"
    assert all(c == "\n" or c.isprintable() for c in page)


def test_a_run_is_shown_with_all_that_a_reviewer_asks_for() -> None:
    page = run_as_markdown(make_run())
    lines = page.splitlines()
    assert lines[0] == "## PASS: `sprint`, seed 0"
    assert "| test accuracy | 99.44 % | ≥ 99.00 % | PASS |" in lines
    assert "| parameters | 19,514 | – |  |" in lines
    assert "99.44 %: 9,944 of 10,000, 95 % interval 99.27 – 99.57 %" in page
    assert "sprint-20260101-000000-s0" in page
    assert "```sh\nmnistcli train --from runs/sprint-s0\n```" in page
    check_is_harmless(page)
    failed = make_run(checks=(make_check(verdict="fail"),), passed=False)
    assert run_as_markdown(failed).startswith("## FAIL: ")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    run = make_run(run_id=text, path=text, device=text, precision=text)
    lost = FailedRun(seed=7, exit_code=5, reason=text, path=text)
    document = summarize_runs([run, run.model_copy(update={"seed": 1})], [lost])
    for page in (run_as_markdown(run), runs_as_markdown(document, Path(text))):
        check_is_harmless(page)


@given(st.text() | st.text("`|\\<>&*_[]()!#~$@ \nab"))
def test_any_text_is_one_piece_of_code_in_a_cell(text: str) -> None:
    page = f"| a | b |\n| --- | --- |\n| {literal(text)} | end |\n"
    check_is_harmless(page)
    cells = [token for token in tokens_of(page) if token.type == "inline"]
    assert [cell.content for cell in cells[:2]] == ["a", "b"]
    assert cells[3].content == "end"
    shown = "".join(c.content for c in cells[2].children or () if not c.type.startswith("html"))
    wanted = "".join(c if c.isprintable() else " " for c in text).strip()
    assert shown.strip() == wanted


@given(st.text() | st.text("`|\\<>&[]()! \nab/:"))
def test_any_text_is_text_of_its_own_cell(text: str) -> None:
    page = f"| a | b |\n| --- | --- |\n| {escape(text)} | end |\n"
    tokens = tokens_of(page)
    assert not {"html_inline", "link_open", "image", "code_inline"} & {t.type for t in tokens}
    assert [token.content for token in tokens if token.type == "inline"][3] == "end"


def test_several_runs_have_a_mean_and_a_row_each() -> None:
    runs = [make_run(seed) for seed in range(3)]
    lost = FailedRun(seed=7, exit_code=5, reason="diverged", path="runs/lost")
    page = runs_as_markdown(summarize_runs(runs, [lost]), Path("runs/x.batch.json"))
    lines = page.splitlines()
    assert lines[0] == "## FAIL: `sprint`, mean of 3 seeds"
    assert "| 1 | 99.44 % | 0.0213 | 5.0 s | PASS | `sprint-20260101-000000-s1` |" in lines
    assert "| 7 |  |  |  | exit 5 | `lost` |" in lines
    assert "1 of 4 runs failed." in lines
    assert "mnistcli compare runs/x.batch.json" in lines
    check_is_harmless(page)
    assert runs_as_markdown(summarize_runs(runs), Path("x")).startswith("## PASS: ")


def test_an_inconclusive_mean_says_how_many_seeds_would_decide() -> None:
    runs = [
        make_run(seed, checks=(make_check(limit=0.994, value=value),))
        for seed, value in enumerate((0.9938, 0.9946))
    ]
    page = runs_as_markdown(summarize_runs(runs), Path("x"))
    assert page.startswith("## INCONCLUSIVE: ")
    assert re.search(r"; about \d+ more seeds would decide\.\n", page)


def test_a_summary_has_counts_checks_and_layers() -> None:
    page = summary_as_markdown(summarize(load_preset("sprint", budget="macs<=400k")))
    lines = page.splitlines()
    assert lines[0] == "## PASS: `sprint`, 19,514 parameters"
    assert "| MACs | 376,064 | ≤ 400,000 | PASS |" in lines
    assert sum(line.startswith("| `") for line in lines) == 12
    check_is_harmless(page)
    unchecked = summary_as_markdown(summarize(load_preset("sprint", ["budget=none"])))
    assert unchecked.startswith("## `sprint`, 19,514 parameters\n")
