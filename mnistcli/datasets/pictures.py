"""PNG and JPEG images → images in the style of MNIST."""

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnistcli.datasets.contents import describe_file
from mnistcli.datasets.examples import SIDE
from mnistcli.errors import FileError, reason_of

BOX = 20
PIXEL_LIMIT = 50_000_000
FAINT = 0.25
READABLE = ("a PNG image", "a JPEG image")


def read_pictures(paths: list[Path]) -> Tensor:
    """Read images of one digit each: uint8 (n, 1, 28, 28), white on black.

    Raises:
        FileError: a file is not a readable PNG or JPEG image, is too large, or is blank.
    """
    return torch.stack([torch.from_numpy(_center(_read(path), path))[None] for path in paths])


def _read(path: Path) -> NDArray[np.float64]:
    """Return the ink of a picture, (h, w) in [0, 1]: 0 is paper, dark or light."""
    from PIL import Image

    try:
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(path, formats=["PNG", "JPEG"]) as picture,
        ):
            if picture.width * picture.height > PIXEL_LIMIT:
                raise FileError(f'"{path}" has more than {PIXEL_LIMIT:,} pixels')
            # Transparent pixels are paper.
            flat = Image.new("RGBA", picture.size, "white")
            flat.alpha_composite(picture.convert("RGBA"))
            values = np.asarray(flat.convert("L"), dtype=np.float64) / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FileError(_explain(path, error)) from error
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    paper = float(np.median(border))
    ink = np.abs(values - paper)
    return ink / ink.max() if ink.max() > 0 else ink


def _explain(path: Path, error: BaseException) -> str:
    if isinstance(error, IsADirectoryError):
        return f'"{path}" is a folder. Name PNG or JPEG files.'
    if isinstance(error, OSError) and error.errno is not None:
        return f'cannot read "{path}": {reason_of(error)}'
    kind = describe_file(path)
    if kind and kind not in READABLE:
        return f'"{path}" is {kind}, not a PNG or JPEG image'
    return f'cannot read "{path}": not a readable PNG or JPEG image'


def _center(ink: NDArray[np.float64], path: Path) -> NDArray[np.uint8]:
    """Crop the digit, scale it into 20 × 20, and put its centre of mass in the middle of 28 × 28.

    Source: LeCun et al. 1998, section III.A.
    """
    from PIL import Image

    rows, columns = np.nonzero(ink > FAINT)
    if not len(rows) or np.ptp(rows) + np.ptp(columns) == 0:
        raise FileError(f'"{path}" is blank: nothing stands out from its border')
    cut = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = BOX / max(cut.shape)
    size = [max(1, round(extent * scale)) for extent in cut.shape]
    small = Image.fromarray((255 * cut).astype(np.uint8)).resize(
        (size[1], size[0]), Image.Resampling.LANCZOS
    )
    digit = np.asarray(small, dtype=np.float64)
    page = np.zeros((SIDE, SIDE), dtype=np.uint8)
    middle = [
        float((digit.sum(axis=1 - axis) * (np.arange(size[axis]) + 0.5)).sum() / digit.sum())
        for axis in (0, 1)
    ]
    top, left = (
        int(np.clip(round(SIDE / 2 - middle[axis]), 0, SIDE - size[axis])) for axis in (0, 1)
    )
    page[top : top + size[0], left : left + size[1]] = digit.round().astype(np.uint8)
    return page
