"""Predictions for pictures → a table with drawings, and CSV."""

import csv
from collections.abc import Sequence
from io import StringIO
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import VERDICT_STYLE, percent
from mnistcli.records.documents import AnswerLimits
from mnistcli.records.evaluations import Prediction, PredictionsDocument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWN = 3
REFUSED = "don't know"
COLUMNS = ("file", "position", "digit", "predicted", "confidence", "similarity")


def predictions_view(
    document: PredictionsDocument, images: "Sequence[NDArray[np.uint8]]"
) -> RenderableType:
    """Build the table of predictions, and draw the first images as the network saw them."""
    from mnistcli.display.halfblocks import draw_images  # imports numpy

    figures = ("digit", "confidence")
    table = new_table("image", *figures, "runner-up", right=figures)
    for one in document.predictions:
        table.add_row(Text(one.file), *_describe(one, document.answer_limits))
    shown = [_name(one, REFUSED) for one in document.predictions[:DRAWN]]
    parts: list[RenderableType] = [table]
    for file, digits in groupby(document.predictions, lambda one: one.file):
        read = "".join(_name(one, "?") for one in digits)
        if len(read) > 1:
            parts += [Text(), Text(f" {file} reads {read}")]
    return Group(*parts, Text(), Text(draw_images(images[:DRAWN], shown)))


def predictions_as_csv(document: PredictionsDocument) -> str:
    """Return CSV, one row per digit; the digit of "don't know" is an empty cell.

    File names are as they are, also such as a spreadsheet would take for a formula.
    """
    page = StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (one.file, one.position, one.answer, one.predicted, one.confidence, one.similarity)
        for one in document.predictions
    )
    return page.getvalue()


def _name(one: Prediction, refused: str) -> str:
    return refused if one.answer is None else str(one.answer)


def _describe(one: Prediction, limits: AnswerLimits | None) -> tuple[Text | str, str, str]:
    """Return digit, confidence and runner-up or, without an answer, why there is none."""
    (first, digit), (second, other) = sorted(
        zip(one.probabilities, range(len(one.probabilities)), strict=True), reverse=True
    )[:2]
    runner_up = f"{other} ({percent(second, 1)})"
    if one.answer is not None:
        return str(one.answer), percent(one.confidence, 1), runner_up
    is_unsure = limits is not None and one.confidence < limits.min_confidence
    reason = (
        f"{digit} ({percent(first, 1)}) or {runner_up}" if is_unsure else "like no training image"
    )
    return Text(REFUSED, style=VERDICT_STYLE["inconclusive"]), "–", reason
