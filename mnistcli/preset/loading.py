"""Find presets by name or path, read, override, validate and copy them."""

import codecs
import json
import re
import tomllib
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import ValidationError

from mnistcli.errors import FileError, PresetError, reason_of, suggest
from mnistcli.preset.budget_text import parse_budget
from mnistcli.preset.code.code import read_code
from mnistcli.preset.code.reference import is_code
from mnistcli.preset.faults import TOO_DEEP, describe_fault, locate_fault
from mnistcli.preset.overrides import Override
from mnistcli.preset.schema import Preset

PACKAGE = Path(__file__).parent.parent
SIZE_LIMIT = 262_144

OWN_FIGURES = {"published", "reference"}
"""Sections that are about a preset as it is, not about a changed one."""
NOT_TRAINED = {"budget", *OWN_FIGURES}
"""Sections that have no influence on the training."""
CONTROL = re.compile("[\x80-\x9f]")
"""Control characters that TOML allows in comments."""

Json = dict[str, Any]


def presets_folder() -> Path:
    """Return the folder of the bundled presets: in the package, or beside it in a checkout."""
    shipped = PACKAGE / "_presets"
    return shipped if shipped.is_dir() else PACKAGE.parent / "presets"


def list_presets() -> list[str]:
    """Return the sorted names of the bundled presets."""
    return sorted(path.stem for path in presets_folder().glob("*.toml"))


def find_preset(reference: str) -> Path:
    """Return the file of a bundled preset, or a path: with a separator or ending in .toml.

    Raises:
        PresetError: no bundled preset has that name, or it names Python code.
    """
    if is_code(reference):
        raise PresetError(
            f'"{reference}" is Python code, not a preset. Write a preset for it with: '
            f"mnistcli presets new FILE.toml --from {quote(reference)}"
        )
    if reference.endswith(".toml") or "/" in reference or "\\" in reference:
        return Path(reference)
    known = list_presets()
    if reference not in known:
        raise PresetError(f'unknown preset: "{reference}". {suggest(reference, known)}')
    return presets_folder() / f"{reference}.toml"


def read_preset_text(path: Path, what: str = "preset") -> str:
    """Return the text of a preset, or of another file of presets' fields.

    Raises:
        PresetError: the file is unreadable, too large, not UTF-8, or has control characters.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise PresetError(f'cannot read the {what} "{path}": {reason_of(error)}') from error
    if len(content) > SIZE_LIMIT:
        raise PresetError(f'the {what} "{path}" is larger than {SIZE_LIMIT:,} bytes')
    try:
        text = content.decode("utf-8-sig")  # Windows' editors put a byte-order mark first
    except UnicodeDecodeError as error:
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        found = "is a UTF-16 text file" if is_utf16 else "is not a UTF-8 text file"
        raise PresetError(f'the {what} "{path}" {found}. Save it as UTF-8.') from error
    if control := CONTROL.search(text):
        raise PresetError(f'the {what} "{path}" has a control character, U+{ord(control[0]):04X}')
    return text


def read_preset(path: Path) -> Json:
    """Return the content of a preset, which is not validated yet.

    Raises:
        PresetError: the file is unreadable, or not TOML.
    """
    return _parse_toml(path, read_preset_text(path))


def load_preset(
    reference: str,
    overrides: Sequence[str] = (),
    budget: str | None = None,
    *,
    allow_code: bool = False,
) -> Preset:
    """Read, override and validate a preset, and read the code that it names; no code runs.

    Overrides of the network or its training drop [published] and [reference].

    Args:
        reference: name of a bundled preset, or path of a TOML file.
        overrides: `a.b=c` each, with c as in TOML or JSON; a bare word is a string, and none
            removes the field.
        budget: replaces the preset's budget, before the overrides; see `parse_budget`.
        allow_code: whether the user allows the code that the preset names to run.

    Raises:
        PresetError: the preset, an override or the budget is invalid.
    """
    path = find_preset(reference)
    data = read_preset(path)
    changes = [Override.parse(override) for override in overrides]
    if budget is not None:
        data["budget"] = parse_budget(budget).model_dump(exclude_none=True)
    if any(change.path[0] not in NOT_TRAINED for change in changes):
        data.pop("published", None)
        data.pop("reference", None)
    for override in changes:
        override.apply(data)
    if data.get("name") is None:
        data["name"] = path.stem
    return _attach_code(validate_preset(data, reference, changes), path.parent, allow=allow_code)


def _attach_code(preset: Preset, folder: Path, *, allow: bool) -> Preset:
    """Return the preset with the code that it names, read from the preset's folder."""
    model = preset.model
    if model.python is None:
        return preset
    code = read_code(folder, model.python, model.arguments)
    if model.sources is not None and dict(model.sources) != code.fingerprints:
        raise PresetError(f'"{folder / code.entry}" has changed: model.sources has other hashes')
    return preset.with_code(code.trust(is_named=allow))


