"""Runs → a preset's [reference], and the kept figures that it is traced to."""

from collections.abc import Sequence
from statistics import mean, median
from typing import Any

from mnistcli.experiment.summary import summarize
from mnistcli.preset.loading import load_preset
from mnistcli.verdict.stats import standard_deviation
from tests.ledger.files import ROOT, RUNS, command_of, read, row_of, write


def add(runs: Sequence[dict[str, Any]], machine: str) -> None:
    """Write the [reference] of the preset of these runs, and keep their figures."""
    first = runs[0]
    name, threads = first["preset"]["name"], first["threads"]
    command, rows = command_of(runs), [row_of(run) for run in runs]
    accuracies = [run["test"]["accuracy"] for run in runs]
    built = summarize(load_preset(name))
    before = load_preset(name).reference
    alone = before.seconds_alone if before else None
    lines = [
        "[reference]",
        f'command = "{command}"',
        f"seeds = {[row['seed'] for row in rows]}",
        f"parameters = {built.parameters:_}",
        f"macs = {built.macs:_}",
        f"mean_test_accuracy = {mean(accuracies):.6f}",
        f"sd_test_accuracy = {standard_deviation(accuracies):.6f}",
        f"test_accuracies = {accuracies}",
        f"test_losses = {[round(row['test_loss'], 5) for row in rows]}",
        f"train_accuracies = {[round(row['train_accuracy'], 5) for row in rows]}",
        f"train_losses = {[round(row['train_loss'], 5) for row in rows]}",
        f"median_train_seconds = {median(row['train_seconds'] for row in rows):.1f}",
        *([] if alone is None else [f"seconds_alone = {alone}"]),
        f'machine = "{machine}; {first["precision"]}, {threads} thread{"s"[: threads > 1]}"',
        f'version = "{first["versions"]["mnistcli"]}"',
        f'date = "{first["started"][:10]}"',
    ]
    preset = ROOT / "presets" / f"{name}.toml"
    text = preset.read_text().partition("\n[reference]\n")[0].rstrip()
    preset.write_text(text + "\n\n" + "\n".join(lines) + "\n")
    write(RUNS, read(RUNS) | {name: {
        "command": command, "versions": first["versions"], "runs": rows,
    }})  # fmt: skip
