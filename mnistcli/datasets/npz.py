"""Arrays of an .npz file, named as in Keras' mnist.npz → images and labels."""

import warnings
import zipfile
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mnistcli.datasets.contents import ARCHIVE_FAULTS, describe_pixels, join_some
from mnistcli.datasets.examples import SIDE, ImagesAndLabels
from mnistcli.errors import FileError, reason_of
from mnistcli.preset.choices import Split

SHAPES = ((SIDE, SIDE), (SIDE * SIDE,), (SIDE, SIDE, 1), (1, SIDE, SIDE))
"""An image as it may be stored."""
ARRAYS = {"x_train", "x_test"}
"""Names of the images."""
SIZE_LIMIT = 1 << 30
"""Bytes of an array."""
REASON = 100
"""Characters of what NumPy says, which may quote the file."""


def list_arrays(path: Path) -> list[str]:
    """Return the names of the arrays in an .npz file; none if it is not readable."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except ARCHIVE_FAULTS:
        return []


def read_npz(path: Path, split: Split) -> ImagesAndLabels:
    """Read the images and labels of a split, from x_train and y_train or x_test and y_test.

    Raises:
        FileError: an array is missing, or has another shape or other values.
    """
    images = _read_array(path, f"x_{split}", np.uint8)
    if images.shape[1:] not in SHAPES:
        found = describe_pixels(images.shape[1:]) if images.ndim > 2 else f"shape {images.shape}"
        raise FileError(f'"{path}" has images of {found} in x_{split}, not of 28 by 28 pixels')
    labels = _read_array(path, f"y_{split}", np.int64)
    if labels.shape[1:] not in ((), (1,)):
        raise FileError(f'"{path}" has labels of shape {labels.shape} in y_{split}, not (n,)')
    return images.reshape(-1, SIDE, SIDE), labels.reshape(-1)


def _read_array(path: Path, name: str, dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of one dimension or more whose numbers fit `dtype`."""
    values = _read_member(path, name)
    if values.ndim == 0 or values.dtype.kind not in "iuf":
        raise FileError(f'"{path}" has no array of numbers in {name}, but {values.dtype} values')
    with np.errstate(invalid="ignore"):
        whole = values.astype(dtype)
    if not (whole == values).all():
        found = f"from {values.min():g} to {values.max():g}"
        wanted = "whole numbers from 0 to 255" if dtype == np.uint8 else "whole numbers"
        raise FileError(f'"{path}" has values {found} in {name}, not {wanted}')
    return whole


def _read_member(path: Path, name: str) -> NDArray[Any]:
    names = list_arrays(path)
    if name not in names:
        found = f"only {shorten(join_some(names), REASON)}" if names else "or is damaged"
        raise FileError(f'"{path}" has no array {name}, {found}. Name its arrays as Keras does.')
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{name}.npy")
            if member.file_size > SIZE_LIMIT:
                raise FileError(f'"{path}" has more than {SIZE_LIMIT:,} bytes in {name}')
            with archive.open(member) as file, warnings.catch_warnings(action="ignore"):
                return np.lib.format.read_array(file, allow_pickle=False)
    except ARCHIVE_FAULTS as error:
        reason = shorten(reason_of(error), REASON, placeholder=" …")
        raise FileError(f'cannot read {name} in "{path}": {reason}') from error
