"""Several runs of one preset → a row a run, and the verdict on their mean."""

from rich.console import Group, RenderableType
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.tables import check_table
from mnistcli.display.text import percent, seconds, verdict
from mnistcli.records.comparisons import RunsDocument


def runs_view(document: RunsDocument) -> RenderableType:
    """A row a run, mean and interval, checks, and what would decide."""
    summary = document.summary
    figures = ("seed", "right", "accuracy", "loss", "time")
    table = new_table(*figures, "verdict", "run", right=figures)
    for run in document.runs:
        table.add_row(
            str(run.seed),
            f"{run.test.correct:,}",
            percent(run.test.accuracy),
            f"{run.test.loss:.4f}",
            seconds(run.train_seconds),
            verdict("pass" if run.passed else "fail"),
            run.run_id,
        )
    spread = ""
    if summary.interval:
        low, high = summary.interval
        spread = (
            f"   sd {100 * summary.sd_test_accuracy:.2f}   "
            f"95 % interval of the mean {100 * low:.2f} – {percent(high)}"
        )
    parts: list[RenderableType] = [
        table,
        Text(),
        Text(f" mean {percent(summary.mean_test_accuracy)} of {len(document.runs)}{spread}"),
        Text(),
        check_table(document.checks),
        Text.assemble(" ", verdict(_overall(document)), _advice(document)),
    ]
    return Group(*parts)


def _overall(document: RunsDocument) -> str:
    words = [check.verdict for check in document.checks]
    return "fail" if "fail" in words else "inconclusive" if "inconclusive" in words else "pass"


def _advice(document: RunsDocument) -> str:
    if _overall(document) != "inconclusive":
        return ""
    if document.summary.additional_seeds_needed is None:
        return "  the mean is too near the limit for any number of seeds up to a thousand"
    return f"  about {document.summary.additional_seeds_needed} more seeds would decide"
