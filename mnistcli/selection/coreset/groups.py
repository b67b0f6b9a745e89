"""Divide the size of a coreset among the digits."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnistcli.errors import PresetError

Indices = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Group:
    """Examples to select from, and how many of them."""

    members: Indices
    count: int


def divide(
    labels: Indices, size: int, balance: Literal["equal", "proportional", "free"]
) -> list[Group]:
    """Return the groups to select from: one for each digit, or a single one if `balance` is free.

    Proportional counts are rounded by the largest remainder, so that they add up to `size`. A digit
    whose count is 0 has no group.

    Args:
        labels: (n,).
        size: number of images to select in all.
        balance: as in the preset.

    Raises:
        PresetError: there are too few examples, in all or of a digit, or `size` cannot be divided
            equally.
    """
    if not 0 < size <= len(labels):
        raise PresetError(f"coreset.size: {size:,} of {len(labels):,} training images")
    if balance == "free":
        return [Group(np.arange(len(labels)), size)]
    digits, totals = np.unique(labels, return_counts=True)
    count = _count_equally if balance == "equal" else _count_proportionally
    return [
        Group(np.flatnonzero(labels == digit), int(number))
        for digit, number in zip(digits, count(digits, totals, size), strict=True)
        if number
    ]


def _count_equally(digits: Indices, totals: Indices, size: int) -> Indices:
    if size % len(digits):
        raise PresetError(
            f"coreset.size: {size:,} cannot be divided equally among {len(digits)} digits; "
            "change it or set coreset.balance=proportional"
        )
    counts = np.full(len(digits), size // len(digits))
    if (short := totals.min()) < counts[0]:
        raise PresetError(
            f"coreset.size: {counts[0]:,} of each digit, but of {digits[totals.argmin()]} "
            f"there are only {short:,}; change it or set coreset.balance=proportional"
        )
    return counts


def _count_proportionally(digits: Indices, totals: Indices, size: int) -> Indices:
    exact = size * totals / totals.sum()
    counts: Indices = np.floor(exact).astype(np.int64)
    largest = np.argsort(counts - exact, kind="stable")[: size - counts.sum()]
    counts[largest] += 1
    return counts
