"""Spaces: presets with ranges, each of which stands for many networks and their trainings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import nan
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mnistcli.errors import PresetError
from mnistcli.preset.budget import Budget
from mnistcli.preset.budget_text import parse_budget
from mnistcli.preset.code.code import Code, read_code
from mnistcli.preset.faults import TOO_DEEP, describe_fault, locate_fault
from mnistcli.preset.loading import OWN_FIGURES, PACKAGE, Json, read_preset
from mnistcli.preset.ranges import Choices, Choose, Decision, Numbers, Range, Settler, parse_ranges
from mnistcli.preset.scaling import unwrap_layers
from mnistcli.preset.schema import Preset

DEFAULT = PACKAGE / "search" / "default.toml"
COMMON = {"name", "title", "source", "budget"}
"""Fields that all networks of a space have in common."""

Decisions = dict[str, Decision]
"""What was decided in a space, by its paths, in the order of the file; no others matter."""


@dataclass(frozen=True)
class Space:
    """A preset with ranges, and the code of its networks if they are code."""

    content: Json
    """The fields as in the file, in JSON types; `make_space` makes the same space of them."""
    folder: Path
    """Folder that `model.python` is relative to."""
    origin: str
    """Name of the space in errors."""
    code: Code | None = None
    _tree: Json = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Name of the space, by default that of its file."""
        return str(self.content["name"])

    @property
    def budget(self) -> Budget:
        """Limits that the network to be found must meet."""
        return Budget.model_validate_json(json.dumps(self.content.get("budget", {})))

    def resolve(self, choose: Choose) -> tuple[Decisions, Preset]:
        """Return a preset of the space, and what was decided for it.

        Args:
            choose: is asked for every range, in the order of the file; of alternatives, only for
                the ranges in the one that was chosen. It returns a number, or an index.

        Raises:
            PresetError: these values do not make a valid preset together.
        """
        settler = Settler(choose)
        try:
            data = settler.settle(self._tree)
            preset = _unwrap(Preset.model_validate_json(json.dumps(data)))
        except ValidationError as error:
            reason = _describe(error, data, settler.written)
            raise self._fail(reason) from error
        except (ValueError, RecursionError) as error:
            raise self._fail(TOO_DEEP if isinstance(error, RecursionError) else error) from error
        if preset.model.python is None:
            return settler.decisions, preset
        if self.code is None:
            raise self._fail(
                "model.python: code cannot be one of several. Use ranges in arguments."
            )
        code = replace(self.code, arguments=preset.model.arguments)
        return settler.decisions, preset.with_code(code)

    def rebuild(self, decisions: Decisions) -> Preset:
        """Return the preset of decisions that were made before.

        Raises:
            PresetError: a decision is missing or not in its range, or they are no valid preset.
        """
        return self.resolve(lambda path, _: decisions.get(path, nan))[1]

    def _fail(self, reason: object) -> PresetError:
        return PresetError(f'invalid space "{self.origin}": {reason}')


def _unwrap(preset: Preset) -> Preset:
    """Return the preset without the repeats that only hold alternatives of several layers."""
    model = preset.model
    if model.layers is None or model.depth != 1:
        return preset
    layers = unwrap_layers(model.layers)
    return preset.model_copy(update={"model": model.model_copy(update={"layers": layers})})


def load_space(path: Path | None, budget: str | None = None, *, allow_code: bool = False) -> Space:
    """Read and validate a space; no code runs.

    Args:
        path: TOML file; None for the bundled default space.
        budget: replaces the space's budget; see `parse_budget`.
        allow_code: whether the user allows the code that the space names to run.

    Raises:
        PresetError: the file is unreadable, no TOML, or no valid space, or the budget is invalid.
    """
    file = path or DEFAULT
    data = read_preset(file)
    if budget is not None:
        data["budget"] = parse_budget(budget).model_dump(exclude_none=True)
    if data.get("name") is None:
        data["name"] = file.stem
    return make_space(data, file.parent, str(path or file.stem), allow_code=allow_code)


def make_space(
    content: Mapping[str, Any], folder: Path, origin: str, *, allow_code: bool = False
) -> Space:
    """Validate a space: first values, then every alternative and both ends of every range.

    One is changed at a time, while all others are the first. [published] and [reference] are left
    out: they belong to one preset. Code's files are fixed in `model.sources`, and their folder is
    the space's.

    Args:
        content: as a TOML file has it, or as a space.
        folder: what `model.python` is relative to.
        origin: name of the space in errors.
        allow_code: whether the user allows the code to run, with all arguments in the space.

    Raises:
        PresetError: the space is invalid; the message names the place in its file.
    """
    data = {name: value for name, value in content.items() if name not in OWN_FIGURES}
    try:
        data = json.loads(json.dumps(data, default=str))
        tree = parse_ranges(data, [Preset])
        for name in COMMON & tree.keys():
            _refuse_ranges(tree[name], name)
    except (ValueError, RecursionError) as error:
        reason = TOO_DEEP if isinstance(error, RecursionError) else error
        raise PresetError(f'invalid space "{origin}": {reason}') from error
    code = _read_code(data.get("model"), folder, allow=allow_code)
    if code is not None:
        folder = code.folder
        for model in (data["model"], tree["model"]):
            model.update(python=code.python, sources=code.fingerprints)
    space = Space(data, folder, origin, code, tree)
    asked: set[str] = set()
    _check(space, {}, asked)
    if not asked:
        raise PresetError(
            f'invalid space "{origin}": it has no range. Write one, as in out_channels = [4, 6, 8].'
        )
    return space


def _check(space: Space, decisions: Mapping[str, Decision], known: set[str]) -> None:
    """Resolve the space with these and all first values, then with others at new ranges."""
    asked = dict[str, Range]()

    def choose(path: str, range_: Range) -> Decision:
        asked[path] = range_
        return decisions.get(path, range_.ends[0])

    space.resolve(choose)
    new = {path: range_ for path, range_ in asked.items() if path not in known}
    known.update(new)
    for path, range_ in new.items():
        for other in range_.ends[1:]:
            _check(space, {**decisions, path: other}, known)


def _read_code(model: Any, folder: Path, *, allow: bool) -> Code | None:
    """Return the code that [model] names; it is trusted with all arguments of the space."""
    if not isinstance(model, dict) or not isinstance(model.get("python"), str):
        return None
    code = read_code(folder, model["python"], model.get("arguments", {}))
    if model.get("sources", code.fingerprints) != code.fingerprints:
        raise PresetError(f'"{folder / code.entry}" has changed: model.sources has other hashes')
    return code.trust(is_named=allow)


def _refuse_ranges(node: Any, place: str) -> None:
    if isinstance(node, Numbers | Choices):
        raise ValueError(f"{place}: all networks of a space have the same. Give one value.")
    if isinstance(node, dict):
        for key, inner in node.items():
            _refuse_ranges(inner, f"{place}.{key}")


def _describe(error: ValidationError, data: Json, written: Mapping[tuple[str, ...], str]) -> str:
    """Return one line about the first error, which names the place in the space."""
    reason, path = describe_fault(error, Preset, data), locate_fault(error, data).path
    known = path
    while known not in written:
        known = known[:-1]
    place = ".".join(filter(None, (written[known], *path[len(known) :])))
    return f"{place}{reason.removeprefix('.'.join(path))}"
