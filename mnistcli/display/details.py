"""One run, finished or not → everything that its files say."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.budget import check_table, list_pruned, reason_views
from mnistcli.display.layout import new_table
from mnistcli.display.members import member_table
from mnistcli.display.phases import phase_views
from mnistcli.display.text import (
    count,
    figure_name,
    percent,
    percent_or_dash,
    seconds,
    size,
    time_limit,
    verdict,
)
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import EpochRecord, RunRecord
from mnistcli.records.inventory import RunFile
from mnistcli.records.sources import DataSource
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
        "time": _time(record),
        "versions": ", ".join(f"{name} {value}" for name, value in record.versions.items()),
        **_optional_facts(record),
    }
    phases: list[RenderableType] = [*phase_views(record), Text()] if record.phases else []
    test, word = record.test, verdict(record.verdict)
    return Group(
        _pairs(facts),
        Text(),
        *_settings(record.preset),
        *_list_members(record),
        _epoch_table(record.epochs),
        Text(),
        *phases,
        Text(
            f" {record.data.evaluated_on} {percent(test.accuracy)}   "
            f"{test.correct:,} of {test.total:,} correct"
        ),
        Text(),
        check_table(record.checks, record.figures),
        *reason_views(record.checks),
        Text(),
        _file_table(files),
        Text(),
        Text.assemble(
            " ", word, f"  repeat with: mnistcli train --from {path}\n       "
            f"check with:  mnistcli runs check {path}",
        ),
    )  # fmt: skip


def _list_members(record: RunRecord) -> list[RenderableType]:
    return [member_table(record.members), Text()] if record.members else []


def _optional_facts(record: RunRecord) -> dict[str, str]:
    facts = dict[str, str]()
    if record.pruning:
        found = [f"{figure_name(name)} {value:,}" for name, value in list_pruned(record).items()]
        facts["pruned"] = ", ".join([f"after epoch {record.pruning.epochs}", *found])
    if record.peak_memory is not None:
        facts["memory"] = f"{size(record.peak_memory)} at most"
    if record.repeats:
        facts["repeats"] = record.repeats.run_id
    return facts


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
        member = f"member {divergence.member}, " if divergence.member else ""
        facts["diverged"] = f"{member}epoch {divergence.epoch}, step {divergence.step}"
    if start.repeats:
        facts["repeats"] = start.repeats.run_id
    epochs: list[RenderableType] = []
    if saved and (history := _all_epochs(saved)):
        epochs = [_epoch_table(history), Text()]
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
    name = data.source if data.dataset else data.folder or data.source
    return f"{name}; SHA-256 of training and {data.evaluated_on} images: {hashes}"


def _images(record: RunRecord) -> str:
    parts = [f"{record.train_examples:,} to learn from ({percent(record.train_fraction)})"]
    if record.validation_examples:
        parts.append(f"{record.validation_examples:,} held out")
    if record.coreset:
        settings = record.coreset.settings
        origin = settings.selector.kind if settings else "a file of indices"
        parts.append(f"a coreset by {origin}" if settings else f"a coreset from {origin}")
    return ", ".join(parts)


def _time(record: RunRecord) -> str:
    line = f"{seconds(record.train_seconds)} of training"
    if record.is_bit_reproducible:
        return line
    limit = record.preset.train.within_seconds
    return f"{line}{f', {time_limit(limit)}' if limit else ''}; not reproducible bit by bit"


def _progress(saved: RunState | None) -> str:
    if saved is None:
        return "nothing yet"
    parts = [count(len(_all_epochs(saved)), "epoch")]
    if saved.epoch:
        parts.append(f"{count(saved.epoch.step, 'step')} of the next")
    return " and ".join(parts)


def _all_epochs(saved: RunState) -> list[EpochRecord]:
    """Return the finished epochs of all networks."""
    earlier = [epoch for member in saved.members for epoch in member.history]
    return [*earlier, *saved.history]


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
    if any(epoch.member for epoch in epochs):
        columns.insert(0, "member")
    table = new_table(*columns, right=columns)
    for epoch in epochs:
        cells = {
            "member": str(epoch.member or ""),
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
