"""The source files of a user's network: kept in the run folder, and read from there."""

from pathlib import Path

from mnistcli.errors import FileError, PresetError
from mnistcli.preset.code.code import Code, read_kept_code
from mnistcli.preset.schema import Preset
from mnistcli.records.files import write_atomically
from mnistcli.records.folders import make_parents
from mnistcli.records.store import CODE


def keep_code(preset: Preset, folder: Path) -> None:
    """Write the source files of the preset's network, if it is code, into a run folder.

    Raises:
        WriteError: a file cannot be written.
    """
    if code := preset.model.code:
        for place, content in code.files.items():
            make_parents(path := folder / CODE / place)
            write_atomically(path, content)


def open_code(preset: Preset, folder: Path, *, allow: bool) -> Preset:
    """Return the preset of a run with the code that the run folder keeps; nothing of it runs.

    Args:
        preset: as it is in the run's documents.
        folder: the run folder.
        allow: whether the user allows the code to run.

    Raises:
        FileError: a source file is unreadable, or not what it was.
    """
    model = preset.model
    if model.python is None or model.code:
        return preset
    try:
        sources = model.sources or {}
        code = read_kept_code(folder / CODE, model.python, model.arguments, sources)
    except PresetError as error:
        raise FileError(str(error)) from error
    return preset.with_code(code.trust(is_named=allow))


def find_code(preset: Preset) -> Code:
    """Return the code of a preset whose network is code.

    Raises:
        PresetError: it was not read.
    """
    if preset.model.code is None:
        raise PresetError(f'the code of "{preset.model.python}" was not read')
    return preset.model.code
