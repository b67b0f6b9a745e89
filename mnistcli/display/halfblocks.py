"""Images in a terminal: every character shows two pixels, one above the other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BORDER = 2
DARK = 96
BLOCKS = " ▄▀█"


def draw_images(images: Sequence[NDArray[np.uint8]], titles: Sequence[str]) -> str:
    """Draw images, uint8 (28, 28), side by side under their titles, 24 characters wide each."""
    return _draw_row([_crop(image) for image in images], titles, gap=2)


def draw_small(images: Sequence[NDArray[np.uint8]], titles: Sequence[str]) -> str:
    """Draw images, uint8 (28, 28), as `draw_images` does, but 12 characters wide each."""
    halved = [_crop(image).reshape(12, 2, 12, 2).mean(axis=(1, 3)) for image in images]
    return _draw_row(halved, titles, gap=1)


def _crop(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image[BORDER:-BORDER, BORDER:-BORDER]


def _draw_row(
    images: "Sequence[NDArray[np.uint8] | NDArray[np.float64]]", titles: Sequence[str], gap: int
) -> str:
    blocks = [_draw(image) for image in images]
    width = len(blocks[0][0]) if blocks else 0
    between = " " * gap
    lines = [between.join(f"{title:<{width}}" for title in titles)]
    lines += [between.join(parts) for parts in zip(*blocks, strict=True)]
    return "\n".join(f" {line.rstrip()}" for line in lines)


def _draw(image: "NDArray[np.uint8] | NDArray[np.float64]") -> list[str]:
    dark = image >= DARK
    upper, lower = dark[::2].astype(int), dark[1::2].astype(int)
    return [
        "".join(BLOCKS[2 * u + v] for u, v in zip(*rows, strict=True))
        for rows in zip(upper, lower, strict=True)
    ]
