"""Photographs, scans and drawings → the digits on them, as images like MNIST's."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.centering import center_digit
from mnistcli.datasets.contents import HEAD, describe_content
from mnistcli.datasets.examples import SIDE
from mnistcli.datasets.ink import Floats, find_digits, find_ink
from mnistcli.errors import FileError, reason_of

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
}
"""Names of the formats in Pillow, and how their files' names end."""
WANTED = "a PNG, JPEG, WebP, BMP, TIFF or GIF image"
PIXEL_LIMIT = 50_000_000
SIZE_LIMIT = 256 << 20
LONGEST = 1_200
"""Longer side, in pixels, to which a larger picture is reduced."""
WHOLE_16_BIT = 65_535
PLAIN = 0.1
"""Drawn in one colour: the standard deviation of the brightness of what is not transparent."""
STANDARD_INPUT = "-"


@dataclass(frozen=True)
class FoundDigit:
    """A digit on a picture."""

    file: str
    image: NDArray[np.uint8]
    """(28, 28), white on black, as the network sees it."""
    box: tuple[int, int, int, int]
    """Left, top, right and bottom in the picture, in pixels."""
    position: int = 1
    """Place among the digits of the picture, from 1."""


def list_pictures(references: Sequence[Path]) -> list[Path]:
    """Return the pictures that files, folders and patterns name, those of a folder by name.

    Raises:
        FileError: a folder has no pictures, or nothing fits a pattern.
    """
    found: list[Path] = []
    for reference in references:
        if reference.is_dir():
            inside = [
                path
                for path in sorted(reference.iterdir())
                if is_picture(path) and (path.is_file() or not path.exists())  # no pipe
            ]
        elif not reference.exists() and any(mark in reference.name for mark in "*?["):
            inside = sorted(reference.parent.glob(reference.name))
        else:
            inside = [reference]
        if not inside:
            raise FileError(f'"{reference}" has no pictures. Name {WANTED}.')
        found += inside
    return found


def read_pictures(paths: Sequence[Path]) -> list[FoundDigit]:
    """Find the digits on pictures, line by line and from left to right.

    Args:
        paths: files; "-" is standard input.

    Raises:
        FileError: a file is not a readable image, is too large, or shows no digit.
    """
    return [digit for path in paths for digit in _read_picture(path)]


def _read_picture(path: Path) -> list[FoundDigit]:
    page, scale = _read_page(path)
    if _is_ready(page):
        image = (255 * page).round().astype(np.uint8)
        return [FoundDigit(str(path), image, (0, 0, SIDE, SIDE))]
    digits = find_digits(find_ink(page))
    if not digits:
        raise FileError(f'"{path}" is blank: nothing stands out from the paper')
    return [
        FoundDigit(
            str(path),
            center_digit(digit.ink),
            (
                round(digit.box[0] * scale),
                round(digit.box[1] * scale),
                round(digit.box[2] * scale),
                round(digit.box[3] * scale),
            ),
            position,
        )
        for position, digit in enumerate(digits, start=1)
    ]


def _is_ready(page: Floats) -> bool:
    """Return whether a page is an image of MNIST's kind already: 28 × 28 with a black border."""
    if page.shape != (SIDE, SIDE):
        return False
    border = np.concatenate([page[0], page[-1], page[:, 0], page[:, -1]])
    return bool(border.max() == 0 and page.max() > 0.5)


def _read_page(path: Path) -> tuple[Floats, float]:
    """Return the brightness of a picture, (h, w) in [0, 1], and by how much it was reduced."""
    from PIL import Image, ImageOps

    content = _read_content(path)
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # of odd tags, and of many pixels
            Image.open(BytesIO(content), formats=list(FORMATS)) as picture,
        ):
            if picture.width * picture.height > PIXEL_LIMIT:
                raise FileError(f'"{path}" has more than {PIXEL_LIMIT:,} pixels')
            longest = max(picture.size)
            picture.draft("RGB", (LONGEST, LONGEST))
            upright = ImageOps.exif_transpose(picture)
            page = _measure_brightness(upright)
    except FileError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise explain_unreadable(path, content) from error
    return page, longest / max(page.shape)


def explain_unreadable(path: Path, content: bytes) -> FileError:
    """Return the error that a file is not a picture, or is a damaged one."""
    kind = describe_content(content[:HEAD])
    is_image = kind is not None and kind.endswith(" image")
    found = f"is {kind}, not" if kind and not is_image else "is not a readable image:"
    return FileError(f'"{path}" {found} {WANTED}')


def _read_content(path: Path) -> bytes:
    try:
        if str(path) == STANDARD_INPUT:
            content = sys.stdin.buffer.read(SIZE_LIMIT + 1)
        else:
            with path.open("rb") as file:
                content = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    if len(content) > SIZE_LIMIT:
        raise FileError(f'"{path}" is larger than {SIZE_LIMIT:,} bytes')
    return content


def _measure_brightness(picture: "Picture") -> Floats:
    """Return the brightness of a picture in [0, 1], whatever its kind of pixels."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, dtype=np.float64)
        whole = WHOLE_16_BIT if picture.mode != "F" else max(float(values.max()), 1e-9)
        return _reduce(np.clip(np.nan_to_num(values) / whole, 0, 1))
    has_alpha = "A" in picture.getbands() or "transparency" in picture.info
    colours = picture.convert("RGBA" if has_alpha else "RGB")
    if (factor := -(-max(colours.size) // LONGEST)) > 1:
        colours = colours.reduce(factor)
    if not has_alpha:
        return _to_floats(colours.convert("L"))
    alpha = _to_floats(colours.getchannel("A"))
    brightness = _to_floats(colours.convert("L"))
    drawn = brightness[alpha > 0.5]
    if alpha.min() < 0.5 and (not len(drawn) or float(drawn.std()) < PLAIN):
        return 1 - alpha  # one colour: what is drawn is where it is not transparent
    return alpha * brightness + (1 - alpha)


def _reduce(values: Floats) -> Floats:
    factor = -(-max(values.shape) // LONGEST)
    height, width = (extent // factor * factor for extent in values.shape)
    blocks = values[:height, :width].reshape(height // factor, factor, width // factor, factor)
    means: Floats = blocks.mean(axis=(1, 3))
    return means


def _to_floats(picture: Any) -> Floats:
    return np.asarray(picture, dtype=np.float64) / 255


def is_picture(path: Path) -> bool:
    """Return whether a path ends like the name of a picture, and is not a folder."""
    endings = [ending for each in FORMATS.values() for ending in each]
    return path.suffix.lower() in endings and not path.is_dir()
