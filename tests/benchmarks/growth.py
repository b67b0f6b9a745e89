"""Measure how the time of `mnistcli train` grows with seeds, images and parameters.

    python -m tests.benchmarks.growth [--json FILE]

Every measurement is a command in a process of its own, of `sprint` with one thread for each
training; all of them take about six minutes on an idle machine. What is linear takes n times as
long for n times as much, and half of that where two train at once: the ratio is 1. What a command
takes beside its trainings is told apart, and so is the import of PyTorch.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.speed import TRAIN_IMAGES, ask
from tests.cluster import start_cluster

ALONE, PROCESSES, WORKERS = "one process", "two processes", "two Dask workers"
LONG_EPOCHS = 12
TOLERANCE = 0.1
"""Ratios are called linear up to this distance from 1."""


@dataclass(frozen=True)
class Measurement:
    """One command."""

    what: str
    """What grows: "seeds", "images" or "parameters"."""
    how: str
    """Who trains."""
    amount: int
    seconds: float
    """Seconds of the whole command."""
    train_seconds: tuple[float, ...]
    """Seconds of each training."""
    data_seconds: float
    """Seconds of all trainings for making batches and augmenting them."""
    macs: int
    """Multiply-accumulates (MACs) of all trainings in forward."""

    @property
    def at_once(self) -> int:
        """Number of trainings at a time."""
        return 1 if self.how == ALONE else min(2, len(self.train_seconds))

    @property
    def training(self) -> float:
        """Seconds that the trainings take if nobody waits."""
        return sum(self.train_seconds) / self.at_once

    @property
    def beside(self) -> float:
        """Seconds of the command's start and end."""
        return self.seconds - self.training


@dataclass(frozen=True)
class Row:
    """A measurement against the first of its kind."""

    measured: Measurement
    ratio: float
    """Seconds against those of the first in proportion."""
    training_ratio: float
    why: str
    """Why it is not linear; empty if it is."""


def make_rows(measurements: Sequence[Measurement], import_seconds: float) -> list[Row]:
    """Compare each measurement with the first of what it measures."""
    rows = []
    for one in measurements:
        first = next(each for each in measurements if each.what == one.what)
        times = one.amount / first.amount / one.at_once
        ratio = one.seconds / (first.seconds * times)
        training_ratio = one.training / (first.training * times)
        reasons = [*_explain_training(one, first, training_ratio)]
        if not _is_linear(ratio):
            reasons.append(_explain_rest(one, import_seconds))
        rows.append(Row(one, ratio, training_ratio, "; ".join(reasons)))
    return rows


def _is_linear(ratio: float) -> bool:
    return abs(ratio - 1) <= TOLERANCE


def _explain_training(one: Measurement, first: Measurement, ratio: float) -> Iterator[str]:
    if _is_linear(ratio):
        return
    if one.what == "parameters":
        yield (
            f"{one.macs / first.macs:.0f} times the MACs, {_find_rate(one):.1f} instead of "
            f"{_find_rate(first):.1f} billion a second; batches take "
            f"{one.data_seconds:.1f} s for any network"
        )
    elif one.what == "images":
        yield f"an image takes {ratio:.2f} times as long"
    else:
        each, before = (sum(m.train_seconds) / len(m.train_seconds) for m in (one, first))
        yield f"a training takes {each:.1f} s instead of {before:.1f}"


def _find_rate(one: Measurement) -> float:
    """Return the billions of MACs in forward for each second of forward, backward and optimizer."""
    return one.macs / (sum(one.train_seconds) - one.data_seconds) / 1e9


def _explain_rest(one: Measurement, import_seconds: float) -> str:
    """Tell the time beside the trainings: where others train, they import PyTorch after this."""
    imports = f"{import_seconds:.1f} s"
    if one.how != ALONE:
        imports += f" here, then {imports} where it trains"
    return f"start and end take {one.beside:.1f} s, of which importing PyTorch {imports}"


def find_break_even(alone: Measurement, together: Measurement, wanted: float) -> float | None:
    """Return the seconds of one training from which two at once are `wanted` times as fast.

    None if they never are, because they slow each other down too much.

    Args:
        alone: two trainings, one after the other.
        together: the same, both at once.
        wanted: speed-up of the whole command.
    """
    slowed = together.training / alone.training
    gain = 1 - wanted * slowed
    if gain <= 0:
        return None
    return max(0.0, (wanted * together.beside - alone.beside) / gain / len(alone.train_seconds))


