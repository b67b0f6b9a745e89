"""An evaluation → tables, and the worst mistakes in plain characters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import VERDICT_STYLE, percent, size
from mnistcli.records.evaluations import (
    Answers,
    EvaluationDocument,
    EvaluationsDocument,
    Mistake,
    PredictionsDocument,
    Robustness,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWN = 3


def evaluation_view(
    document: EvaluationDocument, worst: "Sequence[NDArray[np.uint8]]" = ()
) -> RenderableType:
    """Accuracy, calibration, speed, confusion, digits, and the worst mistakes as pictures."""
    low, high = document.interval
    parts: list[RenderableType] = [
        Text(f"{document.run_id} · {document.split} · {document.data}", style="bold"),
        Text(),
        Text(
            f" accuracy {percent(document.accuracy)}   {document.correct:,} of "
            f"{document.total:,} right   95 % interval {100 * low:.2f} – {percent(high)}\n"
            f" loss {document.loss:.4f}   calibration error {percent(document.calibration_error)}"
            f"   weights {size(document.weights_bytes)}\n"
            f" speed {document.images_per_second:,.0f} images/s, "
            f"{document.milliseconds_per_image:.2f} ms for one alone"
        ),
        *_answer_views(document, worst),
    ]
    if document.robustness:
        parts += [Text(), *(_robustness_line(row) for row in document.robustness)]
    if document.matches_record is not None:
        note = "agrees with" if document.matches_record else "DIFFERS from"
        style = "" if document.matches_record else VERDICT_STYLE["fail"]
        parts += [Text(f" {note} the run's record", style=style)]
    return Group(*parts)


def evaluations_view(
    document: EvaluationsDocument, worst: "Sequence[NDArray[np.uint8]]" = ()
) -> RenderableType:
    """A row a run, one for all of them together, and that one's answers."""
    figures = ("right", "accuracy", "95 % interval", "loss", "calib. error")
    table = new_table("run", *figures, right=figures, gap=1)
    for run in document.runs:
        table.add_row(Text(run.run_id), *_figures(run))
    together = document.ensemble
    table.add_row(f"all {len(document.runs)} together", *_figures(together), style="bold")
    parts: list[RenderableType] = [table, *_answer_views(together, worst)]
    for run in document.runs:
        if run.robustness:
            parts += [Text(), Text(run.run_id), *(_robustness_line(row) for row in run.robustness)]
    return Group(*parts)


def predictions_view(
    document: PredictionsDocument, images: "Sequence[NDArray[np.uint8]]"
) -> RenderableType:
    """What each picture was taken for, how surely, and how the network saw the first of them."""
    from mnistcli.display.halfblocks import draw_images  # numpy, which no other table needs

    table = new_table("picture", "digit", "sure", "or else", right=("digit", "sure"))
    for one in document.predictions:
        shares = sorted(zip(one.probabilities, range(len(one.probabilities)), strict=True))
        share, digit = shares[-2]
        other = f"{digit} ({percent(share, 1)})"
        table.add_row(Text(one.file), str(one.predicted), percent(one.confidence, 1), other)
    shown = [str(one.predicted) for one in document.predictions[:DRAWN]]
    return Group(table, Text(), Text(draw_images(images[:DRAWN], shown)))


def title_mistake(mistake: Mistake) -> str:
    """As in "#1234: 4, taken for 9"."""
    return f"#{mistake.index}: {mistake.digit}, taken for {mistake.predicted}"


def _figures(answers: Answers) -> list[str]:
    low, high = answers.interval
    return [
        f"{answers.correct:,}",
        percent(answers.accuracy),
        f"{100 * low:.2f} – {100 * high:.2f}",
        f"{answers.loss:.4f}",
        percent(answers.calibration_error),
    ]


def _answer_views(answers: Answers, worst: "Sequence[NDArray[np.uint8]]") -> list[RenderableType]:
    parts: list[RenderableType] = [Text(), _confusion_table(answers), Text(), _reliability(answers)]
    if worst:
        from mnistcli.display.halfblocks import draw_images  # numpy, which no other table needs

        titles = [title_mistake(mistake) for mistake in answers.mistakes[:DRAWN]]
        heading = f" worst of {len(answers.mistakes):,} mistakes"
        parts += [Text(), Text(heading), Text(draw_images(worst[:DRAWN], titles))]
    return parts


def _reliability(answers: Answers) -> Table:
    """Is it as often right as it is sure? A row for every bin with images in it."""
    figures = ("sure", "images", "on average", "right")
    table = new_table(*figures, right=figures)
    for one in answers.calibration:
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
    figures = "".join(f"{strength:>5g}: {percent(share, 1):>7}" for strength, share in pairs)
    return Text(f" {row.distortion:<9}{figures}  {row.unit}")


def _confusion_table(answers: Answers) -> Table:
    """Rows are true digits; what is right is green, what is wrong red."""
    digits = [str(digit) for digit in range(len(answers.confusion))]
    shares = ("recall", "prec.")
    table = new_table("true", *digits, *shares, right=("true", *digits, *shares), gap=1)
    for row in answers.per_class:
        cells = [
            Text(
                str(count) if count else "·",  # no separators: eleven columns must fit into 80
                style="green" if column == row.digit else "red" if count else "dim",
            )
            for column, count in enumerate(answers.confusion[row.digit])
        ]
        ends = [
            "–" if share is None else f"{100 * share:.1f}" for share in (row.recall, row.precision)
        ]
        table.add_row(str(row.digit), *cells, *ends)
    return table
