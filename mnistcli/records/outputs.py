"""Files that a user asks for, which never replace the files of a run."""

import errno
import os
from pathlib import Path

from mnistcli.errors import WriteError, reason_of
from mnistcli.records.arrays import INDICES
from mnistcli.records.files import write_atomically
from mnistcli.records.folders import is_run
from mnistcli.records.store import DIVERGENCE, EVENTS, RECORD, START, STATE, TAG, WEIGHTS

OWN = {RECORD, EVENTS, WEIGHTS, START, STATE, DIVERGENCE, TAG, INDICES}
"""Names of files that a run cannot do without."""


def check_output(path: Path, suffix: str = "") -> None:
    """Refuse a file that cannot be written, before anything is computed for it.

    Args:
        path: of the file.
        suffix: end of the names of the only files that may be replaced, as in ".png".

    Raises:
        WriteError: it is a folder, in no folder, a file of a run, or another kind of file.
    """
    try:
        reason = _find_obstacle(path, suffix)
    except OSError as error:
        reason = reason_of(error)
    if reason:
        raise WriteError(f'cannot write "{path}": {reason}')


def write_output(path: Path, content: bytes, suffix: str = "") -> None:
    """Write a file atomically, unless `check_output` refuses it.

    Raises:
        WriteError: the file cannot be written.
    """
    check_output(path, suffix)
    write_atomically(path, content)


def _find_obstacle(path: Path, suffix: str) -> str:
    if path.is_dir():
        return os.strerror(errno.EISDIR)
    if not path.parent.is_dir():
        return os.strerror(errno.ENOENT)
    if path.name in OWN and is_run(path.parent):
        return "it belongs to a run. Choose another name."
    if path.is_file() and not path.name.lower().endswith(suffix):
        return f"it exists and is no {suffix} file. Choose another name."
    return ""
