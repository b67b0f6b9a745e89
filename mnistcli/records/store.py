"""Run folders: their names, what is in them, and writing it so that it is whole or not there."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from mnistcli.errors import FileError, WriteError
from mnistcli.preset.faults import describe_fault
from mnistcli.records.base import Document
from mnistcli.records.documents import RunRecord
from mnistcli.records.older import update
from mnistcli.records.states import BatchDocument

RECORD, EVENTS, WEIGHTS = "record.json", "events.jsonl", "weights.safetensors"
START, STATE, LOCK = "start.json", "state.safetensors", ".lock"
DIVERGENCE = "divergence.json"
BATCH_SUFFIX = ".batch.json"
SIZE_LIMIT = 64 * 1_048_576

Kind = TypeVar("Kind", bound=Document)


def create_run_folder(out: Path, preset: str, seed: int, now: datetime) -> Path:
    """Makes a new folder below `out`, named after preset, time and seed; never an existing one.

    Raises:
        FileError: it cannot be made.
    """
    name = f"{preset}-{now:%Y%m%d-%H%M%S}-s{seed}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for suffix in ["", *(f"-{number}" for number in range(2, 1_000))]:
            with contextlib.suppress(FileExistsError):
                (folder := out / f"{name}{suffix}").mkdir()
                return folder
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f'cannot write runs to "{out}": {reason}; choose another --out') from error
    raise FileError(f'"{out}" has a thousand runs named {name}; choose another --out')


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that, whatever happens, it has either all of its content or does not change.

    Raises:
        FileError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WriteError(f'cannot write "{path}": {error.strerror}') from error


def _sync_folder(folder: Path) -> None:
    """Lets a renaming outlive a loss of power, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Keeps every other process from training this run meanwhile.

    Raises:
        FileError: another process does, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise FileError(f'"{folder}" is being trained by another process') from error
    except OSError as error:
        raise FileError(f'cannot write "{folder}": {error.strerror}') from error
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(folder: Path) -> None:
    """Removes what only a run that has not ended needs, and temporary files of killed processes."""
    names = [START, STATE, LOCK] if (folder / RECORD).exists() else []
    with contextlib.suppress(OSError):
        for path in [*(folder / name for name in names), *folder.glob(".*.[0-9]*")]:
            path.unlink(missing_ok=True)


def write_record(folder: Path, record: RunRecord) -> None:
    """Writes record.json."""
    write_document(folder / RECORD, record)


def read_folder(folder: Path) -> dict[str, bytes]:
    """What a run left beside its record, by name."""
    names = {RECORD, LOCK}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in names}


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes what `read_folder` read.

    Raises:
        FileError: it cannot be written.
    """
    for name, content in files.items():
        write_atomically(folder / Path(name).name, content)


def find_run(reference: str) -> Path:
    """The run folder that `reference` names, itself or by its record.json.

    Raises:
        FileError: there is none.
    """
    path = Path(reference)
    folder = path.parent if path.name == RECORD else path
    try:
        found = (folder / RECORD).is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise FileError(f'"{reference}" is not a run: it has no {RECORD}')
    return folder


def find_begun_run(reference: str) -> Path:
    """The folder of a run that has begun, ended or not.

    Raises:
        FileError: there is none.
    """
    path = Path(reference)
    folder = path.parent if path.name in (RECORD, START, STATE) else path
    try:
        found = any((folder / name).is_file() for name in (RECORD, START))
    except (OSError, ValueError):
        found = False
    if not found:
        raise FileError(f'"{reference}" is not a run that has begun: it has no {START}')
    return folder


def list_runs(reference: str) -> list[Path] | None:
    """The runs in a folder that is none itself, or of a batch; none for any other run or folder.

    Nothing where `reference` is no folder, batch or record.json: then it may be a preset's name.

    Raises:
        FileError: it is named as a batch, and is none.
    """
    path = Path(reference)
    try:
        if path.name == RECORD:
            return []
        if path.name.endswith(BATCH_SUFFIX):
            named = read_document(path, BatchDocument, "a batch of runs").runs.values()
            folders = [path.parent / Path(name).name for name in named]
            return [folder for folder in folders if (folder / RECORD).exists()]
        if not path.is_dir():
            return None
        return (
            [] if (path / RECORD).exists() else sorted(p.parent for p in path.glob(f"*/{RECORD}"))
        )
    except (OSError, ValueError):
        return None


def list_references(references: Sequence[str]) -> list[str]:
    """The same, with a folder of runs replaced by the runs in it."""
    return [str(run) for each in references for run in list_runs(each) or [Path(each)]]


def read_record(folder: Path) -> RunRecord:
    """Reads and checks record.json.

    Raises:
        FileError: it is unreadable, or not what a record must be.
    """
    return read_document(folder / RECORD, RunRecord, "a run record")


def read_document(path: Path, kind: type[Kind], what: str) -> Kind:
    """Reads and checks a JSON document.

    Args:
        path: of the file.
        kind: of the document.
        what: it is, as in "a run record".

    Raises:
        FileError: it is unreadable, or not what it must be.
    """
    try:
        if not path.is_file() and path.exists():
            raise FileError(f'"{path}" is not a file')
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
        if len(content) > SIZE_LIMIT:
            raise FileError(f'"{path}" is larger than {SIZE_LIMIT:,} bytes')
        return kind.model_validate_json(update(content, path))
    except ValidationError as error:
        fault = describe_fault(error, kind, None)
        raise FileError(f'"{path}" is not {what}: {fault}') from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f'cannot read "{path}": {reason}') from error


def write_document(path: Path, document: Document) -> None:
    """Writes a JSON document.

    Raises:
        FileError: it cannot be written.
    """
    write_atomically(path, (document.model_dump_json(indent=2) + "\n").encode())


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The events of a run so far, whether it has ended or not; a torn last line is left out."""
    try:
        lines = (folder / EVENTS).read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return []


class EventLog:
    """Writes events, frozen dataclasses, as one line of JSON each, as they come."""

    def __init__(self, folder: Path) -> None:
        """Open the log of a run, at its end.

        Raises:
            FileError: it cannot be written.
        """
        self._path = folder / EVENTS
        try:
            self._file = self._path.open("ab")
        except OSError as error:
            raise WriteError(f'cannot write "{self._path}": {error.strerror}') from error

    def truncate(self, size: int) -> None:
        """Drop everything after the first `size` bytes.

        Raises:
            FileError: the log is shorter than that, or cannot be written.
        """
        try:
            if self._path.stat().st_size < size:
                raise FileError(
                    f'cannot resume "{self._path.parent}": {EVENTS} is truncated. '
                    "Train it again from the beginning."
                )
            self._file.truncate(size)
            self._file.seek(size)
        except OSError as error:
            raise WriteError(f'cannot write "{self._path}": {error.strerror}') from error

    def __call__(self, event: Any) -> None:
        """Writes one event."""
        line = json.dumps(
            {"event": type(event).__name__, **dataclasses.asdict(event)}, allow_nan=False
        )
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise WriteError(f'cannot write "{self._path}": {error.strerror}') from error

    def sync(self) -> int:
        """Makes sure that all is on the disk, and tells how many bytes that are."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()
        except OSError as error:
            raise WriteError(f'cannot write "{self._path}": {error.strerror}') from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk: said already, by whoever wrote
            self._file.close()
