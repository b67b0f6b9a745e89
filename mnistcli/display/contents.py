"""The contents of a data set → tables, and images in block characters."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import VERDICT_STYLE, count, percent, seconds
from mnistcli.preset.choices import Split
from mnistcli.preset.schema import Normalization
from mnistcli.records.contents import (
    ContactRow,
    DataDocument,
    Duplicates,
    SplitContents,
    SuspiciousLabel,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAMES: dict[Split, str] = {"train": "training", "test": "test"}
DRAWN = 3
"""Images of every digit, and suspicious ones of every split."""
LISTED = 5


def contents_view(
    document: DataDocument,
    sheet: Sequence[ContactRow],
    images: "Mapping[Split, NDArray[np.uint8]]",
) -> RenderableType:
    """Build the view of a data set: counts, pixels, findings, and examples of every digit.

    Args:
        document: what was found.
        sheet: images of every digit.
        images: all images of each split, (n, 28, 28).
    """
    sizes = " and ".join(f"{each.images:,} {NAMES[each.split]}" for each in document.splits)
    parts: list[RenderableType] = [
        Text(f"{document.source} · {sizes} images", style="bold"),
        *(Text(f" {each.split:<5} SHA-256 {each.sha256}") for each in document.splits),
        Text(),
        _count_table(document.splits),
        Text(),
        Text(_draw_digits([row for row in sheet if row.split == document.splits[0].split])),
        Text(),
        _pixel_table(document.splits),
        *_normalization_note(document.normalization),
        Text(),
        _finding_table(document),
        *_examples(document),
    ]
    for each in document.splits:
        parts += _suspect_views(each, images[each.split])
    if check := document.label_check:
        trainings = f"{check.folds} trainings of {check.preset} on other images"
        line = f" labels checked with {trainings}: {seconds(check.seconds)}"
        parts += [Text(), Text(line)]
    return Group(*parts)


def title_suspect(suspect: SuspiciousLabel) -> str:
    """Return, for example, "#1234: 4 → 9 (98 %)": index, label, prediction and confidence."""
    confidence = percent(suspect.confidence, 0)
    return f"#{suspect.index}: {suspect.label} → {suspect.predicted} ({confidence})"


def _count_table(splits: Sequence[SplitContents]) -> Table:
    digits = [str(digit) for digit in range(len(splits[0].class_counts))]
    table = new_table("digit", *digits, right=digits, gap=0)
    # Ten columns fit 80 characters with up to five digits and separators, or six without.
    large = max(max(each.class_counts) for each in splits) >= 100_000
    for each in splits:
        cells = (f"{number}" if large else f"{number:,}" for number in each.class_counts)
        table.add_row(each.split, *cells)
    return table


def _draw_digits(rows: Sequence[ContactRow]) -> str:
    """Draw some images of every digit, two digits side by side."""
    from mnistcli.display.halfblocks import draw_small  # imports numpy

    shown = [(row.digit, row.images[:: max(1, len(row.images) // DRAWN)][:DRAWN]) for row in rows]
    pairs = (shown[place : place + 2] for place in range(0, len(shown), 2))
    return "\n".join(
        draw_small(
            [image for _, images in pair for image in images],
            [str(digit) * (place == 0) for digit, images in pair for place in range(len(images))],
        )
        for pair in pairs
    )


def _pixel_table(splits: Sequence[SplitContents]) -> Table:
    usual, figures = Normalization(), ("mean", "sd")
    table = new_table("pixels, from 0 to 1", *figures, right=figures)
    for each in splits:
        table.add_row(each.split, f"{each.pixel_mean:.4f}", f"{each.pixel_sd:.4f}")
    table.add_row("MNIST, train", f"{usual.mean:.4f}", f"{usual.std:.4f}", style="dim")
    return table


def _normalization_note(suggested: Normalization | None) -> list[RenderableType]:
    """Return lines that name the settings with which these pixels are normalized."""
    if suggested is None:
        return []
    changes = (
        f"--set normalization.mean={suggested.mean:g} --set normalization.std={suggested.std:g}"
    )
    note = " presets normalize by MNIST's mean and sd; for these images, train with:\n   "
    return [Text(note + changes, style=VERDICT_STYLE["inconclusive"])]


def _finding_table(document: DataDocument) -> Table:
    splits = document.splits
    names = [each.split for each in splits]
    table = new_table("images", *names, right=names)
    _add_duplicates(table, "identical to an earlier one", [each.duplicates for each in splits])
    if leaks := document.test_in_train:
        _add_duplicates(table, "identical to a training image", [None, leaks])
    empty = f"near-empty (ink of less than {document.near_empty_below:g} white pixels)"
    table.add_row(empty, *(_mark(each.near_empty.images) for each in splits))
    if document.label_check:
        errors = [each.label_errors for each in splits]
        cells = [_mark(len(each.suspicious) if each else None) for each in errors]
        table.add_row("suspicious labels", *cells)
    return table


def _add_duplicates(table: Table, title: str, found: Sequence[Duplicates | None]) -> None:
    counts = [each.images if each else None for each in found]
    table.add_row(title, *map(_mark, counts))
    if any(counts):
        others = (each.other_label if each else None for each in found)
        table.add_row("  with another label", *map(_mark, others))


def _mark(number: int | None) -> Text:
    """Return a number that stands out unless it is 0, or a dash."""
    if number is None:
        return Text("–")
    return Text(f"{number:,}", style=VERDICT_STYLE["inconclusive"] if number else "")


def _examples(document: DataDocument) -> list[RenderableType]:
    """Return a line of indices for every kind of image that was found."""
    lines = []
    for each in document.splits:
        lines += _list_duplicates(each.split, "#", each.duplicates)
        if empty := each.near_empty.examples:
            listed = _list_some([f"#{index}" for index in empty], each.near_empty.images)
            lines.append(f" near-empty in {each.split}: {listed}")
    if document.test_in_train:
        lines += _list_duplicates("test", "train #", document.test_in_train)
    wrapped = (fill(line, 79, subsequent_indent="   ") for line in lines)
    return [Text(), *map(Text, wrapped)] if lines else []


def _list_duplicates(split: Split, prefix: str, found: Duplicates) -> list[str]:
    listed = [
        f"#{each.index} = {prefix}{each.same_as}"
        + f" ({each.label}, {each.same_as_label})" * (each.label != each.same_as_label)
        for each in found.examples
    ]
    return [f" identical in {split}: {_list_some(listed, found.images)}"] if listed else []


def _list_some(names: Sequence[str], total: int) -> str:
    more = f" and {total - LISTED:,} more" * (total > LISTED)
    return ", ".join(names[:LISTED]) + more


def _suspect_views(contents: SplitContents, images: "NDArray[np.uint8]") -> list[RenderableType]:
    """Draw the most suspicious labels of a split."""
    if not contents.label_errors or not (found := contents.label_errors.suspicious[:DRAWN]):
        return []
    from mnistcli.display.halfblocks import draw_images  # imports numpy

    total = count(len(contents.label_errors.suspicious), "suspicious label")
    heading = f" worst of {total} in {contents.split} (label → prediction, confidence)"
    drawing = draw_images([images[each.index] for each in found], list(map(title_suspect, found)))
    return [Text(), Text(heading), Text(drawing)]
