"""The one rule by which a digit, however large, becomes an image like MNIST's.

1. Strokes thinner than MNIST's are widened, and thicker ones narrowed, to its range of widths.
2. The digit is scaled so that its longer side is 20 pixels, each the mean of what it covers.
3. It is put on 28 × 28 pixels with its centre of mass in the middle.

Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section III.A;
step 1 is this project's.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mnistcli.datasets.examples import SIDE
from mnistcli.datasets.ink import Floats

BOX = 20
"""Longer side of a digit."""
DETAIL = 10
"""Pixels that a digit is drawn with, for each of the image's, before it is scaled down."""
THINNEST, THICKEST = 0.115, 0.2
"""Widths of a stroke, as fractions of the digit's longer side; most of MNIST's lie between."""


def center_digit(ink: Floats) -> NDArray[np.uint8]:
    """Return the image, uint8 (28, 28), white on black, of a digit's ink (h, w) in [0, 1]."""
    return _place(_resize(_adjust_strokes(_resize(ink, DETAIL * BOX)), BOX))


def center_whole(ink: Floats) -> NDArray[np.uint8]:
    """Return the image of a digit that fills a smaller one (h, w), as those of USPS do."""
    return _place(_resize(ink, BOX))


def _adjust_strokes(ink: Floats) -> Floats:
    """Widen thin strokes and narrow thick ones, by as much on all sides."""
    longest = max(ink.shape)
    padded = np.pad(ink, round(THINNEST * longest))
    core = padded > 0.5
    if not core.any():
        return ink
    depth = ndimage.distance_transform_edt(core)
    # Within a stroke of width w, the mean distance to its rim is w / 4.
    width = 4 * float(depth[core].mean())
    change = (np.clip(width, THINNEST * longest, THICKEST * longest) - width) / 2
    if change > 0:
        padded = np.maximum(padded, ndimage.distance_transform_edt(~core) <= change)
    elif change < 0:
        padded = padded * (depth > -change)
    return _crop(padded)


def _crop(ink: Floats) -> Floats:
    rows, columns = np.nonzero(ink > 0.25)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _resize(ink: Floats, longest: int) -> Floats:
    """Scale to a longer side of so many pixels."""
    from PIL import Image

    scale = longest / max(ink.shape)
    height, width = (max(1, round(extent * scale)) for extent in ink.shape)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    picture = Image.fromarray(ink.astype(np.float32))
    return np.asarray(picture.resize((width, height), method), dtype=np.float64)


def _place(ink: Floats) -> NDArray[np.uint8]:
    """Put a digit on 28 × 28 pixels, with its centre of mass in the middle."""
    page = np.zeros((SIDE, SIDE), dtype=np.uint8)
    mass = ink if ink.any() else np.ones_like(ink)
    middle = [extent + 0.5 for extent in ndimage.center_of_mass(mass)]
    top, left = (
        int(np.clip(round(SIDE / 2 - centre), 0, SIDE - extent))
        for centre, extent in zip(middle, ink.shape, strict=True)
    )
    values = (255 * np.clip(ink, 0, 1)).round().astype(np.uint8)
    page[top : top + ink.shape[0], left : left + ink.shape[1]] = values
    return page
