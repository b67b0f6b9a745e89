"""One run, finished or not → everything that its files say."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.budget import check_table
from mnistcli.display.layout import new_table
from mnistcli.display.phases import phase_views
from mnistcli.display.text import count, percent, percent_or_dash, seconds, size, verdict
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import DataSource, EpochRecord, RunRecord
from mnistcli.records.inventory import RunFile
from mnistcli.records.states import DivergenceDocument, RunStart, RunState

HASH_SHOWN = 12
HIDDEN: dict[str, bool | dict[str, bool]] = {
    **dict.fromkeys(("name", "title", "source", "published", "reference", "budget"), True),
    "model": {"layers": True, "sources": True},
}
"""Parts of a preset that are shown elsewhere, or not at all."""


def record_view(
    record: RunRecord, folder: Path, tag: str | None, files: Sequence[RunFile]
) -> RenderableType:
    """Build the view of a finished run."""
    path = quote(str(folder))
    facts = {
        **_begin(record, folder, tag),
        "images": _images(record),
        "network": f"{count(record.parameters, 'parameter')}, {record.macs:,} MACs per image",
        "weights": f"SHA-256 {record.weights_sha256[:HASH_SHOWN]}",
        "time": f"{seconds(record.train_seconds)} of training",
        "versions": ", ".join(f"{name} {value}" for name, value in record.versions.items()),
    }
    if record.peak_memory is not None:
        facts["memory"] = f"{size(record.peak_memory)} at most"
    if record.repeats:
        facts["repeats"] = record.repeats.run_id
    phases: list[RenderableType] = [*phase_views(record), Text()] if record.phases else []
    test, word = record.test, verdict("pass" if record.passed else "fail")
    return Group(
        _pairs(facts),
        Text(),
        *_settings(record.preset),
        _epoch_table(record.epochs),
        Text(),
        *phases,
        Text(f" test {percent(test.accuracy)}   {test.correct:,} of {test.total:,} correct"),
        Text(),
        check_table(record.checks, record.figures),
        Text(),
        _file_table(files),
        Text(),
        Text.assemble(
            " ", word, f"  repeat with: mnistcli train --from {path}\n       "
            f"check with:  mnistcli runs check {path}",
        ),
    )  # fmt: skip


def start_view(
    start: RunStart,
    folder: Path,
    tag: str | None,
    files: Sequence[RunFile],
    saved: RunState | None,
    divergence: DivergenceDocument | None,
) -> RenderableType:
    """Build the view of an unfinished run."""
    facts = {**_begin(start, folder, tag), "saved": _progress(saved)}
    if divergence:
        facts["diverged"] = f"epoch {divergence.epoch}, step {divergence.step}"
    if start.repeats:
        facts["repeats"] = start.repeats.run_id
    epochs: list[RenderableType] = []
    if saved and saved.history:
        epochs = [_epoch_table(saved.history), Text()]
    return Group(
        _pairs(facts),
        Text(),
        *_settings(start.preset),
        *epochs,
        _file_table(files),
        Text(),
        Text(f" resume with: mnistcli train --resume {quote(str(folder))}"),
    )


def _begin(run: RunRecord | RunStart, folder: Path, tag: str | None) -> dict[str, str]:
    facts = {"run": folder.name, "tag": tag or "", "preset": run.preset.name}
    return {name: value for name, value in facts.items() if value} | {
        "seed": str(run.seed),
        "started": run.started[:16].replace("T", " "),
        "computed": f"on {run.device} in {run.precision} with {count(run.threads, 'thread')}",
        "data": _data(run.data),
    }


def _data(data: DataSource) -> str:
    hashes = f"{data.train_sha256[:HASH_SHOWN]} and {data.test_sha256[:HASH_SHOWN]}"
    return f"{data.folder or data.source}; SHA-256 of training and test images: {hashes}"


def _images(record: RunRecord) -> str:
    parts = [f"{record.train_examples:,} to learn from ({percent(record.train_fraction)})"]
    if record.validation_examples:
        parts.append(f"{record.validation_examples:,} held out")
    if record.coreset:
        settings = record.coreset.settings
        origin = settings.selector.kind if settings else "a file of indices"
        parts.append(f"a coreset by {origin}" if settings else f"a coreset from {origin}")
    return ", ".join(parts)


def _progress(saved: RunState | None) -> str:
    if saved is None:
        return "nothing yet"
    parts = [count(len(saved.history), "epoch")]
    if saved.epoch:
        parts.append(f"{count(saved.epoch.step, 'step')} of the next")
    return " and ".join(parts)


def _settings(preset: Preset) -> list[RenderableType]:
    """Build the table of the settings that differ from the defaults, as --set spells them."""
    data = preset.model_dump(mode="json", exclude_defaults=True, exclude=HIDDEN)
    rows = dict(_flatten(data))
    return [_pairs(rows, "setting", "value"), Text()] if rows else []


def _flatten(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [row for key, each in value.items() for row in _flatten(each, f"{path}.{key}")]
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [row for n, each in enumerate(value) for row in _flatten(each, f"{path}.{n}")]
    return [(path.lstrip("."), value if isinstance(value, str) else json.dumps(value))]


def _pairs(rows: Mapping[str, str], *columns: str) -> Table:
    table = new_table(*(columns or ("", "")), right=())
    table.show_header = bool(columns)
    for name, value in rows.items():
        table.add_row(Text(name), Text(value))
    return table


def _epoch_table(epochs: Sequence[EpochRecord]) -> Table:
    figures = ("epoch", "images", "loss", "accuracy", "validation", "learning rate", "time")
    held_out = any(epoch.validation_accuracy is not None for epoch in epochs)
    columns = [name for name in figures if held_out or name != "validation"]
    table = new_table(*columns, right=figures)
    for epoch in epochs:
        cells = {
            "epoch": str(epoch.epoch),
            "images": f"{epoch.images:,}",
            "loss": f"{epoch.train_loss:.4f}",
            "accuracy": percent(epoch.train_accuracy),
            "validation": percent_or_dash(epoch.validation_accuracy),
            "learning rate": f"{epoch.learning_rate:.2g}",
            "time": seconds(epoch.seconds),
        }
        table.add_row(*(cells[name] for name in columns))
    return table


def _file_table(files: Sequence[RunFile]) -> Table:
    table = new_table("file", "size", right=("size",))
    for file in files:
        table.add_row(Text(file.name), size(file.bytes))
    return table
