"""Files of a run folder, and its JSON documents: read with validation, written atomically."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mnistcli.errors import FileError, reason_of
from mnistcli.preset.faults import describe_fault
from mnistcli.records.base import Document
from mnistcli.records.documents import RunRecord
from mnistcli.records.files import write_atomically
from mnistcli.records.older import update

RECORD, EVENTS, WEIGHTS = "record.json", "events.jsonl", "weights.safetensors"
START, STATE, LOCK = "start.json", "state.safetensors", ".lock"
DIVERGENCE, TAG, REPORT = "divergence.json", "tag.json", "report.html"
INDICES = "indices.npz"
"""Indices of a coreset."""
HEADER, PAGE = "network.h", "network.html"
ONNX, ONNX_INT8 = "network.onnx", "network.int8.onnx"
MISMATCH = ".mismatch"
"""End of the name of an export that computes something else than its definition."""
CODE = "code"
"""Folder of the source files of a network that is the user's own code."""
BATCH_SUFFIX = ".batch.json"
SIZE_LIMIT = 64 * 1_048_576

Kind = TypeVar("Kind", bound=Document)


def read_record(folder: Path) -> RunRecord:
    """Read record.json.

    Raises:
        FileError: the file is unreadable, or not a run record.
    """
    return read_document(folder / RECORD, RunRecord, "a run record")


def write_record(folder: Path, record: RunRecord) -> None:
    """Write record.json.

    Raises:
        WriteError: the file cannot be written.
    """
    write_document(folder / RECORD, record)


def read_document(path: Path, kind: type[Kind], what: str) -> Kind:
    """Read a JSON document.

    Args:
        path: path of the file.
        kind: model of the document.
        what: name of the kind for an error message, as in "a run record".

    Raises:
        FileError: the file is unreadable, or not such a document.
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
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error


def write_document(path: Path, document: Document) -> None:
    """Write a JSON document.

    Raises:
        WriteError: the file cannot be written.
    """
    write_atomically(path, (document.model_dump_json(indent=2) + "\n").encode())