def validate_preset(data: Json, origin: str, overrides: Sequence[Override] = ()) -> Preset:
    """Return the preset that `data` describes.

    Args:
        data: content of a preset.
        origin: its name or path.
        overrides: changes that `data` already has. A value is read again if its field's type
            shows what it means, and then `data` is changed.

    Raises:
        PresetError: `data` is invalid; the message names `origin` or --set, and the field.
    """
    try:
        return Preset.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        reason, fault = describe_fault(error, Preset, data), locate_fault(error, data)
        if (own := _find_override(overrides, fault.path)) is None:
            raise PresetError(f'invalid preset "{origin}": {reason}') from error
        if own.path == fault.path and own.reread(data, fault.kind):
            return validate_preset(data, origin, overrides)
        advice = own.advise(*fault)
        text = f"{reason.rstrip('.')}. {advice}" if advice else reason
        raise PresetError(f"invalid --set: {text}") from error
    except RecursionError as error:
        raise PresetError(f'invalid preset "{origin}": {TOO_DEEP}') from error
    except ValueError as error:
        raise PresetError(f'invalid preset "{origin}": {error}') from error


def copy_preset(reference: str, destination: Path) -> Path:
    """Copy a preset, without [published] and [reference], to a new file or into a folder.

    Raises:
        PresetError: there is no such preset, or it is not TOML.
        FileError: the file exists or cannot be written.
    """
    source = find_preset(reference)
    text = _without_own_figures(source)
    return write_new(destination, text, source.name)


def write_new(destination: Path, text: str, name: str = "preset.toml") -> Path:
    """Write a new file, or one of that name into a folder, and return its path.

    Raises:
        FileError: the file exists or cannot be written.
    """
    target = destination
    try:
        if destination.is_dir():
            target = destination / name
        with target.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError as error:
        raise FileError(
            f'cannot write "{target}": the file exists. Choose another name.'
        ) from error
    except (OSError, ValueError) as error:
        raise FileError(f'cannot write "{target}": {reason_of(error)}') from error
    return target


def _parse_toml(path: Path, text: str) -> Json:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise PresetError(f'invalid preset "{path}": {TOO_DEEP}') from error
    except ValueError as error:  # a number may have too many digits
        raise PresetError(f'the preset "{path}" is not TOML: {error}') from error


def _without_own_figures(path: Path) -> str:
    """Return the text of a preset without [published] and [reference]."""
    text = read_preset_text(path)
    if not OWN_FIGURES & _parse_toml(path, text).keys():
        return text
    import tomlkit  # only `presets copy` needs it
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        entries = [(key.key if key else None, item) for key, item in document.body]
        for place, (name, item) in enumerate(entries):
            if name in OWN_FIGURES:
                following = next((name for name, _ in entries[place + 1 :] if name), None)
                is_kept = following and following not in OWN_FIGURES
                comments = _last_comments(item.as_string()) if is_kept else ""
                document.body[place] = (None, tomlkit.ws(comments))
        return document.as_string().rstrip() + "\n"
    except (ValueError, RecursionError, TOMLKitError) as error:
        raise PresetError(f'cannot copy the preset "{path}": {error}') from error


def _last_comments(text: str) -> str:
    """Return the lines of comments that `text` ends with: they belong to the next header."""
    lines = reversed(text.splitlines(keepends=True))
    return "".join(reversed(list(takewhile(lambda line: line.lstrip().startswith("#"), lines))))


def _find_override(overrides: Sequence[Override], path: tuple[str, ...]) -> Override | None:
    """Return the override of the field at `path`, else one in it, around it, or of its kind."""
    for override in reversed(overrides):
        if override.path == path:
            return override
    for override in reversed(overrides):
        around = override.table or override.path
        shared = min(len(around), len(path))
        if shared and around[:shared] == path[:shared]:
            return override
    return None
