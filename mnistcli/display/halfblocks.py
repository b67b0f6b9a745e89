"""Images in a terminal: every character shows two pixels, one above the other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BORDER = 2
DARK = 96
BLOCKS = " ▄▀█"


def draw_images(images: Sequence[NDArray[np.uint8]], titles: Sequence[str]) -> str:
    """Draw images, uint8 (28, 28), side by side under their titles, 24 characters wide each."""
    blocks = [_draw(image) for image in images]
    width = len(blocks[0][0]) if blocks else 0
    lines = ["  ".join(f"{title:<{width}}" for title in titles)]
    lines += ["  ".join(parts) for parts in zip(*blocks, strict=True)]
    return "\n".join(f" {line.rstrip()}" for line in lines)


def _draw(image: NDArray[np.uint8]) -> list[str]:
    inside = image[BORDER:-BORDER, BORDER:-BORDER] >= DARK
    upper, lower = inside[::2].astype(int), inside[1::2].astype(int)
    return [
        "".join(BLOCKS[2 * u + v] for u, v in zip(*rows, strict=True))
        for rows in zip(upper, lower, strict=True)
    ]