def render(rows: Sequence[Row]) -> str:
    """Return the table in Markdown."""
    lines = [
        "| what grows | who trains | | seconds | training | to linear | training to linear | why |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        one = row.measured
        lines.append(
            f"| {one.what} | {one.how} | {one.amount:,} | {one.seconds:.1f} | {one.training:.1f} "
            f"| {row.ratio:.2f} | {row.training_ratio:.2f} | {row.why or 'linear'} |"
        )
    return "\n".join(lines)


def render_jobs(alone: Measurement, together: Measurement, wanted: float = 1.8) -> str:
    """Say how much faster two trainings at once are than one after the other."""
    enough = find_break_even(alone, together, wanted)
    since = "never" if enough is None else f"from trainings of {enough:.0f} s on"
    return (
        f"Two trainings of {alone.train_seconds[0]:.0f} s: {alone.seconds:.1f} s one after the "
        f"other, {together.seconds:.1f} s at once, {alone.seconds / together.seconds:.2f} times as "
        f"fast; without start and end {alone.training / together.training:.2f} times. The whole "
        f"command is {wanted} times as fast {since}."
    )


def measure(what: str, how: str, *options: str, seeds: int = 1, epochs: int = 1) -> Measurement:
    """Run one command, and read from its document what the trainings took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "train", "sprint", "--seeds", f"0-{seeds - 1}", "--set", f"train.epochs={epochs}",
            *options, "--threads", "1", "--out", folder, "--json", "--quiet", "--no-fail",
        ]  # fmt: skip
        cluster = start_cluster(Path(folder)) if how == WORKERS else nullcontext()
        with cluster as started:
            jobs = ["--jobs", "1" if how == ALONE else "2"]
            who = ["--cluster", started.address] if started else jobs
            begin = time.perf_counter()
            runs: list[dict[str, Any]] = ask("mnistcli", *command, *who)["runs"]
            seconds = time.perf_counter() - begin
    epochs_of_all = [epoch for run in runs for epoch in run["epochs"]]
    amounts = {"seeds": seeds, "images": runs[0]["train_examples"]}
    found = Measurement(
        what=what,
        how=how,
        amount=amounts.get(what, runs[0]["parameters"]),
        seconds=seconds,
        train_seconds=tuple(run["train_seconds"] for run in runs),
        data_seconds=sum(epoch["stages"]["data"] for epoch in epochs_of_all),
        macs=runs[0]["macs"] * sum(epoch["images"] for epoch in epochs_of_all),
    )
    print(f"{what} {found.amount:,}, {how}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return found


def measure_import(rounds: int = 3) -> float:
    """Return the median seconds that a process takes to import PyTorch."""
    found = []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


def choose_images(share: float) -> tuple[str, ...]:
    """Return the options that train on a random share of the training images."""
    if share == 1:
        return ()
    size = f"coreset.size={round(share * TRAIN_IMAGES)}"
    return ("--set", size, "--set", "coreset.selector.kind=random")


def measure_all() -> Iterator[Measurement]:
    """Measure what the table shows."""
    for how in (ALONE, PROCESSES, WORKERS):
        for seeds in (1, 2, 4, 8):
            yield measure("seeds", how, seeds=seeds)
    for share in (0.1, 0.3, 1.0):
        yield measure("images", ALONE, *choose_images(share), epochs=4)
    for width in (0.25, 1, 2.2, 5.2):
        options = ("--set", f"model.width={width}", *choose_images(0.3))
        yield measure("parameters", ALONE, *options)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    measure("seeds", ALONE)  # reads what the file system does not hold in memory yet
    import_seconds = measure_import()
    rows = make_rows([*measure_all()], import_seconds)
    alone, together = (
        measure("seeds", how, seeds=2, epochs=LONG_EPOCHS) for how in (ALONE, PROCESSES)
    )
    document = {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "torch": version("torch"),
        "import_seconds": import_seconds,
        "rows": [asdict(row) for row in rows],
        "two_jobs": {"alone": asdict(alone), "together": asdict(together)},
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    print(render(rows), render_jobs(alone, together), sep="\n\n")


if __name__ == "__main__":
    main()
