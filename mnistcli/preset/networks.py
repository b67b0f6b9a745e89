"""A network from the command line: a preset, or Python code with the recipe to train it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mnistcli.errors import PresetError, UsageError
from mnistcli.preset.budget import Budget
from mnistcli.preset.budget_text import parse_budget
from mnistcli.preset.code.code import Code, read_code
from mnistcli.preset.code.reference import is_code
from mnistcli.preset.loading import (
    find_preset,
    load_preset,
    read_preset,
    validate_preset,
    write_new,
)
from mnistcli.preset.overrides import Override
from mnistcli.preset.schema import Preset
from mnistcli.preset.training import MAX_EPOCHS

RECIPE = "starter"
"""The bundled preset that trains networks of unknown kind."""
OWN = ("name", "title", "source", "published", "reference", "budget", "model")
"""Fields that are about a preset's own network, and no part of its recipe."""


def load_network(
    reference: str,
    overrides: Sequence[str] = (),
    budget: str | None = None,
    *,
    recipe: str | None = None,
    allow_code: bool = False,
) -> Preset:
    """Return the preset that a name, a TOML file or FILE.py:NAME stands for.

    Code that is named here is trusted by that; nothing of it runs yet.

    Args:
        reference: preset or code.
        overrides: as of `load_preset`.
        budget: as of `load_preset`; the default recipe takes its epochs from it.
        recipe: name or path of the preset whose training the code's network gets.
        allow_code: whether the user allows the code that a preset names to run.

    Raises:
        UsageError: a recipe is given for a preset, which has one.
        PresetError: preset, recipe, code or an override is invalid.
    """
    if is_code(reference):
        code = read_code(Path(), reference, {})
        preset = _make_preset(code, recipe or RECIPE, overrides, budget)
        if preset.model.python != code.python:
            raise PresetError(
                f'--set model.python cannot replace "{reference}". Name the other network instead.'
            )
        named = replace(code, arguments=preset.model.arguments)
        return preset.with_code(named.trust(is_named=True))
    if recipe is not None:
        raise UsageError(f'--recipe is for FILE.py:NAME: the preset "{reference}" has its own')
    return load_preset(reference, overrides, budget, allow_code=allow_code)


def write_network(preset: Preset, destination: Path) -> None:
    """Write a preset that names code as a new TOML file with all that it says.

    Raises:
        UsageError: the file is no .toml, or the code is not in its folder or below.
        FileError: the file exists or cannot be written.
    """
    import tomlkit  # only `presets new` needs it

    code = preset.model.code
    assert code is not None, "a preset whose network is code"
    if destination.suffix != ".toml":
        raise UsageError(f'"{destination}" is not the name of a preset. Let it end in .toml.')
    try:
        entry = (code.folder / code.entry).resolve().relative_to(destination.parent.resolve())
    except (ValueError, OSError) as error:
        raise UsageError(
            f'"{destination}" cannot name {code.python}: a preset names code in its own folder or '
            f'below. Write it to "{code.folder}".'
        ) from error
    data = preset.model_dump(mode="json", exclude_none=True)
    data = {name: value for name, value in data.items() if value not in ("", [])}
    data["model"] = {"python": f"{entry.as_posix()}:{code.name}"}
    if code.arguments:
        data["model"]["arguments"] = dict(code.arguments)
    data.pop("name", None)
    write_new(destination, tomlkit.dumps(data).rstrip() + "\n")


def _make_preset(code: Code, recipe: str, overrides: Sequence[str], budget: str | None) -> Preset:
    data = read_preset(find_preset(recipe))
    for field in OWN:
        data.pop(field, None)
    data["name"] = _make_name(code)
    data["title"] = f"{code.python}, recipe {Path(recipe).stem}"
    data["model"] = {"python": code.python, "arguments": dict(code.arguments)}
    if budget is not None:
        limits = parse_budget(budget)
        data["budget"] = limits.model_dump(exclude_none=True)
        if recipe == RECIPE:
            data["train"]["epochs"] = _count_epochs(limits, data["train"]["epochs"])
    changes = [Override.parse(override) for override in overrides]
    for change in changes:
        change.apply(data)
    return validate_preset(data, recipe, changes)


def _count_epochs(budget: Budget, own: int) -> int:
    """Return as many epochs as the budget allows, or the recipe's own where it has no limit."""
    allowed = budget.max_epochs if budget.epochs_below is None else budget.epochs_below - 1
    return own if allowed is None else min(max(1, allowed), MAX_EPOCHS)


def _make_name(code: Code) -> str:
    """Return a name for run folders, as in "net.Net"."""
    return make_plain(f"{Path(code.entry).stem}.{code.name}") or "network"


def make_plain(text: str) -> str:
    """Return a text as part of a folder's name: in ASCII, and perhaps empty."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)
    return plain.lstrip("._-")[:64]
