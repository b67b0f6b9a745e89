"""Submissions: which files they are, and the network that each names; nothing of it runs."""

import hashlib
import json
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mnistcli.errors import (
    FileError,
    MnistcliError,
    PresetError,
    as_error,
    reason_of,
    require_text,
)
from mnistcli.preset.code.code import read_code
from mnistcli.preset.code.reference import FORM, is_code
from mnistcli.preset.code.sources import find_networks, read_source
from mnistcli.preset.loading import load_preset, read_preset_text

USUAL = ("model.py", "net.py", "main.py")
"""Files of a folder that are preferred, in this order, if several define a network."""
LEFT_OUT = "__pycache__"


@dataclass(frozen=True)
class Submission:
    """One submission, with everything that is needed to train its network elsewhere."""

    name: str
    path: str
    """Path as typed, or in the folder that was typed."""
    reference: str = ""
    """FILE.py:NAME or a preset, relative to the files."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Contents by path."""
    fault: str = ""
    """Why there is nothing to train, in one line."""

    @property
    def is_code(self) -> bool:
        """Return whether the network is Python code, to which a recipe applies."""
        return is_code(self.reference)

    @property
    def sha256(self) -> str:
        """SHA-256 of the files and of the network's name in them."""
        hashes = {place: hashlib.sha256(text).hexdigest() for place, text in self.files.items()}
        content = [self.reference, self.fault, sorted(hashes.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def find_submissions(arguments: Sequence[str], out: Path) -> list[Submission]:
    """Return the submissions: what a single folder contains, or each of several files and folders.

    Args:
        arguments: as typed.
        out: folder of the results, which is no submission.

    Raises:
        FileError: a file does not exist, or there are no submissions.
    """
    paths = list(dict.fromkeys(arguments))
    if len(paths) == 1 and os.path.isdir(paths[0]):
        paths = _list_folder(Path(paths[0]), out)
    for path in paths:
        if not os.path.lexists(strip_name(path)):
            raise FileError(f'"{path}" does not exist. Name a folder of submissions, or files.')
    names = _name_each(paths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's own, about the code that is parsed
        return [_read(Submission(name, path)) for name, path in zip(names, paths, strict=True)]


def _list_folder(folder: Path, out: Path) -> list[str]:
    try:
        paths = [
            path
            for path in sorted(folder.iterdir())
            if not path.name.startswith(".") and path.name != LEFT_OUT
        ]
    except OSError as error:
        raise FileError(f'cannot read "{folder}": {reason_of(error)}') from error
    results = os.path.realpath(out)
    found = [str(path) for path in paths if os.path.realpath(path) != results]
    if not found:
        raise FileError(f'"{folder}" has no submissions: no .py files, folders or presets')
    return found


def strip_name(path: str) -> str:
    """Return the path of a file without the network's name after a colon."""
    found = FORM.fullmatch(path)
    return path if os.path.lexists(path) or not found else found["file"]


def _name_each(paths: Sequence[str]) -> list[str]:
    """Return a name for every submission: short, or longer where several share it."""
    names = _tell_apart(list(map(_name_shortly, paths)), [Path(path).name for path in paths])
    while len(set(names)) < len(names):
        names = _tell_apart(names, paths)
    return [name.encode(errors="backslashreplace").decode() for name in names]


def _tell_apart(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    counts = Counter(names)
    return [more if counts[name] > 1 else name for name, more in zip(names, longer, strict=True)]


def _name_shortly(path: str) -> str:
    file = Path(strip_name(path))
    return file.name if file.is_dir() or not file.stem else file.stem


def _read(submission: Submission) -> Submission:
    """Return the submission with its files, or with the reason why it has none."""
    try:
        require_text(submission.path)
        found = _read_network(submission)
        require_text("".join([found.reference, *found.files]))
    except MnistcliError as error:
        return replace(submission, fault=str(error))
    except OSError as error:
        fault = f'cannot read "{submission.path}": {reason_of(error)}'
        return replace(submission, fault=fault)
    except Exception as error:  # one submission ends no grading
        return replace(submission, fault=str(as_error(error)))
    return found


def _read_network(submission: Submission) -> Submission:
    path = Path(submission.path)
    if path.is_dir():
        return _read_code(submission, str(_choose_file(path)))
    if is_code(submission.path):
        return _read_code(submission, submission.path)
    if path.suffix == ".toml" and (path.is_file() or not path.exists()):  # no pipe
        return _read_preset(submission, path)
    raise PresetError(f'"{path}" is not a .py file, a folder with one, or a preset (.toml)')


def _read_code(submission: Submission, reference: str) -> Submission:
    code = read_code(Path(), reference, {})
    return replace(submission, reference=code.python, files=code.files)


def _read_preset(submission: Submission, path: Path) -> Submission:
    preset = load_preset(str(path))
    files = {path.name: read_preset_text(path).encode()}
    if code := preset.model.code:
        base = code.folder.relative_to(path.parent)
        files |= {(base / place).as_posix(): content for place, content in code.files.items()}
    return replace(submission, reference=path.name, files=files)


def _choose_file(folder: Path) -> Path:
    """Return the file of a folder that defines the network.

    Raises:
        PresetError: there is none, or it is not clear which one it is.
    """
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == ".py" and not path.name.startswith(".") and path.is_file()
    ]
    if not files:
        raise PresetError(f'"{folder}" has no .py file; those in folders inside do not count')
    candidates = [path for path in files if _defines_network(path)] or files
    if len(candidates) == 1:
        return candidates[0]
    for name in USUAL:
        if folder / name in candidates:
            return folder / name
    names = ", ".join(path.name for path in candidates)
    raise PresetError(
        f'"{folder}" has several files that may define the network: {names}. Name one of them '
        f"{USUAL[0]}, or grade {candidates[0]}:NAME"
    )


def _defines_network(path: Path) -> bool:
    try:
        return bool(find_networks(read_source(path.parent, path.name), path))
    except PresetError:
        return False
