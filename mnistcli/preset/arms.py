"""Arms of a study: a name and the overrides that make a preset of the base."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue, ValidationError

from mnistcli.errors import PresetError
from mnistcli.preset.faults import TOO_DEEP, describe_fault
from mnistcli.preset.loading import NOT_TRAINED, read_preset_text
from mnistcli.preset.networks import load_network
from mnistcli.preset.overrides import REMOVING, TAG
from mnistcli.preset.schema import Preset, Text
from mnistcli.preset.values import StrictModel, check_printable

BASE = "base"
"""Name of the arm that every other is compared with."""
CLOSING = {"[": "]", "{": "}"}
NOT_COMPARED = {"name", "title", "source", *NOT_TRAINED}
"""Fields without influence on what is trained, and how."""

ArmName = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(check_printable)]


class ArmSettings(StrictModel):
    """One arm, as a file of arms has it."""

    name: ArmName
    title: Text = ""
    """What the arm is, in a sentence."""
    set: dict[str, JsonValue] | tuple[str, ...]
    """Overrides: a table of fields, or texts as of `--set`."""


class ArmsFile(StrictModel):
    """A file of arms."""

    arm: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]


@dataclass(frozen=True)
class Arm:
    """One arm of a study."""

    name: str
    overrides: tuple[str, ...]
    """As of `--set`, applied after those of the base."""
    title: str = ""


@dataclass(frozen=True)
class Base:
    """What every arm starts from; the fields are arguments of `load_network`."""

    reference: str
    overrides: Sequence[str] = ()
    recipe: str | None = None
    allow_code: bool = False

    def load(self, overrides: Sequence[str] = ()) -> Preset:
        """Return the preset with its own and further overrides.

        Raises:
            UsageError, PresetError: as of `load_network`.
        """
        return load_network(
            self.reference,
            [*self.overrides, *overrides],
            recipe=self.recipe,
            allow_code=self.allow_code,
        )


def parse_arm(text: str) -> Arm:
    """Parse "NAME: A.B=C D.E=F"; a space inside quotes or brackets separates nothing.

    Raises:
        PresetError: the name or the overrides are missing, or a quote or bracket is left open.
    """
    name, colon, rest = text.partition(":")
    if not colon or "=" in name or not name.strip():
        raise PresetError(f'invalid --arm: "{text}" has no name. Use "name: a.b=c d.e=f".')
    settings = _read_arm({"name": name.strip(), "set": []}, f'invalid --arm: "{text}"')
    try:
        overrides = split_overrides(rest)
    except ValueError as error:
        raise PresetError(f'invalid arm "{settings.name}": {error}') from error
    return Arm(settings.name, overrides)


def split_overrides(text: str) -> tuple[str, ...]:
    """Split overrides at spaces outside quotes and brackets.

    Quotes of a value belong to it; those around a whole override are removed, as a shell does.

    Raises:
        ValueError: a quote or bracket is left open.
    """
    words, expected = [""], list[str]()
    for character in text:
        if expected and character == expected[-1]:
            expected.pop()
        elif character in "\"'" and (not expected or expected[-1] not in "\"'"):
            expected.append(character)
        elif character in CLOSING and (not expected or expected[-1] not in "\"'"):
            expected.append(CLOSING[character])
        if character.isspace() and not expected:
            words.append("")
        else:
            words[-1] += character
    if expected:
        raise ValueError(f"{expected[-1]} is missing in: {text.strip()}")
    return tuple(_unwrap(word) for word in words if word)


def read_arms(path: Path) -> tuple[list[Arm], list[str]]:
    """Return the arms of a TOML file, and a line on each that is invalid.

    Raises:
        PresetError: the file is unreadable, or no file of arms.
    """
    text = read_preset_text(path, "file of arms")
    try:
        content = ArmsFile.model_validate_json(json.dumps(tomllib.loads(text), default=str))
    except ValidationError as error:
        reason = describe_fault(error, ArmsFile, None)
        raise PresetError(f'invalid file of arms "{path}": {reason}') from error
    except RecursionError as error:
        raise PresetError(f'invalid file of arms "{path}": {TOO_DEEP}') from error
    except ValueError as error:
        raise PresetError(f'the file of arms "{path}" is not TOML: {error}') from error
    arms, mistakes = list[Arm](), list[str]()
    for number, entry in enumerate(content.arm, start=1):
        name = f'"{entry["name"]}"' if isinstance(entry.get("name"), str) else str(number)
        try:
            found = _read_arm(entry, f"invalid arm {name}")
            overrides = tuple(_list_overrides(found.set))
            arms.append(Arm(found.name, overrides, found.title))
        except PresetError as error:
            mistakes.append(str(error))
    return arms, mistakes


def load_arms(base: Base, arms: Sequence[Arm]) -> tuple[list[Preset], list[str]]:
    """Return the presets of the base and of every arm, and a line on each arm that is invalid.

    Raises:
        UsageError, PresetError: the base is invalid.
    """
    presets, mistakes = [base.load()], list[str]()
    known = {BASE: _what_is_trained(presets[0])}
    for arm in arms:
        try:
            if arm.name in known:
                raise PresetError("this name is taken. Choose another one.")
            if not arm.overrides:
                raise PresetError("it has no overrides. Add one, as in train.epochs=5.")
            preset = base.load(arm.overrides)
            trained = _what_is_trained(preset)
            same = [name for name, other in known.items() if other == trained]
            known[arm.name] = trained
            if same:
                other = "the base" if same[0] == BASE else f'the arm "{same[0]}"'
                raise PresetError(f"it trains the same as {other}. Override another field.")
            presets.append(preset)
        except PresetError as error:
            reason = str(error).removeprefix("invalid --set: ")
            mistakes.append(f'invalid arm "{arm.name}": {reason}')
    return presets, mistakes


def _read_arm(entry: dict[str, Any], what: str) -> ArmSettings:
    try:
        return ArmSettings.model_validate_json(json.dumps(entry, default=str))
    except ValidationError as error:
        raise PresetError(f"{what}: {describe_fault(error, ArmSettings, entry)}") from error
    except (ValueError, RecursionError) as error:
        raise PresetError(f"{what}: {error}") from error


def _list_overrides(settings: dict[str, Any] | tuple[str, ...]) -> Iterator[str]:
    if isinstance(settings, tuple):
        yield from settings
        return
    for key, value in settings.items():
        yield from _flatten(key, value)


def _flatten(path: str, value: Any) -> Iterator[str]:
    """Return overrides of the fields in a table; one with a kind replaces what there was."""
    if isinstance(value, dict) and TAG not in value:
        for key, inner in value.items():
            yield from _flatten(f"{path}.{key}", inner)
    elif isinstance(value, str) and value.lower() in REMOVING:
        yield f"{path}={value}"
    else:
        yield f"{path}={json.dumps(value)}"


def _what_is_trained(preset: Preset) -> str:
    code = preset.model.code
    return preset.model_dump_json(exclude=NOT_COMPARED) + (code.sha256 if code else "")


def _unwrap(word: str) -> str:
    is_quoted = len(word) > 1 and word[0] in "\"'" and word[-1] == word[0]
    return word[1:-1] if is_quoted else word
