from pathlib import Path

from mnistcli.display.runs import runs_view
from mnistcli.records.comparisons import FailedRun, RunsDocument, RunsSummary
from tests.display.samples import drawn, make_check, make_run, row


def make_document(verdict: str, needed: int | None = None, count: int = 3) -> RunsDocument:
    summary = RunsSummary(
        preset="sprint", seeds=tuple(range(count)), mean_test_accuracy=0.9944,
        sd_test_accuracy=0.0005, interval=(0.9940, 0.9948) if count > 1 else None,
        min_test_accuracy=0.994, median_train_seconds=1_023.0, additional_seeds_needed=needed,
    )  # fmt: skip
    runs = [make_run(seed, train_seconds=1_023.04, passed=seed != 1) for seed in range(count)]
    return RunsDocument(
        runs=tuple(runs), summary=summary, checks=(make_check(verdict=verdict),), passed=False
    )


def shown(document: RunsDocument) -> list[str]:
    return drawn(runs_view(document, Path("my runs/x.batch.json")))


def test_a_row_a_run_the_mean_and_what_comes_next() -> None:
    lines = shown(make_document("fail"))
    assert row(lines, "1")[:7] == ["9,944", "99.44", "%", "0.0213", "1,023.0", "s", "FAIL"]
    assert (
        " mean 99.44 % over 3 seeds   sd 0.05   95 % interval of the mean 99.40 – 99.48 %" in lines
    )
    assert lines[-2:] == [
        " FAIL  written to 'my runs/x.batch.json'",
        " next: mnistcli compare 'my runs/x.batch.json'",
    ]


def test_a_run_that_failed_has_a_row_and_the_verdict_is_fail() -> None:
    failed = FailedRun(seed=7, exit_code=5, reason="the loss is not finite", path="my runs/x-s7")
    document = make_document("pass").model_copy(update={"failed": (failed,)})
    lines = shown(document)
    assert row(lines, "7") == ["exit", "5", "x-s7"]
    assert " 1 of 4 runs failed, and do not count" in lines
    assert lines[-2].startswith(" FAIL  written to")


def test_an_inconclusive_mean_says_what_would_decide() -> None:
    assert (
        " INCONCLUSIVE  about 4 more seeds would decide  "
        in shown(make_document("inconclusive", 4))[-2]
    )
    assert "too close to the limit" in shown(make_document("inconclusive"))[-2]
    assert "more seeds" not in shown(make_document("pass", 4))[-2]


def test_what_an_export_would_decide_needs_no_seeds() -> None:
    flash = make_check("flash", verdict="inconclusive", value=5, limit=9, reason="without code")
    document = make_document("pass").model_copy(update={"checks": (make_check(), flash)})
    lines = shown(document)
    assert " flash: without code" in lines
    assert " INCONCLUSIVE  an export would decide  written to" in lines[-2]
    undecided = (*document.checks, make_check(verdict="inconclusive"))
    both = document.model_copy(update={"checks": undecided})
    assert "seeds" in shown(both)[-2]


def test_one_run_has_no_interval() -> None:
    lines = shown(make_document("pass", count=1))
    assert " mean 99.44 %" in lines
