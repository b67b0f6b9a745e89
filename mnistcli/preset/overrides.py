"""Overrides of a preset's fields, as `--set a.b=c` gives them."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import TypeAdapter

from mnistcli.errors import PresetError

REMOVING = {"none", "null"}
ARGUMENTS = ("model", "arguments")
TAG = "kind"
"""Field that says which other fields a table has."""


@dataclass(frozen=True)
class Override:
    """A new value for one field."""

    path: tuple[str, ...]
    text: str
    """The value as it was typed."""

    @classmethod
    def parse(cls, override: str) -> "Override":
        """Parse "a.b=c".

        Raises:
            PresetError: there is no path or no value.
        """
        path, separator, text = override.partition("=")
        keys = tuple(key.strip() for key in path.split("."))
        if not separator or not all(keys):
            raise PresetError(
                f'invalid --set: "{override}". Use "a.b=c", as in train.epochs=5, or "a.b=none" '
                "to remove a field."
            )
        if not text.strip():
            raise PresetError(
                f'invalid --set: "{override}" has no value. Use none to remove the field, or "" '
                "for an empty text."
            )
        return cls(keys, text.strip())

    @property
    def value(self) -> Any:
        """The value as TOML, else as JSON, else as text; None to remove the field."""
        if self.text.lower() in REMOVING:
            return None
        try:
            (value,) = tomllib.loads(f"value = {self.text}").values()
            return self.text if isinstance(value, date | time) else value
        except (ValueError, RecursionError):
            pass
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return self.text

    @property
    def table(self) -> tuple[str, ...]:
        """The path of the table whose kind this changes; empty if it changes something else."""
        return self.path[:-1] if self.path[-1] == TAG else ()

    def apply(self, data: Any) -> None:
        """Set the field in `data`, which is changed in place.

        A removed item of a list is gone, and so is an argument of code. A removed field becomes
        None, so that validation can refuse a wrong name.

        Raises:
            PresetError: the path leads through a single value or past the end of a list.
        """
        target, value = data, self.value
        for depth, key in enumerate(self.path[:-1], start=1):
            target = _descend(target, key, ".".join(self.path[:depth]))
        last = self.path[-1]
        if value is None and self.path[:-1] == ARGUMENTS and isinstance(target, dict):
            target.pop(last, None)
        elif not isinstance(target, list):
            target[last] = value
        elif value is None:
            del target[_list_index(target, last, ".".join(self.path))]
        else:
            target[_list_index(target, last, ".".join(self.path))] = value

    def reread(self, data: Any, fault: str) -> bool:
        """Read the value again as of the type that validation asks for.

        Args:
            data: holds the value, and is changed in place.
            fault: pydantic's name of the error at the field.

        Returns:
            Whether the value has changed.
        """
        *parents, last = self.path
        target = data
        for key in parents:
            target = target[int(key) if isinstance(target, list) else key]
        if isinstance(target, dict) and target.get(last, "") is None:
            if fault == "extra_forbidden":
                return False
            del target[last]
            return True
        try:
            target[int(last) if isinstance(target, list) else last] = READERS[fault](self.text)
            return True
        except (KeyError, ValueError, InvalidOperation):
            return False

    def advise(self, path: tuple[str, ...], fault: str) -> str:
        """Return how to write the value after pydantic's error of that name at a path, or nothing.

        A changed kind leaves the fields of the other kind in its table.
        """
        if self.path != path:
            if not self.table or fault not in {"extra_forbidden", "missing"}:
                return ""
            content = f'{{{TAG}="{_unquote(self.text)}"}}'
            return f"Replace the whole table, as in '{'.'.join(self.table)}={content}'."
        name = ".".join(self.path)
        word = self.text if self.text.isidentifier() else "…"
        match fault:
            case "missing":
                return "It cannot be removed." if self.value is None else ""
            case "bool_type":
                return f"Use {name}=true or {name}=false."
            case "int_type":
                return f"Use an integer, as in {name}=5."
            case "float_type":
                return f"Use a number with a decimal point, as in {name}=0.01."
            case "tuple_type":
                return f"Use a list, as in '{name}=[…]', with \"\" around text."
            case "dict_type" | "model_type":
                content = f'kind="{word}"' if word != "…" else "…"
                return f"Use a table, as in '{name}={{{content}}}', with \"\" around text."
        return ""


def _read_bool(text: str) -> bool:
    return TypeAdapter(bool).validate_python(_unquote(text))


def _read_float(text: str) -> float:
    if text.endswith("%"):
        return float(Decimal(text[:-1].strip()) / 100)
    return TypeAdapter(float).validate_python(_unquote(text))


def _read_int(text: str) -> int:
    return TypeAdapter(int).validate_python(_read_float(text))


def _unquote(text: str) -> str:
    return text.strip("\"'")


READERS: dict[str, Callable[[str], Any]] = {
    "bool_type": _read_bool,
    "float_type": _read_float,
    "int_type": _read_int,
    "string_type": str,
}
"""Readers of what TOML does not accept but is clear, by pydantic's name of the error."""


def _descend(target: Any, key: str, path: str) -> Any:
    if isinstance(target, list):
        child = target[_list_index(target, key, path)]
    else:
        if target.get(key) is None:
            target[key] = {}
        child = target[key]
    if not isinstance(child, dict | list):
        raise PresetError(f"invalid --set: {path} is a single value and has no fields")
    return child


def _list_index(target: list[Any], key: str, path: str) -> int:
    if not (key.isascii() and key.isdigit()) or int(key) >= len(target):
        last = f"from 0 to {len(target) - 1}" if target else "and the list is empty"
        raise PresetError(f"invalid --set: {path} needs an index {last}")
    return int(key)
