"""Pages with digits, as phones, scanners and pens make them: brightness (h, w) in [0, 1]."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mnistcli.datasets.load import load_examples

Page = NDArray[np.float64]
SIDE = 400
PENS = (0.15, 0.08, 0.04, 0.02, 0.01)
"""Widths of a pen, as fractions of the digit's height."""


def choose_digits() -> dict[int, NDArray[np.uint8]]:
    """Return a test image (28, 28) of every digit."""
    examples = load_examples("test")
    labels = examples.labels.tolist()
    return {digit: examples.images[labels.index(digit), 0].numpy() for digit in range(10)}


def draw_ink(image: NDArray[np.uint8], side: int = SIDE, margin: float = 0.2) -> Page:
    """Return a digit as ink on a larger page, in [0, 1]."""
    inner = round(side * (1 - 2 * margin))
    large = Image.fromarray(image).resize((inner, inner), Image.Resampling.BICUBIC)
    page = np.zeros((side, side))
    start = (side - inner) // 2
    page[start : start + inner, start : start + inner] = np.asarray(large) / 255
    return page


def draw_with_pen(image: NDArray[np.uint8], width: float) -> Page:
    """Return the digit drawn along its middle line with a pen, as ink on a page."""
    middle = thin(ndimage.gaussian_filter(draw_ink(image), 2) > 0.5)
    rows = np.nonzero(middle.any(axis=1))[0]
    radius = max(0.5, width * (np.ptp(rows) + 1) / 2)
    return (ndimage.distance_transform_edt(~middle) <= radius).astype(float)


def thin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the middle lines of a drawing. Source: Zhang & Suen 1984."""
    values = np.pad(mask, 1).astype(np.int64)
    while True:
        before = values.sum()
        for step in (0, 1):
            around = [
                values[:-2, 1:-1], values[:-2, 2:], values[1:-1, 2:], values[2:, 2:],
                values[2:, 1:-1], values[2:, :-2], values[1:-1, :-2], values[:-2, :-2],
            ]  # fmt: skip
            count = sum(around)
            rises = sum((around[place] == 0) & (around[(place + 1) % 8] == 1) for place in range(8))
            first = (0, 2, 6) if step else (0, 2, 4)
            second = (0, 4, 6) if step else (2, 4, 6)
            drop = (values[1:-1, 1:-1] == 1) & (count >= 2) & (count <= 6) & (rises == 1)
            for places in (first, second):
                drop &= np.prod([around[place] for place in places], axis=0) == 0
            values[1:-1, 1:-1][drop] = 0
        if values.sum() == before:
            return values[1:-1, 1:-1].astype(bool)


def _darken(page: Page, rows: slice, columns: slice, brightness: float) -> Page:
    page = page.copy()
    page[rows, columns] = np.minimum(page[rows, columns], brightness)
    return page


def _rule(page: Page, gap: int) -> Page:
    page = page.copy()
    for row in (gap // 2, gap // 2 + 1):
        page[row::gap] = np.minimum(page[row::gap], 0.65)
    return page


_down, _right = np.mgrid[0:SIDE, 0:SIDE] / SIDE
CONDITIONS: dict[str, Callable[[Page], Page]] = {
    "clean": lambda ink: 0.92 - 0.8 * ink,
    "light on dark": lambda ink: 0.08 + 0.8 * ink,
    "faint": lambda ink: 0.8 - 0.25 * ink,
    "noise": lambda ink: np.clip(
        0.92 - 0.8 * ink + np.random.default_rng(0).normal(0, 0.05, ink.shape), 0, 1
    ),
    "gradient": lambda ink: (0.92 - 0.8 * ink) * (0.25 + 0.75 * _right),
    "faint gradient": lambda ink: (0.8 - 0.3 * ink) * (0.35 + 0.65 * _down),
    "shadow": lambda ink: (0.92 - 0.8 * ink) * np.where(_right + 0.5 * _down > 0.8, 0.5, 1),
    "soft shadow": lambda ink: (0.92 - 0.8 * ink) * (1 - 0.6 / (1 + np.exp(10 - 20 * _right))),
    "speck": lambda ink: _darken(0.92 - 0.8 * ink, slice(20, 23), slice(30, 33), 0.2),
    "edge": lambda ink: _darken(0.92 - 0.8 * ink, slice(None), slice(0, 5), 0.1),
    "two edges": lambda ink: _darken(
        _darken(0.92 - 0.8 * ink, slice(None), slice(0, 20), 0.05), slice(0, 8), slice(None), 0.05
    ),
    "ruled": lambda ink: _rule(0.94 - 0.82 * ink, 60),
    "squared": lambda ink: _rule(_rule(0.94 - 0.82 * ink, 40).T, 40).T,
    **{f"pen {width:g}": (lambda ink: 0.95 - 0.9 * ink) for width in PENS},
}
"""From ink to brightness. The pens draw other ink."""


def draw_page(name: str, image: NDArray[np.uint8]) -> Page:
    """Return a digit's page in a condition."""
    pen = name.removeprefix("pen ")
    ink = draw_ink(image) if pen == name else draw_with_pen(image, float(pen))
    return CONDITIONS[name](ink)


def save_page(page: Page, path: object) -> None:
    """Write a page as a picture of 8 bits."""
    Image.fromarray((255 * page).round().astype(np.uint8)).save(path)
