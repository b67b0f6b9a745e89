"""Arrays in .npz files: the indices of coresets, and a cache."""

import contextlib
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.cached import cache_folder
from mnistcli.datasets.contents import ARCHIVE_FAULTS, describe_file
from mnistcli.errors import FileError, reason_of
from mnistcli.records import files
from mnistcli.records.files import write_atomically
from mnistcli.records.store import INDICES as INDICES

SIZE_LIMIT = 1 << 28
Arrays = dict[str, NDArray[Any]]


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file; the same arrays always give the same bytes.

    Raises:
        WriteError: the file cannot be written.
    """
    buffer = BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> Arrays:
    """Read an .npz file without pickled objects, of at most 256 MiB unpacked.

    Raises:
        FileError: the file is unreadable, or not such a file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > SIZE_LIMIT:
                raise FileError(f'"{path}" is larger than {SIZE_LIMIT:,} bytes')
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except ARCHIVE_FAULTS as error:
        if isinstance(error, OSError):
            raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
        kind = describe_file(path) or "a file of another kind"
        raise FileError(f'"{path}" is {kind}, not an .npz file of plain arrays') from error


def write_indices(folder: Path, indices: NDArray[np.int64], data_sha256: str) -> Path:
    """Write indices.npz, the indices of a coreset with the fingerprint of its data."""
    path = folder / INDICES
    write_arrays(path, {"indices": indices, "data_sha256": np.array(data_sha256)})
    return path


def read_indices(path: Path, data_sha256: str, total: int) -> NDArray[np.int64]:
    """Read the indices of a coreset.

    Args:
        path: path of the file.
        data_sha256: fingerprint of the data that the coreset must be from.
        total: number of examples in the data.

    Raises:
        FileError: the file is unreadable, belongs to other data, or has invalid indices.
    """
    arrays = read_arrays(path)
    indices = arrays.get("indices")
    if indices is None or indices.ndim != 1 or indices.dtype.kind not in "iu" or not len(indices):
        raise FileError(f'"{path}" has no integer array "indices"')
    if str(arrays.get("data_sha256", "")) != data_sha256:
        raise FileError(
            f'"{path}" was selected from other images. Select a coreset of these images.'
        )
    if indices.min() < 0 or indices.max() >= total or len(np.unique(indices)) != len(indices):
        raise FileError(f'"{path}" has an index outside 0 … {total - 1}, or the same index twice')
    return indices.astype(np.int64)


class Cache:
    """A cache of arrays, by the content that they were computed from."""

    def __init__(self) -> None:
        self.folder = cache_folder()

    def read(self, content: str) -> Arrays | None:
        """Return the arrays that were stored for `content`, if they are readable."""
        try:
            return read_arrays(self._path(content))
        except FileError:
            return None

    def write(self, content: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Store arrays, if the cache can be written."""
        path = self._path(content)
        with contextlib.suppress(FileError, OSError):
            files.make_folder(path.parent, exist_ok=True)
            write_arrays(path, arrays)

    def _path(self, content: str) -> Path:
        return self.folder / f"{sha256(content.encode()).hexdigest()}.npz"
