"""A data set's name → its folder in the cache, downloaded once, and there as a whole or not at all.

Files are received in a folder of their own. When all are there, complete and with the MD5 that
torchvision has for them, it is renamed. A process that is killed leaves a folder that the next one
removes; no two download the same data set at once.
"""

import contextlib
import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mnistcli.datasets.cached import (
    MANIFEST,
    MANIFESTS,
    Manifest,
    cached_path,
    hash_file,
    report_damage,
)
from mnistcli.datasets.remote import FILE_LIMIT, RemoteFile, list_files
from mnistcli.datasets.usps import read_usps
from mnistcli.errors import FileError, WriteError, reason_of
from mnistcli.experiment.downloads.https import DownloadError, receive
from mnistcli.preset.choices import DatasetName
from mnistcli.records import files

Tell = Callable[[str, int, int | None], None]
"""Told what is being done, as in "downloading a.gz", how many bytes are done, and of how many."""
ADVICE = "Try again later, or name a copy of the data set with --data."
CHUNK = 1 << 20


def is_cached(name: DatasetName) -> bool:
    """Return whether a data set needs no download."""
    return cached_path(name).exists()


def obtain(name: DatasetName, tell: Tell) -> Path:
    """Return the folder of a data set, and download it if the cache does not have it.

    Raises:
        FileError: it cannot be downloaded, or the cache is damaged or cannot be written.
    """
    folder = cached_path(name)
    if not is_cached(name):
        with _alone(folder, tell):
            if not is_cached(name):
                _download(name, folder, tell)
    if name != "mnist" and not (folder / MANIFEST).exists():
        raise report_damage(folder, MANIFEST)
    return folder


@contextmanager
def _alone(folder: Path, tell: Tell) -> Iterator[None]:
    """Keep other processes from downloading the same data set inside the `with` block."""
    from filelock import FileLock, Timeout

    try:
        files.make_folder(folder.parent, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            tell("waiting for another process that downloads it", 0, None)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise _cannot_write(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def _download(name: DatasetName, folder: Path, tell: Tell) -> None:
    wanted = list_files(name)
    for leftover in folder.parent.glob(f".{name}.[0-9]*"):
        _remove(leftover)
    temporary = folder.with_name(f".{name}.{os.getpid()}")
    try:
        files.make_folder(temporary)
        for file in wanted:
            _download_file(name, file, temporary, tell)
        if name == "usps":
            tell("scaling the images", 0, None)
            _convert_usps(temporary)
        _write_manifest(name, temporary)
        files.rename(temporary, folder)
        files.sync_folder(folder.parent)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        _remove(temporary)


def _download_file(name: str, file: RemoteFile, folder: Path, tell: Tell) -> None:
    """Download a file from the first of its addresses that has it, as it must be."""
    faults = []
    for url in file.urls:
        try:
            _receive(url, file, folder / file.name, tell)
            break
        except DownloadError as error:
            faults.append(f"{urlsplit(url).netloc}: {error}")
    else:
        reasons = "; ".join(faults)
        raise FileError(f"cannot download {name}, file {file.name}: {reasons}. {ADVICE}")
    if file.members:
        _extract(folder / file.name, file.members)


def _receive(url: str, file: RemoteFile, path: Path, tell: Tell) -> None:
    """Write what an address has to `path`, and check its MD5.

    Raises:
        DownloadError: it has not the file, or another one.
        OSError: it cannot be written.
    """
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with closing(files.OutputFile(path)) as output:
        tell(f"downloading {file.name}", 0, None)
        for piece, size in receive(url, file.size_limit):
            output.write(piece)
            digest.update(piece)
            done += len(piece)
            tell(f"downloading {file.name}", done, size)
        output.sync()
    if digest.hexdigest() != file.md5:
        raise DownloadError("sent a file with another MD5")


def _extract(archive: Path, members: Iterable[str]) -> None:
    """Write the wanted members of an archive beside it, and remove it."""
    try:
        with zipfile.ZipFile(archive) as content:
            for member in members:
                with content.open(member) as packed:
                    unpacked = packed.read(FILE_LIMIT + 1)
                if len(unpacked) > FILE_LIMIT:
                    raise ValueError(f"{member} has more than {FILE_LIMIT:,} bytes")
                _write(archive.with_name(Path(member).name), unpacked)
    except (KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FileError(f"cannot unpack {archive.name}: {reason_of(error)}. {ADVICE}") from error
    files.remove(archive)


def _convert_usps(folder: Path) -> None:
    """Replace the text files of USPS by IDX files of images like MNIST's."""
    for source, split in (("usps.bz2", "train"), ("usps.t.bz2", "test")):
        images, labels = read_usps(folder / source)
        count = len(labels).to_bytes(4)
        size = b"".join(side.to_bytes(4) for side in images.shape[1:])
        header = (0x803).to_bytes(4) + count + size
        _write(folder / f"usps-{split}-images-idx3-ubyte", header + images.tobytes())
        header = (0x801).to_bytes(4) + count
        _write(folder / f"usps-{split}-labels-idx1-ubyte", header + labels.astype("u1").tobytes())
        files.remove(folder / source)


def _write_manifest(name: DatasetName, folder: Path) -> None:
    hashes = {path.name: hash_file(path) for path in sorted(folder.iterdir())}
    _write(folder / MANIFEST, MANIFESTS.dump_json(Manifest(name, hashes), indent=2))
    files.sync_folder(folder)


def _write(path: Path, content: bytes) -> None:
    with closing(files.OutputFile(path)) as output:
        output.write(content)
        output.sync()


def _remove(folder: Path) -> None:
    """Remove a folder of files, as far as possible."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            files.remove(path)
        files.remove_folder(folder)


def _cannot_write(folder: Path, error: Exception) -> WriteError:
    return WriteError(
        f'cannot write to the cache "{folder.parent}": {reason_of(error)}. MNISTCLI_CACHE names '
        "another folder."
    )
