"""Several runs of one preset → one row per run, and the verdict on their mean."""

from pathlib import Path
from shlex import quote

from rich.console import Group, RenderableType
from rich.text import Text

from mnistcli.display.budget import check_table, reason_views
from mnistcli.display.layout import new_table
from mnistcli.display.text import (
    VERDICT_STYLE,
    of_dataset,
    overall_verdict,
    percent,
    seconds,
    verdict,
)
from mnistcli.records.comparisons import RunsDocument, RunsSummary


def runs_view(document: RunsDocument, batch_file: Path) -> RenderableType:
    """Build the table of runs, the mean and its interval, and the checks on the mean."""
    word = "fail" if document.failed else overall_verdict(document.checks)
    advice = f"  {advise(document)}" if word == "inconclusive" else ""
    path = quote(str(batch_file))
    return Group(
        _run_table(document),
        Text(),
        Text(_mean_lines(document)),
        Text(),
        check_table(document.checks),
        *reason_views(document.checks),
        Text(),
        Text.assemble(" ", verdict(word), advice, "  written to ", path),
        Text(f" next: mnistcli compare {path}"),
    )


def _run_table(document: RunsDocument) -> RenderableType:
    figures = ("seed", "correct", "accuracy", "loss", "time")
    table = new_table(*figures, "verdict", "run", right=figures, gap=1)
    for run in document.runs:
        table.add_row(
            str(run.seed),
            f"{run.test.correct:,}",
            percent(run.test.accuracy),
            f"{run.test.loss:.4f}",
            seconds(run.train_seconds),
            verdict(run.verdict),
            Text(run.run_id),
        )
    for failed in document.failed:
        word = Text(f"exit {failed.exit_code}", style=VERDICT_STYLE["fail"])
        table.add_row(str(failed.seed), "", "", "", "", word, Text(Path(failed.path).name))
    return table


def mean_line(document: RunsDocument) -> str:
    """Return the mean accuracy with its spread and its interval."""
    summary = document.summary
    images = of_dataset(document.runs[0].data.dataset) if document.runs else ""
    return f"mean{images} {percent(summary.mean_test_accuracy)}{_spread(summary)}"


def _mean_lines(document: RunsDocument) -> str:
    line, failed = f" {mean_line(document)}", len(document.failed)
    total = failed + len(document.runs)
    return f"{line}\n {failed} of {total} runs failed, and do not count" if failed else line


def _spread(summary: RunsSummary) -> str:
    if not summary.interval:
        return ""
    low, high = summary.interval
    return (
        f" over {len(summary.seeds)} seeds   sd {100 * summary.sd_test_accuracy:.2f}   "
        f"95 % interval of the mean {100 * low:.2f} – {percent(high)}"
    )


def advise(document: RunsDocument) -> str:
    """Return what would decide an inconclusive check: more seeds, or an export."""
    summary = document.summary
    if all(check.reason for check in document.checks if check.verdict == "inconclusive"):
        sizes = document.runs[0].integer_sizes
        has_form = sizes is None or sizes.fault is None
        return "an export would decide" if has_form else "nothing can decide it"
    if summary.additional_seeds_needed is None:
        return "the mean is too close to the limit for 1,000 seeds to decide"
    return f"about {summary.additional_seeds_needed} more seeds would decide"
