"""Which runs are in a folder, and what each of them is: quickly, whatever it holds."""

import os
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from pydantic import ValidationError

from mnistcli.errors import FileError, UsageError, reason_of, require_text
from mnistcli.preset.faults import describe_fault
from mnistcli.records.documents import RunRecord
from mnistcli.records.folders import is_run
from mnistcli.records.listings import RunRow
from mnistcli.records.states import BatchDocument, DivergenceDocument, RunStart, RunState
from mnistcli.records.store import (
    BATCH_SUFFIX,
    DIVERGENCE,
    RECORD,
    START,
    STATE,
    read_document,
    read_record,
)
from mnistcli.records.tags import read_tag
from mnistcli.records.tail import EventTail


class RunFile(NamedTuple):
    """A file in a run folder."""

    name: str
    """Path below the run folder."""
    bytes: int


def list_run_folders(reference: str) -> list[Path]:
    """Return the run folders directly in a folder or of a batch, finished or not.

    Raises:
        FileError: there is no such folder or batch, it is unreadable, or it is a run itself.
    """
    path = Path(reference)
    if path.name.endswith(BATCH_SUFFIX):
        named = read_document(path, BatchDocument, "a batch of runs").runs.values()
        folders = [path.parent / Path(name).name for name in named]
    else:
        if is_run(path):
            raise FileError(
                f'"{path}" is a run. Name the folder that it is in, or show the run with: '
                f"mnistcli runs show {quote(str(path))}"
            )
        try:
            folders = [path / name for name in os.listdir(path)]
        except FileNotFoundError as error:
            raise FileError(f'"{path}" does not exist. Name a folder of runs.') from error
        except (OSError, ValueError) as error:
            raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    return [folder for folder in folders if is_run(folder)]


def list_rows(reference: str) -> list[RunRow]:
    """Describe the runs in a folder or of a batch, the newest first.

    Raises:
        FileError: as `list_run_folders` does.
    """
    rows = map(describe_run, list_run_folders(reference))
    return sorted(rows, key=lambda row: (row.started or "", row.name), reverse=True)


def describe_run(folder: Path) -> RunRow:
    """Return what a list says about a run."""
    name, path = _as_text(folder.name), _as_text(str(folder))
    try:
        require_text(str(folder))
        facts = _read_facts(folder)
    except (FileError, UsageError) as error:
        return RunRow(name=name, path=path, state="unreadable", reason=_as_text(str(error)))
    try:
        return RunRow(name=name, path=path, **facts, tag=read_tag(folder))
    except FileError as error:
        return RunRow(name=name, path=path, **facts, reason=str(error))


def read_start(folder: Path) -> RunStart:
    """Read start.json of an unfinished run.

    Raises:
        FileError: the file is unreadable, or not the start of a run.
    """
    return read_document(folder / START, RunStart, "the start of a run")


def read_divergence(folder: Path) -> DivergenceDocument | None:
    """Read where the loss of a run was not finite, if it ever was.

    Raises:
        FileError: divergence.json is unreadable.
    """
    path = folder / DIVERGENCE
    return read_document(path, DivergenceDocument, "a divergence") if path.exists() else None


def read_progress(folder: Path) -> RunState | None:
    """Read how far an unfinished run was saved, without its tensors; None if it was not.

    Raises:
        FileError: state.safetensors is unreadable, or not the state of a run.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / STATE
    if not path.exists():
        return None
    if not path.is_file():
        raise FileError(f'"{path}" is not a file')
    try:
        with safe_open(path, framework="numpy") as file:
            return RunState.model_validate_json(file.get_tensor("facts").tobytes())
    except ValidationError as error:
        fault = describe_fault(error, RunState, None)
        raise FileError(f'"{path}" is not the state of a run: {fault}') from error
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error


def list_files(folder: Path) -> list[RunFile]:
    """Return the files of a run folder and of its subfolders, by name.

    Raises:
        FileError: the folder cannot be read.
    """
    try:
        return sorted(_walk(folder, ""))
    except OSError as error:
        raise FileError(f'cannot read "{folder}": {reason_of(error)}') from error


def _walk(folder: Path, prefix: str) -> Iterator[RunFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{_as_text(entry.name)}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{name}/")
            else:
                yield RunFile(name, entry.stat(follow_symlinks=False).st_size)


def _read_facts(folder: Path) -> dict[str, object]:
    if (folder / RECORD).exists():
        return _describe_record(read_record(folder))
    try:
        start = read_start(folder)
    except FileError:
        if (folder / RECORD).exists():  # the run has just finished
            return _describe_record(read_record(folder))
        raise
    return {
        "state": "diverged" if (folder / DIVERGENCE).exists() else "unfinished",
        "started": start.started,
        "preset": start.preset.name,
        "seed": start.seed,
        "epochs": _count_epochs(folder),
    }


def _describe_record(record: RunRecord) -> dict[str, object]:
    is_test = record.data.evaluated_on == "test"
    return {
        "state": "finished",
        "started": record.started,
        "preset": record.preset.name,
        "seed": record.seed,
        "parameters": record.parameters,
        "test_accuracy" if is_test else "held_out_accuracy": record.test.accuracy,
        "epochs": record.last_epoch,
        "train_seconds": record.train_seconds,
        "passed": record.passed,
        "verdict": record.verdict,
    }


def _count_epochs(folder: Path) -> int:
    events = EventTail(folder).read()
    return sum(isinstance(each, dict) and each.get("event") == "EpochFinished" for each in events)


def _as_text(name: str) -> str:
    """Return a file's name as a document can hold it, whatever bytes it has."""
    return name.encode(errors="backslashreplace").decode().replace("\\udc", "\\x")
