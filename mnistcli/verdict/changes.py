"""Differences between two presets or two runs, field by field."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnistcli.preset.choices import Split
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import RunRecord
from mnistcli.records.sources import DataSource

LEFT_OUT = {"reference", "published", "source"}
SHOWN, LISTED = 40, 3
SETTINGS = ("seed", "precision", "threads", "device")
HASH_SHOWN = 8
"""Characters of a hash that are shown."""


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


def list_image_changes(before: RunRecord, after: RunRecord) -> tuple[str, ...]:
    """List the differences between the images of two runs, as in "test images: a → b"."""
    changes = []
    if before.data.train_sha256 != after.data.train_sha256:
        names = _tell_apart(before.data, after.data, "train")
        changes.append("training images: {} → {}".format(*names))
    kinds = before.data.evaluated_on, after.data.evaluated_on
    if kinds[0] != kinds[1]:
        changes.append("evaluated on: {} → {} images".format(*kinds))
    elif before.data.test_sha256 != after.data.test_sha256:
        names = _tell_apart(before.data, after.data, "test")
        changes.append(f"{kinds[0]} images: " + "{} → {}".format(*names))
    files = [(hash_of_indices_file(run) or "none")[:HASH_SHOWN] for run in (before, after)]
    if files[0] != files[1]:
        changes.append("coreset file: {} → {}".format(*files))
    return tuple(changes)


def hash_of_indices_file(run: RunRecord) -> str | None:
    """Return the hash of the indices, if they came from a file and not from the preset."""
    return run.coreset.indices_sha256 if run.coreset and run.coreset.settings is None else None


def _tell_apart(before: DataSource, after: DataSource, split: Split) -> tuple[str, str]:
    """Return the names of two data sets, or their paths or hashes if the names are the same."""
    names = [
        (Path(data.source).name, data.folder or data.source, data.sha256_of(split)[:HASH_SHOWN])
        for data in (before, after)
    ]
    return next((one, other) for one, other in zip(*names, strict=True) if one != other)


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
    texts = _shorten(one), _shorten(other)
    if texts[0] == texts[1]:  # they differ at the end, as paths do
        texts = _shorten(one, at_end=True), _shorten(other, at_end=True)
    return ["{}: {} → {}".format(path, *texts)]


def _shorten(value: Any, *, at_end: bool = False) -> str:
    if value is None:
        return "none"  # as --set spells it
    if isinstance(value, list):
        if len(value) > LISTED:
            return f"{len(value)} entries"
        return ", ".join(_shorten(each, at_end=at_end) for each in value) or "none"
    if isinstance(value, dict) and "kind" in value:
        return str(value["kind"])
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) <= SHOWN:
        return text
    return f"…{text[1 - SHOWN :]}" if at_end else f"{text[: SHOWN - 1]}…"
