"""Evaluations → tables, and images in block characters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.budget import check_table, reason_views
from mnistcli.display.layout import new_table
from mnistcli.display.text import (
    VERDICT_STYLE,
    figure_name,
    overall_verdict,
    percent,
    size,
    verdict,
)
from mnistcli.records.evaluations import (
    EvaluationDocument,
    EvaluationMetrics,
    EvaluationsDocument,
    Mistake,
    Robustness,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWN = 3


def evaluation_view(
    document: EvaluationDocument, worst: "Sequence[NDArray[np.uint8]]" = ()
) -> RenderableType:
    """Build the view of one run: accuracy, speed, confusion matrix, calibration and mistakes."""
    low, high = document.interval
    parts: list[RenderableType] = [
        Text(f"{document.run_id} · {document.split} · {document.data}", style="bold"),
        *_data_note(document),
        Text(),
        Text(
            f" accuracy {percent(document.accuracy)}   {document.correct:,} of "
            f"{document.total:,} correct   95 % interval {100 * low:.2f} – {percent(high)}\n"
            f" loss {document.loss:.4f}   calibration error {percent(document.calibration_error)}"
            f"   weights {size(document.weights_bytes)}\n"
            f" speed {document.images_per_second:,.0f} images/s, "
            f"{document.milliseconds_per_image:.2f} ms for a single image"
        ),
        *_metric_views(document, worst),
    ]
    if document.robustness:
        parts += [Text(), *(_robustness_line(row) for row in document.robustness)]
    if document.passed is not None:
        figures = {"parameters": document.parameters or 0, "macs": document.macs or 0}
        parts += [Text(), check_table(document.checks, figures), *reason_views(document.checks)]
        if document.not_checked:
            names = ", ".join(map(figure_name, document.not_checked))
            parts += [Text(), Text(f" not checked, as weights alone do not show it: {names}")]
        if document.checks:
            word = verdict(overall_verdict(document.checks))
            parts += [Text(), Text.assemble(" ", word)]
    if document.matches_record is not None:
        note = "agrees with" if document.matches_record else "differs from"
        style = "" if document.matches_record else VERDICT_STYLE["fail"]
        parts += [Text(), Text(f" {note} the run's record", style=style)]
    return Group(*parts)


def evaluations_view(
    document: EvaluationsDocument, worst: "Sequence[NDArray[np.uint8]]" = ()
) -> RenderableType:
    """Build the view of several runs: a row each, and the ensemble with its details."""
    figures = ("correct", "accuracy", "95 % interval", "loss", "calib. error")
    table = new_table("run", *figures, right=figures, gap=1)
    for run in document.runs:
        table.add_row(Text(run.run_id), *_figures(run))
    ensemble = document.ensemble
    table.add_row(f"ensemble of {len(document.runs)}", *_figures(ensemble), style="bold")
    notes = [note for run in document.runs for note in _data_note(run)]
    parts: list[RenderableType] = [table, *notes, *_metric_views(ensemble, worst)]
    for run in document.runs:
        if run.robustness:
            parts += [Text(), Text(run.run_id), *(_robustness_line(row) for row in run.robustness)]
    return Group(*parts)


def title_mistake(mistake: Mistake) -> str:
    """Return, for example, "#1234: 4 → 9": index, true digit, prediction."""
    return f"#{mistake.index}: {mistake.digit} → {mistake.predicted}"


def _data_note(document: EvaluationDocument) -> list[RenderableType]:
    """Return a line that says so if these are not the run's own images."""
    if document.own_images:
        return []
    verb = "tested" if document.split == "test" else "trained"
    line = f" other images than {document.run_id} was {verb} on"
    return [Text(line, style=VERDICT_STYLE["inconclusive"])]


def _figures(metrics: EvaluationMetrics) -> list[str]:
    low, high = metrics.interval
    return [
        f"{metrics.correct:,}",
        percent(metrics.accuracy),
        f"{100 * low:.2f} – {100 * high:.2f}",
        f"{metrics.loss:.4f}",
        percent(metrics.calibration_error),
    ]


def _metric_views(
    metrics: EvaluationMetrics, worst: "Sequence[NDArray[np.uint8]]"
) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(), _confusion_table(metrics), Text(), _reliability(metrics)]
    if worst:
        from mnistcli.display.halfblocks import draw_images  # imports numpy

        titles = [title_mistake(mistake) for mistake in metrics.mistakes[:DRAWN]]
        heading = f" worst of {len(metrics.mistakes):,} mistakes (true digit → prediction)"
        parts += [Text(), Text(heading), Text(draw_images(worst[:DRAWN], titles))]
    return parts


def _reliability(metrics: EvaluationMetrics) -> Table:
    """Build the reliability table: a row for every confidence bin with images in it."""
    figures = ("confidence", "images", "mean confidence", "accuracy")
    table = new_table(*figures, right=figures)
    for one in metrics.calibration:
        if one.confidence is not None and one.accuracy is not None:
            table.add_row(
                f"{100 * one.low:.0f} – {percent(one.high, 0)}",
                f"{one.total:,}",
                percent(one.confidence, 1),
                percent(one.accuracy, 1),
            )
    return table


def _robustness_line(row: Robustness) -> Text:
    pairs = zip(row.strengths, row.accuracies, strict=True)
    figures = "".join(f"{strength:>5g}: {percent(accuracy, 1):>7}" for strength, accuracy in pairs)
    return Text(f" {row.distortion:<9}{figures}  {row.unit}")


def _confusion_table(metrics: EvaluationMetrics) -> Table:
    """Build the confusion matrix: rows are true digits, columns predictions."""
    digits = [str(digit) for digit in range(len(metrics.confusion))]
    columns = ("true", *digits, "recall", "prec.")
    table = new_table(*columns, right=columns, gap=1)
    for row in metrics.per_class:
        cells = [
            Text(
                str(count) if count else "·",  # without separators, to fit 80 columns
                style="green" if column == row.digit else "red" if count else "dim",
            )
            for column, count in enumerate(metrics.confusion[row.digit])
        ]
        ends = [
            "–" if figure is None else f"{100 * figure:.1f}"
            for figure in (row.recall, row.precision)
        ]
        table.add_row(str(row.digit), *cells, *ends)
    return table
