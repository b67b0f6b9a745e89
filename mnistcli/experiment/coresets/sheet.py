"""A contact sheet: kept and dropped images of every digit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.examples import Examples
from mnistcli.experiment.coresets.select import SelectedCoreset
from mnistcli.records.reports import SheetRow

SHEET_COLUMNS = 24


def lay_out(
    examples: Examples, selected: SelectedCoreset, scores: NDArray[np.floating[Any]]
) -> tuple[SheetRow, ...]:
    """Collect kept and dropped images of every digit, evenly from the lowest score to the highest.

    Args:
        examples: all images to select from.
        selected: the kept ones.
        scores: difficulty of every image, float (n,).
    """
    labels = examples.labels.cpu().numpy()
    kept = np.zeros(len(labels), dtype=bool)
    kept[selected.indices] = True
    rows = []
    for digit in np.unique(labels):
        for is_kept in (True, False):
            members = np.flatnonzero((labels == digit) & (kept == is_kept))
            if not len(members):
                continue
            ranked = members[np.argsort(scores[members], kind="stable")]
            places = np.linspace(0, len(ranked) - 1, min(SHEET_COLUMNS, len(ranked)))
            shown = ranked[places.round().astype(np.int64)]
            images = examples.images.cpu().numpy()[shown, 0]
            rows.append(SheetRow(int(digit), is_kept, len(members), images))
    return tuple(rows)
