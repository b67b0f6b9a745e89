"""Results → PNG files."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistcli.display.text import percent
from mnistcli.records.comparisons import CoresetComparison
from mnistcli.records.contents import ContactRow
from mnistcli.records.evaluations import Mistake
from mnistcli.records.outputs import write_output
from mnistcli.records.reports import SheetRow

SIDE = 28
GALLERY_COLUMNS = 8


def draw_sheet(path: Path, title: str, rows: Sequence[SheetRow]) -> None:
    """Draw kept and dropped images of every digit, from the easiest to the hardest.

    Raises:
        FileError: the file cannot be written.
    """
    labels = [f"{row.digit} {'kept' if row.kept else 'dropped'} {row.count:,}" for row in rows]
    _draw_rows(path, title, [row.images for row in rows], labels, ("easiest", "hardest"))


def draw_contact_sheet(path: Path, title: str, rows: Sequence[ContactRow]) -> None:
    """Draw some images of every digit in every split, one row each.

    Raises:
        FileError: the file cannot be written.
    """
    labels = [f"{row.split} {row.digit}: {row.count:,}" for row in rows]
    _draw_rows(path, title, [row.images for row in rows], labels, ("first", "last"))


def draw_accuracy_over_size(path: Path, comparison: CoresetComparison) -> None:
    """Draw every method's mean accuracy over the size of the coreset, with intervals.

    Raises:
        FileError: the file cannot be written.
    """
    figure = _figure(8, 5.5)
    axes = figure.add_subplot()
    methods = dict.fromkeys(result.method for result in comparison.results)
    for number, method in enumerate(methods):
        rows = sorted(
            (r for r in comparison.results if r.method == method and r.mean_accuracy is not None),
            key=lambda row: row.size,
        )
        means = [100 * (row.mean_accuracy or 0) for row in rows]
        halves = [50 * (row.interval[1] - row.interval[0]) if row.interval else 0 for row in rows]
        axes.errorbar(
            [row.size for row in rows], means, halves, label=method, capsize=2,
            linewidth=2.5 if method == "random" else 1, marker="osDv^<>pPX*hd"[number % 13],
            color="black" if method == "random" else f"C{number % 10}",
        )  # fmt: skip
    if (everything := comparison.everything.mean_accuracy) is not None:
        axes.axhline(100 * everything, linestyle=":", color="black", label="all images")
    axes.set_xscale("log")
    axes.set_xlabel("images")
    axes.set_ylabel(f"{comparison.evaluated_on} accuracy, %")
    axes.set_title(
        f"{comparison.preset.name}: {comparison.steps:,} steps, {len(comparison.seeds)} seeds"
    )
    axes.legend(ncols=2, fontsize="small")
    _save(figure, path)


def draw_mistakes(
    path: Path, title: str, mistakes: Sequence[Mistake], images: Sequence[NDArray[np.uint8]]
) -> None:
    """Draw the first mistakes, images uint8 (28, 28), in rows of eight.

    Raises:
        FileError: the file cannot be written.
    """
    rows = max(1, -(-len(images) // GALLERY_COLUMNS))
    figure = _figure(1.25 * GALLERY_COLUMNS, 0.5 + 1.5 * rows)
    grid = figure.subplots(rows, GALLERY_COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, mistake in zip(grid, images, mistakes, strict=False):
        axes.imshow(image, cmap="gray_r", interpolation="nearest")
        confidence = percent(mistake.confidence, 0)
        name = f"#{mistake.index}\n{mistake.digit} → {mistake.predicted} ({confidence})"
        axes.set_title(name, fontsize=7)
    figure.suptitle(f"{title}: {len(images)} of {len(mistakes):,} mistakes (true → predicted)")
    _save(figure, path)


def _draw_rows(
    path: Path,
    title: str,
    rows: Sequence[NDArray[np.uint8]],
    labels: Sequence[str],
    ends: tuple[str, str],
) -> None:
    """Draw rows of images, uint8 (k, 28, 28) each, with a label at each row and at both ends."""
    columns = max(map(len, rows))
    page = np.zeros((SIDE * len(rows), SIDE * columns), dtype=np.uint8)
    for number, images in enumerate(rows):
        line = np.concatenate(list(images), axis=1)
        page[SIDE * number : SIDE * (number + 1), : line.shape[1]] = line
    figure = _figure(2 + columns * 0.36, 0.8 + len(rows) * 0.36)
    axes = figure.add_subplot()
    axes.imshow(page, cmap="gray_r", interpolation="nearest", aspect="equal")
    axes.set_yticks([SIDE * (number + 0.5) for number in range(len(rows))], labels)
    axes.set_xticks([0, page.shape[1]], ends)
    axes.tick_params(length=0)
    axes.set_title(title)
    _save(figure, path)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # takes half a second

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    content = BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_output(path, content.getvalue(), suffix=".png")
