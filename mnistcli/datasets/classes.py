"""A folder with a folder of pictures for each digit → images and labels."""

import re
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.contents import describe_pixels, join_some, list_folder
from mnistcli.datasets.examples import CLASSES, COUNT_LIMIT, SIDE, ImagesAndLabels
from mnistcli.datasets.pictures import FORMATS, explain_unreadable, is_picture
from mnistcli.errors import FileError, reason_of

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


def read_classes(folder: Path) -> ImagesAndLabels:
    """Read the pictures in the folders 0 to 9, in the order of their names.

    The order goes across the digits: images that are named by their places in a data set come as
    they are there. Numbers in names count as numbers.

    Raises:
        FileError: there are no pictures or other classes, or a picture is unreadable or not 28 by
            28 pixels in grey.
    """
    try:
        pictures = _list_pictures(folder)
    except OSError as error:
        raise FileError(f'cannot read "{error.filename or folder}": {reason_of(error)}') from error
    if len(pictures) > COUNT_LIMIT:
        raise FileError(f'"{folder}" has more than {COUNT_LIMIT:,} pictures')
    if not pictures:
        raise FileError(f'"{folder}" has no pictures in folders 0 to 9')
    images = np.empty((len(pictures), SIDE, SIDE), np.uint8)
    with warnings.catch_warnings(action="ignore"):  # of Pillow, about odd tags
        for place, picture in enumerate(pictures):
            images[place] = _read_picture(picture)
    return images, np.array([int(picture.parent.name) for picture in pictures], np.int64)


def _list_pictures(folder: Path) -> list[Path]:
    classes = list_folder(folder)[1]
    others = [each.name for each in classes if each.name not in map(str, range(CLASSES))]
    if others:
        raise FileError(
            f'"{folder}" has folders of other classes than 0 to 9: {join_some(others)}. Move them '
            "elsewhere, or rename them."
        )
    pictures = [path for each in classes for path in list_folder(each)[0] if is_picture(path)]
    return sorted(pictures, key=lambda path: (_split_numbers(path.name), path.parent.name))


def _split_numbers(name: str) -> list[str | int]:
    """Return a name in parts, of which every second is a number."""
    return [int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", name)]


def _read_picture(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    try:
        with Image.open(BytesIO(content), formats=list(FORMATS)) as picture:
            if picture.size != (SIDE, SIDE):
                found = describe_pixels((picture.height, picture.width))
                raise FileError(f'"{path}" has {found}, not 28 by 28')
            return np.asarray(picture) if picture.mode == "L" else _to_grey(path, picture)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise explain_unreadable(path, content) from error


def _to_grey(path: Path, picture: "Picture") -> NDArray[np.uint8]:
    """Return the brightness of a picture that has more than brightness, but shows it alone."""
    if picture.mode.startswith(("I", "F")):
        raise FileError(f'"{path}" has more than 8 bits a pixel. Save it in 8 bits.')
    values = np.asarray(picture.convert("RGBA"))
    if (values[..., 3] < 255).any():
        raise FileError(f'"{path}" has a transparent background. Save it without.')
    if (values[..., :3] != values[..., :1]).any():
        raise FileError(f'"{path}" is in colour. Save it in grey.')
    return values[..., 0]
