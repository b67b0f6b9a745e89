"""A coreset, and the comparison of the methods → what rich prints."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import p_value, percent, seconds
from mnistcli.records.comparisons import CoresetComparison, CoresetDocument, MethodResult

VERDICT_STYLE = {"better": "green", "worse": "red", "no clear difference": ""}


def coreset_view(document: CoresetDocument) -> RenderableType:
    """Counts, coverage and times."""
    own, chance = document.coverage, document.random_coverage
    return Group(
        Text(
            f"{document.preset} · {document.method} · {document.size:,} of {document.total:,} "
            f"images ({percent(document.size / document.total, 1)}) · seed {document.seed}",
            style="bold",
        ),
        Text(),
        _count_table(document),
        Text(),
        Text(
            " from an image to the nearest chosen one, in 50 principal components:\n"
            f" mean {own.mean:.3f}, greatest {own.max:.3f}"
            f"   (chosen by chance: {chance.mean:.3f}, {chance.max:.3f})"
        ),
        Text(),
        _stage_table(document.seconds),
        Text(f" written to {document.indices_file}"),
    )


def comparison_view(comparison: CoresetComparison) -> RenderableType:
    """A table a size: every method against chance."""
    everything = comparison.everything
    parts: list[RenderableType] = [
        Text(
            f"{comparison.preset.name} · {comparison.steps:,} steps a run · "
            f"{len(comparison.seeds)} seeds · {comparison.evaluated_on} accuracy",
            style="bold",
        ),
        Text(
            f" all {comparison.total:,} images in as many steps: "
            f"{percent(everything.mean_accuracy)}, sd {100 * everything.sd:.2f}"
        ),
    ]
    for size in dict.fromkeys(result.size for result in comparison.results):
        rows = [result for result in comparison.results if result.size == size]
        share = percent(size / comparison.total, 1)
        parts += [Text(), Text(f" {size:,} images ({share})", style="bold"), _method_table(rows)]
    parts += [
        Text(),
        Text(
            " gain over random at the same size, paired by seed, with its 95 % interval;\n"
            " p from a paired t test, adjusted for all comparisons (Holm)"
        ),
        Text(f" written to {comparison.path}"),
    ]
    return Group(*parts)


def _count_table(document: CoresetDocument) -> Table:
    digits = [str(digit) for digit in range(len(document.class_counts))]
    table = new_table("digit", *digits, right=digits, gap=1)
    table.add_row("chosen", *(f"{count:,}" for count in document.class_counts))
    return table


def _stage_table(spent: dict[str, float]) -> Table:
    table = new_table("stage", "time", right=("time",))
    for stage, value in spent.items():
        table.add_row(stage, seconds(value))
    return table


def _method_table(rows: list[MethodResult]) -> Table:
    table = new_table(
        "method", "right %", "sd", "gain", "interval", "p", "verdict", "choice",
        right=("right %", "sd", "gain", "interval", "p", "choice"), gap=1,
    )  # fmt: skip
    for row in sorted(rows, key=lambda row: -row.mean_accuracy):
        figures = [f"{100 * row.mean_accuracy:.2f}", f"{100 * row.sd:.2f}"]
        choice = seconds(row.selection_seconds)
        if difference := row.difference:
            low, high = difference.interval
            style = VERDICT_STYLE[difference.verdict]
            table.add_row(
                row.method, *figures, f"{100 * difference.mean:+.2f}",
                f"{100 * low:+.2f} {100 * high:+.2f}", p_value(difference.adjusted_p_value),
                Text(difference.verdict.replace("no clear difference", "unclear"), style=style),
                choice,
            )  # fmt: skip
        else:
            table.add_row(row.method, *figures, "", "", "", "", choice)
    return table
