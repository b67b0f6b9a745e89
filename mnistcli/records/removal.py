"""Remove run folders, and nothing else: whatever a run does not write stops a removal."""

import os
import re
from pathlib import Path

from mnistcli.errors import FileError, WriteError, reason_of, require_text
from mnistcli.records import files
from mnistcli.records.arrays import INDICES
from mnistcli.records.folders import lock_run
from mnistcli.records.inventory import list_files
from mnistcli.records.listings import RemovedRun
from mnistcli.records.store import (
    CODE,
    DIVERGENCE,
    EVENTS,
    HEADER,
    LOCK,
    MISMATCH,
    ONNX,
    ONNX_INT8,
    PAGE,
    RECORD,
    REPORT,
    START,
    STATE,
    TAG,
    WEIGHTS,
)

EXPORTS = {HEADER, PAGE, ONNX, ONNX_INT8}
WRITTEN = {
    RECORD, EVENTS, WEIGHTS, START, STATE, LOCK, DIVERGENCE, INDICES, TAG, REPORT, *EXPORTS,
    *(f"{name}{MISMATCH}" for name in EXPORTS),
}  # fmt: skip
TEMPORARY = re.compile(rf"\.({'|'.join(map(re.escape, sorted(WRITTEN)))})\.\d+")
"""Name of a file that a process was killed while writing."""
SOURCE = re.compile(r".+\.py|\..+\.py\.\d+")
"""Name of a source file, or of one that a process was killed while writing."""
RUN_NAME = re.compile(r".+-\d{8}-\d{6}-s\d+(-\d+)?")
SCHEMA = re.compile(rb'"schema":\s*"mnistcli\.(run|start)/\d')
HEAD = 65_536
SHOWN = 3
LAST = (LOCK, START, RECORD)
"""Files that are removed last, in this order."""


def find_removable_run(reference: str) -> RemovedRun:
    """Return the size of a run folder that holds nothing but what a run writes.

    It is named like a run, or its record or start says that it is one.

    Raises:
        FileError: it is something else; the message says what was found.
    """
    folder = Path(reference)
    try:
        require_text(reference)
        if folder.name in ("", ".."):
            raise _refuse(reference, "is not the name of a run folder. Name the folder itself.")
        if folder.is_symlink():
            raise _refuse(reference, "is a link. Name the run folder itself.")
        if not folder.is_dir():
            found = "is a file" if folder.exists() else "does not exist"
            raise _refuse(reference, f"{found}. Name a run folder.")
        if foreign := _list_foreign(folder):
            more = f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else ""
            names = ", ".join(f'"{name}"' for name in foreign[:SHOWN])
            raise _refuse(
                reference, f"has what no run writes: {names}{more}. Name run folders only."
            )
        if not (RUN_NAME.fullmatch(folder.name) or _says_run(folder)):
            raise _refuse(reference, f"is not a run: it has no {RECORD} of mnistcli.")
        sizes = [file.bytes for file in list_files(folder) if file.name != LOCK]
    except (OSError, ValueError) as error:
        raise FileError(f'cannot read "{reference}": {reason_of(error)}') from error
    return RemovedRun(path=str(folder), files=len(sizes), bytes=sum(sizes))


def remove_run(reference: str) -> RemovedRun:
    """Remove a run folder; what makes it a run goes last, so that a second try finishes a first.

    Raises:
        FileError: it is not a run folder, it is being trained, or it cannot be removed.
    """
    folder = Path(find_removable_run(reference).path)
    with lock_run(folder):
        removed = find_removable_run(reference)  # again, while nobody trains it
        try:
            for name in os.listdir(folder):
                if name == CODE:
                    _remove_tree(folder / name)
                elif name not in LAST:
                    files.remove(folder / name)
        except OSError as error:
            raise _failed(folder, error) from error
    try:
        for name in LAST:
            files.remove(folder / name)
        files.remove_folder(folder)
    except OSError as error:
        raise _failed(folder, error) from error
    return removed


def _failed(folder: Path, error: OSError) -> WriteError:
    return WriteError(f'cannot remove "{folder}": {reason_of(error)}')


def _refuse(reference: str, found: str) -> FileError:
    return FileError(f'cannot remove "{reference}": it {found}')


def _says_run(folder: Path) -> bool:
    for name in (RECORD, START):
        if (folder / name).exists():
            with (folder / name).open("rb") as file:
                if SCHEMA.search(file.read(HEAD)):
                    return True
    return False


def _list_foreign(folder: Path, prefix: str = "") -> list[str]:
    """Return the names of everything in a folder that no run writes."""
    foreign = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                is_code = name == CODE or prefix
                foreign += _list_foreign(Path(entry), f"{name}/") if is_code else [f"{name}/"]
            elif not (entry.is_file(follow_symlinks=False) and _is_written(name)):
                foreign.append(name)
    return sorted(foreign)


def _is_written(name: str) -> bool:
    if name.startswith(f"{CODE}/"):
        return bool(SOURCE.fullmatch(Path(name).name))
    return name in WRITTEN or bool(TEMPORARY.fullmatch(name))


def _remove_tree(folder: Path) -> None:
    """Remove a folder with everything in it, and follow no links."""
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                _remove_tree(Path(entry))
            else:
                files.remove(Path(entry))
    files.remove_folder(folder)
