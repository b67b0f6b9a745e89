"""Run folders: create, lock, clean up, copy, find and list them."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from shlex import quote

from mnistcli.errors import FileError, UsageError, WriteError, reason_of, require_text
from mnistcli.preset.code.reference import check_place
from mnistcli.records import files
from mnistcli.records.documents import RunRecord
from mnistcli.records.states import BatchDocument
from mnistcli.records.store import (
    BATCH_SUFFIX,
    CODE,
    INDICES,
    LOCK,
    RECORD,
    START,
    STATE,
    read_document,
)


def create_run_folder(out: Path, preset: str, seed: int, now: datetime) -> Path:
    """Create a new folder below `out`, named after preset, time and seed.

    Raises:
        FileError: the folder cannot be created.
    """
    name = f"{preset}-{now:%Y%m%d-%H%M%S}-s{seed}"
    try:
        files.make_folder(out, exist_ok=True)
        for suffix in ["", *(f"-{number}" for number in range(2, 1_000))]:
            with contextlib.suppress(FileExistsError):
                files.make_folder(folder := out / f"{name}{suffix}")
                return folder
    except (OSError, ValueError) as error:
        raise FileError(
            f'cannot write runs to "{out}": {reason_of(error)}. Choose another --out.'
        ) from error
    raise FileError(f'"{out}" has a thousand runs named {name}. Choose another --out.')


@contextlib.contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Keep other processes from training this run inside the `with` block.

    Raises:
        FileError: another process trains it, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise FileError(f'"{folder}" is being trained by another process') from error
    except OSError as error:
        raise FileError(f'cannot write "{folder}": {reason_of(error)}') from error
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed processes, and from a finished run its start and state."""
    names = [START, STATE, LOCK] if (folder / RECORD).exists() else []
    with contextlib.suppress(OSError):
        for path in [*(folder / name for name in names), *folder.glob(".*.[0-9]*")]:
            files.remove(path)


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the contents of a run's files by path in the folder, without its record."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: path.read_bytes()
        for name, path in paths.items()
        if path.is_file() and name not in {RECORD, LOCK}
    }


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write what `read_folder` returned into another folder.

    Raises:
        WriteError: A file cannot be written.
    """
    for name, content in contents.items():
        path = folder / name
        if name.startswith(f"{CODE}/"):
            check_place(name)
            make_parents(path)
        else:
            path = folder / path.name
        files.write_atomically(path, content)


def make_parents(path: Path) -> None:
    """Make the folders that a file in a run folder needs.

    Raises:
        WriteError: they cannot be made.
    """
    try:
        files.make_folder(path.parent, exist_ok=True)
    except OSError as error:
        raise WriteError(f'cannot write "{path}": {reason_of(error)}') from error


def name_absolutely(path: Path) -> str:
    """Return an absolute path as text.

    Raises:
        UsageError: the current folder's name is not text.
        FileError: the current folder was removed.
    """
    try:
        return require_text(str(path.absolute()))
    except OSError as error:
        raise FileError(f'cannot find "{path}": {reason_of(error)}') from error


def find_run(reference: str) -> Path:
    """Return the folder of a finished run, named by itself or by its record.json.

    Raises:
        FileError: there is no such run.
    """
    path = Path(reference)
    folder = path.parent if path.name == RECORD else path
    try:
        require_text(reference)
    except UsageError as error:  # found in a folder
        raise FileError(str(error)) from error
    if not _has_any(folder, RECORD):
        raise FileError(f'"{reference}" {_explain(folder, RECORD)}')
    return folder


def find_started_run(reference: str) -> Path:
    """Return the folder of a run, finished or not, named by itself or by a file in it.

    Raises:
        FileError: there is no such run.
    """
    path = Path(reference)
    folder = path.parent if path.name in (RECORD, START, STATE) else path
    if not _has_any(folder, RECORD, START):
        raise FileError(f'"{reference}" {_explain(folder, START)}')
    return folder


def _has_any(folder: Path, *names: str) -> bool:
    try:
        return any((folder / name).is_file() for name in names)
    except (OSError, ValueError):
        return False


def _explain(folder: Path, name: str) -> str:
    """Return why `folder` is not a run with a file of that name."""
    if name == RECORD and _has_any(folder, START):
        advice = f"Resume it with: mnistcli train --resume {quote(str(folder))}"
        return f"is not finished: it has no {RECORD}. {advice}"
    with contextlib.suppress(OSError, ValueError):
        if not folder.exists():
            return "does not exist. Name a run folder."
        if folder.is_file():
            return "is a file. Name a run folder."
    return f"is not a run: it has no {name}"


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run, finished or not."""
    try:
        return any((folder / name).exists() for name in (RECORD, START))
    except (OSError, ValueError):
        return False


def move_record(record: RunRecord, folder: Path) -> RunRecord:
    """Return the record of a run whose files were moved into another folder."""
    moved: dict[str, object] = {"run_id": folder.name, "path": str(folder)}
    if record.coreset:
        indices = {"indices_file": str(folder / INDICES)}
        moved["coreset"] = record.coreset.model_copy(update=indices)
    return record.model_copy(update=moved)


def list_runs(reference: str) -> list[Path] | None:
    """Return the finished runs in a folder, or all runs of a batch that have begun.

    The list is empty for a run, and None for what is not a folder, a batch or a record.json: that
    may be the name of a preset.

    Raises:
        FileError: the file of a batch is unreadable, or not such a file.
    """
    path = Path(reference)
    try:
        if path.name == RECORD:
            return []
        if path.name.endswith(BATCH_SUFFIX):
            named = read_document(path, BatchDocument, "a batch of runs").runs.values()
            folders = [path.parent / Path(name).name for name in named]
            # One that began and has not finished is no part of the mean, and is named as that.
            return [folder for folder in folders if is_run(folder)]
        if not path.is_dir():
            return None
        return (
            [] if (path / RECORD).exists() else sorted(p.parent for p in path.glob(f"*/{RECORD}"))
        )
    except (OSError, ValueError):
        return None


def list_references(references: Sequence[str]) -> list[str]:
    """Return the references, with folders of runs and batches replaced by their runs.

    A run that is named twice, in whatever way, counts once.
    """
    once: dict[str, str] = {}
    for path in (run for each in references for run in list_runs(each) or [Path(each)]):
        once.setdefault(_identify(path), str(path))
    return list(once.values())


def _identify(path: Path) -> str:
    """Return a name that is the same for a run folder, its record.json, and links to them."""
    try:
        return os.path.realpath(path if path.name == RECORD else path / RECORD)
    except (OSError, ValueError):
        return str(path)
