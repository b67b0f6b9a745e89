"""The cache of data sets that were downloaded by name: where it is, and whether it is intact."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import get_args

import platformdirs
from pydantic import TypeAdapter, ValidationError

from mnistcli.datasets.embedded import EMBEDDED
from mnistcli.errors import FileError, reason_of
from mnistcli.preset.choices import DatasetName

EMBEDDED_NAME = "MNIST (embedded)"
MANIFEST = "mnistcli-dataset.json"
"""Name of the file that tells a folder of the cache from other folders."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What a folder of the cache holds, as it was right after the download."""

    dataset: DatasetName
    sha256: dict[str, str]
    """SHA-256 of every file."""


MANIFESTS = TypeAdapter(Manifest)


def cache_folder() -> Path:
    """Return the folder of everything that is cached: $MNISTCLI_CACHE, or the user's."""
    chosen = os.environ.get("MNISTCLI_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("mnistcli")


def cached_path(name: DatasetName) -> Path:
    """Return the folder of a data set, whether it is there or not."""
    return EMBEDDED if name == "mnist" else cache_folder().absolute() / "datasets" / name


def name_data(path: Path | None) -> str:
    """Return the name of the data set that `--data` or `--dataset` named, or its path."""
    name = find_dataset(path)
    return EMBEDDED_NAME if name == "mnist" else name or str(path)


def find_dataset(path: Path | None) -> DatasetName | None:
    """Return the name of the data set in a folder of the cache, or of the embedded MNIST."""
    if path is None or path == EMBEDDED:
        return "mnist"
    manifest = _read_manifest(path)
    return manifest.dataset if manifest else None


def advise_download(name: str) -> str:
    """Return a sentence on how to get a data set."""
    return f"Download it with --dataset {name}."


def check_cached(path: Path) -> None:
    """Raise unless a folder of the cache has the files that were downloaded.

    Folders and files that are not of the cache are not looked at.

    Raises:
        FileError: the data set was not downloaded, or a file is missing, unreadable or has changed.
    """
    name = next((each for each in get_args(DatasetName) if path == cached_path(each)), None)
    if name and not path.exists():
        raise FileError(f'{name} is not in the cache: "{path}". {advise_download(name)}')
    if manifest := _read_manifest(path):
        if wrong := [name for name in manifest.sha256 if not _is_intact(path / name, manifest)]:
            raise report_damage(path, wrong[0])


def report_damage(folder: Path, name: str) -> FileError:
    """Return the error that a folder of the cache lacks a file, or has another one."""
    return FileError(
        f'the cached data set is damaged: "{folder / name}". Delete "{folder}" and run again with '
        f"--dataset {folder.name}."
    )


def _is_intact(file: Path, manifest: Manifest) -> bool:
    try:
        return file.is_file() and hash_file(file) == manifest.sha256.get(file.name)
    except OSError as error:
        raise FileError(f'cannot read "{file}": {reason_of(error)}') from error


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _read_manifest(folder: Path) -> Manifest | None:
    """Return what a folder of the cache should hold; None for any other path.

    Raises:
        FileError: the manifest is unreadable.
    """
    try:
        return MANIFESTS.validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise report_damage(folder, MANIFEST) from error
    except (OSError, ValueError) as error:
        raise FileError(f'cannot read "{folder}": {reason_of(error)}') from error
