"""Differences between two presets or two runs, field by field."""

import json
from collections.abc import Sequence
from typing import Any

from mnistcli.preset.schema import Preset
from mnistcli.records.documents import RunRecord

LEFT_OUT = {"reference", "published", "source"}
SHOWN, LISTED = 40, 3
SETTINGS = ("seed", "precision", "threads", "device")


def list_changes(before: Preset, after: Preset) -> tuple[str, ...]:
    """List the differences, as in "train.epochs: 4 → 5", without [published] and [reference]."""
    one = before.model_dump(mode="json", exclude=LEFT_OUT)
    other = after.model_dump(mode="json", exclude=LEFT_OUT)
    return tuple(_walk("", one, other))


def list_run_changes(
    before: RunRecord, after: RunRecord, settings: Sequence[str] = SETTINGS
) -> tuple[str, ...]:
    """List the differences between the presets of two runs, and between their `settings`."""
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in settings]
    changes = [f"{name}: {one} → {other}" for name, one, other in pairs if one != other]
    return (*list_changes(before.preset, after.preset), *changes)


def _walk(path: str, one: Any, other: Any) -> list[str]:
    if one == other:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        if one.get("kind") == other.get("kind"):
            return [
                change
                for key in dict.fromkeys((*one, *other))
                for change in _walk(f"{path}.{key}".lstrip("."), one.get(key), other.get(key))
            ]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [change for i, pair in pairs for change in _walk(f"{path}.{i}", *pair)]
    return [f"{path}: {_shorten(one)} → {_shorten(other)}"]


def _shorten(value: Any) -> str:
    if isinstance(value, list):
        if len(value) > LISTED:
            return f"{len(value)} entries"
        return ", ".join(map(_shorten, value)) or "none"
    if isinstance(value, dict) and "kind" in value:
        return str(value["kind"])
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
