"""How long a training takes when nothing else runs."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from tempfile import mkdtemp
from typing import Any

from mnistcli.preset.loading import load_preset
from tests.ledger.files import ROOT, TIMES, read, write

SHORT = 4
"""Epochs up to which a training is timed as a whole."""


def time_alone(names: Sequence[str]) -> None:
    """Time these presets with two threads, and write that into their [reference]."""
    for name in names:
        preset = load_preset(name)
        if preset.reference is None:
            continue
        is_long = preset.curriculum is None and preset.train.epochs > SHORT
        shorter = ("--set", "train.epochs=2") if is_long else ()
        command = [
            "mnistcli", *preset.reference.command.split()[1:3], *shorter, "--threads", "2",
            "--no-fail", "--json", "-q",
        ]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", *command, "--out", mkdtemp()], check=True, capture_output=True
        )
        run = json.loads(done.stdout)
        entry = {
            "command": " ".join(command),
            "epochs": preset.train.epochs if is_long else len(run["epochs"]),
            "epoch_seconds": [epoch["seconds"] for epoch in run["epochs"]],
            "weights_sha256": run["weights_sha256"],
        }
        write(TIMES, read(TIMES) | {name: entry})
        path = ROOT / "presets" / f"{name}.toml"
        text = re.sub(r"seconds_alone = .*\n", "", path.read_text())
        text = re.sub(
            r"(\nmedian_train_seconds = .*\n)",
            rf"\g<1>seconds_alone = {seconds_of(entry):.1f}\n",
            text,
        )
        path.write_text(text)
        print(f"{name:<40}{seconds_of(entry):>10.1f} s", file=sys.stderr)


def seconds_of(entry: dict[str, Any]) -> float:
    """Return the time of all epochs; if only two were timed, the second times their number."""
    times: list[float] = entry["epoch_seconds"]
    return sum(times) if len(times) == entry["epochs"] else entry["epochs"] * times[-1]
